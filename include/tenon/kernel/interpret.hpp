// SPDX-License-Identifier: Apache-2.0
// A group without its kernel: the operations of its list, one by one, forward and backward. What
// second derivatives, loaded graphs and programs without compiled kernels run on.
#pragma once
#include <tenon/kernel/any.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

TENON_COLD inline void reshape_backward(BackwardCall& call) {
  AnyTensor g = reshape(call.dy, call.operand[0].extents(), Context::current());
  call.gradient[0] = call.accumulate & 1 ? add(call.gradient[0], g, Context::current()) : g;
}
inline AnyTensor reshape_again(const AnyTensor* x, const Attributes&, const Extents& e) {
  return reshape(x[0], e, Context{});
}
inline constexpr StatementInfo reshape_info = [] {
  StatementInfo s;
  s.name = "reshape";
  s.function_backward = reshape_backward, s.function_forward = reshape_again;
  return s;
}();

TENON_COLD inline void add_backward(BackwardCall& call) {
  for (int i = 0; i < 2; ++i) {
    if (!(call.wanted >> i & 1)) continue;
    call.gradient[i] =
        call.accumulate >> i & 1 ? add(call.gradient[i], call.dy, Context::current()) : call.dy;
  }
}
AnyTensor added(const AnyTensor& a, const AnyTensor& b);
inline AnyTensor add_again(const AnyTensor* x, const Attributes&, const Extents& e) {
  check_again("add", x[0].extents() == e && x[1].extents() == e && x[0].dtype() == x[1].dtype() &&
                         (x[0].dtype() == Dtype::f32 || x[0].dtype() == Dtype::f64));
  return added(x[0], x[1]);
}
inline constexpr StatementInfo add_info = [] {
  StatementInfo s;
  s.name = "add";
  s.function_backward = add_backward, s.function_forward = add_again;
  return s;
}();

TENON_COLD inline void cast_backward(BackwardCall& call) {
  AnyTensor g = cast(call.dy, compute_dtype(call.operand[0].dtype()), Context::current());
  call.gradient[0] = call.accumulate & 1 ? add(call.gradient[0], g, Context::current()) : g;
}
inline AnyTensor cast_again(const AnyTensor* x, const Attributes& a, const Extents& e) {
  check_again("cast", x[0].extents() == e);
  return x[0].to(static_cast<Dtype>(a.integer[0]));
}
inline constexpr StatementInfo cast_info = [] {
  StatementInfo s;
  s.name = "cast";
  s.function_backward = cast_backward, s.function_forward = cast_again;
  return s;
}();

/// An operation's backward on the values of c.
TENON_COLD inline void run_backward_of(const OpInfo& op, OpCall& c, int* gradient) {
  struct Open {
    OpCall* before;
    explicit Open(OpCall* c) : before(tenon::detail::open_call()) {
      tenon::detail::open_call() = c;
    }
    ~Open() { tenon::detail::open_call() = before; }
  } open(&c);
  op.backward(c, gradient);
}

// Values of the nodes of one group call, made when they are asked for.
class Interpreter {
 public:
  Interpreter(const StatementInfo& info, const AnyTensor* operand, const double* scalar,
              const GroupCall& how, Context context)
      : info_(info), operand_(operand), scalar_(scalar), how_(how), context_(context) {}

  /// Shapes of all nodes, reduced axes kept with extent 1, so that everything broadcasts.
  TENON_COLD void shape_nodes(const AnyTensor* product) {
    for (int i = 0; i < info_.leaves; ++i)
      shape_[i] = i == 0 && info_.product ? product->extents() : leaf_extents(i);
    Extents all;
    for (int i = 0; i < info_.leaves; ++i) all = broadcast(all, shape_[i]).extents;
    rank_ = all.rank;
    for (int k = 0; k < info_.node_count; ++k) {
      const StatementNode& node = info_.nodes[k];
      Extents e;
      for (int s = 0; s < node.op->arity; ++s) e = broadcast(e, shape_[node.operand[s]]).extents;
      if (node.op->reduction)
        e = reduced_extents(shape_[node.operand[0]], axes(shape_[node.operand[0]]), true);
      shape_[first() + k] = e;
    }
  }
  const Extents& shape(int node) const { return shape_[node]; }
  int first() const { return info_.leaves + info_.scalars; }
  int root() const { return first() + info_.node_count - 1; }
  void set(int node, const AnyTensor& t) { value_[node] = t; }

