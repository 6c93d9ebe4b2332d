// SPDX-License-Identifier: Apache-2.0
// The steps of a graph as the text of one C++ file, which C99 reads as well.
#pragma once
#include <tenon/deploy/loops.hpp>
#include <tenon/deploy/steps.hpp>

namespace tenon::inline TENON_ISA::deploy {

struct Options {
  std::string name = "model";  ///< of the function; all other names in the file begin with it
  Index rows = 1;              ///< the batch size
};

namespace detail {

inline const char* c_type(Dtype d) {
  switch (d) {
    case Dtype::f64: return "double";
    case Dtype::i64: return "int64_t";
    case Dtype::i32: return "int32_t";
    case Dtype::u8:
    case Dtype::boolean: return "uint8_t";
    default: return "float";
  }
}
/// "argument 0.fc1.weight" -> "fc1_weight".
inline std::string short_name(const std::string& path) {
  std::size_t at = 0;
  for (const char* head : {"argument ", "result"})
    if (path.rfind(head, 0) == 0) at = std::min(path.find('.'), path.size());
  std::string name;
  for (char c : path.substr(at)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || !name.empty()) name += plain ? c : '_';
  }
  return name;
}
inline void check(const Options& o) {
  bool good = !o.name.empty() && !(o.name[0] >= '0' && o.name[0] <= '9') && o.name[0] != '_';
  for (char c : o.name)
    good &= c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  if (!good) fail(Error::value, {"deploy: the name \"", o.name, "\" is no identifier"});
  if (o.rows < 1) fail(Error::value, {"deploy: rows is ", o.rows});
}

class Source {
 public:
  /// parameter: the values of the first inputs, embedded; the others are the function's arguments.
  Source(const Graph& g, std::span<const AnyTensor> parameter, const Options& options)
      : s_(g), o_(options), pointer_(s_.graph.values.size()), tensor_(s_.graph.values.size()) {
    const Graph& own = s_.graph;
    for (const Value& v : own.values) check_size(v);
    for (std::size_t i = 0; i < own.inputs.size(); ++i) {
      const auto v = static_cast<std::size_t>(own.inputs[i]);
      const std::string name = short_name(own.values[v].name);
      if (i < parameter.size()) {
        check_parameter(own.values[v], parameter[i]);
        tensor_[v] = parameter[i];
        pointer_[v] = unique(o_.name + "_" + (name.empty() ? "parameter" : name));
      } else {
        pointer_[v] = unique(name.empty() ? "in" : "in_" + name);
        inputs_.push_back(static_cast<int>(v));
      }
    }
    for (std::size_t v = 0; v < own.values.size(); ++v)
      if (own.values[v].origin == graph::Origin::constant) {
        tensor_[v] = own.values[v].constant;
        pointer_[v] = o_.name + "_constant" + std::to_string(v);
      }
    for (int v : own.outputs) {
      const std::string name = short_name(own.value(v).name);
      output_.push_back(unique(name.empty() ? "out" : "out_" + name));
    }
    for (std::size_t v = 0; v < own.values.size(); ++v)
      if (s_.output[v] >= 0) pointer_[v] = output_[static_cast<std::size_t>(s_.output[v])];
      else if (s_.offset[v] >= 0) pointer_[v] = "v" + std::to_string(v);
    find_transposed();
  }

  std::string text() {
    const std::string body = steps() + copies();
    std::string all = heading() + "#include <math.h>\n#include <stdint.h>\n\n";
    all += "enum { " + o_.name + "_rows = " + std::to_string(o_.rows) + " };\n\n";
    for (const std::string& h : helpers_) all += helper(h);
    all += weights();
    for (const Buffer& b : s_.buffers)
      all += "enum { " + work(b.dtype) + "_size = " + std::to_string(b.elements) + " };\nstatic " +
             c_type(b.dtype) + " " + work(b.dtype) + "[" + work(b.dtype) + "_size];\n\n";
    all += "#ifdef __cplusplus\nextern \"C\"\n#endif\n" + signature() + ";\n\n" + signature() +
           " {\n  if (" + missing() + ") return 1;\n";
    return all + places() + body + "  return 0;\n}\n";
  }

