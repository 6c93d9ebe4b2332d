// SPDX-License-Identifier: Apache-2.0
// The fused kernel of any group on the CPU: element-wise operations and reductions over the same
// rows, forward and backward, written once over the plan of expr/group.hpp.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/kernel/cpu/lanes.hpp>

namespace tenon::inline TENON_ISA::kernel {

using abi::Block;

namespace detail {

template <class Op, class V>
TENON_INLINE void apply(V* v, int i, int a, int b, int c) {
  if constexpr (Op::arity == 1) v[i] = Op::forward(v[a]);
  else if constexpr (Op::arity == 2) v[i] = Op::forward(v[a], v[b]);
  else v[i] = Op::forward(v[a], v[b], v[c]);
  (void)b, (void)c;
}

/// Adds x to an adjoint along the edge e: to d, or to the sums of what is constant along the row,
/// where what lies behind the row's end counts as nothing.
template <class V, class M>
TENON_INLINE void flow(V* d, V* sum, expr::Edge e, int to, V x, M inside) {
  if (e == expr::assign_edge) d[to] = x;
  else if (e == expr::add_edge) d[to] = d[to] + x;
  else if (e == expr::row_edge) sum[to] = sum[to] + select(inside, x, V(0));
}
template <class Op, class V, class M>
TENON_INLINE void adjoint(const V* v, V* d, V* sum, int i, const std::uint8_t* operand,
                          const expr::Edge* e, M inside) {
  if constexpr (Op::arity == 1) {
    flow(d, sum, e[0], operand[0], Op::backward(v[operand[0]], v[i], d[i]), inside);
  } else if constexpr (Op::arity == 2) {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[i], d[i]);
    flow(d, sum, e[0], operand[0], g.first, inside);
    flow(d, sum, e[1], operand[1], g.second, inside);
  } else {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[operand[2]], v[i], d[i]);
    flow(d, sum, e[0], operand[0], g.first, inside);
    flow(d, sum, e[1], operand[1], g.second, inside);
    flow(d, sum, e[2], operand[2], g.third, inside);
  }
}

}  // namespace detail

/// Kernels of group G computing in T. FromResult: backward reads the result instead of computing
/// it, for groups whose first leaf, a product, was not kept.
template <class G, class T, bool FromResult = false>
struct RowKernel {
  static constexpr int N = scalar::lanes<T>;
  using V = scalar::Pack<T, N>;
  using M = typename V::Answer;
  static constexpr auto& plan = G::plan;
  static constexpr int depth = plan.depth_max, root = plan.root();
  static constexpr unsigned passed = plan.passed();  // gradients that the caller may have already
  static constexpr int pointers = G::leaves + (FromResult ? 1 : 0) + 1;  // leaves, result, dy
  static constexpr int result_pointer = G::leaves, dy_pointer = pointers - 1;

  // Operands that no step along a row reads: those with one value a row; forward, the last ones.
  static constexpr unsigned row_leaves = [] {
    unsigned bits = 0;
    for (int i = 0; i < G::leaves; ++i) bits |= plan.row[i] ? 1u << i : 0u;
    return bits;
  }();
  static constexpr unsigned not_forward = row_leaves | ~0u << G::leaves;

  // Where the operands of one row begin. One that is constant along it reads from a register's
  // worth of copies.
  using Copies = char[pointers][TENON_REGISTER_BYTES];
  struct Pointers {
    const char* row[pointers];
    unsigned constant;  // bit i: operand i; far_row
    Copies& copies;
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

