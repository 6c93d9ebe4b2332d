// SPDX-License-Identifier: Apache-2.0
// The structure of an expression as an empty type: its operations in postfix order. Leaves are
// positions in it; only lowering numbers them.
#pragma once
#include <tenon/core/dtype.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/shape/broadcast.hpp>

namespace tenon::inline TENON_ISA::expr {

/// Words of a postfix list besides the numbers of operations. Row leaves have one value a row:
/// `row_leaf` with extent 1 at the reduced axes, `dropped_leaf` without them. A reduction that
/// keeps its axes adds `keep_bit`.
inline constexpr Word leaf_word = 255, row_leaf_word = 254, dropped_leaf_word = 253,
                      scalar_word = 252, product_word = 251, keep_bit = 256;
constexpr bool is_leaf(Word w) {
  return (w & 255) >= dropped_leaf_word || (w & 255) == product_word;
}

/// Which shape an expression's value has against the rows of its reductions.
enum class Level : std::uint8_t { full, row_kept, row_dropped, total };

/// What joining needs to know of a tree.
struct Facts {
  std::uint8_t axes = 0;  ///< reduced axes, bit i: the i-th from the end; 0 without reductions
  Level level = Level::full;
  bool product = false;
  std::uint8_t depth = 0;
  std::uint8_t total = 0;  ///< a Total of kernel/statement.hpp
  constexpr bool simple() const { return !axes && !product && level == Level::full; }
};

/// C: compute type. Rows: extents of the reduced axes, as a Shape.
template <class C, Facts F, class Rows, Word... Words>
struct Tree {
  using compute = C;
  using rows = Rows;
  static constexpr Facts facts = F;
  static constexpr int words = static_cast<int>(sizeof...(Words));
  static constexpr int leaves = ((is_leaf(Words) ? 1 : 0) + ... + 0);
  static constexpr int scalars = ((Words == scalar_word ? 1 : 0) + ... + 0);
  static constexpr int handles = leaves + (F.product ? 2 : 0);
  static constexpr bool is_value =
      words == 1 && !F.product;  ///< a leaf or a number: nothing to compute
};

template <class C>
using LeafTree = Tree<C, Facts{}, Shape<>, leaf_word>;

/// What a statement says beside its group: reduced axes counted from the end, whether the result
/// keeps them, which row leaves lack them, what becomes of all rows (a Total), transposed operands
/// of its product (bits 0, 1).
struct CallFacts {
  std::uint8_t axes = 0, total = 0, flags = 0;  ///< flags: the expression's
  bool keepdims = false;
  std::uint32_t dropped_leaves = 0;
};

/// Names a group, its compute type and whether it has a product, in the one call up to kernel/.
template <class G, class C, bool Product>
struct GroupTag {};

/// A tree in canonical order: words of a Group.
struct Lowered {
  int leaves = 0, scalars = 0, ops = 0;
  unsigned row_leaves = 0, dropped_leaves = 0;
  bool keepdims = false;
  Word word[256] = {};
};

constexpr Lowered lower(const Word* postfix, int count) {
  Lowered l;
  for (int i = 0; i < count; ++i) {
    l.leaves += is_leaf(postfix[i]);
    l.scalars += postfix[i] == scalar_word;
  }
  // A product is leaf 0, wherever it stands.
  int stack[256] = {}, top = 0, leaf = 0, scalar = l.leaves, next = l.leaves + l.scalars;
  for (int i = 0; i < count; ++i)
    if (postfix[i] == product_word) leaf = 1;
  constexpr int lse = reduction_number<op::LogSumExp>, peak = reduction_number<op::Peak>;
  for (int i = 0; i < count; ++i) {
    const Word w = postfix[i];
    const int number = static_cast<int>(w & 255);
    if (w == product_word) {
      stack[top++] = 0;
    } else if (is_leaf(w)) {
      if (w == row_leaf_word || w == dropped_leaf_word) l.row_leaves |= 1u << leaf;
      if (w == dropped_leaf_word) l.dropped_leaves |= 1u << leaf;
      stack[top++] = leaf++;
    } else if (w == scalar_word) {
      stack[top++] = scalar++;
    } else if (number == lse) {  // one word, two nodes: the shift, then the sum
      const int x = stack[top - 1];
      l.word[l.ops++] = word(peak, x);
      l.word[l.ops++] = word(lse, x, next);
      stack[top - 1] = next + 1;
      next += 2;
      l.keepdims = (w & keep_bit) != 0;
    } else {
      const int arity = static_cast<int>(w >> 16 & 3);
      int o[3] = {};
      for (int s = arity - 1; s >= 0; --s) o[s] = stack[--top];
      l.word[l.ops++] = word(number, o[0], o[1], o[2]);
      stack[top++] = next++;
      if (number >= first_reduction) l.keepdims = (w & keep_bit) != 0;
    }
  }
  return l;
}

/// The postfix word of an operation: its number and arity.
template <class Op>
constexpr Word op_word() {
  if constexpr (requires { Op::differentiable; })
    return static_cast<Word>(op::number<Op> | Op::arity << 16);
  else
    return static_cast<Word>(reduction_number<Op> |
                             (std::is_same_v<Op, op::LogSumExp> ? 1 : Op::arity) << 16);
}

namespace detail {
template <class G, class Sequence>
struct GroupFrom;
template <class L, int... I>
struct GroupFrom<L, std::integer_sequence<int, I...>> {
  using type = Group<L::value.leaves, L::value.scalars, L::value.row_leaves, L::value.word[I]...>;
};
}  // namespace detail

/// Lowers a tree: its Group, and which of its row leaves lack the reduced axes.
template <class Tree>
struct Lowering;
template <class C, Facts F, class Rows, Word... Words>
struct Lowering<Tree<C, F, Rows, Words...>> {
  static constexpr Word postfix[] = {Words...};
  static constexpr Lowered value = lower(postfix, static_cast<int>(sizeof...(Words)));
  using group =
      typename detail::GroupFrom<Lowering, std::make_integer_sequence<int, value.ops>>::type;
};

}  // namespace tenon::expr
