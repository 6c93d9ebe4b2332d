// SPDX-License-Identifier: Apache-2.0
// The fused kernel of any group on the CPU: element-wise operations and reductions over the same
// rows, forward and backward, written once over the plan of expr/group.hpp.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/kernel/block.hpp>
#include <tenon/kernel/cpu/stretch.hpp>
#include <tenon/kernel/needs.hpp>

namespace tenon::inline TENON_ISA::kernel {

using abi::Block;
using detail::Aside;

/// Kernels of group G computing in T. FromResult: backward reads the result instead of computing
/// it, for groups whose first leaf, a product, was not kept.
template <class G, class T, bool FromResult = false>
struct RowKernel {
  static constexpr int N = scalar::lanes<T>;
  using V = scalar::Pack<T, N>;
  using M = typename V::Answer;
  static constexpr auto& plan = G::plan;
  static constexpr int depth = plan.depth_max, root = plan.root();
  static constexpr auto keeps = tenon::detail::Needs<G>::kept();
  static constexpr unsigned passed = plan.passed();  // gradients that the caller may have already
  static constexpr int pointers = G::leaves + (FromResult ? 1 : 0) + 1;  // leaves, result, dy
  static constexpr int result_pointer = G::leaves, dy_pointer = pointers - 1;

  static constexpr unsigned bit(int i, bool yes) { return yes ? 1u << i : 0u; }
  // Operands that no step along a row reads: those with one value a row; forward, the last ones.
  static constexpr unsigned row_leaves = [] {
    unsigned bits = 0;
    for (int i = 0; i < G::leaves; ++i) bits |= bit(i, plan.row[i]);
    return bits;
  }();
  static constexpr unsigned not_forward = row_leaves | ~0u << G::leaves;
  static constexpr unsigned not_backward = row_leaves | bit(dy_pointer, plan.row[root]);

  // Where the operands of one row begin. One that is constant along it is repeated aside.
  struct Pointers : detail::Operands {
    std::uintptr_t row_of[pointers];
    Aside aside_of[pointers];
    explicit Pointers(unsigned not_read) : Operands{row_of, aside_of, pointers, 0, not_read} {}
  };

  // Values that live longer than one step along a row. What a step computes stands in arrays of its
  // own, indexed by constants only, so that the compiler keeps it in registers.
  struct Row {
    V v[G::nodes];  // of nodes that are constant along the row
    V kept[plan.reductions + 1];
    V length, numbers;  // numbers: 0, 1, ..., N - 1
  };
  using All = std::make_integer_sequence<int, G::nodes>;
  using Leaves = std::make_integer_sequence<int, G::leaves>;

  // Element j of operand I lies j elements behind base[I]. Values, not pointers: stores of results
  // do not make the compiler read them again.
  struct Near {
    std::uintptr_t base[pointers];
    template <int... I>
    TENON_INLINE void read(const std::uintptr_t* from, std::integer_sequence<int, I...>) {
      ((base[I] = detail::apart(from[I])), ...);
    }
    TENON_INLINE V load(int i, Index j) const {
      return V::load(
          reinterpret_cast<const T*>(base[i] + static_cast<std::uintptr_t>(j) * sizeof(T)));
    }
    template <int... I>
    TENON_INLINE void fetch(Index j, std::integer_sequence<int, I...>) const {
      (__builtin_prefetch(reinterpret_cast<const void*>(
           base[I] + static_cast<std::uintptr_t>(j) * sizeof(T) + detail::fetched_ahead)),
       ...);
    }
    /// The next step; of long rows, what comes after it is asked for.
    TENON_INLINE void advance(Index& j, bool far) const {
      if (far) [[unlikely]]
        fetch(j, std::make_integer_sequence<int, pointers>{});
      j += N;
    }
    /// The stretch that begins at j; its end. shorter: results of it do not lie in place.
    TENON_INLINE Index place(const Pointers& p, Index j, Index n, bool shorter = false) {
      std::uintptr_t moved[pointers];
      const std::uintptr_t* from = p.row_of;
      Index end = n & -N;
      if (j >= end || shorter || p.constant) [[unlikely]] {
        end = detail::place_stretch<T>(p, moved, j, n);
        from = moved;
      }
      read(from, std::make_integer_sequence<int, pointers>{});
      return end;
    }
  };

