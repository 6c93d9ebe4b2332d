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
  Index mask = 0;  // 0: constant, -1: one element a lane

  void set(const void* base, Index bytes_on, Index step, int size) {
    p = row = static_cast<const char*>(base) + bytes_on;
    mask = step ? -1 : 0;
    if (step) return;
    for (int k = 0; k < TENON_REGISTER_BYTES; k += size)
      std::memcpy(copies + k, row, size == 4 ? 4 : 8);
    p = row = copies;
  }
};
inline __attribute__((noinline)) void load_rest(Cursor* c, int count, Index position,
                                                std::size_t bytes) {
  for (int i = 0; i < count; ++i)
    if (c[i].mask) {
      std::memcpy(c[i].copies, c[i].row + position, bytes);
      c[i].p = c[i].copies - position;
    }
}

template <int Count, int Bytes>
struct Cursors {
  Cursor at[Count > 0 ? Count : 1];

  TENON_INLINE const char* address(int i, Index j) const {
    return at[i].p + (j * Bytes & at[i].mask);
  }
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

/// Adds x to an adjoint along the edge e; what lies behind a row's end counts as nothing.
template <class V, class M>
TENON_INLINE void flow(V* d, expr::Edge e, int to, V x, M inside) {
  if (e == expr::assign_edge) d[to] = x;
  else if (e == expr::add_edge) d[to] = d[to] + x;
  else if (e == expr::row_edge) d[to] = d[to] + select(inside, x, V(0));
}
template <class Op, class V, class M>
TENON_INLINE void adjoint(const V* v, V* d, int i, const std::uint8_t* operand, const expr::Edge* e,
                          M inside) {
  if constexpr (Op::arity == 1) {
    flow(d, e[0], operand[0], Op::backward(v[operand[0]], v[i], d[i]), inside);
  } else if constexpr (Op::arity == 2) {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[i], d[i]);
    flow(d, e[0], operand[0], g.first, inside);
    flow(d, e[1], operand[1], g.second, inside);
  } else {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[operand[2]], v[i], d[i]);
    flow(d, e[0], operand[0], g.first, inside);
    flow(d, e[1], operand[1], g.second, inside);
    flow(d, e[2], operand[2], g.third, inside);
  }
}