 private:
  std::string& pointer(int v) { return pointer_[static_cast<std::size_t>(s_.root_of(v))]; }
  std::string unique(const std::string& name) {
    std::string now = name;
    for (int k = 2; !names_.insert(now).second; ++k) now = name + "_" + std::to_string(k);
    return now;
  }
  std::string work(Dtype d) const { return o_.name + "_work_" + name_of(d); }
  static bool plain(Dtype d) { return static_cast<int>(d) <= static_cast<int>(Dtype::boolean); }

  static void check_size(const Value& v) {
    const Index n = v.at(0).size();
    if (n == 0 || n >= Index{1} << 31)
      fail(Error::unsupported, {"deploy: a value ", v.at(0), " of ", n, " elements"});
  }
  void check_parameter(const Value& v, const AnyTensor& t) const {
    const Record& r = t.record("deploy");
    if (r.dtype != v.dtype || !(r.shape() == v.at(0)))
      fail(Error::shape, {"deploy: ", v.name, " is ", name_of(r.dtype), " ", r.shape(),
                          ", in the graph ", name_of(v.dtype), " ", v.at(0)});
  }
  // A right operand that every product reads transposed is stored so that its rows are read.
  void find_transposed() {
    transposed_.assign(pointer_.size(), false);
    std::vector<bool> other(pointer_.size(), false);
    for (const Node& n : s_.graph.nodes)
      for (std::size_t k = 0; k < n.in.size(); ++k) {
        if (n.in[k] < 0 || n.info == &kernel::detail::reshape_info) continue;
        const auto r = static_cast<std::size_t>(s_.root_of(n.in[k]));
        const bool weight = n.group() && n.info->product && k == 2 && n.how.transpose_b &&
                            static_cast<int>(r) == n.in[k] && s_.graph.values[r].rank() == 2;
        (weight ? transposed_ : other)[r] = true;
      }
    for (int v : s_.graph.outputs) other[static_cast<std::size_t>(s_.root_of(v))] = true;
    for (std::size_t v = 0; v < other.size(); ++v)
      transposed_[v] = transposed_[v] && !other[v] && tensor_[v].defined();
  }

  // ---- formulas ----

  Text element(int v, Dtype compute, const std::string& index) {
    const auto r = static_cast<std::size_t>(s_.root_of(v));
    if (s_.number[r]) return Text(*s_.number[r]);
    const std::string cast = std::string("(") + c_type(compute) + ")";
    if (s_.counts[r]) return Text::name(cast + "(" + index + ")");
    used_.insert(static_cast<int>(r));
    const std::string at = pointer(v) + "[" + index + "]";
    const bool same = std::string_view(c_type(s_.graph.values[r].dtype)) == c_type(compute);
    return Text::name(same ? at : cast + at);
  }
  std::string store(int v, Dtype compute, const std::string& index, const std::string& text) {
    const Dtype d = s_.graph.value(v).dtype;
    if (!plain(d)) fail(Error::unsupported, {"deploy: a result of dtype ", name_of(d)});
    const bool same = std::string_view(c_type(d)) == c_type(compute);
    return pointer(v) + "[" + index +
           "] = " + (same ? text : std::string("(") + c_type(d) + ")(" + text + ")") + ";";
  }
  static std::string indented(const std::vector<std::string>& lines, std::size_t spaces) {
    std::string text;
    for (const std::string& l : lines) text += std::string(spaces, ' ') + l + "\n";
    return text;
  }

