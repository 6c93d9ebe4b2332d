// SPDX-License-Identifier: Apache-2.0
// The fused kernel of any group on the CPU: element-wise operations and reductions over the same
// rows, forward and backward, written once over the plan of expr/group.hpp.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/kernel/block.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA::kernel {

using abi::Block;

namespace detail {

// Where an operand of one row is. A constant one reads from a register's worth of copies. Before a
// partial register is loaded, what is left of the row moves to `copies`, so nothing behind a row is
// ever touched.
struct alignas(64) Cursor {
  char copies[TENON_REGISTER_BYTES];
  const char* p = nullptr;
  const char* row = nullptr;
  Index step = 0;  // from one register to the next, in bytes; 0: constant

  /// One whose elements are copied still has to fill `copies`.
  TENON_INLINE void set(const void* base, bool copied) {
    step = copied ? 0 : TENON_REGISTER_BYTES;
    p = row = copied ? copies : static_cast<const char*>(base);
  }
};
inline __attribute__((noinline)) void load_rest(Cursor* c, int count, Index position,
                                                std::size_t bytes) {
  for (int i = 0; i < count; ++i)
    if (c[i].step) {
      std::memcpy(c[i].copies, c[i].row + position, bytes);
      c[i].p = c[i].copies;
    }
}

template <int Count, int Bytes>
struct Cursors {
  Cursor at[Count > 0 ? Count : 1];

