// SPDX-License-Identifier: Apache-2.0
// The fused kernel of any group on a device, backward: the passes of kernel/device/rows.hpp in
// reverse.
#pragma once
#include <tenon/kernel/device/rows.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {
template <class T>
TENON_FN void add_few(T* to, T (&x)[few<T>], int count, bool wide) {
  if (wide) {
    const Few<T> f = *reinterpret_cast<const Few<T>*>(to);
    for (int w = 0; w < few<T>; ++w) x[w] = f.at[w] + x[w];
  } else {
    for (int w = 0; w < few<T>; ++w)
      if (w < count) x[w] = to[w] + x[w];
  }
}
}  // namespace detail

/// Backward kernel of group G computing in T, as a body over a team. FromResult: it reads the
/// result instead of computing it.
template <class G, class T, bool FromResult>
struct DeviceRowsBackward : DeviceRows<G, T> {
  using Base = DeviceRows<G, T>;
  using Base::compute, Base::item_of, Base::load, Base::open_row, Base::pick, Base::take_row;
  using Base::depth, Base::leaves, Base::nodes, Base::reductions, Base::room, Base::root,
      Base::row_root, Base::W;
  using typename Base::Count, typename Base::Head, typename Base::Leaves, typename Base::Row;
  using typename Base::Item;
  using typename Base::Source, typename Base::Span;
  using Backward = abi::DeviceGroup<2 * leaves + 2, G::scalars>;

  // Adjoints of what is constant along the row, and of leaves whose gradient is summed along it.
  struct Sums {
    T node[nodes], leaf[room];
  };

  /// Where the gradients of one row go.
  struct Targets {
    T* p[room];
    template <int... I>
    TENON_FN void open([[maybe_unused]] const Backward& a, [[maybe_unused]] Count r,
                       [[maybe_unused]] Count down, std::integer_sequence<int, I...>) {
      (open_one(a.head, a.operand[leaves + 2 + I], r, down, p[I]), ...);
    }
    static TENON_FN void open_one(const Head& h, const abi::DeviceOperand& o, Count r, Count down,
                                  T*& p) {
      p = o.mode == abi::gradient_none
              ? nullptr
              : static_cast<T*>(o.base) + down * o.part + detail::device_row(h, o, r);
    }
  };
  struct Flow {
    T *d, *sum;
    bool inside;  ///< behind the row's end nothing is added to a sum
  };
  template <int To, int E>
  static TENON_FN void flow(const Flow& f, T x) {
    if constexpr (E == expr::assign_edge) f.d[To] = x;
    else if constexpr (E == expr::add_edge) f.d[To] = f.d[To] + x;
    else if constexpr (E == expr::row_edge) f.sum[To] = f.sum[To] + (f.inside ? x : T(0));
  }
  /// The adjoints of the operands of node I. Edge: an array of what becomes of each.
  template <int I, int E0, int E1, int E2>
  static TENON_FN void adjoint(const T* v, const Flow& f) {
    using Op = typename G::template Op<I>;
    constexpr int a = G::plan.operand[I][0], b = G::plan.operand[I][1], c = G::plan.operand[I][2];
    if constexpr (Op::arity == 1) {
      flow<a, E0>(f, Op::backward(v[a], v[I], f.d[I]));
    } else if constexpr (Op::arity == 2) {
      const auto g = Op::backward(v[a], v[b], v[I], f.d[I]);
      flow<a, E0>(f, g.first), flow<b, E1>(f, g.second);
    } else {
      const auto g = Op::backward(v[a], v[b], v[c], v[I], f.d[I]);
      flow<a, E0>(f, g.first), flow<b, E1>(f, g.second), flow<c, E2>(f, g.third);
    }
  }
  template <int P, int... I>
  static TENON_FN void reverse([[maybe_unused]] const T* v, [[maybe_unused]] const Flow& f,
                               std::integer_sequence<int, I...>) {
    (adjoint<I, G::plan.edge[P][I][0], G::plan.edge[P][I][1], G::plan.edge[P][I][2]>(v, f), ...);
  }
  template <int I>
  static TENON_FN void reverse_row_one(const Row& x, T* whole) {
    if constexpr (G::plan.grad[I]) {
      constexpr auto edge = [](int s) {
        return s < G::plan.arity[I] && G::plan.grad[G::plan.operand[I][s]] ? expr::add_edge
                                                                           : expr::no_edge;
      };
      constexpr int e0 = edge(0), e1 = edge(1), e2 = edge(2);
      adjoint<I, e0, e1, e2>(x.v, Flow{whole, whole, true});
    }
  }
  template <int... I>
  static TENON_FN void reverse_row([[maybe_unused]] const Row& x, [[maybe_unused]] T* whole,
                                   std::integer_sequence<int, I...>) {
    (reverse_row_one<I>(x, whole), ...);
  }
  template <int P, int... I>
  static TENON_FN void seed([[maybe_unused]] const Row& x, [[maybe_unused]] const T* v,
                            [[maybe_unused]] const T* whole, [[maybe_unused]] const Flow& f,
                            [[maybe_unused]] T index, std::integer_sequence<int, I...>) {
    (seed_one<P, I>(x, v, whole, f, index), ...);
  }
  template <int P, int I>
  static TENON_FN void seed_one(const Row& x, const T* v, const T* whole, const Flow& f, T index) {
    using R = typename G::template Op<I>;
    constexpr int a = G::plan.operand[I][0], e = G::plan.operand[I][1],
                  k = G::plan.reduction[I] - 1;
    T extra = T(0);
    if constexpr (R::arity > 1) extra = v[e];
    flow<a, G::plan.edge[P][I][0]>(
        f, R::backward(v[a], extra, v[I], x.kept[k], whole[I], x.length, index));
  }
  template <class Targets, class Reached>
  struct JoinSums;
  template <int... I, int... L>
  struct JoinSums<std::integer_sequence<int, I...>, std::integer_sequence<int, L...>> {
    static TENON_FN void join(Sums& s, const Sums& t) {
      ((s.node[I] = s.node[I] + t.node[I]), ...);
      ((s.leaf[L] = s.leaf[L] + t.leaf[L]), ...);
    }
    template <class F>
    static TENON_FN void fetch(Sums& to, const Sums& s, const F& from) {
      ((to.node[I] = from(s.node[I])), ...);
      ((to.leaf[L] = from(s.leaf[L])), ...);
    }
  };