  std::string steps() {
    std::string text;
    for (const Step& s : s_.steps) {
      text += "\n  /* ";
      for (std::size_t k = 0; k < s.nodes.size(); ++k)
        text += (k ? ", " : "") + std::string(s_.node(s.nodes[k]).info->name);
      text += " */\n";
      text += s.kind == Step::loop        ? loop(s)
              : s.kind == Step::reduction ? reduction(s_.node(s.nodes[0]))
                                          : product(s_.node(s.nodes[0]));
    }
    return text;
  }

  std::string loop(const Step& s) {
    std::vector<int> read;
    std::set<int> made;
    for (int n : s.nodes) {
      for (int v : s_.node(n).in)
        if (!made.count(s_.root_of(v)) && std::find(read.begin(), read.end(), v) == read.end())
          read.push_back(v);
      made.insert(s_.node(n).out[0]);
    }
    std::vector<std::vector<Index>> strides;
    for (int v : read) strides.push_back(strides_in(s_.extents(v), s.over));
    strides.push_back(strides_in(s.over, s.over));
    const Loops loops(s.over, 0, strides);
    std::map<int, Text> value;
    for (std::size_t k = 0; k < read.size(); ++k)
      value[read[k]] = element(read[k], s.compute, loops.index(k));
    const std::string own = loops.index(read.size());

    Formulas f(o_.name + "_", s.compute == Dtype::f64, helpers_);
    std::vector<int> stored;
    for (int n : s.nodes) {
      const Node& node = s_.node(n);
      const int out = node.out[0];
      Text x[3];
      for (std::size_t k = 0; k < node.in.size(); ++k)
        x[k] = value.at(made.count(s_.root_of(node.in[k])) ? s_.root_of(node.in[k]) : node.in[k]);
      Text y = x[0];
      if (node.in.empty()) y = constant(out, s.compute, own);
      else if (node.info->node_count) y = find_operation(node.info->nodes[0].op->name)->forward(x);
      if (s.compute == Dtype::f64 && s_.graph.value(out).dtype == Dtype::f32)
        y = Text::form("(float)$", y);
      value[out] = y;
      if (!s_.stored[static_cast<std::size_t>(out)]) continue;
      stored.push_back(out);
      f.announce(y);
    }
    // All is read before anything is written: a result may lie where an operand does.
    std::vector<std::string> stores;
    for (int v : stored)
      stores.push_back(store(v, s.compute, own, f.write(value[v], stored.size() > 1)));
    const std::size_t depth = loops.depth(), in = 2 + 2 * depth;
    return loops.open(0, depth, 2) + block(indented(f.lines(), in) + indented(stores, in), depth) +
           Loops::close(0, depth, 2);
  }
  Text constant(int v, Dtype compute, const std::string& index) {
    const auto r = static_cast<std::size_t>(v);
    if (s_.number[r]) return Text(*s_.number[r]);
    return Text::name(std::string("(") + c_type(compute) + ")(" + index + ")");
  }
  // Without a loop around it, what a step names needs a block of its own.
  static std::string block(const std::string& body, std::size_t depth) {
    return depth ? body : "  {\n" + body + "  }\n";
  }