  /// The reduced axes counted in a tensor whose rank may be smaller than the space's.
  std::uint32_t axes(const Extents& e) const { return how_.axes >> (rank_ - e.rank); }

  TENON_COLD const AnyTensor& value(int node) {
    AnyTensor& v = value_[node];
    if (v.defined()) return v;
    if (node < info_.leaves) return v = leaf(node);
    if (node < first()) return v = number(scalar_[node - info_.leaves]);
    const StatementNode& n = info_.nodes[node - first()];
    AnyTensor in[3];
    for (int s = 0; s < n.op->arity; ++s) in[s] = value(n.operand[s]);
    return v = apply(*n.op, in, n.op->reduction ? axes(shape_[n.operand[0]]) : 0);
  }
  TENON_COLD AnyTensor apply(const OpInfo& op, const AnyTensor* in, std::uint32_t along) const {
    ++counters().single;
    GroupCall how;
    how.axes = along, how.keepdims = true;
    return evaluate(*op.single, in, op.arity, nullptr, how, info_.compute, context_);
  }
  AnyTensor number(double x) const { return filled(info_.compute, Extents{}, x); }
  /// What is summed over all rows, times the factor of a mean.
  AnyTensor scaled(const AnyTensor& x) const {
    if (how_.scale == 1) return x;
    return multiply(x, inverse(info_.compute, __builtin_llround(1 / how_.scale)));
  }
  AnyTensor multiply(const AnyTensor& a, const AnyTensor& b) const {
    AnyTensor in[2] = {a, b};
    return apply(*info_.basics->multiply, in, 0);
  }
  AnyTensor add(const AnyTensor& a, const AnyTensor& b) const {
    AnyTensor in[2] = {a, b};
    return apply(*info_.basics->add, in, 0);
  }
  /// g spread over the extents e.
  TENON_COLD AnyTensor expand(const AnyTensor& g, const Extents& e) const {
    if (g.extents() == e) return g;
    return multiply(g, filled(info_.compute, e, 1, g.device()));
  }
  /// g summed over the axes along which extents e were broadcast.
  TENON_COLD AnyTensor sum_to(AnyTensor g, const Extents& e) const {
    const Extents from = g.extents();
    const int extra = from.rank - e.rank;
    std::uint32_t leading = 0, stretched = 0;
    for (int i = 0; i < from.rank; ++i) {
      if (i < extra) leading |= 1u << i;
      else if (e.extent[i - extra] == 1 && from.extent[i] != 1) stretched |= 1u << (i - extra);
    }
    auto sum = [&](std::uint32_t along, bool keepdims) {
      GroupCall how;
      how.axes = along, how.keepdims = keepdims;
      g = evaluate(*info_.basics->sum->single, &g, 1, nullptr, how, info_.compute, context_);
    };
    if (leading) sum(leading, false);
    if (stretched) sum(stretched, true);
    return g;
  }

  /// Row leaves without their reduced axes get them back with extent 1.
  Extents leaf_extents(int i) const {
    const Extents e = operand_[i].extents();
    if (!(how_.dropped_leaves >> i & 1)) return e;
    return with_axes(e, how_.axes, group_rank(info_, operand_, how_));
  }

 private:
  TENON_COLD AnyTensor leaf(int i) const {
    if (i == 0 && info_.product) {
      ++counters().single;
      AnyTensor a = cast(operand_[info_.leaves], info_.compute, context_),
                b = cast(operand_[info_.leaves + 1], info_.compute, context_);
      return product(info_, a, b, how_, context_);
    }
    AnyTensor t = operand_[i];
    if (t.get()->generated) {
      t = t.to_contiguous();
      tenon::detail::trace_same(operand_[i].id(), t);
    }
    return reshape(t, leaf_extents(i), context_);
  }