  /// `left` elements from position j on are the last of the row.
  TENON_INLINE void rest(Index j, Index left) {
    load_rest(at, Count, j * Bytes, static_cast<std::size_t>(left) * Bytes);
  }
  /// Back to the beginning of the row.
  TENON_INLINE void rewind() {
    for (int i = 0; i < Count; ++i) at[i].p = at[i].row;
  }
};

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

/// The lanes of v moved down by K, those that fall out coming in on top.
template <int K, class T, int N>
TENON_INLINE scalar::Pack<T, N> rotate(scalar::Pack<T, N> v) {
  using V = scalar::Pack<T, N>;
#if TENON_REGISTER_BYTES == 64
  if constexpr (sizeof(V) == 64) {  // in a register; elsewhere through memory
    const __m512i x = (__m512i)v.v;
    // Masked by nothing: g++ 12 warns about the undefined operand of the plain form.
    return V((typename V::Vector)_mm512_maskz_alignr_epi32(0xffff, x, x,
                                                           K * static_cast<int>(sizeof(T)) / 4));
  } else
#endif
  {
    T twice[2 * N];
    v.store(twice);
    v.store(twice + N);
    return V::load(twice + K);
  }
}
/// The join of all lanes, in every lane, always in the same order.
template <class R, int K, class T, int N>
TENON_INLINE op::State<scalar::Pack<T, N>> join_lanes(op::State<scalar::Pack<T, N>> s) {
  if constexpr (K == 0) return s;
  else
    return join_lanes<R, K / 2>(
        R::join(s, op::State<scalar::Pack<T, N>>{rotate<K>(s.a), rotate<K>(s.b)}));
}
template <class T, int N>
TENON_INLINE scalar::Pack<T, N> sum_lanes(scalar::Pack<T, N> v) {
  using V = scalar::Pack<T, N>;
  return join_lanes<op::Sum, N / 2>(op::State<V>{v, v}).a;
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
  using Pointers = detail::Cursors<pointers, sizeof(T)>;

  // Values that live longer than one step along a row. What a step computes stands in arrays of its
  // own, indexed by constants only, so that the compiler keeps it in registers.
  struct Row {
    V v[G::nodes];  // of nodes that are constant along the row
    V kept[plan.reductions + 1];
    V length, numbers;  // numbers: 0, 1, ..., N - 1
  };
  using All = std::make_integer_sequence<int, G::nodes>;
  using Leaves = std::make_integer_sequence<int, G::leaves>;

  // The cursors as values: stores of results do not make the compiler read them again.
  struct Near {
    const char* p[pointers];
    Index step[pointers];
    using Every = std::make_integer_sequence<int, pointers>;
    template <int... I>
    TENON_INLINE void read(const Pointers& c, std::integer_sequence<int, I...>) {
      ((p[I] = c.at[I].p, step[I] = c.at[I].step), ...);
    }
    TENON_INLINE void read(const Pointers& c) { read(c, Every{}); }
    TENON_INLINE V load(int i) const { return V::load(reinterpret_cast<const T*>(p[i])); }
    template <int... I>
    TENON_INLINE void advance(std::integer_sequence<int, I...>) {
      ((p[I] += step[I]), ...);
    }
    TENON_INLINE void advance() { advance(Every{}); }
    /// Before the step at j: the rest of a row shorter than a register moves aside.
    TENON_INLINE bool full(Pointers& c, Index j, Index n) {
      if (j + N <= n) [[likely]]
        return true;
      c.rest(j, n - j);
      read(c);
      return false;
    }
  };

  template <int... I>
  static TENON_INLINE void load([[maybe_unused]] V* v, const Near& p,
                                std::integer_sequence<int, I...>) {
    ((v[I] = p.load(I)), ...);
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
  static TENON_INLINE void place(detail::Cursor& c, const T* at, Index step) {
    c.set(at, step == 0);
    if (step == 0) V(*at).store(reinterpret_cast<T*>(c.copies));
  }
  static TENON_INLINE void open_row(Row& x, Pointers& p, const Block& b, Index r) {
    for (int i = 0; i < G::leaves; ++i) {
      const T* at = static_cast<const T*>(b.leaf[i]) + b.leaf_row[i] * r;
      if (plan.row[i]) p.at[i].p = reinterpret_cast<const char*>(at);
      else place(p.at[i], at, b.leaf_step[i]);
    }
    load_row_leaves(x, p, Leaves{});
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, 0>{});
  }
  template <int... I>
  static TENON_INLINE void load_row_leaves(Row& x, const Pointers& p,
                                           std::integer_sequence<int, I...>) {
    ((plan.row[I] ? void(x.v[I] = V(*reinterpret_cast<const T*>(p.at[I].p))) : void()), ...);
  }
  template <int... I>
  static TENON_INLINE void load_scalars(Row& x, const double* s, std::integer_sequence<int, I...>) {
    ((x.v[G::leaves + I] = V(static_cast<T>(s[I]))), ...);
  }
  static TENON_INLINE M inside(V numbers, Index left) {
    return numbers < V(static_cast<T>(left < N ? left : N));
  }

  /// Pass P along a row: states of the reductions of depth P + 1.
  template <int P>
  static TENON_INLINE void reduce_pass(Row& x, Pointers& p, Index n) {
    using expr::Nodes, expr::Visit;
    op::State<V> s[plan.reductions + 1];
    start(s, Nodes<G, Visit::reductions, P>{});
    Near near;
    near.read(p);
    for (Index j = 0; j < n; j += N, near.advance()) {
      near.full(p, j, n);
      V v[G::nodes];
      take_row(v, x, All{});
      load(v, near, Nodes<G, Visit::forward_leaves, P>{});
      compute(v, Nodes<G, Visit::forward_ops, P>{});
      step(v, s, V(static_cast<T>(j)) + x.numbers, inside(x.numbers, n - j),
           Nodes<G, Visit::reductions, P>{});
    }
    p.rewind();
    finish(x, s, Nodes<G, Visit::reductions, P>{});
    compute(x.v, Nodes<G, Visit::row_ops, P + 1>{});
    if constexpr (P + 1 < depth) reduce_pass<P + 1>(x, p, n);
  }

  TENON_KERNEL static void forward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    Pointers p;
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
        Near near;
        near.read(p);
        for (Index j = 0; j < n; j += N, near.advance()) {
          const bool full = near.full(p, j, n);
          V v[G::nodes];
          take_row(v, x, All{});
          load(v, near, Nodes<G, Visit::forward_leaves, depth>{});
          compute(v, Nodes<G, Visit::forward_ops, depth>{});
          const V y = v[root];  // the array itself must not have an address
          if (full) y.store(out + j);
          else store_rest(y, out + j, static_cast<int>(n - j));
        }
      }
    }
  }
  static TENON_INLINE void store_rest(V y, T* to, int count) { y.store_partial(to, count); }
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

  /// Where the gradients of one row go. Those of leaves that are constant along it are summed up.
  enum Kind : int { summed, written, added };
  struct Targets {
    T* p[G::leaves > 0 ? G::leaves : 1];
    Kind kind[G::leaves > 0 ? G::leaves : 1];
    V sum[G::leaves > 0 ? G::leaves : 1];
    bool plain = true;  // every gradient is written over what is there
    template <int... I>
    TENON_INLINE void read(const Block& b, Index r, std::integer_sequence<int, I...>) {
      (read_one(b, r, I, p[I], kind[I], sum[I]), ...);
      plain = ((kind[I] == written || plan.row[I] || (passed >> I & 1 && !p[I])) && ...);
    }
    static TENON_INLINE void read_one(const Block& b, Index r, int i, T*& p, Kind& kind, V& sum) {
      const std::uint8_t mode = b.gradient_mode[i];
      const bool sums = mode == abi::gradient_none || !b.gradient_step[i];
      kind = sums ? summed : mode == abi::gradient_add ? added : written;
      p = mode == abi::gradient_none ? nullptr
                                     : static_cast<T*>(b.gradient[i]) + r * b.gradient_row[i];
      sum = V(0);
    }
  };
  template <int P, int... I>
  static TENON_INLINE void leave(const V* d, Targets& t, V numbers, Index j, Index left,
                                 std::integer_sequence<int, I...>) {
    constexpr bool first = ((plan.first_pass[I] == P) && ...);
    if (first && t.plain && left >= N) [[likely]]
      (leave_plain<(passed >> I & 1) != 0>(d[I], t.p[I], j), ...);
    else
      (leave_one<plan.first_pass[I] == P>(d[I], t.sum[I], t.p[I], t.kind[I], numbers, j, left),
       ...);
  }
  template <bool Passed>
  static TENON_INLINE void leave_plain(V g, T* to, Index j) {
    if (!Passed || to) g.store(to + j);
  }
  template <bool First>
  static TENON_INLINE void leave_one(V g, V& sum, T* to, Kind kind, V numbers, Index j,
                                     Index left) {
    if (kind == summed) {
      sum = sum + (left < N ? select(inside(numbers, left), g, V(0)) : g);
    } else if (left >= N) [[likely]] {
      if (!First || kind == added) g = g + V::load(to + j);
      g.store(to + j);
    } else {
      const int count = static_cast<int>(left);
      if (!First || kind == added) g = g + V::load_partial(to + j, count);
      store_rest(g, to + j, count);
    }
  }
  template <int... I>
  static TENON_INLINE void leave_row(const V* whole, const Targets& t, const Block& b,
                                     std::integer_sequence<int, I...>) {
    (leave_row_one(plan.row[I] ? whole[I] : detail::sum_lanes(t.sum[I]), t.p[I],
                   plan.row[I] || t.kind[I] == summed, b.gradient_mode[I]),
     ...);
  }
  static TENON_INLINE void leave_row_one(V g, T* to, bool mine, std::uint8_t mode) {
    if (!mine || mode == abi::gradient_none) return;
    *to = mode == abi::gradient_add ? *to + g[0] : g[0];
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
      Near near;
      near.read(p);
      for (Index j = 0; j < n; j += N, near.advance()) {
        near.full(p, j, n);
        const M in = inside(x.numbers, n - j);
        V v[G::nodes], d[G::nodes];
        take_row(v, x, All{});
        load(v, near, Nodes<G, Visit::forward_leaves, P>{});
        compute(v, Nodes<G, Visit::forward_ops, P>{});
        if constexpr (FromResult) v[root] = near.load(result_pointer);
        if constexpr (from_root) d[root] = near.load(dy_pointer);
        seed<P>(x, v, whole, d, sum, V(static_cast<T>(j)) + x.numbers, in,
                Nodes<G, Visit::reductions, P>{});
        reverse<P>(v, d, sum, in, Nodes<G, Visit::backward_ops, P>{});
        leave<P>(d, t, x.numbers, j, n - j, Reached{});
      }
      p.rewind();
      add_sums(whole, sum, Sums{});
    }
    if constexpr (P > 0) backward_pass<P - 1>(x, p, whole, t, n);
  }

  TENON_KERNEL static void backward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Row x;
    Pointers p;
    const Index n = b.n;
    x.length = V(static_cast<T>(n));
    x.numbers = V::iota();
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      place(p.at[dy_pointer], static_cast<const T*>(b.dy) + b.dy_row * r, b.dy_step);
      if constexpr (FromResult)
        place(p.at[result_pointer], static_cast<const T*>(b.y) + b.y_row * r, 1);
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