  static TENON_INLINE bool is_far(Index n) {
    return n >= detail::long_row / static_cast<Index>(sizeof(T));
  }
  template <int... I>
  static TENON_INLINE void load([[maybe_unused]] V* v, const Near& p, Index j,
                                std::integer_sequence<int, I...>) {
    ((v[I] = p.load(I, j)), ...);
  }
  template <int... I>
  static TENON_INLINE void take_row([[maybe_unused]] V* v, const Row& x,
                                    std::integer_sequence<int, I...>) {
    ((plan.row[I] ? void(v[I] = x.v[I]) : void()), ...);
  }
  template <int... I>
  static TENON_INLINE void compute([[maybe_unused]] V* v, std::integer_sequence<int, I...>) {
    (detail::apply<typename G::template Op<I>>(v, I, plan.operand[I][0], plan.operand[I][1],
                                               plan.operand[I][2]),
     ...);
  }
  using Kept = std::make_integer_sequence<int, keeps.count>;
  static TENON_INLINE Index kept_at(int k, Index n) { return k * ((n + N - 1) & -N); }
  template <int... K>
  static TENON_INLINE void keep_values(const V* v, T* kept, Index n,
                                       std::integer_sequence<int, K...>) {
    (V(v[keeps.node[K]]).store(kept + kept_at(K, n)), ...);
  }
  // What forward computed, for backward: what it left is read instead.
  template <int... I>
  static TENON_INLINE void compute_again(V* v, const Block& b, Index j,
                                         std::integer_sequence<int, I...> ops) {
    if constexpr (keeps.count > 0) {
      if (b.kept) {
        (recall_or_compute<I>(v, static_cast<const T*>(b.kept) + j, b.n), ...);
        return;
      }
    }
    compute(v, ops);
  }
  template <int I>
  static TENON_INLINE void recall_or_compute(V* v, const T* kept, Index n) {
    if constexpr (keeps.place[I] > 0) v[I] = V::load(kept + kept_at(keeps.place[I] - 1, n));
    else compute(v, std::integer_sequence<int, I>{});
  }
  template <int... I>
  static TENON_INLINE void start(op::State<V>* s, std::integer_sequence<int, I...>) {
    ((s[plan.reduction[I] - 1] = G::template Op<I>::template start<V>()), ...);
  }
  template <int... I>
  static TENON_INLINE void step(const V* v, op::State<V>* s, V index, M inside,
                                std::integer_sequence<int, I...>) {
    (step_one<typename G::template Op<I>>(v, s[plan.reduction[I] - 1], plan.operand[I][0],
                                          plan.operand[I][1], index, inside),
     ...);
  }
  template <class R>
  static TENON_INLINE void step_one(const V* v, op::State<V>& s, int a, int e, V index, M inside) {
    op::State<V> next = s;
    R::step(next, v[a], R::arity > 1 ? v[e] : V(0), index);
    s.a = select(inside, next.a, s.a);
    s.b = select(inside, next.b, s.b);
  }
  template <int... I>
  static TENON_INLINE void finish(Row& x, const op::State<V>* s, std::integer_sequence<int, I...>) {
    (finish_one<typename G::template Op<I>>(x, s[plan.reduction[I] - 1], I), ...);
  }
  template <class R>
  static TENON_INLINE void finish_one(Row& x, op::State<V> s, int i) {
    op::State<V> all = detail::join_lanes<R, N / 2>(s);
    x.v[i] = R::finish(all, x.length);
    x.kept[plan.reduction[i] - 1] = all.b;
  }
  static TENON_INLINE void place(Pointers& p, int i, const T* at, bool constant, Index n) {
    p.row_of[i] = reinterpret_cast<std::uintptr_t>(at);
    if (constant) [[unlikely]]
      detail::repeat<T>(p, i, *at, n);
  }
  template <int... I>
  static TENON_INLINE void place_leaves(Pointers& p, const Block& b, Index r,
                                        std::integer_sequence<int, I...>) {
    (place_leaf(p, b, r, I, plan.row[I]), ...);
  }
  static TENON_INLINE void place_leaf(Pointers& p, const Block& b, Index r, int i, bool row) {
    place(p, i, static_cast<const T*>(b.leaf[i]) + b.leaf_row[i] * r, !row && (b.constant >> i & 1),
          b.n);
  }
  static TENON_INLINE void open_row(Row& x, Pointers& p, const Block& b, Index r) {
    p.constant = 0;
    if constexpr (G::leaves <= 8) place_leaves(p, b, r, Leaves{});
    else
      for (int i = 0; i < G::leaves; ++i) place_leaf(p, b, r, i, plan.row[i]);
    load_row_leaves(x, p, Leaves{});
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, 0>{});
  }
  template <int... I>
  static TENON_INLINE void load_row_leaves(Row& x, const Pointers& p,
                                           std::integer_sequence<int, I...>) {
    ((plan.row[I] ? void(x.v[I] = V(*reinterpret_cast<const T*>(p.row_of[I]))) : void()), ...);
  }
  template <int... I>
  static TENON_INLINE void load_scalars(Row& x, const double* s, std::integer_sequence<int, I...>) {
    ((x.v[G::leaves + I] = V(static_cast<T>(s[I]))), ...);
  }
  static TENON_INLINE M inside(V numbers, Index left) { return detail::inside<T>(numbers, left); }