  // Element j of operand I lies j elements behind base[I], which for a constant one moves back as j
  // goes on. Values, not pointers: stores of results do not make the compiler read them again.
  struct Near {
    std::uintptr_t base[pointers];
    unsigned constant;
    using Every = std::make_integer_sequence<int, pointers>;
    template <int... I>
    TENON_INLINE void read(const Pointers& p, std::integer_sequence<int, I...>) {
      ((base[I] = reinterpret_cast<std::uintptr_t>(p.row[I])), ...);
      constant = p.constant;
    }
    TENON_INLINE explicit Near(const Pointers& p) { read(p, Every{}); }
    TENON_INLINE V load(int i, Index j) const {
      return V::load(
          reinterpret_cast<const T*>(base[i] + static_cast<std::uintptr_t>(j) * sizeof(T)));
    }
    template <int... I>
    TENON_INLINE void move_back(std::integer_sequence<int, I...>) {
      unsigned bits = constant;
      asm volatile("" : "+r"(bits));  // few rows need this: nothing of it is worth preparing
      ((base[I] = detail::apart(base[I] - (bits >> I & 1) * sizeof(V))), ...);
    }
    template <int... I>
    TENON_INLINE void fetch(Index j, std::integer_sequence<int, I...>) const {
      (__builtin_prefetch(reinterpret_cast<const void*>(
           base[I] + static_cast<std::uintptr_t>(j) * sizeof(T) + detail::fetched_ahead)),
       ...);
    }
    /// After the step at j.
    TENON_INLINE void advance(Index j) {
      if (!constant) [[likely]]
        return;
      if (constant & detail::far_row) fetch(j, Every{});
      if (constant & ~detail::far_row) move_back(Every{});
    }
    template <int... I>
    TENON_INLINE void rest(Copies& copies, Index j, Index left, unsigned unread,
                           std::integer_sequence<int, I...>) {
      std::uintptr_t moved[] = {base[I]...};
      detail::load_rest(copies, moved, pointers, constant | unread,
                        static_cast<std::uintptr_t>(j) * sizeof(T),
                        static_cast<std::size_t>(left) * sizeof(T));
      ((base[I] = detail::apart(moved[I])), ...);
    }
    /// Before the step at j: the rest of a row shorter than a register moves aside.
    TENON_INLINE bool full(const Pointers& p, Index j, Index n, unsigned unread) {
      if (j + N <= n) [[likely]]
        return true;
      rest(p.copies, j, n - j, unread, Every{});
      return false;
    }
  };

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
  static TENON_INLINE void place(Pointers& p, int i, const T* at, Index step) {
    p.row[i] = reinterpret_cast<const char*>(at);
    if (step != 0) return;
    V(*at).store(reinterpret_cast<T*>(p.copies[i]));
    p.row[i] = p.copies[i];
    p.constant |= 1u << i;
  }
  template <int... I>
  static TENON_INLINE void place_leaves(Pointers& p, const Block& b, Index r,
                                        std::integer_sequence<int, I...>) {
    (place_leaf(p, b, r, I, plan.row[I]), ...);
  }
  static TENON_INLINE void place_leaf(Pointers& p, const Block& b, Index r, int i, bool row) {
    place(p, i, static_cast<const T*>(b.leaf[i]) + b.leaf_row[i] * r, row ? 1 : b.leaf_step[i]);
  }
  static TENON_INLINE void open_row(Row& x, Pointers& p, const Block& b, Index r) {
    p.constant = detail::far(b.n * static_cast<Index>(sizeof(T)));
    if constexpr (G::leaves <= 8) place_leaves(p, b, r, Leaves{});
    else
      for (int i = 0; i < G::leaves; ++i) place_leaf(p, b, r, i, plan.row[i]);
    load_row_leaves(x, p, Leaves{});
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, 0>{});
  }
  template <int... I>
  static TENON_INLINE void load_row_leaves(Row& x, const Pointers& p,
                                           std::integer_sequence<int, I...>) {
    ((plan.row[I] ? void(x.v[I] = V(*reinterpret_cast<const T*>(p.row[I]))) : void()), ...);
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
    Near near(p);
    for (Index j = 0; j < n; near.advance(j), j += N) {
      near.full(p, j, n, not_forward);
      V v[G::nodes];
      take_row(v, x, All{});
      load(v, near, j, Nodes<G, Visit::forward_leaves, P>{});
      compute(v, Nodes<G, Visit::forward_ops, P>{});
      step(v, s, V(static_cast<T>(j)) + x.numbers, inside(x.numbers, n - j),
           Nodes<G, Visit::reductions, P>{});
    }
    finish(x, s, Nodes<G, Visit::reductions, P>{});
    compute(x.v, Nodes<G, Visit::row_ops, P + 1>{});
    if constexpr (P + 1 < depth) reduce_pass<P + 1>(x, p, n);
  }

  TENON_FORWARD_KERNEL static void forward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    alignas(64) Copies copies;
    Pointers p{{}, 0, copies};
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
        Near near(p);
        T* to = out;
        for (Index j = 0; j < n; near.advance(j), j += N) {
          if (!near.full(p, j, n, not_forward))
            to = reinterpret_cast<T*>(copies[result_pointer]) - j;
          V v[G::nodes];
          take_row(v, x, All{});
          load(v, near, j, Nodes<G, Visit::forward_leaves, depth>{});
          compute(v, Nodes<G, Visit::forward_ops, depth>{});
          const V y = v[root];  // the array itself must not have an address
          y.store(to + j);
        }
        if (to != out)  // the rest lies aside
          std::memcpy(out + n / N * N, copies[result_pointer],
                      static_cast<std::size_t>(n % N) * sizeof(T));
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

