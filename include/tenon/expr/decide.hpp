// SPDX-License-Identifier: Apache-2.0
// Joining operands into one expression: what fuses, what is evaluated first. Everything here is
// instantiated for every operator of every statement, so what does not depend on types lives in
// plain functions.
#pragma once
#include <tenon/expr/expression.hpp>

namespace tenon::inline TENON_ISA::expr {

/// Statements with more operands or operations than this are cut.
inline constexpr int leaf_limit = 20, word_limit = 160;

/// How the leaves of a part without reductions lie against the rows of the tree that it joins: like
/// that tree's own, or with one value a row (extent 1 at the reduced axes, or without these axes).
/// `clash`: not at all.
enum class Lie : std::uint8_t { along, row, dropped, clash };

/// What a decision needs to know of a part.
struct PartFacts {
  Facts facts;
  Extents rows, own;
  int leaves, words;
};

constexpr Lie lie(const PartFacts& tree, const Extents& e) {
  const Facts& f = tree.facts;
  if (!f.axes) return Lie::along;
  if (f.level == Level::row_dropped) return Lie::dropped;
  bool flat = true, same = true;
  for (int k = 0, r = tree.rows.rank; k < max_rank; ++k) {
    if (!(f.axes >> k & 1)) continue;
    const Index row = tree.rows.extent[--r], extent = k < e.rank ? e.extent[e.rank - 1 - k] : 1;
    flat = flat && extent == 1;
    // A tree of full level has these extents itself: dyn against dyn is checked where the statement
    // is built.
    same = same && (extent == 1 || (extent == row && (extent != dyn || f.level == Level::full)));
  }
  if (f.level == Level::row_kept && flat) return Lie::row;
  return same ? Lie::along : Lie::clash;
}

/// Evaluate part i first; mark its leaves.
struct Joint {
  bool evaluate[3] = {};
  Lie mark[3] = {};
  Facts facts;
  int rows_from = -1;  // the part whose Rows the result has, or none
};

constexpr bool same_rows(const PartFacts& a, const PartFacts& b) {
  if (a.facts.product || b.facts.product || a.facts.axes != b.facts.axes || !(a.rows == b.rows))
    return false;
  for (int i = 0; i < a.rows.rank; ++i)
    if (a.rows.extent[i] == dyn) return false;
  return (a.facts.level == Level::row_dropped) == (b.facts.level == Level::row_dropped);
}

constexpr Joint all_evaluated(const PartFacts* p, int n, bool large) {
  Joint j;
  for (int i = 0; i < n; ++i) j.evaluate[i] = !p[i].facts.simple() || (large && p[i].words > 1);
  return j;
}

/// The decision for an element-wise operation on n parts whose result has extents `out`: of the
/// parts that hold a product or reductions the last one fuses, others only where their rows are the
/// same.
constexpr Joint decide(const PartFacts* p, int n, const Extents& out) {
  int lead = -1, leaves = 0, words = 0;
  for (int i = 0; i < n; ++i) {
    leaves += p[i].leaves, words += p[i].words;
    if (!p[i].facts.simple() && p[i].facts.level != Level::total) lead = i;
  }
  const bool large = leaves > leaf_limit || words > word_limit;
  if (lead < 0 || large) return all_evaluated(p, n, large);
  const PartFacts& l = p[lead];
  if (l.facts.product && !(out == l.own)) return all_evaluated(p, n, false);
  Joint j;
  j.facts = l.facts, j.rows_from = lead;
  for (int i = 0; i < n; ++i) {
    if (i == lead) continue;
    if (!p[i].facts.simple() && same_rows(l, p[i])) {
      if (p[i].facts.level == Level::full) j.facts.level = Level::full;
      if (p[i].facts.depth > j.facts.depth) j.facts.depth = p[i].facts.depth;
      continue;
    }
    j.evaluate[i] = !p[i].facts.simple();
    j.mark[i] = lie(l, p[i].own);
    if (j.mark[i] == Lie::clash) return all_evaluated(p, n, false);
    if (j.mark[i] == Lie::along && l.facts.level == Level::row_kept) j.facts.level = Level::full;
  }
  return j;
}

constexpr Word marked(Word w, Lie l) {
  if (w != leaf_word) return w;
  return l == Lie::row ? row_leaf_word : l == Lie::dropped ? dropped_leaf_word : w;
}

namespace detail {

template <Word... W>
struct WordList {
  template <class C, Facts F, class R>
  using tree = Tree<C, F, R, W...>;
};
template <class Tr, Lie L>
struct WordsOf;
template <class C, Facts F, class R, Word... W, Lie L>
struct WordsOf<Tree<C, F, R, W...>, L> {
  using type = WordList<marked(W, L)...>;
};
template <class C, Facts F, class R, Word... W>
struct WordsOf<Tree<C, F, R, W...>, Lie::along> {
  using type = WordList<W...>;
};
// An operation's words after those of its operands.
template <Word Op, class... Operands>
struct Concat;
template <Word Op, Word... A>
struct Concat<Op, WordList<A...>> {
  using type = WordList<A..., Op>;
};
template <Word Op, Word... A, Word... B>
struct Concat<Op, WordList<A...>, WordList<B...>> {
  using type = WordList<A..., B..., Op>;
};
template <Word Op, Word... A, Word... B, Word... C>
struct Concat<Op, WordList<A...>, WordList<B...>, WordList<C...>> {
  using type = WordList<A..., B..., C..., Op>;
};

template <class E>
constexpr PartFacts facts_of() {
  using Tr = typename E::tree;
  return {Tr::facts, tenon::detail::known_extents<typename Tr::rows>(),
          tenon::detail::known_extents<typename E::shape_type>(), Tr::leaves, Tr::words};
}

/// The compute type of an operation: the parts' own, where bool and u8 follow the others.
template <class A, class... Rest>
struct CommonCompute {
  using type = typename A::compute;
};
template <class T>
inline constexpr bool follows = std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t>;
template <class A, class B, class... Rest>
struct CommonCompute<A, B, Rest...> {
  using type =
      typename CommonCompute<std::conditional_t<follows<typename A::element>, B, A>, Rest...>::type;
};

}  // namespace detail
}  // namespace tenon::expr