  /// Pass P along a row: states of the reductions of depth P + 1.
  template <int P>
  static TENON_INLINE void reduce_pass(Row& x, Pointers& p, Index n) {
    using expr::Nodes, expr::Visit;
    op::State<V> s[plan.reductions + 1];
    start(s, Nodes<G, Visit::reductions, P>{});
    const bool far = is_far(n);
    for (Index j = 0; j < n;) {
      Near near;
      const Index end = near.place(p, j, n);
      const M in = inside(x.numbers, n - j);
      for (; j < end; near.advance(j, far)) {
        V v[G::nodes];
        take_row(v, x, All{});
        load(v, near, j, Nodes<G, Visit::forward_leaves, P>{});
        compute(v, Nodes<G, Visit::forward_ops, P>{});
        step(v, s, V(static_cast<T>(j)) + x.numbers, in, Nodes<G, Visit::reductions, P>{});
      }
    }
    finish(x, s, Nodes<G, Visit::reductions, P>{});
    compute(x.v, Nodes<G, Visit::row_ops, P + 1>{});
    if constexpr (P + 1 < depth) reduce_pass<P + 1>(x, p, n);
  }

  TENON_KERNEL static void forward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    Pointers p(not_forward);
    const Index n = b.n;
    x.length = V(static_cast<T>(n));
    x.numbers = V::iota();
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      if constexpr (depth > 0) {
        reduce_pass<0>(x, p, n);
        if (b.kept) keep(x, static_cast<T*>(b.kept) + r * 2 * plan.reductions);
      }
      T* out = static_cast<T*>(b.out) + r * b.out_row;
      if constexpr (plan.row[root]) {
        *out = x.v[root][0];
      } else {
        const bool far = is_far(n);
        for (Index j = 0; j < n;) {
          Near near;
          const Index from = j, end = near.place(p, j, n);
          const bool rest = n - j < N;
          T* to = rest ? reinterpret_cast<T*>(p.aside_of + result_pointer) - j : out;
          for (; j < end; near.advance(j, far)) {
            V v[G::nodes];
            take_row(v, x, All{});
            load(v, near, j, Nodes<G, Visit::forward_leaves, depth>{});
            compute(v, Nodes<G, Visit::forward_ops, depth>{});
            const V y = v[root];  // the array itself must not have an address
            y.store(to + j);
            if constexpr (keeps.count > 0)
              if (b.kept) [[unlikely]]
                keep_values(v, static_cast<T*>(b.kept) + j, n, Kept{});
          }
          if (rest)
            std::memcpy(out + from, to + from, static_cast<std::size_t>(n - from) * sizeof(T));
        }
      }
    }
  }
  static TENON_INLINE void keep(const Row& x, T* kept) {
    for (int i = 0; i < G::nodes; ++i)
      if (plan.reduction[i]) {
        kept[2 * plan.reduction[i] - 2] = x.v[i][0];
        kept[2 * plan.reduction[i] - 1] = x.kept[plan.reduction[i] - 1][0];
      }
  }
  static TENON_INLINE void recall(Row& x, const T* kept) {
    for (int i = 0; i < G::nodes; ++i)
      if (plan.reduction[i]) {
        x.v[i] = V(kept[2 * plan.reduction[i] - 2]);
        x.kept[plan.reduction[i] - 1] = V(kept[2 * plan.reduction[i] - 1]);
      }
  }

  // Backward. d[i] is dL/d(node i) of one step along the row; of nodes that are constant along the
  // row, `whole` holds what is known so far, and a pass adds up its own part lane by lane.
  template <int P, int... I>
  static TENON_INLINE void seed(const Row& x, [[maybe_unused]] const V* v,
                                [[maybe_unused]] const V* whole, [[maybe_unused]] V* d,
                                [[maybe_unused]] V* sum, [[maybe_unused]] V index,
                                [[maybe_unused]] M inside, std::integer_sequence<int, I...>) {
    (seed_one<typename G::template Op<I>>(x, v, whole, d, sum, I, plan.edge[P][I][0], index,
                                          inside),
     ...);
  }
  template <class R>
  static TENON_INLINE void seed_one(const Row& x, const V* v, const V* whole, V* d, V* sum, int i,
                                    expr::Edge e, V index, M inside) {
    const int a = plan.operand[i][0];
    V extra = R::arity > 1 ? v[plan.operand[i][1]] : V(0);
    V g = R::backward(v[a], extra, v[i], x.kept[plan.reduction[i] - 1], whole[i], x.length, index);
    detail::flow(d, sum, e, a, g, inside);
  }
  template <int P, int... I>
  static TENON_INLINE void reverse([[maybe_unused]] const V* v, [[maybe_unused]] V* d,
                                   [[maybe_unused]] V* sum, [[maybe_unused]] M inside,
                                   std::integer_sequence<int, I...>) {
    (detail::adjoint<typename G::template Op<I>>(v, d, sum, I, plan.operand[I], plan.edge[P][I],
                                                 inside),
     ...);
  }
  template <int... I>
  static TENON_INLINE void reverse_row(const Row& x, [[maybe_unused]] V* whole,
                                       std::integer_sequence<int, I...>) {
    (reverse_row_one<I>(x, whole), ...);
  }
  template <int I>
  static TENON_INLINE void reverse_row_one(const Row& x, V* whole) {
    if constexpr (plan.grad[I]) {
      constexpr auto edge = [](int s) {
        return s < plan.arity[I] && plan.grad[plan.operand[I][s]] ? expr::add_edge : expr::no_edge;
      };
      static constexpr expr::Edge e[3] = {edge(0), edge(1), edge(2)};
      detail::adjoint<typename G::template Op<I>>(x.v, whole, whole, I, plan.operand[I], e, M{});
    }
  }

  /// Where the gradients of a row go; 0: nobody wants this one.
  struct Targets {
    static constexpr int count = G::leaves > 0 ? G::leaves : 1;
    std::uintptr_t to[count] = {};
    alignas(64) T sum[count][N];
    Aside aside[count];
    TENON_INLINE void open_row(const Block& b, Index r) {
      for (unsigned left = b.written | b.added; left; left &= left - 1) {
        const int i = __builtin_ctz(left);
        to[i] = reinterpret_cast<std::uintptr_t>(static_cast<T*>(b.gradient[i]) +
                                                 r * b.gradient_row[i]);
      }
      for (unsigned left = b.summed; left; left &= left - 1) V(0).store(sum[__builtin_ctz(left)]);
    }
  };
  /// Gradients of a stretch in pass P. Those that a pass before left a part of (`again`) are added
  /// to.
  template <int P, int... I>
  struct Gradients {
    static constexpr unsigned reached = (0u | ... | bit(I, true));
    static constexpr unsigned again = (0u | ... | bit(I, plan.first_pass[I] != P));
    std::uintptr_t to[sizeof...(I) + 1];
    unsigned wanted, summed, added;
    bool plain;  // nothing needs to be asked about any at every step

    TENON_INLINE explicit Gradients(const Block& b)
        : wanted(reached & (b.written | b.added)),
          summed(reached & b.summed),
          added(reached & (again | (b.added & ~b.summed))),
          plain(!(reached & ~(wanted | passed)) && !(added & ~again)) {}
    /// Which of them lie aside.
    TENON_INLINE unsigned place(Targets& t, Index j, bool rest) {
      std::uintptr_t moved_to[Targets::count];
      const std::uintptr_t* from = t.to;
      const unsigned moved = rest ? reached : summed;
      if (moved) [[unlikely]] {
        std::memcpy(moved_to, t.to, sizeof t.to);
        detail::move_gradients<T>(moved_to, t.aside, moved, added, j);
        from = moved_to;
      }
      [[maybe_unused]] int k = 0;
      ((to[k++] = detail::apart(from[I])), ...);
      return moved & wanted;
    }
    TENON_INLINE void leave(const V* d, Index j) const {
      [[maybe_unused]] int k = 0;
      if (plain) [[likely]]
        (leave_one<I, false>(d[I], to[k++], j), ...);
      else (leave_one<I, true>(d[I], to[k++], j), ...);
    }
    template <int L, bool Asks>
    TENON_INLINE void leave_one(V g, std::uintptr_t at, Index j) const {
      if ((Asks || (passed >> L & 1)) && !at) return;
      T* p = reinterpret_cast<T*>(at) + j;
      if ((again >> L & 1) || (Asks && (added >> L & 1))) g = g + V::load(p);
      g.store(p);
    }
  };
  template <int... I>
  static TENON_INLINE void leave_row(const V* whole, const Targets& t, const Block& b,
                                     std::integer_sequence<int, I...>) {
    if (!row_leaves && !b.summed) [[likely]]
      return;
    const V g[] = {plan.row[I] ? whole[I] : V::load(t.sum[I])..., V(0)};
    detail::leave_row_gradients<T>(g, row_leaves, (row_leaves | b.summed) & (b.written | b.added),
                                   b.added, t.to);
  }

  template <int... I>
  static TENON_INLINE void clear([[maybe_unused]] V* d, std::integer_sequence<int, I...>) {
    ((d[I] = V(0)), ...);
  }
  template <int... I>
  static TENON_INLINE void add_sums([[maybe_unused]] V* whole, [[maybe_unused]] const V* sum,
                                    std::integer_sequence<int, I...>) {
    ((whole[I] = whole[I] + detail::sum_lanes(sum[I])), ...);
  }

  template <int P, int... I>
  static TENON_INLINE Gradients<P, I...> gradients_of(const Block& b,
                                                      std::integer_sequence<int, I...>) {
    return Gradients<P, I...>(b);
  }
  template <int P>
  static TENON_INLINE void backward_pass(Row& x, Pointers& p, V* whole, Targets& t,
                                         const Block& b) {
    const Index n = b.n;
    using expr::Nodes, expr::Visit;
    reverse_row(x, whole, Nodes<G, Visit::row_ops_down, P + 1>{});
    using Reached = Nodes<G, Visit::backward_leaves, P>;
    using Sums = Nodes<G, Visit::row_targets, P>;
    constexpr bool from_root = P == depth && !plan.row[root];
    if constexpr (Reached::size() > 0 || Nodes<G, Visit::backward_ops, P>::size() > 0) {
      V sum[G::nodes];
      clear(sum, Sums{});
      const bool far = is_far(n);
      auto gradients = gradients_of<P>(b, Reached{});
      for (Index j = 0; j < n;) {
        Near near;
        const Index from = j, end = near.place(p, j, n, gradients.summed);
        const bool rest = n - j < N;
        const unsigned moved = gradients.place(t, j, rest);
        const M in = inside(x.numbers, n - j);
        for (; j < end; near.advance(j, far)) {
          V v[G::nodes], d[G::nodes];
          take_row(v, x, All{});
          load(v, near, j, Nodes<G, Visit::forward_leaves, P>{});
          compute_again(v, b, j, Nodes<G, Visit::forward_ops, P>{});
          if constexpr (FromResult) v[root] = near.load(result_pointer, j);
          if constexpr (from_root) d[root] = near.load(dy_pointer, j);
          seed<P>(x, v, whole, d, sum, V(static_cast<T>(j)) + x.numbers, in,
                  Nodes<G, Visit::reductions, P>{});
          reverse<P>(v, d, sum, in, Nodes<G, Visit::backward_ops, P>{});
          gradients.leave(d, j);
        }
        if (moved) [[unlikely]]
          detail::leave_moved<T>(t.aside, moved, b.summed, gradients.added, t.sum[0], t.to, from,
                                 end - from);
      }
      add_sums(whole, sum, Sums{});
    }
    if constexpr (P > 0) backward_pass<P - 1>(x, p, whole, t, b);
  }

  TENON_KERNEL static void backward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    Pointers p(not_backward);
    Targets t;
    const Index n = b.n;
    x.length = V(static_cast<T>(n));
    x.numbers = V::iota();
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      place(p, dy_pointer, static_cast<const T*>(b.dy) + b.dy_row * r,
            !plan.row[root] && b.dy_constant, n);
      if constexpr (FromResult)
        place(p, result_pointer, static_cast<const T*>(b.y) + b.y_row * r, false, n);
      if constexpr (depth > 0) {
        recall(x, static_cast<const T*>(b.kept) + r * 2 * plan.reductions);
        compute_rows<1>(x);
      }
      V whole[G::nodes];
      clear(whole, All{});
      t.open_row(b, r);
      if constexpr (plan.row[root]) whole[root] = V(*(static_cast<const T*>(b.dy) + r * b.dy_row));
      backward_pass<depth>(x, p, whole, t, b);
      reverse_row(x, whole, Nodes<G, Visit::row_ops_down, 0>{});
      leave_row(whole, t, b, Leaves{});
    }
  }
  template <int D>
  static TENON_INLINE void compute_rows(Row& x) {
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, D>{});
    if constexpr (D < depth) compute_rows<D + 1>(x);
  }
};

}  // namespace tenon::kernel
