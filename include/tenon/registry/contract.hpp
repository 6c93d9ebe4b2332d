// SPDX-License-Identifier: Apache-2.0
// Products by name: matmul of any ranks, linear, einsum and what is written with them.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/gather.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

inline Extents prefix(const Extents& e, int rank) {
  Extents p = e;
  p.rank = rank;
  return p;
}
inline Value transpose_last(const Value& x) { return swap_axes(x, x.rank() - 2, x.rank() - 1); }

/// a: [..., m, k]   b: [..., k, n]   y: [..., m, n]; one kernel. bias: [n], or undefined.
inline Value product(const char* name, const Value& a, const Value& b, const Value& bias = {}) {
  const Extents ae = a.extents(), be = b.extents();
  const Index ka = ae.extent[ae.rank - 1], kb = be.extent[be.rank - 2];
  if (ka != kb)
    fail(Error::shape, {name, ": inner extents differ on axis ", ae.rank - 1, ": ", ae, " and ", be,
                        " (", ka, " vs ", kb, ")"});
  const Extents ab = prefix(ae, ae.rank - 2), bb = prefix(be, be.rank - 2);
  const Broadcast batch = broadcast(ab, bb);
  if (!batch.mismatch.ok()) fail_broadcast(name, ab, bb, batch.mismatch);
  const AnyTensor pair[] = {a.t, b.t};
  const Dtype d = common_dtype(name, pair);
  const StatementInfo* info =
      fused(bias.t.defined() ? Fused::linear : Fused::matmul, compute_type(d));
  if (!info || a.dtype() != b.dtype())
    fail(Error::dtype, {name, ": takes floating-point tensors of one dtype, not ",
                        name_of(a.dtype()), " and ", name_of(b.dtype())});
  AnyTensor in[4] = {AnyTensor{}, a.t, b.t, {}};
  if (bias.t.defined()) in[1] = bias.t, in[2] = a.t, in[3] = b.t;
  return kernel::evaluate(*info, in, bias.t.defined() ? 4 : 3, nullptr, GroupCall{}, d,
                          Context::current());
}
/// PyTorch's rules: a vector on the left is a row, on the right a column, and its axis disappears.
inline Value matmul(const char* name, Value a, Value b) {
  for (const Value* x : {&a, &b})
    if (x->rank() == 0) fail(Error::shape, {name, ": a number has no axes to multiply over"});
  const bool row = a.rank() == 1, column = b.rank() == 1;
  if (row) a = unsqueeze(a, 0);
  if (column) b = unsqueeze(b, 1);
  Value y = product(name, a, b);
  if (!row && !column) return y;
  const int r = y.rank();
  const std::uint32_t drop = (row ? 1u << (r - 2) : 0) | (column ? 1u << (r - 1) : 0);
  return reshape(y, kernel::detail::reduced_extents(y.extents(), drop, false));
}
inline Results matmul_entry(const Arguments& a) {
  a.takes(2);
  return {matmul(a.name(), a[0], a[1])};
}
inline void need_rank(const Arguments& a, int i, int rank) {
  if (a[i].rank() != rank)
    a.wrong("tensor " + std::to_string(i) + " must have rank " + std::to_string(rank) +
                ", not extents " + to_string(a[i].extents()),
            Error::shape);
}
inline Results batch_dot(const Arguments& a) {
  a.takes(2);
  need_rank(a, 0, 3), need_rank(a, 1, 3);
  return {product(a.name(), a[0], a[1])};
}
inline Results dot(const Arguments& a) {
  a.takes(2);
  need_rank(a, 0, 1), need_rank(a, 1, 1);
  return {matmul(a.name(), a[0], a[1])};
}
/// x W^T + b.   x: [..., in]   W: [out, in]   b: [out], may be left out
inline Value linear(const char* name, Value x, const Value& w, const Value& b) {
  const bool row = x.rank() == 1;
  if (row) x = unsqueeze(x, 0);
  Value y = product(name, x, transpose_last(w), b);
  return row ? reshape(y, Extents{1, {y.t.extent(-1)}}) : y;
}
inline Results linear_entry(const Arguments& a) {
  a.takes(2, 3);
  need_rank(a, 1, 2);
  if (a.size() == 3) {
    need_rank(a, 2, 1);
    if (a[2].extent(0) != a[1].extent(0))
      a.wrong(
          "bias " + to_string(a[2].extents()) + " does not fit weight " + to_string(a[1].extents()),
          Error::shape);
  }
  if (a[0].rank() == 0) a.wrong("a number has no axes to multiply over", Error::shape);
  return {linear(a.name(), a[0], a[1], a.size() == 3 ? Value(a[2]) : Value())};
}
inline Results outer(const Arguments& a) {
  a.takes(2);
  need_rank(a, 0, 1), need_rank(a, 1, 1);
  return {unsqueeze(a[0], 1) * Value(a[1])};
}
/// y[i p + k, j q + l] = a[i, j] b[k, l]
inline Results kron(const Arguments& a) {
  a.takes(2);
  need_rank(a, 0, 2), need_rank(a, 1, 2);
  const Extents x = a[0].extents(), y = a[1].extents();
  const Value left = reshape(a[0], Extents{4, {x[0], 1, x[1], 1}}),
              right = reshape(a[1], Extents{4, {1, y[0], 1, y[1]}});
  return {reshape(left * right, Extents{2, {x[0] * y[0], x[1] * y[1]}})};
}
/// a x b over an axis of extent 3.
inline Results cross(const Arguments& a) {
  a.takes(2);
  const Broadcast both = broadcast(a[0].extents(), a[1].extents());
  if (!both.mismatch.ok()) fail_broadcast(a.name(), a[0].extents(), a[1].extents(), both.mismatch);
  const Value x = expand(a[0], both.extents), y = expand(a[1], both.extents);
  const int axis = a.axis("axis", x.rank(), -1);
  if (x.t.extent(axis) != 3)
    a.wrong(
        "axis " + std::to_string(axis) + " of " + to_string(x.extents()) + " must have extent 3",
        Error::shape);
  auto turned = [&](const Value& v, Index by) {
    return take_along(v, axis, 3, [=](Index k) { return (k + by) % 3; });
  };
  return {turned(x, 1) * turned(y, 2) - turned(x, 2) * turned(y, 1)};
}