  /// Where the gradients of one row go.
  struct Targets {
    T* p[G::leaves > 0 ? G::leaves : 1];
    detail::Kind kind[G::leaves > 0 ? G::leaves : 1];
    V sum[G::leaves > 0 ? G::leaves : 1];
    bool plain = true;  // every gradient is written over what is there
    template <int... I>
    TENON_INLINE void read(const Block& b, Index r, std::integer_sequence<int, I...>) {
      (read_one(b, r, I, p[I], kind[I], sum[I]), ...);
      plain =
          ((kind[I] == detail::Kind::written || plan.row[I] || (passed >> I & 1 && !p[I])) && ...);
    }
    static TENON_INLINE void read_one(const Block& b, Index r, int i, T*& p, detail::Kind& kind,
                                      V& sum) {
      const std::uint8_t mode = b.gradient_mode[i];
      const bool sums = mode == abi::gradient_none || !b.gradient_step[i];
      kind = sums                        ? detail::Kind::summed
             : mode == abi::gradient_add ? detail::Kind::added
                                         : detail::Kind::written;
      p = mode == abi::gradient_none ? nullptr
                                     : static_cast<T*>(b.gradient[i]) + r * b.gradient_row[i];
      sum = V(0);
    }
  };
  // What is not plain is code for each gradient: of many leaves it would be most of the kernel.
  static constexpr bool many = G::leaves > 4;
  template <int P, int... I>
  static TENON_INLINE void leave(const V* d, Targets& t, const V& numbers, Index j, Index left,
                                 std::integer_sequence<int, I...>) {
    constexpr bool first = ((plan.first_pass[I] == P) && ...);
    if (first && t.plain && left >= N) [[likely]] {
      (leave_plain<(passed >> I & 1) != 0>(d[I], t.p[I], j), ...);
    } else if constexpr (many) {
      static constexpr std::uint8_t leaf[] = {I...}, fresh[] = {plan.first_pass[I] == P...};
      const V g[] = {d[I]...};
      detail::leave_gradients(g, leaf, fresh, static_cast<int>(sizeof...(I)), t.sum, t.p, t.kind,
                              &numbers, j, left);
    } else {
      (detail::leave_gradient(d[I], t.sum[I], t.p[I], t.kind[I], plan.first_pass[I] == P, numbers,
                              j, left),
       ...);
    }
  }
  template <bool Passed>
  static TENON_INLINE void leave_plain(V g, T* to, Index j) {
    if (!Passed || to) g.store(to + j);
  }
  template <int... I>
  static TENON_INLINE void leave_row(const V* whole, const Targets& t, const Block& b,
                                     std::integer_sequence<int, I...>) {
    if constexpr (many) {
      const V g[] = {plan.row[I] ? whole[I] : t.sum[I]...};
      detail::leave_row_gradients(g, row_leaves, t.p, t.kind, b.gradient_mode, G::leaves);
    } else {
      (detail::leave_row_gradient(plan.row[I] ? whole[I] : detail::sum_lanes(t.sum[I]), t.p[I],
                                  plan.row[I] || t.kind[I] == detail::Kind::summed,
                                  b.gradient_mode[I]),
       ...);
    }
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

  template <int P>
  static TENON_INLINE void backward_pass(Row& x, Pointers& p, V* whole, Targets& t, Index n) {
    using expr::Nodes, expr::Visit;
    reverse_row(x, whole, Nodes<G, Visit::row_ops_down, P + 1>{});
    using Reached = Nodes<G, Visit::backward_leaves, P>;
    using Sums = Nodes<G, Visit::row_targets, P>;
    constexpr bool from_root = P == depth && !plan.row[root];
    if constexpr (Reached::size() > 0 || Nodes<G, Visit::backward_ops, P>::size() > 0) {
      V sum[G::nodes];
      clear(sum, Sums{});
      Near near(p);
      for (Index j = 0; j < n; near.advance(j), j += N) {
        near.full(p, j, n, row_leaves);
        const M in = inside(x.numbers, n - j);
        V v[G::nodes], d[G::nodes];
        take_row(v, x, All{});
        load(v, near, j, Nodes<G, Visit::forward_leaves, P>{});
        compute(v, Nodes<G, Visit::forward_ops, P>{});
        if constexpr (FromResult) v[root] = near.load(result_pointer, j);
        if constexpr (from_root) d[root] = near.load(dy_pointer, j);
        seed<P>(x, v, whole, d, sum, V(static_cast<T>(j)) + x.numbers, in,
                Nodes<G, Visit::reductions, P>{});
        reverse<P>(v, d, sum, in, Nodes<G, Visit::backward_ops, P>{});
        leave<P>(d, t, x.numbers, j, n - j, Reached{});
      }
      add_sums(whole, sum, Sums{});
    }
    if constexpr (P > 0) backward_pass<P - 1>(x, p, whole, t, n);
  }

  TENON_KERNEL static void backward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    alignas(64) Copies copies;
    Pointers p{{}, 0, copies};
    const Index n = b.n;
    x.length = V(static_cast<T>(n));
    x.numbers = V::iota();
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      place(p, dy_pointer, static_cast<const T*>(b.dy) + b.dy_row * r, b.dy_step);
      if constexpr (FromResult)
        place(p, result_pointer, static_cast<const T*>(b.y) + b.y_row * r, 1);
      if constexpr (depth > 0) {
        recall(x, static_cast<const T*>(b.kept) + r * 2 * plan.reductions);
        compute_rows<1>(x);
      }
      V whole[G::nodes];
      clear(whole, All{});
      Targets t;
      t.read(b, r, Leaves{});
      if constexpr (plan.row[root]) whole[root] = V(*(static_cast<const T*>(b.dy) + r * b.dy_row));
      backward_pass<depth>(x, p, whole, t, n);
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
