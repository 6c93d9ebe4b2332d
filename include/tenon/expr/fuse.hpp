// SPDX-License-Identifier: Apache-2.0
// fuse: a whole function of tensors as one group. The function runs once at compile time on
// placeholders.
#pragma once
#include <tenon/expr/map.hpp>

namespace tenon::inline TENON_ISA {

namespace op {
struct Fuse;  // names it in messages
}

/// The function passed to fuse is not one group: it reduces over different axes, or reads a
/// reduction that dropped its axes together with whole rows, or continues after a sum over
/// everything.
template <class Operation>
struct fuse_is_not_one_group;
template <class Operation>
struct fuse_has_too_many_operations;

namespace expr {

/// A Graph in the order of a Group: only what the root is computed from.
struct FusedList {
  int leaves = 0, scalars = 0, ops = 0;
  unsigned row_leaves = 0, dropped_leaves = 0;
  int leaf_argument[32] = {};
  int scalar_argument[Graph::limit] = {};  // < 0: -1 - literal
  Word word[Graph::limit] = {};
  Extents extents;
  bool keepdims = false;
};

constexpr FusedList order(const Graph& g, int root) {
  FusedList l;
  bool used[Graph::limit] = {};
  used[root] = true;
  for (int i = root; i >= 0; --i)
    if (used[i] && g.op[i] >= 0)
      for (int s = 0; s < 3; ++s)
        if (g.operand[i][s] >= 0) used[g.operand[i][s]] = true;
  int number[Graph::limit] = {};
  for (int i = 0; i <= root; ++i)
    if (used[i] && g.op[i] == -1) {
      if (g.row[i]) l.row_leaves |= 1u << l.leaves;
      if (g.dropped[i]) l.dropped_leaves |= 1u << l.leaves;
      l.leaf_argument[l.leaves] = g.operand[i][0];
      number[i] = l.leaves++;
    }
  for (int i = 0; i <= root; ++i)
    if (used[i] && g.op[i] < -1) {
      l.scalar_argument[l.scalars] = g.op[i] == -3 ? g.operand[i][0] : -1 - g.operand[i][0];
      number[i] = l.leaves + l.scalars++;
    }
  for (int i = 0; i <= root; ++i) {
    if (!used[i] || g.op[i] < 0) continue;
    int o[3] = {};
    for (int s = 0; s < 3; ++s) o[s] = g.operand[i][s] >= 0 ? number[g.operand[i][s]] : 0;
    number[i] = l.leaves + l.scalars + l.ops;
    l.word[l.ops++] = word(g.op[i], o[0], o[1], o[2]);
  }
  l.extents = g.extents[root];
  l.keepdims = g.row[root] && !g.dropped[root];
  return l;
}

/// An argument of fuse at compile time: a Shape, or a number.
template <class X, int I>
constexpr Symbol placeholder(Graph& g) {
  if constexpr (Number<X>) {
    return Symbol(&g, g.add(-3, I, 0, 0, Extents{}, true, false));
  } else {
    Extents e = tenon::detail::known_extents<shape_of<X>>();
    for (int i = 0; i < e.rank; ++i)
      if (e.extent[i] == dyn) e.extent[i] = dyn_name(I, i);
    return Symbol(&g, g.add(-1, I, 0, 0, e, false, false));
  }
}

struct Traced {
  Graph graph;
  int root = 0;
};
template <class F, class... Xs, int... I>
constexpr Traced trace_function(std::integer_sequence<int, I...>) {
  Traced t;
  Symbol y = F{}(placeholder<Xs, I>(t.graph)...);
  t.root = y.node();
  return t;
}

template <class F, class... Xs>
struct Fusion {
  static constexpr Traced traced =
      trace_function<F, Xs...>(std::make_integer_sequence<int, static_cast<int>(sizeof...(Xs))>{});
  static constexpr Graph graph = traced.graph;
  template <int Number>
  using Named = OpAt<Number>;
  static constexpr bool check() {
    if constexpr (graph.fault == Fault::broadcast)
      return sizeof(extents_do_not_broadcast<OpAt<graph.fault_op>, AxisTag<graph.fault_axis>,
                                             graph.fault_left, graph.fault_right>) > 0;
    else if constexpr (graph.fault == Fault::extents)
      return sizeof(extents_differ<OpAt<graph.fault_op>, AxisTag<graph.fault_axis>,
                                   graph.fault_left, graph.fault_right>) > 0;
    else if constexpr (graph.fault == Fault::rank)
      return sizeof(ranks_do_not_fit<OpAt<graph.fault_op>, static_cast<int>(graph.fault_left),
                                     static_cast<int>(graph.fault_right)>) > 0;
    else if constexpr (graph.fault == Fault::axis)
      return sizeof(axis_is_out_of_range<OpAt<graph.fault_op>, AxisTag<graph.fault_axis>,
                                         static_cast<int>(graph.fault_left)>) > 0;
    else if constexpr (graph.fault == Fault::size)
      return sizeof(fuse_has_too_many_operations<OpAt<graph.fault_op>>) > 0;
    else if constexpr (graph.fault != Fault::none)
      return sizeof(fuse_is_not_one_group<OpAt<graph.fault_op>>) > 0;
    else return true;
  }
  static_assert(check(), "tenon: the function passed to fuse breaks a rule");
  static constexpr FusedList list = order(graph, traced.root);
  static_assert(list.ops > 0 && list.leaves > 0,
                "tenon: the function passed to fuse computes nothing");
  static_assert(list.leaves <= leaf_limit + 4, "tenon: fuse takes at most 24 tensors");
  template <int... I>
  static auto group(std::integer_sequence<int, I...>)
      -> Group<list.leaves, list.scalars, list.row_leaves, list.word[I]...>;
  using G = decltype(group(std::make_integer_sequence<int, list.ops>{}));
  template <int... I>
  static auto shape(std::integer_sequence<int, I...>)
      -> Shape<(list.extents.extent[I] < 0 ? dyn : list.extents.extent[I])...>;
  using S = decltype(shape(std::make_integer_sequence<int, list.extents.rank>{}));
  static constexpr CallFacts facts{graph.axes, graph.total, 0, list.keepdims, list.dropped_leaves};
};

/// The part of a graph that a call needs at run time.
template <int Literals, int Agreements, int Leaves, int Scalars>
struct FuseData {
  double literal[Literals + 1] = {};
  Agree agree[Agreements + 1] = {};
  int leaf_argument[Leaves + 1] = {}, scalar_argument[Scalars + 1] = {};
};
struct FuseCall {
  const double* literal;
  const Agree* agree;
  const int *leaf_argument, *scalar_argument;
  int agreements, leaves, scalars;
};
template <class Fu>
struct FuseConstants {
  static constexpr auto data = [] {
    FuseData<Fu::graph.literals, Fu::graph.agreements, Fu::list.leaves, Fu::list.scalars> d;
    for (int i = 0; i < Fu::graph.literals; ++i) d.literal[i] = Fu::graph.literal[i];
    for (int i = 0; i < Fu::graph.agreements; ++i) d.agree[i] = Fu::graph.agree[i];
    for (int i = 0; i < Fu::list.leaves; ++i) d.leaf_argument[i] = Fu::list.leaf_argument[i];
    for (int i = 0; i < Fu::list.scalars; ++i) d.scalar_argument[i] = Fu::list.scalar_argument[i];
    return d;
  }();
  static constexpr FuseCall call{data.literal,         data.agree,           data.leaf_argument,
                                 data.scalar_argument, Fu::graph.agreements, Fu::list.leaves,
                                 Fu::list.scalars};
};

[[noreturn]] TENON_COLD inline void fail_agreement(const char* name, int axis, Index left,
                                                   Index right) {
  fail(Error::shape,
       {name, ": operands do not broadcast on axis ", axis, " (", left, " vs ", right, ")"});
}
/// The extent with a name.
inline Index resolve(Index e, const AnyTensor* const* argument) {
  if (e >= 0) return e;
  const Index k = -2 - e;
  return argument[k / max_rank]->get()->extents[k % max_rank];
}

/// Checks what run time must, and puts arguments and literals in the order of the group. leaf: the
/// handles, borrowed.
inline void prepare_call(const FuseCall& c, const AnyTensor* const* argument, const double* number,
                         const Record** leaf, double* scalar) {
  for (int i = 0; i < c.leaves; ++i) leaf[i] = &argument[c.leaf_argument[i]]->record("fuse");
  for (int i = 0; i < c.agreements; ++i) {
    const Index l = resolve(c.agree[i].left, argument), r = resolve(c.agree[i].right, argument);
    if (l != r) [[unlikely]]
      fail_agreement("fuse", c.agree[i].axis, l, r);
  }
  for (int i = 0; i < c.scalars; ++i) {
    const int from = c.scalar_argument[i];
    scalar[i] = from < 0 ? c.literal[-1 - from] : number[from];
  }
}

template <class X>
decltype(auto) argument_value(X&& x) {
  if constexpr (Number<X>) return AnyTensor{};
  else if constexpr (tenon::detail::is_tensor<std::remove_cvref_t<X>>)
    return static_cast<const AnyTensor&>(x.any());
  else if constexpr (tenon::detail::is_expression<std::remove_cvref_t<X>>) {
    if constexpr (std::is_lvalue_reference_v<X>) return x.value();
    else return std::forward<X>(x).take();
  } else return AnyTensor(Tensor<element_of<X>, shape_of<X>>(std::forward<X>(x)).any());
}

template <class... Xs>
struct FuseTypes {
  using element = typename tenon::detail::ElementOf<Xs...>::type;
  using compute = compute_t<element>;
};

/// Floating arguments compute in C; integers are labels, masks and counts.
template <class C, class X>
constexpr bool computes_in() {
  if constexpr (Number<X>) return true;
  else if constexpr (!is_floating(dtype_of<element_of<X>>) ||
                     std::is_same_v<compute_t<element_of<X>>, C>)
    return true;
  else return sizeof(dtypes_differ<op::Fuse, C, element_of<X>>) > 0;
}
template <class C, class... Xs>
constexpr bool one_compute_type() {
  return (computes_in<C, Xs>() && ...);
}

/// Runs a fused function whose arguments live long enough. Erased: kernel/materialise.hpp.
AnyTensor run_fused(const StatementInfo& info, const FuseCall& call,
                    const AnyTensor* const* argument, const double* number, const CallFacts& facts,
                    Dtype dtype);
template <class Fu, class C, class... As>
AnyTensor call_fused(const double* number, Dtype dtype, const As&... argument) {
  const AnyTensor* const list[] = {&argument...};
  return run_fused(statement_info(GroupTag<typename Fu::G, C, false>{}), FuseConstants<Fu>::call,
                   list, number, Fu::facts, dtype);
}

}  // namespace expr

/// f(x...) as one kernel and one tape node. f captures nothing; inside it, names do not materialise
/// and equal subexpressions are one. Arguments: tensors, expressions (evaluated first unless they
/// have no name and are leaves), numbers. The result is a Tensor.
/// Errors: those of the operations in f; what is not one group does not compile.
template <class F, class... Xs>
  requires((TensorExpr<Xs> || Number<Xs>)&&...)
auto fuse(F, Xs&&... x) {
  using Fu = expr::Fusion<F, std::remove_cvref_t<Xs>...>;
  using Types = expr::FuseTypes<std::remove_cvref_t<Xs>...>;
  using T = typename Types::element;
  using C = typename Types::compute;
  constexpr int count = static_cast<int>(sizeof...(Xs));
  static_assert(expr::one_compute_type<C, std::remove_cvref_t<Xs>...>(),
                "tenon: fuse: element types differ");
  const double number[count] = {[](const auto& v) {
    if constexpr (Number<decltype(v)>) return static_cast<double>(v);
    else return 0.0;
  }(x)...};
  return Tensor<T, typename Fu::S>(
      detail::Trusted{},
      expr::call_fused<Fu, C>(number, dtype_of<T>, expr::argument_value(std::forward<Xs>(x))...));
}

}  // namespace tenon