/// A tensor with a letter for each axis.
struct Labelled {
  Value x;
  std::string labels;
};
/// The diagonal over equal letters, the sum over letters that are not in `wanted`.
inline Labelled tidy(const Labelled& in, const std::string& wanted) {
  const Extents e = in.x.extents();
  Labelled out{in.x, {}};
  Extents to;
  for (int i = 0; i < e.rank; ++i) {
    const char c = in.labels[static_cast<std::size_t>(i)];
    if (out.labels.find(c) != std::string::npos) continue;
    out.labels += c, to.extent[to.rank++] = e.extent[i];
  }
  if (to.rank < e.rank)
    out.x = take_at(in.x.t, position_map(to, [&](const Index* at) {
                      Index own[max_rank];
                      for (int i = 0; i < e.rank; ++i)
                        own[i] = at[out.labels.find(in.labels[static_cast<std::size_t>(i)])];
                      return position(e, own);
                    }));
  std::uint32_t axes = 0;
  std::string kept;
  for (std::size_t i = 0; i < out.labels.size(); ++i)
    if (wanted.find(out.labels[i]) == std::string::npos) axes |= 1u << i;
    else kept += out.labels[i];
  if (axes) out.x = sum(out.x, axes);
  out.labels = kept;
  return out;
}
/// Its axes in the order of the letters.
inline Value ordered(const Labelled& in, const std::string& labels) {
  int order[max_rank] = {};
  for (std::size_t i = 0; i < labels.size(); ++i)
    order[i] = static_cast<int>(in.labels.find(labels[i]));
  return in.labels == labels ? in.x : Value(permute(in.x.t, order));
}
/// Two tensors as one batched product. later: letters that the result or other tensors need.
inline Labelled contract_pair(const Arguments& call, Labelled a, Labelled b,
                              const std::string& later) {
  a = tidy(a, b.labels + later), b = tidy(b, a.labels + later);
  std::string batch, inner, left, right;
  for (char c : a.labels) {
    if (b.labels.find(c) == std::string::npos) left += c;
    else (later.find(c) == std::string::npos ? inner : batch) += c;
  }
  for (char c : b.labels)
    if (a.labels.find(c) == std::string::npos) right += c;
  const Value x = ordered(a, batch + left + inner), y = ordered(b, batch + inner + right);
  auto extents = [&](const Value& v, std::size_t from, std::size_t n, Extents& into) {
    Index all = 1;
    for (std::size_t i = from; i < from + n; ++i) {
      all *= v.t.extent(static_cast<int>(i));
      if (into.rank < max_rank) into.extent[into.rank++] = v.t.extent(static_cast<int>(i));
    }
    return all;
  };
  if (batch.size() + left.size() + right.size() > static_cast<std::size_t>(max_rank))
    call.wrong("a product of more than " + std::to_string(max_rank) + " axes", Error::unsupported);
  Extents to, unused;
  const Index nb = extents(x, 0, batch.size(), to), nl = extents(x, batch.size(), left.size(), to);
  const Index ni = extents(x, batch.size() + left.size(), inner.size(), unused);
  const Index nr = extents(y, batch.size() + inner.size(), right.size(), to);
  const Value z = product(call.name(), reshape(x, Extents{3, {nb, nl, ni}}),
                          reshape(y, Extents{3, {nb, ni, nr}}));
  return {reshape(z, to), batch + left + right};
}
inline Value contract(const Arguments& call, std::vector<Labelled> parts,
                      const std::string& result) {
  Labelled all = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) {
    std::string later = result;
    for (std::size_t k = i + 1; k < parts.size(); ++k) later += parts[k].labels;
    all = contract_pair(call, all, parts[i], later);
  }
  return ordered(tidy(all, result), result);
}
/// Sum of products by an equation "ij,jk->ik".
inline Results einsum(const Arguments& a) {
  std::string equation = a.text("equation", "");
  std::erase(equation, ' ');
  const std::size_t arrow = equation.find("->");
  if (arrow == std::string::npos) a.wrong("the equation \"" + equation + "\" has no \"->\"");
  const std::string result = equation.substr(arrow + 2);
  std::vector<Labelled> parts(1);
  for (char c : equation.substr(0, arrow)) {
    if (c == ',') parts.emplace_back();
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) parts.back().labels += c;
    else a.wrong("the equation \"" + equation + "\" has a sign that is no letter");
  }
  a.takes(static_cast<int>(parts.size()));
  Index extent[128];
  std::fill_n(extent, 128, Index{-1});
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].x = a[static_cast<int>(i)];
    if (parts[i].x.rank() != static_cast<int>(parts[i].labels.size()))
      a.wrong("\"" + parts[i].labels + "\" does not fit extents " + to_string(parts[i].x.extents()),
              Error::shape);
    for (std::size_t k = 0; k < parts[i].labels.size(); ++k) {
      const char c = parts[i].labels[k];
      Index& known = extent[static_cast<int>(c)];
      const Index own = parts[i].x.t.extent(static_cast<int>(k));
      if (known >= 0 && known != own)
        a.wrong(std::string("extents of ") + c + " differ on axis " + std::to_string(k) + " of " +
                    to_string(parts[i].x.extents()) + " (" + std::to_string(known) + " vs " +
                    std::to_string(own) + ")",
                Error::shape);
      known = own;
    }
  }
  for (std::size_t i = 0; i < result.size(); ++i)
    if (extent[static_cast<int>(result[i]) & 127] < 0 ||
        result.find(result[i], i + 1) != std::string::npos)
      a.wrong("the result of the equation \"" + equation + "\" does not follow from its operands");
  return {contract(a, std::move(parts), result)};
}
/// axes: how many last axes of a meet the first of b; or the axes of a, then as many of b.
inline Results tensordot(const Arguments& a) {
  a.takes(2);
  std::vector<Index> axes;
  const int ra = a[0].rank(), rb = a[1].rank();
  std::vector<Index> given = a.list("axes");
  if (given.size() == 1) {
    const Index n = given[0];
    if (n < 0 || n > std::min(ra, rb))
      a.wrong(std::to_string(n) + " axes do not fit ranks " + std::to_string(ra) + " and " +
                  std::to_string(rb),
              Error::index);
    given.clear();
    for (Index i = 0; i < n; ++i) given.push_back(ra - n + i);
    for (Index i = 0; i < n; ++i) given.push_back(i);
  }
  if (given.size() % 2) a.wrong("axes must name as many axes of the one tensor as of the other");
  const std::size_t n = given.size() / 2;
  Labelled x{a[0], std::string(static_cast<std::size_t>(ra), ' ')},
      y{a[1], std::string(static_cast<std::size_t>(rb), ' ')};
  char next = 'a';
  for (std::size_t i = 0; i < n; ++i, ++next) {
    const int ia = a.axis_of(given[i], ra), ib = a.axis_of(given[n + i], rb);
    if (a[0].extent(ia) != a[1].extent(ib))
      a.wrong("extents differ on axis " + std::to_string(ia) + ": " + to_string(a[0].extents()) +
                  " and " + to_string(a[1].extents()) + " (" + std::to_string(a[0].extent(ia)) +
                  " vs " + std::to_string(a[1].extent(ib)) + ")",
              Error::shape);
    x.labels[static_cast<std::size_t>(ia)] = y.labels[static_cast<std::size_t>(ib)] = next;
  }
  std::string result;
  for (Labelled* t : {&x, &y})
    for (char& c : t->labels)
      if (c == ' ') c = next++, result += c;
  return {contract(a, {x, y}, result)};
}
/// y[n, o] = sum of x1[n, i] W[o, i, j] x2[n, j] + b[o]
inline Results bilinear(const Arguments& a) {
  a.takes(4);
  need_rank(a, 0, 2), need_rank(a, 1, 2), need_rank(a, 2, 3);
  return {contract(a, {{a[0], "ni"}, {a[2], "oij"}, {a[1], "nj"}}, "no") + Value(a[3])};
}

inline constexpr Operation contract_table[] = {
    {"matmul", matmul_entry}, {"batch_dot", batch_dot}, {"dot", dot},     {"linear", linear_entry},
    {"outer", outer},         {"kron", kron},           {"cross", cross}, {"einsum", einsum},
    {"tensordot", tensordot}, {"bilinear", bilinear}};

}  // namespace detail

template <class>
std::span<const Operation> contract_operations() {
  return detail::contract_table;
}

}  // namespace tenon::inline TENON_ISA::registry
