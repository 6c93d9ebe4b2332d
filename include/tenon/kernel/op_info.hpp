// SPDX-License-Identifier: Apache-2.0
// What erased code knows of one operation for one compute type, and the description of a group made
// from it.
#pragma once
#include <tenon/expr/group.hpp>
#include <tenon/kernel/cpu/rows.hpp>
#include <tenon/kernel/cpu/single.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/needs.hpp>
#include <tenon/kernel/statement.hpp>

namespace tenon::inline TENON_ISA {

namespace kernel {
void check_labels(const StatementInfo&, const AnyTensor* operand, const GroupCall&);  // labels.hpp
}

/// Tensors by number: those that one run of an operation's backward works on, then those it makes.
/// Values that it does not read may be missing.
struct OpCall {
  enum : int { operand = 0, y = 3, dy = 4, made = 5, room = 96 };
  AnyTensor value[room];
  int count = made;
  Extents row;             ///< reductions: extents of the first operand
  std::uint32_t axes = 0;  ///< reductions: the axes reduced, counted in `row`
};

/// One operation computing in one type.
struct OpInfo {
  const char* name;
  int arity;
  bool reduction, differentiable, boolean;
  std::uint32_t reads;          ///< bits of op::Probe: what backward reads
  const StatementInfo* single;  ///< the statement that is this operation alone
  /// Gradients by operations on whole tensors, each of extents that broadcast to the operand's or
  /// result's: their numbers in the call.
  void (*backward)(OpCall& call, int* gradient);
};

/// The operations that the interpreter itself needs.
struct BasicOps {
  const OpInfo *add, *multiply, *sum;
};

namespace detail {

template <class Op, class T>
TENON_COLD void backward_any(OpCall& call, int* gradient);  // kernel/any.hpp

template <class Op>
constexpr bool boolean_of() {
  if constexpr (requires { Op::differentiable; }) return Op::result == op::Result::boolean;
  else return false;
}

/// The statement that is one operation, without a backward kernel.
template <class Op, class T>
struct SingleOf;

template <class Op, class T>
struct OpOf {
  static const OpInfo info;
};

// Backward: a group that is one reduction names that operation, whose own statement is the same
// group without a backward; with one class for both, nvcc could compute neither.
template <class G, class T, bool Backward, class Sequence>
struct GroupConstants;
template <class G, class T, bool Backward, int... K>
struct GroupConstants<G, T, Backward, std::integer_sequence<int, K...>> {
  static constexpr int first = G::leaves + G::scalars;
  static constexpr StatementNode nodes[sizeof...(K) + 1] = {
      StatementNode{&OpOf<typename G::template Op<first + K>, T>::info,
                    {G::plan.operand[first + K][0], G::plan.operand[first + K][1],
                     G::plan.operand[first + K][2]}}...,
      StatementNode{nullptr, {0, 0, 0}}};
};

template <class T>
struct Basics;
struct NoProducts;
template <class G, class T, class Products = NoProducts, bool Backward = true>
struct InfoOf;

template <class G, class T, bool Product, bool Backward, class Products>
constexpr StatementInfo make_info() {
  using Constants =
      GroupConstants<G, T, Backward,
                     std::make_integer_sequence<int, G::nodes - G::leaves - G::scalars>>;
  StatementInfo s;
  constexpr std::uint32_t from_result = Needs<G>::leaves(true), all = Needs<G>::leaves(false);
  constexpr bool keeps = Product && (from_result & 1);
  s.compute = dtype_of<T>;
  s.basics = &Basics<T>::table;
  s.leaves = G::leaves, s.scalars = G::scalars;
  s.reductions = static_cast<std::uint8_t>(G::plan.reductions);
  s.depth = static_cast<std::uint8_t>(G::plan.depth_max);
  s.row_root = G::plan.row[G::plan.root()];
  s.cheap = G::plan.cheap;
  s.product = Product, s.keeps_product = keeps;
  s.reads_result = Product && !keeps;
  s.reads = s.reads_result ? from_result : all;
  for (int i = 0; i < G::leaves; ++i) {
    s.row_leaves |= G::plan.row[i] ? 1u << i : 0u;
    s.reached |= G::plan.row[i] || G::plan.backward[i] ? 1u << i : 0u;
  }
  if (!Product) s.passed = G::plan.passed();
  s.elementwise = !Product && !s.depth && !s.row_root && !s.reductions && !s.row_leaves;
  if constexpr (Backward && !Product && std::is_floating_point_v<T>) {
    constexpr auto kept = Needs<G>::kept();
    s.kept_values = static_cast<std::uint8_t>(kept.count);
    s.keeps_result = kept.count == 1 && kept.node[0] == G::plan.root();
  }
  s.sums_rows =
      G::plan.reductions == 1 && G::plan.op[G::plan.root()] == expr::reduction_number<op::Sum>;
  constexpr bool picks = [] {
    for (int i = 0; i < G::nodes; ++i)
      if (G::plan.op[i] == expr::reduction_number<op::Pick>) return true;
    return false;
  }();
  if constexpr (picks) s.check_labels = kernel::check_labels;
  s.nodes = Constants::nodes;
  s.node_count = G::nodes - G::leaves - G::scalars;
  if constexpr (G::nodes > G::leaves + G::scalars) s.name = G::template Op<G::nodes - 1>::name;
  else s.name = Product ? "matmul" : "copy";
  if constexpr (!Product || G::nodes > 1) s.forward = kernel::RowKernel<G, T>::forward;
  if constexpr (Product) {
    s.run_product = Products::run;
    s.run_product_backward = Products::run_backward;
    s.product_forward = Products::template forward<T>;
    s.product_backward = Products::template backward<T>;
    s.product_alone = &InfoOf<expr::Group<1, 0, 0>, T, Products, true>::info;
  }
  if constexpr (Backward && (!Product || G::nodes > 1)) {
    s.device = &kernel::device_group < G, T, Product && !keeps > ;
    (void)kernel::FillGroup<G, T, Product && !keeps>::filled();
  }
  if constexpr (has_backward && Backward && std::is_floating_point_v<T> &&
                (!Product || G::nodes > 1))
    s.backward = kernel::RowKernel < G, T, Product && !keeps > ::backward;
  return s;
}

/// One constant per structure and type. Products: who multiplies, kernel/product.hpp's functions.
template <class G, class T, class Products, bool Backward>
struct InfoOf {
  static constexpr StatementInfo info =
      make_info<G, T, !std::is_same_v<Products, NoProducts>, Backward, Products>();
};

template <class T>
struct Basics {
  static const BasicOps table;  // defined outside: nvcc would need its value to form its address
};
template <class T>
const BasicOps Basics<T>::table = {&OpOf<op::Add, T>::info, &OpOf<op::Multiply, T>::info,
                                   &OpOf<op::Sum, T>::info};

template <class Op, class T>
constexpr StatementInfo make_single(const StatementNode* node) {
  StatementInfo s;
  s.name = Op::name, s.compute = dtype_of<T>;
  s.basics = &Basics<T>::table;
  s.leaves = Op::arity, s.cheap = Op::cheap;
  constexpr std::uint32_t all = (1u << Op::arity) - 1, r = reads_of<Op>();
  if (Op::differentiable) s.reads = r & op::Probe::y ? all : r & all, s.reached = all;
  s.nodes = node, s.node_count = 1, s.elementwise = true;
  s.forward = kernel::run_single<Op, T>, s.chunk = kernel::detail::chunk<Op, T>;
  return s;
}
template <class Op, class T>
  requires requires { Op::differentiable; }
struct SingleOf<Op, T> {
  static constexpr StatementNode node[2] = {{&OpOf<Op, T>::info, {0, 1, 2}}, {nullptr, {}}};
  static constexpr StatementInfo info = make_single<Op, T>(node);
};
// Reductions have their second operand, if any, once a row.
template <class Op, class T>
  requires(!requires { Op::differentiable; })
struct SingleOf<Op, T>
    : InfoOf<std::conditional_t<Op::arity == 1,
                                expr::Group<1, 0, 0, expr::word(expr::reduction_number<Op>, 0)>,
                                expr::Group<2, 0, 2, expr::word(expr::reduction_number<Op>, 0, 1)>>,
             T, NoProducts, false> {};

template <class Op, class T>
constexpr OpInfo make_op() {
  constexpr bool reduction = !requires { Op::differentiable; };
  return {Op::name,
          Op::arity,
          reduction,
          expr::op_traits<Op>().differentiable,
          boolean_of<Op>(),
          reads_of<Op>(),
          &SingleOf<Op, T>::info,
          backward_any<Op, T>};
}
template <class Op, class T>
const OpInfo OpOf<Op, T>::info = make_op<Op, T>();

}  // namespace detail

/// The operation Op computing in T.
template <class Op, class T>
inline constexpr const OpInfo& op_info = detail::OpOf<Op, T>::info;

}  // namespace tenon