  std::string reduction(const Node& n) {
    const Reduction& r = *find_reduction(n.info->nodes[0].op->name);
    const Extents over = s_.extents(n.in[0]);
    const Dtype compute = n.info->compute;
    std::vector<Index> out(static_cast<std::size_t>(over.rank), 0);
    Index step = 1, count = 1;
    for (int i = over.rank - 1; i >= 0; --i) {
      if (n.how.axes >> i & 1) count *= over.extent[i];
      else out[static_cast<std::size_t>(i)] = step, step *= over.extent[i];
    }
    std::vector<std::vector<Index>> strides{strides_in(over, over), out};
    if (r.arity == 2)
      strides.push_back(n.how.dropped_leaves >> 1 & 1 ? out
                                                      : strides_in(s_.extents(n.in[1]), over));
    const Loops loops(over, n.how.axes, strides);
    const bool f64 = compute == Dtype::f64;
    const std::string type = c_type(compute);
    const Text x = element(n.in[0], compute, loops.index(0)),
               e = r.arity == 2 ? element(n.in[1], compute, loops.index(2)) : Text(0),
               i = Text::name("(" + type + ")(" + loops.inner_position() + ")"),
               a = Text::name("a"), b = Text::name("b");
    op::State<Text> start = r.start(), next{a, b};
    r.step(next, x, e, i);
    const Text result = r.finish({a, b}, Text(count));
    const bool two = result.reads(b) || next.a.reads(b);

    Formulas first(o_.name + "_", f64, helpers_), inside(o_.name + "_", f64, helpers_),
        last(o_.name + "_", f64, helpers_);
    const std::size_t outer = loops.outer(), depth = loops.depth(), at = 2 + 2 * outer,
                      in = 2 + 2 * depth;
    std::vector<std::string> begin{type + " a = " + first.write(start.a) + ";"}, body, end;
    if (two) begin.push_back(type + " b = " + first.write(start.b) + ";");
    inside.announce(next.a);
    if (two) inside.announce(next.b);
    const std::string to_a = inside.write(next.a, two);
    if (two) body.push_back("b = " + inside.write(next.b, true) + ";");
    body.push_back("a = " + to_a + ";");
    last.announce(result);
    end.push_back(store(n.out[0], compute, loops.index(1), last.write(result)));
    return loops.open(0, outer, 2) +
           block(
               indented(begin, at) + loops.open(outer, depth, at) +
                   block_at(indented(inside.lines(), in) + indented(body, in), depth == outer, at) +
                   Loops::close(outer, depth, at) + indented(last.lines(), at) + indented(end, at),
               outer) +
           Loops::close(0, outer, 2);
  }
  static std::string block_at(const std::string& body, bool yes, std::size_t at) {
    return yes ? std::string(at, ' ') + "{\n" + body + std::string(at, ' ') + "}\n" : body;
  }

  // ---- products ----

  std::string product(const Node& n) {
    const int a = n.in[1], b = n.in[2], c = n.out[0];
    for (int v : {a, b, c}) {
      if (s_.graph.value(v).dtype != n.info->compute)
        fail(Error::unsupported, {"deploy: matmul of ", name_of(s_.graph.value(v).dtype),
                                  " computed in ", name_of(n.info->compute)});
      used_.insert(s_.root_of(v));
    }
    const Extents ea = s_.extents(a), eb = s_.extents(b), ec = s_.extents(c);
    const Index m = ec.extent[ec.rank - 2], columns = ec.extent[ec.rank - 1],
                inner = ea.extent[ea.rank - (n.how.transpose_a ? 2 : 1)];
    // The batch axes, in steps of matrices.
    auto head = [](Extents e) {
      e.rank -= 2;
      return e;
    };
    const Extents over = head(ec);
    std::vector<std::vector<Index>> strides;
    const Extents heads[] = {head(ea), head(eb), over};
    const Index matrix[] = {m * inner, inner * columns, m * columns};
    for (int k = 0; k < 3; ++k) {
      strides.push_back(strides_in(heads[k], over));
      for (Index& s : strides.back()) s *= matrix[k];
    }
    const Loops loops(over, 0, strides);
    const bool t = n.how.transpose_b && !transposed_[static_cast<std::size_t>(s_.root_of(b))];
    const std::string name = std::string(t ? "product_transposed" : "product") +
                             (n.info->compute == Dtype::f64 ? "64" : "32");
    helpers_.insert(name);
    const std::size_t depth = loops.depth();
    auto at = [&](int v, std::size_t k) {
      const std::string i = loops.index(k);
      return pointer(v) + (i == "0" ? "" : " + " + i);
    };
    const Index a_row = n.how.transpose_a ? 1 : inner, a_inner = n.how.transpose_a ? m : 1;
    std::string call = o_.name + "_" + name + "(" + at(a, 0) + ", " + at(b, 1) + ", " + at(c, 2);
    for (Index i : {m, inner, columns, a_row, a_inner}) call += ", " + std::to_string(i);
    return loops.open(0, depth, 2) + std::string(2 + 2 * depth, ' ') + call + ");\n" +
           Loops::close(0, depth, 2);
  }