 public:
  static AnyTensor product(const StatementInfo& info, const AnyTensor& a, const AnyTensor& b,
                           const GroupCall& how, Context context);

 private:
  const StatementInfo& info_;
  const AnyTensor* operand_;
  const double* scalar_;
  GroupCall how_;
  Context context_;
  int rank_ = 0;
  Extents shape_[256];
  AnyTensor value_[256];
};

// A product alone, of the same type as the group it was taken from. Its backward is two products.
inline AnyTensor Interpreter::product(const StatementInfo& info, const AnyTensor& a,
                                      const AnyTensor& b, const GroupCall& how, Context context) {
  AnyTensor in[3] = {AnyTensor{}, a, b};
  GroupCall plain;
  plain.transpose_a = how.transpose_a, plain.transpose_b = how.transpose_b;
  return evaluate(*info.product_alone, in, 3, nullptr, plain, info.compute, context);
}

}  // namespace detail

namespace detail {
/// Nobody hears of it.
TENON_COLD inline AnyTensor added(const AnyTensor& a, const AnyTensor& b) {
  if (a.get()->place != b.get()->place) [[unlikely]] {  // one is a single number of the host
    const bool left = b.get()->place == 0;
    return added(left ? a : tenon::detail::moved(a, b.device()),
                 left ? tenon::detail::moved(b, a.device()) : b);
  }
  AnyTensor sum = a.clone();
  sum.detach();
  if (sum.get()->place) [[unlikely]] {
    device_calls().combine(sum, 1, b, 1);
    return sum;
  }
  const AnyTensor other = b.to_contiguous();
  add_to(sum.dtype(), sum.raw_writable(), 1, other.raw(), sum.size());
  return sum;
}
}  // namespace detail

/// a + b of equal extents and dtype, f32 or f64. Differentiable.
inline AnyTensor add(const AnyTensor& a, const AnyTensor& b, Context context) {
  AnyTensor sum = detail::added(a, b);
  record_function(detail::add_info, context, {a, b}, Attributes{}, sum);
  return sum;
}

TENON_COLD inline AnyTensor cast(const AnyTensor& x, Dtype to, Context context) {
  if (x.record("cast").dtype == to) return x;
  AnyTensor y = x.to(to);
  Attributes a;
  a.push(static_cast<Index>(to));
  // From integers no gradient comes back.
  record_function(detail::cast_info, is_floating(x.dtype()) ? context : Context{}, {x}, a, y);
  return y;
}

inline AnyTensor reshape(const AnyTensor& x, const Extents& e, Context context) {
  if (x.extents() == e) return x;
  if (x.size() != e.size())
    fail(Error::shape,
         {"reshape: ", x.extents(), " has ", x.size(), " elements, ", e, " has ", e.size()});
  AnyTensor dense = x.to_contiguous();
  Index strides[max_rank] = {};
  contiguous_strides(e, strides);
  AnyTensor y = dense.view(e, strides, 0);
  record_function(detail::reshape_info, context, {x}, Attributes{}, y);
  return y;
}

TENON_COLD inline AnyTensor interpret_forward(const StatementInfo& info, const AnyTensor* operand,
                                              const double* scalar, const GroupCall& how,
                                              Dtype dtype) {
  detail::Interpreter run(info, operand, scalar, how, Context{});
  AnyTensor product;
  if (info.product) {
    product = detail::Interpreter::product(
        info, cast(operand[info.leaves], info.compute, Context{}),
        cast(operand[info.leaves + 1], info.compute, Context{}), how, Context{});
    run.set(0, product);
  }
  run.shape_nodes(&product);
  AnyTensor y = run.value(run.root());
  if (how.total != Total::none) {
    AnyTensor in = run.scaled(y);
    GroupCall all;
    all.axes = (1u << y.rank()) - 1, all.keepdims = how.keepdims;
    y = evaluate(*info.basics->sum->single, &in, 1, nullptr, all, info.compute, Context{});
  } else if (info.row_root) {
    y = reshape(
        y,
        detail::reduced_extents(detail::group_extents(info, operand, how), how.axes, how.keepdims),
        Context{});
  }
  return cast(y, dtype, Context{});
}