  /// The gradients of W elements, from their leaves' values.
  template <int P>
  static TENON_FN void gradients(const Row& x, const T* whole, const T (*e)[W], const T (&dy)[W],
                                 [[maybe_unused]] const T (&y)[W], Count j, int count, T (*g)[W],
                                 Sums& s) {
    using expr::Nodes, expr::Visit;
    for (int w = 0; w < W; ++w) {
      T v[nodes], d[nodes];
      take_row(v, x, std::make_integer_sequence<int, nodes>{});
      pick(v, e, w, Nodes<G, Visit::forward_leaves, P>{});
      compute(v, Nodes<G, Visit::forward_ops, P>{});
      if constexpr (FromResult) v[root] = y[w];
      if constexpr (P == depth && !row_root) d[root] = dy[w];
      const Flow f{d, s.node, w < count};
      seed<P>(x, v, whole, f, static_cast<T>(j + w), Nodes<G, Visit::reductions, P>{});
      reverse<P>(v, f, Nodes<G, Visit::backward_ops, P>{});
      put(g, d, w, Nodes<G, Visit::backward_leaves, P>{});
    }
  }
  template <int... I>
  static TENON_FN void put([[maybe_unused]] T (*g)[W], [[maybe_unused]] const T* d,
                           [[maybe_unused]] int w, std::integer_sequence<int, I...>) {
    ((g[I][w] = d[I]), ...);
  }
  /// Gradients of a leaf where they belong: added to its sum, written, or added to what is there.
  template <int P, int I>
  static TENON_FN void leave_one(const abi::DeviceOperand& o, T* to, T (&g)[W], Count j, int count,
                                 bool wide, T& sum) {
    if (!to) return;
    if (o.step == 0) {
      for (int w = 0; w < W; ++w)
        if (w < count) sum = sum + g[w];
      return;
    }
    constexpr bool first = G::plan.first_pass[I] == P;
    if (!first || o.mode == abi::gradient_add) detail::add_few(to + j, g, count, wide);
    detail::store_few(to + j, g, count, wide);
  }
  template <int P, int... I>
  static TENON_FN void leave([[maybe_unused]] const Backward& a, [[maybe_unused]] const Targets& t,
                             [[maybe_unused]] T (*g)[W], [[maybe_unused]] Count j,
                             [[maybe_unused]] int count, [[maybe_unused]] bool wide,
                             [[maybe_unused]] T* sum, std::integer_sequence<int, I...>) {
    (leave_one<P, I>(a.operand[leaves + 2 + I], t.p[I], g[I], j, count, wide, sum[I]), ...);
  }
  template <int P>
  struct BackwardLane {
    const Backward& a;
    const Row& x;
    const Source &dy, &y;
    const Targets& t;
    const T* whole;
    Span at;
    TENON_FN void operator()(int lane, Sums& s) const {
      using expr::Nodes, expr::Visit;
      for (Count j = at.begin + Count{lane} * W; j < at.end; j += Count{at.lanes} * W) {
        const int count = at.end - j < W ? static_cast<int>(at.end - j) : W;
        const bool wide = at.wide && count == W;
        T e[room][W], g[room][W] = {}, dys[W], ys[W];
        load(e, x, j, count, wide, Nodes<G, Visit::forward_leaves, P>{});
        if constexpr (P == depth && !row_root) dy.load(dys, j, count, wide);
        if constexpr (FromResult) y.load(ys, j, count, wide);
        gradients<P>(x, whole, e, dys, ys, j, count, g, s);
        leave<P>(a, t, g, j, count, wide, s.leaf, Nodes<G, Visit::backward_leaves, P>{});
      }
    }
  };
  template <int... I>
  static TENON_FN void add_sums([[maybe_unused]] T* whole, [[maybe_unused]] const T* sum,
                                std::integer_sequence<int, I...>) {
    ((whole[I] = whole[I] + sum[I]), ...);
  }
  template <int P, class Team>
  static TENON_FN void backward_pass(const Backward& a, Row& x, const Source& dy, const Source& y,
                                     const Targets& t, T* whole, T* leaf_sum, Span at,
                                     const Team& team) {
    using expr::Nodes, expr::Visit;
    using Into = Nodes<G, Visit::row_targets, P>;
    using Reached = Nodes<G, Visit::backward_leaves, P>;
    reverse_row(x, whole, Nodes<G, Visit::row_ops_down, P + 1>{});
    if constexpr (Reached::size() > 0 || Nodes<G, Visit::backward_ops, P>::size() > 0) {
      Sums s;
      for (int i = 0; i < nodes; ++i) s.node[i] = T(0);
      for (int i = 0; i < room; ++i) s.leaf[i] = T(0);
      const BackwardLane<P> lane{a, x, dy, y, t, whole, at};
      if (a.head.sums_lanes) {
        team.template reduce<JoinSums<Into, Reached>>(lane, s);
        add_sums(leaf_sum, s.leaf, Reached{});
      } else {
        using None = std::integer_sequence<int>;
        team.template reduce<JoinSums<Into, None>>(lane, s);
      }
      add_sums(whole, s.node, Into{});
    }
    if constexpr (P > 0) backward_pass<P - 1>(a, x, dy, y, t, whole, leaf_sum, at, team);
  }
  struct LeaveRowLane {
    const Backward& a;
    const Targets& t;
    const T *whole, *leaf_sum;
    TENON_FN void operator()(int lane) const {
      if (lane == 0) leave_row(*this, Leaves{});
    }
    template <int... I>
    static TENON_FN void leave_row([[maybe_unused]] const LeaveRowLane& l,
                                   std::integer_sequence<int, I...>) {
      (leave_row_one<I>(l, l.a.operand[leaves + 2 + I], l.t.p[I]), ...);
    }
    template <int I>
    static TENON_FN void leave_row_one(const LeaveRowLane& l, const abi::DeviceOperand& o, T* to) {
      constexpr bool row = G::plan.row[I];
      const T g = row ? l.whole[I] : l.leaf_sum[I];
      if (to && (row || o.step == 0)) *to = o.mode == abi::gradient_add ? *to + g : g;
    }
  };
  template <int D>
  static TENON_FN void compute_rows(Row& x) {
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, D>{});
    if constexpr (D < depth) compute_rows<D + 1>(x);
  }
  template <int... I>
  static TENON_FN void recall(Row& x, const T* kept, std::integer_sequence<int, I...>) {
    (recall_one<I>(x, kept), ...);
  }
  template <int I>
  static TENON_FN void recall_one(Row& x, const T* kept) {
    if constexpr (G::plan.reduction[I] > 0) {
      constexpr int k = G::plan.reduction[I] - 1;
      x.v[I] = kept ? kept[2 * k] : T(0), x.kept[k] = kept ? kept[2 * k + 1] : T(0);
    }
  }

  template <class Team>
  static TENON_FN void backward_row(const Backward& a, Count r, Count down, Span at,
                                    const Team& team) {
    Row x;
    open_row(x, a, r);
    Source dy, y;
    dy.open(a.head, a.operand[leaves], r);
    if constexpr (FromResult) y.open(a.head, a.operand[leaves + 1], r);
    if constexpr (depth > 0) {
      const T* kept = static_cast<const T*>(a.head.kept);
      recall(x, kept ? kept + r * 2 * reductions : nullptr,
             std::make_integer_sequence<int, nodes>{});
      compute_rows<1>(x);
    }
    T whole[nodes], leaf_sum[room];
    for (int i = 0; i < nodes; ++i) whole[i] = T(0);
    for (int i = 0; i < room; ++i) leaf_sum[i] = T(0);
    Targets t;
    t.open(a, r, down, Leaves{});
    if constexpr (row_root) whole[root] = dy.constant;
    backward_pass<depth>(a, x, dy, y, t, whole, leaf_sum, at, team);
    reverse_row(x, whole, expr::Nodes<G, expr::Visit::row_ops_down, 0>{});
    team.each(LeaveRowLane{a, t, whole, leaf_sum});
  }

  /// Element-wise groups whose gradients are summed over rows: a lane goes down its columns, and
  /// keeps their sums.
  struct DownLane {
    const Backward& a;
    Span at;
    Count first, last, down;
    TENON_FN void operator()(int lane) const {
      for (Count j = at.begin + Count{lane} * W; j < at.end; j += Count{at.lanes} * W) {
        const int count = at.end - j < W ? static_cast<int>(at.end - j) : W;
        const bool wide = at.wide && count == W;
        T sum[room][W];
        for (int i = 0; i < room; ++i)
          for (int w = 0; w < W; ++w) sum[i][w] = T(0);
        for (Count r = first; r < last; ++r) one_row(j, count, wide, r, sum);
        settle(*this, j, count, wide, sum, Leaves{});
      }
    }
    TENON_FN void one_row(Count j, int count, bool wide, Count r, T (*sum)[W]) const {
      using expr::Nodes, expr::Visit;
      Row x;
      open_row(x, a, r);
      Source dy, y;
      dy.open(a.head, a.operand[leaves], r);
      T e[room][W], g[room][W] = {}, dys[W], ys[W];
      load(e, x, j, count, wide, Nodes<G, Visit::forward_leaves, 0>{});
      dy.load(dys, j, count, wide);
      if constexpr (FromResult) {
        y.open(a.head, a.operand[leaves + 1], r);
        y.load(ys, j, count, wide);
      }
      Sums none;
      gradients<0>(x, nullptr, e, dys, ys, j, count, g, none);
      pass(*this, r, j, count, wide, g, sum, Nodes<G, Visit::backward_leaves, 0>{});
    }
    template <int... I>
    static TENON_FN void pass([[maybe_unused]] const DownLane& l, [[maybe_unused]] Count r,
                              [[maybe_unused]] Count j, [[maybe_unused]] int count,
                              [[maybe_unused]] bool wide, [[maybe_unused]] T (*g)[W],
                              [[maybe_unused]] T (*sum)[W], std::integer_sequence<int, I...>) {
      (l.pass_one(l.a.operand[leaves + 2 + I], r, j, count, wide, g[I], sum[I]), ...);
    }
    TENON_FN void pass_one(const abi::DeviceOperand& o, Count r, Count j, int count, bool wide,
                           T (&g)[W], T (&sum)[W]) const {
      if (o.mode == abi::gradient_none) return;
      if (o.part) {
        for (int w = 0; w < W; ++w) sum[w] = sum[w] + g[w];
        return;
      }
      T* to = static_cast<T*>(o.base) + detail::device_row(a.head, o, r) + j;
      if (o.mode == abi::gradient_add) detail::add_few(to, g, count, wide);
      detail::store_few(to, g, count, wide);
    }
    template <int... I>
    static TENON_FN void settle([[maybe_unused]] const DownLane& l, [[maybe_unused]] Count j,
                                [[maybe_unused]] int count, [[maybe_unused]] bool wide,
                                [[maybe_unused]] T (*sum)[W], std::integer_sequence<int, I...>) {
      (l.settle_one(l.a.operand[leaves + 2 + I], j, count, wide, sum[I]), ...);
    }
    TENON_FN void settle_one(const abi::DeviceOperand& o, Count j, int count, bool wide,
                             T (&sum)[W]) const {
      if (o.mode != abi::gradient_none && o.part)
        detail::store_few(static_cast<T*>(o.base) + down * o.part + j, sum, count, wide);
    }
  };

  template <class Team>
  static TENON_FN void backward(const Backward& a, const Team& team) {
    const Head& h = a.head;
    const Count items = h.items_down * h.items_along.divisor;
    for (Count item = team.index(); item < items; item += team.count()) {
      const Item i = item_of(h, item);
      if constexpr (depth == 0 && !row_root) {
        if (h.columns_first) {
          team.each(DownLane{a, i.at, i.first, i.last, i.down});
          continue;
        }
      }
      for (Count r = i.first; r < i.last; ++r) backward_row(a, r, i.down, i.at, team);
    }
  }

  /// For kernels and for the host.
  struct BackwardBody {
    static TENON_FN int lanes(const Backward& a) { return a.head.lanes; }
    template <class Team>
    static TENON_FN void run(const Backward& a, const Team& team) {
      backward(a, team);
    }
  };
};

}  // namespace tenon::kernel