  std::string helper(const std::string& name) const {
    const bool f64 = name.substr(name.size() - 2) == "64";
    const std::string type = f64 ? "double" : "float", own = o_.name + "_",
                      head = "static " + type + " " + own;
    if (name.rfind("product", 0) != 0) {  // max@, min@; NaN if either is
      const std::string word = name.substr(0, 3), sign = word == "max" ? ">" : "<";
      return head + word + (f64 ? "" : "f") + "(" + type + " a, " + type + " b) {\n  return a " +
             sign + " b || a != a ? a : b;\n}\n\n";
    }
    std::string text = "static void " + own + name + "(const " + type + "* a, const " + type +
                       "* b, " + type +
                       "* c, int rows,\n    int inner, int columns, int a_row, int a_inner) {\n";
    if (name.rfind("product_t", 0) == 0)
      text += "  for (int i = 0; i < rows; ++i)\n    for (int j = 0; j < columns; ++j) {\n      " +
              type +
              " sum = 0;\n      for (int k = 0; k < inner; ++k)\n        sum += a[i * a_row + k * "
              "a_inner] * b[j * inner + k];\n      c[i * columns + j] = sum;\n    }\n}\n\n";
    else
      text +=
          "  for (int i = 0; i < rows * columns; ++i) c[i] = 0;\n"
          "  for (int first = 0; first < inner; first += 32) {\n"
          "    const int end = inner - first < 32 ? inner : first + 32;\n"
          "    for (int i = 0; i < rows; ++i) {\n"
          "      " +
          type +
          "* const row = c + i * columns;\n"
          "      for (int k = first; k < end; ++k) {\n"
          "        const " +
          type +
          " x = a[i * a_row + k * a_inner];\n"
          "        const " +
          type +
          "* const y = b + k * columns;\n"
          "        for (int j = 0; j < columns; ++j) row[j] += x * y[j];\n"
          "      }\n    }\n  }\n}\n\n";
    return text;
  }

  // ---- the frame ----

  std::string copies() {
    std::string text;
    for (std::size_t k = 0; k < output_.size(); ++k) {
      const int v = s_.graph.outputs[k], r = s_.root_of(v);
      const Dtype d = s_.graph.value(v).dtype;
      if (!plain(d)) fail(Error::unsupported, {"deploy: a result of dtype ", name_of(d)});
      if (s_.output[static_cast<std::size_t>(r)] == static_cast<int>(k)) continue;
      used_.insert(r);
      text += "\n  for (int i = 0; i < " + std::to_string(s_.extents(v).size()) + "; ++i) " +
              output_[k] + "[i] = " + pointer(v) + "[i];\n";
    }
    return text;
  }
  std::string places() {
    std::string text;
    for (std::size_t v = 0; v < s_.offset.size(); ++v) {
      if (s_.offset[v] < 0) continue;
      const std::string at = s_.offset[v] ? " + " + std::to_string(s_.offset[v]) : "";
      const std::string type = c_type(s_.graph.values[v].dtype);
      text.append("  ").append(type).append("* const ").append(pointer_[v]).append(" = ");
      text.append(work(s_.graph.values[v].dtype)).append(at).append(";\n");
    }
    return text;
  }
  std::string weights() {
    std::string text;
    for (int r : used_) {
      const auto v = static_cast<std::size_t>(r);
      if (!tensor_[v].defined()) continue;
      const Dtype d = s_.graph.values[v].dtype;
      const AnyTensor t = tensor_[v];
      const bool integer = !is_floating(d);
      const AnyTensor e = t.to(integer ? Dtype::i64 : Dtype::f64).to_contiguous();
      const Index n = e.size(), rows = transposed_[v] ? e.extents().extent[0] : 1;
      text += "/* " + s_.graph.values[v].name + " " + to_text(s_.extents(r)) +
              (transposed_[v] ? ", transposed" : "") + " */\nstatic const " + c_type(d) + " " +
              pointer_[v] + "[" + std::to_string(n) + "] = {";
      for (Index i = 0; i < n; ++i) {
        // Row-major in the transposed matrix.
        const Index from = i % rows * (n / rows) + i / rows;
        text += i % 8 ? " " : "\n  ";
        text += integer ? std::to_string(static_cast<const std::int64_t*>(e.raw())[from])
                        : literal(static_cast<const double*>(e.raw())[from], d == Dtype::f64);
        if (i + 1 < n) text += ",";
      }
      text += "};\n\n";
    }
    return text;
  }
  static std::string to_text(const Extents& e) {
    std::string text = "[";
    for (int i = 0; i < e.rank; ++i) text += (i ? ", " : "") + std::to_string(e.extent[i]);
    return text + "]";
  }