TENON_COLD inline void interpret_backward(BackwardCall& call, const GroupCall& how,
                                          Context context) {
  const StatementInfo& info = *call.info;
  detail::Interpreter run(info, call.operand, call.scalar, how, context);
  const bool product = info.product;
  if (product && call.kept && call.kept->defined() && !context.serial) run.set(0, *call.kept);
  AnyTensor like = product && call.result ? AnyTensor::valueless(*call.result) : AnyTensor{};
  run.shape_nodes(&like);
  if (call.result && info.node_count && info.reads_result) run.set(run.root(), *call.result);
  AnyTensor d[256];
  const int root = run.root();
  AnyTensor dy = cast(call.dy, info.compute, context);
  if (how.total != Total::none) dy = run.scaled(dy);
  else if (info.row_root) dy = reshape(dy, run.shape(root), context);
  if (info.node_count) d[root] = dy;
  else d[0] = dy;
  for (int i = root; i >= run.first(); --i) {
    if (!d[i].defined()) continue;
    const StatementNode& node = info.nodes[i - run.first()];
    if (!node.op->differentiable) continue;
    OpCall c;
    c.value[OpCall::dy] = run.expand(d[i], run.shape(i));
    for (int s = 0; s < node.op->arity; ++s)
      if (node.op->reads >> s & 1) c.value[s] = run.value(node.operand[s]);
    if (node.op->reads & scalar::Probe::y) c.value[OpCall::y] = run.value(i);
    c.row = run.shape(node.operand[0]), c.axes = run.axes(c.row);
    int number[3] = {0, 1, 2};
    detail::run_backward_of(*node.op, c, number);
    AnyTensor g[3];
    for (int s = 0; s < node.op->arity; ++s) g[s] = c.value[number[s]];
    for (int s = 0; s < node.op->arity; ++s) {
      const int to = node.operand[s];
      if (!g[s].defined() || (to >= info.leaves && to < run.first())) continue;
      AnyTensor part = run.sum_to(run.expand(g[s], broadcast(run.shape(i), run.shape(to)).extents),
                                  run.shape(to));
      if (node.op->reduction) part = g[s];
      d[to] = d[to].defined()
                  ? run.add(run.expand(d[to], run.shape(to)), run.expand(part, run.shape(to)))
                  : part;
    }
    d[i] = AnyTensor{};
  }
  auto settle = [&](int i, AnyTensor g) {
    if (!(call.wanted >> i & 1)) return;
    if (call.accumulate >> i & 1) g = run.add(call.gradient[i], g);
    call.gradient[i] = g;
  };
  for (int i = product ? 1 : 0; i < info.leaves; ++i) {
    if (!(call.wanted >> i & 1)) continue;
    if (!d[i].defined()) d[i] = run.number(0);
    settle(i, reshape(run.expand(d[i], run.shape(i)), call.operand[i].extents(), context));
  }
  if (!product || !(call.wanted >> info.leaves & 3)) return;
  const AnyTensor &a = call.operand[info.leaves], &b = call.operand[info.leaves + 1];
  AnyTensor dz =
      d[0].defined() ? run.expand(d[0], run.shape(0)) : run.expand(run.number(0), run.shape(0));
  auto multiply = [&](const AnyTensor& l, bool tl, const AnyTensor& r, bool tr) {
    GroupCall t;
    t.transpose_a = tl, t.transpose_b = tr;
    return detail::Interpreter::product(info, cast(l, info.compute, context),
                                        cast(r, info.compute, context), t, context);
  };
  if (call.wanted >> info.leaves & 1)
    settle(info.leaves, run.sum_to(how.transpose_a ? multiply(b, how.transpose_b, dz, true)
                                                   : multiply(dz, false, b, !how.transpose_b),
                                   a.extents()));
  if (call.wanted >> (info.leaves + 1) & 1)
    settle(info.leaves + 1, run.sum_to(how.transpose_b ? multiply(dz, true, a, how.transpose_a)
                                                       : multiply(a, !how.transpose_a, dz, false),
                                       b.extents()));
}

}  // namespace tenon::kernel