/// The lanes of v moved down by K, those that fall out coming in on top.
template <int K, class T, int N>
TENON_INLINE scalar::Pack<T, N> rotate(scalar::Pack<T, N> v) {
  T twice[2 * N];
  v.store(twice);
  v.store(twice + N);
  return scalar::Pack<T, N>::load(twice + K);
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
  static constexpr int pointers = G::leaves + (FromResult ? 1 : 0) + 1;  // leaves, result, dy
  static constexpr int result_pointer = G::leaves, dy_pointer = pointers - 1;
  using Pointers = detail::Cursors<pointers, sizeof(T)>;

  struct Lanes {
    V v[G::nodes];
    V kept[plan.reductions + 1];
    V length;
  };

  template <int... I>
  static TENON_INLINE void load(Lanes& x, const Pointers& p, Index j,
                                std::integer_sequence<int, I...>) {
    ((x.v[I] = V::load(reinterpret_cast<const T*>(p.address(I, j)))), ...);
  }
  template <int... I>
  static TENON_INLINE void compute(Lanes& x, std::integer_sequence<int, I...>) {
    (detail::apply<typename G::template Op<I>>(x.v, I, plan.operand[I][0], plan.operand[I][1],
                                               plan.operand[I][2]),
     ...);
  }
  template <int... I>
  static TENON_INLINE void start(op::State<V>* s, std::integer_sequence<int, I...>) {
    ((s[plan.reduction[I] - 1] = G::template Op<I>::template start<V>()), ...);
  }
  template <int... I>
  static TENON_INLINE void step(Lanes& x, op::State<V>* s, V index, M inside,
                                std::integer_sequence<int, I...>) {
    (step_one<typename G::template Op<I>>(x, s[plan.reduction[I] - 1], plan.operand[I][0],
                                          plan.operand[I][1], index, inside),
     ...);
  }
  template <class R>
  static TENON_INLINE void step_one(Lanes& x, op::State<V>& s, int a, int e, V index, M inside) {
    op::State<V> next = s;
    R::step(next, x.v[a], R::arity > 1 ? x.v[e] : V(0), index);
    s.a = select(inside, next.a, s.a);
    s.b = select(inside, next.b, s.b);
  }
  template <int... I>
  static TENON_INLINE void finish(Lanes& x, const op::State<V>* s,
                                  std::integer_sequence<int, I...>) {
    (finish_one<typename G::template Op<I>>(x, s[plan.reduction[I] - 1], I), ...);
  }
  template <class R>
  static TENON_INLINE void finish_one(Lanes& x, op::State<V> s, int i) {
    op::State<V> all = detail::join_lanes<R, N / 2>(s);
    x.v[i] = R::finish(all, x.length);
    x.kept[plan.reduction[i] - 1] = all.b;
  }
  static TENON_INLINE void open_row(Lanes& x, Pointers& p, const Block& b, Index r) {
    for (int i = 0; i < G::leaves; ++i) {
      p.at[i].set(b.leaf[i], b.leaf_row[i] * r * Index{sizeof(T)}, b.leaf_step[i], sizeof(T));
    }
    load_row_leaves(x, p, std::make_integer_sequence<int, G::leaves>{});
    compute(x, expr::Nodes<G, expr::Visit::row_ops, 0>{});
  }
  template <int... I>
  static TENON_INLINE void load_row_leaves(Lanes& x, const Pointers& p,
                                           std::integer_sequence<int, I...>) {
    ((plan.row[I] ? void(x.v[I] = V(*reinterpret_cast<const T*>(p.at[I].p))) : void()), ...);
  }
  template <int... I>
  static TENON_INLINE void load_scalars(Lanes& x, const double* s,
                                        std::integer_sequence<int, I...>) {
    ((x.v[G::leaves + I] = V(static_cast<T>(s[I]))), ...);
  }
  static TENON_INLINE M inside(Index left) {
    return V::iota() < V(static_cast<T>(left < N ? left : N));
  }

  /// Pass P along a row: states of the reductions of depth P + 1.
  template <int P>
  static TENON_INLINE void reduce_pass(Lanes& x, Pointers& p, Index n) {
    using expr::Nodes, expr::Visit;
    op::State<V> s[plan.reductions + 1];
    start(s, Nodes<G, Visit::reductions, P>{});
    for (Index j = 0; j < n; j += N) {
      if (j + N > n) p.rest(j, n - j);
      load(x, p, j, Nodes<G, Visit::forward_leaves, P>{});
      compute(x, Nodes<G, Visit::forward_ops, P>{});
      step(x, s, V(static_cast<T>(j)) + V::iota(), inside(n - j), Nodes<G, Visit::reductions, P>{});
    }
    p.rewind();
    finish(x, s, Nodes<G, Visit::reductions, P>{});
    compute(x, Nodes<G, Visit::row_ops, P + 1>{});
    if constexpr (P + 1 < depth) reduce_pass<P + 1>(x, p, n);
  }

  TENON_KERNEL static void forward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Lanes x;
    Pointers p;
    x.length = V(static_cast<T>(b.n));
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      if constexpr (depth > 0) {
        reduce_pass<0>(x, p, b.n);
        if (b.kept) keep(x, static_cast<T*>(b.kept) + r * 2 * plan.reductions);
      }
      T* out = static_cast<T*>(b.out) + r * b.out_row;
      if constexpr (plan.row[root]) {
        *out = x.v[root][0];
      } else {
        for (Index j = 0; j < b.n; j += N) {
          bool full = j + N <= b.n;
          if (!full) p.rest(j, b.n - j);
          load(x, p, j, Nodes<G, Visit::forward_leaves, depth>{});
          compute(x, Nodes<G, Visit::forward_ops, depth>{});
          if (full) x.v[root].store(out + j);
          else x.v[root].store_partial(out + j, static_cast<int>(b.n - j));
        }
      }
    }
  }
  static TENON_INLINE void keep(const Lanes& x, T* kept) {
    for (int i = 0; i < G::nodes; ++i)
      if (plan.reduction[i]) {
        kept[2 * plan.reduction[i] - 2] = x.v[i][0];
        kept[2 * plan.reduction[i] - 1] = x.kept[plan.reduction[i] - 1][0];
      }
  }
  static TENON_INLINE void recall(Lanes& x, const T* kept) {
    for (int i = 0; i < G::nodes; ++i)
      if (plan.reduction[i]) {
        x.v[i] = V(kept[2 * plan.reduction[i] - 2]);
        x.kept[plan.reduction[i] - 1] = V(kept[2 * plan.reduction[i] - 1]);
      }
  }

  // Backward. d[i] is dL/d(node i): of one register along the row, or, for a node that is constant
  // along the row, what has been summed so far (lane by lane within a pass, then joined).
  template <int P, int... I>
  static TENON_INLINE void seed(const Lanes& x, [[maybe_unused]] V* d, [[maybe_unused]] V index,
                                [[maybe_unused]] M inside, std::integer_sequence<int, I...>) {
    (seed_one<typename G::template Op<I>>(x, d, I, plan.edge[P][I][0], index, inside), ...);
  }
  template <class R>
  static TENON_INLINE void seed_one(const Lanes& x, V* d, int i, expr::Edge e, V index, M inside) {
    int a = plan.operand[i][0];
    V extra = R::arity > 1 ? x.v[plan.operand[i][1]] : V(0);
    V g = R::backward(x.v[a], extra, x.v[i], x.kept[plan.reduction[i] - 1], d[i], x.length, index);
    detail::flow(d, e, a, g, inside);
  }
  template <int P, int... I>
  static TENON_INLINE void reverse(const Lanes& x, [[maybe_unused]] V* d, [[maybe_unused]] M inside,
                                   std::integer_sequence<int, I...>) {
    (detail::adjoint<typename G::template Op<I>>(x.v, d, I, plan.operand[I], plan.edge[P][I],
                                                 inside),
     ...);
  }
  template <int... I>
  static TENON_INLINE void reverse_row(const Lanes& x, [[maybe_unused]] V* d,
                                       std::integer_sequence<int, I...>) {
    (reverse_row_one<I>(x, d), ...);
  }
  template <int I>
  static TENON_INLINE void reverse_row_one(const Lanes& x, V* d) {
    if constexpr (plan.grad[I]) {
      constexpr auto edge = [](int s) {
        return s < plan.arity[I] && plan.grad[plan.operand[I][s]] ? expr::add_edge : expr::no_edge;
      };
      static constexpr expr::Edge e[3] = {edge(0), edge(1), edge(2)};
      detail::adjoint<typename G::template Op<I>>(x.v, d, I, plan.operand[I], e, M{});
    }
  }
  template <int P, int... I>
  static TENON_INLINE void leave(const V* d, V* sum, const Block& b, Index r, Index j, bool full,
                                 M inside, std::integer_sequence<int, I...>) {
    (leave_one(d[I], sum[I], b, I, r, j, full, inside,
               plan.first_pass[I] == P ? b.gradient_mode[I] : std::uint8_t{abi::gradient_add}),
     ...);
  }
  static TENON_INLINE void leave_one(V g, V& sum, const Block& b, int i, Index r, Index j,
                                     bool full, M inside, std::uint8_t mode) {
    if (b.gradient_mode[i] == abi::gradient_none) return;
    if (!b.gradient_step[i]) {
      sum = sum + select(inside, g, V(0));
      return;
    }
    T* p = static_cast<T*>(b.gradient[i]) + r * b.gradient_row[i] + j;
    if (full) {
      if (mode == abi::gradient_add) g = g + V::load(p);
      g.store(p);
    } else {
      int left = static_cast<int>(b.n - j);
      if (mode == abi::gradient_add) g = g + V::load_partial(p, left);
      g.store_partial(p, left);
    }
  }
  static TENON_INLINE void leave_row(T g, const Block& b, int i, Index r) {
    if (b.gradient_mode[i] == abi::gradient_none) return;
    T* p = static_cast<T*>(b.gradient[i]) + r * b.gradient_row[i];
    *p = b.gradient_mode[i] == abi::gradient_add ? *p + g : g;
  }

  template <int P>
  static TENON_INLINE void backward_pass(Lanes& x, Pointers& p, V* d, V* sum, const Block& b,
                                         Index r) {
    using expr::Nodes, expr::Visit;
    reverse_row(x, d, Nodes<G, Visit::row_ops_down, P + 1>{});
    using Leaves = Nodes<G, Visit::backward_leaves, P>;
    constexpr bool from_root = P == depth && !plan.row[root];
    if constexpr (Leaves::size() > 0 || Nodes<G, Visit::backward_ops, P>::size() > 0) {
      V before[G::nodes];
      for (int i = 0; i < G::nodes; ++i)
        if (plan.row[i] && plan.depth[i] <= P) before[i] = d[i], d[i] = V(0);
      for (Index j = 0; j < b.n; j += N) {
        bool full = j + N <= b.n;
        if (!full) p.rest(j, b.n - j);
        M in = inside(b.n - j);
        load(x, p, j, Nodes<G, Visit::forward_leaves, P>{});
        compute(x, Nodes<G, Visit::forward_ops, P>{});
        if constexpr (FromResult)
          x.v[root] = V::load(reinterpret_cast<const T*>(p.address(result_pointer, j)));
        if constexpr (from_root)
          d[root] = V::load(reinterpret_cast<const T*>(p.address(dy_pointer, j)));
        seed<P>(x, d, V(static_cast<T>(j)) + V::iota(), in, Nodes<G, Visit::reductions, P>{});
        reverse<P>(x, d, in, Nodes<G, Visit::backward_ops, P>{});
        leave<P>(d, sum, b, r, j, full, in, Leaves{});
      }
      p.rewind();
      for (int i = 0; i < G::nodes; ++i)
        if (plan.row[i] && plan.depth[i] <= P) d[i] = before[i] + detail::sum_lanes(d[i]);
    }
    if constexpr (P > 0) backward_pass<P - 1>(x, p, d, sum, b, r);
  }

  TENON_KERNEL static void backward(const Block& b) {
    using expr::Nodes, expr::Visit;
    Lanes x;
    Pointers p;
    x.length = V(static_cast<T>(b.n));
    load_scalars(x, b.scalar, std::make_integer_sequence<int, G::scalars>{});
    for (Index r = 0; r < b.rows; ++r) {
      open_row(x, p, b, r);
      p.at[dy_pointer].set(b.dy, b.dy_row * r * Index{sizeof(T)}, b.dy_step, sizeof(T));
      if constexpr (FromResult)
        p.at[result_pointer].set(b.y, b.y_row * r * Index{sizeof(T)}, 1, sizeof(T));
      if constexpr (depth > 0) {
        recall(x, static_cast<const T*>(b.kept) + r * 2 * plan.reductions);
        compute_rows<1>(x);
      }
      V d[G::nodes], sum[G::leaves > 0 ? G::leaves : 1];
      for (int i = 0; i < G::nodes; ++i) d[i] = V(0);
      for (int i = 0; i < G::leaves; ++i) sum[i] = V(0);
      if constexpr (plan.row[root]) d[root] = V(*(static_cast<const T*>(b.dy) + r * b.dy_row));
      backward_pass<depth>(x, p, d, sum, b, r);
      reverse_row(x, d, Nodes<G, Visit::row_ops_down, 0>{});
      for (int i = 0; i < G::leaves; ++i) {
        if (plan.row[i]) leave_row(d[i][0], b, i, r);
        else if (b.gradient_mode[i] && !b.gradient_step[i])
          leave_row(detail::sum_lanes(sum[i])[0], b, i, r);
      }
    }
  }
  template <int D>
  static TENON_INLINE void compute_rows(Lanes& x) {
    compute(x, expr::Nodes<G, expr::Visit::row_ops, D>{});
    if constexpr (D < depth) compute_rows<D + 1>(x);
  }
};

}  // namespace tenon::kernel