  std::string signature() const {
    std::string text;
    for (int v : inputs_) {
      const Dtype d = s_.graph.value(v).dtype;
      if (!plain(d)) fail(Error::unsupported, {"deploy: an argument of dtype ", name_of(d)});
      text += (text.empty() ? "const " : ", const ") + std::string(c_type(d)) + "* " +
              pointer_[static_cast<std::size_t>(v)];
    }
    for (std::size_t k = 0; k < output_.size(); ++k)
      text += (text.empty() ? "" : ", ") +
              std::string(c_type(s_.graph.value(s_.graph.outputs[k]).dtype)) + "* " + output_[k];
    return "int " + o_.name + "(" + text + ")";
  }
  std::string missing() const {
    std::string text;
    for (int v : inputs_) text += "!" + pointer_[static_cast<std::size_t>(v)] + " || ";
    for (std::size_t k = 0; k < output_.size(); ++k) text += (k ? " || !" : "!") + output_[k];
    return text;
  }
  std::string heading() const {
    std::string text = "/* " + o_.name + ": inference of a trained model, written by tenon " +
                       std::to_string(TENON_VERSION / 10000) + "." +
                       std::to_string(TENON_VERSION / 100 % 100) + "." +
                       std::to_string(TENON_VERSION % 100) + ".\n\n     " + signature() + "\n\n";
    auto row = [&text](const std::string& name, const Value& v) {
      text += "     " + name + ": " + c_type(v.dtype) + " " + to_text(v.at(0)) + ", row-major\n";
    };
    for (int v : inputs_) row(pointer_[static_cast<std::size_t>(v)], s_.graph.value(v));
    for (std::size_t k = 0; k < output_.size(); ++k)
      row(output_[k], s_.graph.value(s_.graph.outputs[k]));
    Index work = 0;
    for (const Buffer& b : s_.buffers) work += b.elements * static_cast<Index>(size_of(b.dtype));
    return text + "\n   Returns 0, or 1 for a null pointer. No heap, no exceptions; " +
           std::to_string(work) +
           " bytes of static work memory,\n   so one call at a time; arguments and results must "
           "not overlap. Compile with\n     g++ -std=c++11 -O3 -fno-exceptions -fno-rtti -c " +
           o_.name + ".cpp   (or gcc -std=c99 -O3 -c " + o_.name + ".c) */\n";
  }

  Steps s_;
  Options o_;
  std::vector<std::string> pointer_;  // by root
  std::vector<AnyTensor> tensor_;     // by value: parameters and constants
  std::vector<bool> transposed_;
  std::vector<int> inputs_;
  std::vector<std::string> output_;
  std::set<std::string> names_, helpers_;
  std::set<int> used_;
};

}  // namespace detail
}  // namespace tenon::inline TENON_ISA::deploy
