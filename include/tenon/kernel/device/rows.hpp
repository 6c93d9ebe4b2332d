// SPDX-License-Identifier: Apache-2.0
// The fused kernel of any group on a device, forward: element-wise operations and reductions over
// the same rows, over the plan of expr/group.hpp. The CPU's is kernel/cpu/rows.hpp.
#pragma once
#include <tenon/expr/group.hpp>
#include <tenon/kernel/device/arguments.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

using abi::Count, abi::DeviceGroupHead, abi::DeviceOperand;

/// As many elements as one 16-byte load brings.
template <class T>
inline constexpr int few = 16 / static_cast<int>(sizeof(T));
template <class T>
struct alignas(16) Few {
  T at[few<T>];
};

/// Where row r of an operand begins, in elements.
TENON_FN Count device_row(const DeviceGroupHead& h, const DeviceOperand& o, Count r) {
  if (h.outer_rank <= 1) return r * o.outer[0];
  Count offset = 0;
  for (int i = h.outer_rank - 1; i > 0; --i) {
    const Count rest = h.outer_extent[i].quotient(r);
    offset += (r - rest * h.outer_extent[i].divisor) * o.outer[i];
    r = rest;
  }
  return offset + r * o.outer[0];
}

/// One row of an operand that is read: its elements, or the one that it consists of.
template <class T>
struct Source {
  const T* row;  ///< null: `constant` throughout
  T constant;

  TENON_FN void open(const DeviceGroupHead& h, const DeviceOperand& o, Count r) {
    row = static_cast<const T*>(o.base);
    constant = T(0);
    if (row) row += device_row(h, o, r);
    else constant = static_cast<T>(o.value);
    if (row && o.step == 0) constant = *row, row = nullptr;
  }
  /// Elements j .. j + count - 1.
  TENON_FN void load(T (&x)[few<T>], Count j, int count, bool wide) const {
    if (!row) {
      for (int w = 0; w < few<T>; ++w) x[w] = constant;
    } else if (wide) {
      const Few<T> f = *reinterpret_cast<const Few<T>*>(row + j);
      for (int w = 0; w < few<T>; ++w) x[w] = f.at[w];
    } else {
      for (int w = 0; w < few<T>; ++w) x[w] = row[j + (w < count ? w : 0)];
    }
  }
};
#if defined(__CUDA_ARCH__)
// Left to itself the compiler shares the stores of both branches below, one element at a time.
template <class T>
__device__ __forceinline__ void store_16(T* to, const T (&x)[few<T>]) {
  const auto place = __cvta_generic_to_global(to);
  if constexpr (sizeof(T) == 4) {
    const auto bits = [](T v) { return tenon::detail::bits_as<std::uint32_t>(v); };
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(place), "r"(bits(x[0])),
                 "r"(bits(x[1])), "r"(bits(x[2])), "r"(bits(x[3]))
                 : "memory");
  } else {
    const auto bits = [](T v) { return tenon::detail::bits_as<std::uint64_t>(v); };
    asm volatile("st.global.v2.b64 [%0], {%1, %2};" ::"l"(place), "l"(bits(x[0])), "l"(bits(x[1]))
                 : "memory");
  }
}
#endif
template <class T>
TENON_FN void store_few(T* to, const T (&x)[few<T>], int count, bool wide) {
  if (wide) {
#if defined(__CUDA_ARCH__)
    store_16(to, x);
#else
    Few<T> f;
    for (int w = 0; w < few<T>; ++w) f.at[w] = x[w];
    *reinterpret_cast<Few<T>*>(to) = f;
#endif
  } else {
    for (int w = 0; w < few<T>; ++w)
      if (w < count) to[w] = x[w];
  }
}

}  // namespace detail

/// Forward kernel of group G computing in T, as a body over a team.
template <class G, class T>
struct DeviceRows {
  using Count = abi::Count;
  using Head = abi::DeviceGroupHead;
  using Source = detail::Source<T>;
  static constexpr int W = detail::few<T>;
  static constexpr int leaves = G::leaves, nodes = G::nodes, depth = G::plan.depth_max,
                       root = G::plan.root(), reductions = G::plan.reductions;
  static constexpr bool row_root = G::plan.row[root];
  static constexpr int room = leaves > 0 ? leaves : 1;
  using Forward = abi::DeviceGroup<leaves + 1, G::scalars>;
  using Leaves = std::make_integer_sequence<int, leaves>;

  // Values that are constant along a row.
  struct Row {
    T v[nodes];
    T kept[reductions + 1];
    T length;
    Source leaf[room];
  };
  struct Span {
    Count begin, end;
    int lanes;
    bool wide;
  };
  /// A team's piece of work: rows first .. last - 1 of the columns `at`; `down` counts such ranges.
  struct Item {
    Count down, first, last;
    Span at;
  };
  static TENON_FN Item item_of(const Head& h, Count item) {
    const Count down = h.items_along.quotient(item), along = item - down * h.items_along.divisor;
    Item i{down,
           down * h.item_rows,
           (down + 1) * h.item_rows,
           {along * h.item_columns, (along + 1) * h.item_columns, h.lanes, h.wide != 0}};
    if (i.at.end > h.n) i.at.end = h.n;
    if (i.last > h.rows) i.last = h.rows;
    return i;
  }
  struct States {
    T a[reductions + 1], b[reductions + 1];
  };

  template <int I>
  static TENON_FN void apply(T* v) {
    using Op = typename G::template Op<I>;
    constexpr int a = G::plan.operand[I][0], b = G::plan.operand[I][1], c = G::plan.operand[I][2];
    if constexpr (Op::arity == 1) v[I] = Op::forward(v[a]);
    else if constexpr (Op::arity == 2) v[I] = Op::forward(v[a], v[b]);
    else v[I] = Op::forward(v[a], v[b], v[c]);
  }
  template <int... I>
  static TENON_FN void compute([[maybe_unused]] T* v, std::integer_sequence<int, I...>) {
    (apply<I>(v), ...);
  }
  template <int... I>
  static TENON_FN void take_row([[maybe_unused]] T* v, [[maybe_unused]] const Row& x,
                                std::integer_sequence<int, I...>) {
    ((v[I] = x.v[I]), ...);
  }
  template <int... I>
  static TENON_FN void load([[maybe_unused]] T (*x)[W], [[maybe_unused]] const Row& row,
                            [[maybe_unused]] Count j, [[maybe_unused]] int count,
                            [[maybe_unused]] bool wide, std::integer_sequence<int, I...>) {
    (row.leaf[I].load(x[I], j, count, wide), ...);
  }
  template <int... I>
  static TENON_FN void pick([[maybe_unused]] T* v, [[maybe_unused]] const T (*x)[W],
                            [[maybe_unused]] int w, std::integer_sequence<int, I...>) {
    ((v[I] = x[I][w]), ...);
  }

  template <class A, int... I>
  static TENON_FN void open_leaves(Row& x, const A& a, Count r, std::integer_sequence<int, I...>) {
    (open_leaf<I>(x, a, r), ...);
  }
  template <int I, class A>
  static TENON_FN void open_leaf(Row& x, const A& a, Count r) {
    x.leaf[I].open(a.head, a.operand[I], r);
    if constexpr (G::plan.row[I]) x.v[I] = x.leaf[I].constant;
  }
  template <class A>
  static TENON_FN void open_row(Row& x, const A& a, Count r) {
    x.length = static_cast<T>(a.head.n);
    for (int i = 0; i < G::scalars; ++i) x.v[leaves + i] = static_cast<T>(a.scalar[i]);
    open_leaves(x, a, r, Leaves{});
    compute(x.v, expr::Nodes<G, expr::Visit::row_ops, 0>{});
  }

  // ---- forward ----

  template <int... I>
  static TENON_FN void start(States& s, std::integer_sequence<int, I...>) {
    (start_one<I>(s), ...);
  }
  template <int I>
  static TENON_FN void start_one(States& s) {
    constexpr int k = G::plan.reduction[I] - 1;
    const op::State<T> t = G::template Op<I>::template start<T>();
    s.a[k] = t.a, s.b[k] = t.b;
  }
  // What lies behind the row's end changes nothing. Chosen, not branched: so that the elements of a
  // load are worked on side by side.
  template <int... I>
  static TENON_FN void step(const T* v, States& s, T index, bool inside,
                            std::integer_sequence<int, I...>) {
    (step_one<I>(v, s, index, inside), ...);
  }
  template <int I>
  static TENON_FN void step_one(const T* v, States& s, T index, bool inside) {
    using R = typename G::template Op<I>;
    constexpr int k = G::plan.reduction[I] - 1, a = G::plan.operand[I][0],
                  e = G::plan.operand[I][1];
    op::State<T> t{s.a[k], s.b[k]};
    if constexpr (R::arity > 1) R::step(t, v[a], v[e], index);
    else R::step(t, v[a], T(0), index);
    s.a[k] = inside ? t.a : s.a[k], s.b[k] = inside ? t.b : s.b[k];
  }
  /// The joins of the reductions of pass P.
  template <class Nodes>
  struct JoinStates;
  template <int... I>
  struct JoinStates<std::integer_sequence<int, I...>> {
    static TENON_FN void join(States& s, const States& t) { (join_one<I>(s, t), ...); }
    template <int K>
    static TENON_FN void join_one(States& s, const States& t) {
      constexpr int k = G::plan.reduction[K] - 1;
      const op::State<T> j =
          G::template Op<K>::join(op::State<T>{s.a[k], s.b[k]}, op::State<T>{t.a[k], t.b[k]});
      s.a[k] = j.a, s.b[k] = j.b;
    }
    template <class F>
    static TENON_FN void fetch(States& to, const States& s, const F& from) {
      ((to.a[G::plan.reduction[I] - 1] = from(s.a[G::plan.reduction[I] - 1]),
        to.b[G::plan.reduction[I] - 1] = from(s.b[G::plan.reduction[I] - 1])),
       ...);
    }
  };
  template <int P>
  struct ReduceLane {
    const Row& x;
    Span at;
    TENON_FN void operator()(int lane, States& s) const {
      using expr::Nodes, expr::Visit;
      for (Count j = at.begin + Count{lane} * W; j < at.end; j += Count{at.lanes} * W) {
        const int count = at.end - j < W ? static_cast<int>(at.end - j) : W;
        T e[room][W];
        load(e, x, j, count, at.wide && count == W, Nodes<G, Visit::forward_leaves, P>{});
        for (int w = 0; w < W; ++w) {
          T v[nodes];
          take_row(v, x, std::make_integer_sequence<int, nodes>{});
          pick(v, e, w, Nodes<G, Visit::forward_leaves, P>{});
          compute(v, Nodes<G, Visit::forward_ops, P>{});
          step(v, s, static_cast<T>(j + w), w < count, Nodes<G, Visit::reductions, P>{});
        }
      }
    }
  };
  template <int... I>
  static TENON_FN void finish(Row& x, const States& s, std::integer_sequence<int, I...>) {
    (finish_one<I>(x, s), ...);
  }
  template <int I>
  static TENON_FN void finish_one(Row& x, const States& s) {
    constexpr int k = G::plan.reduction[I] - 1;
    x.v[I] = G::template Op<I>::finish(op::State<T>{s.a[k], s.b[k]}, x.length);
    x.kept[k] = s.b[k];
  }
  template <int P, class Team>
  static TENON_FN void reduce_pass(Row& x, Span at, const Team& team) {
    using expr::Nodes, expr::Visit;
    using Reductions = Nodes<G, Visit::reductions, P>;
    States s;
    start(s, Reductions{});
    team.template reduce<JoinStates<Reductions>>(ReduceLane<P>{x, at}, s);
    finish(x, s, Reductions{});
    compute(x.v, Nodes<G, Visit::row_ops, P + 1>{});
    if constexpr (P + 1 < depth) reduce_pass<P + 1>(x, at, team);
  }
  struct ForwardLane {
    const Row& x;
    Span at;
    T* out;
    TENON_FN void operator()(int lane) const {
      using expr::Nodes, expr::Visit;
      for (Count j = at.begin + Count{lane} * W; j < at.end; j += Count{at.lanes} * W) {
        const int count = at.end - j < W ? static_cast<int>(at.end - j) : W;
        const bool wide = at.wide && count == W;
        T e[room][W], y[W];
        load(e, x, j, count, wide, Nodes<G, Visit::forward_leaves, depth>{});
        for (int w = 0; w < W; ++w) {
          T v[nodes];
          take_row(v, x, std::make_integer_sequence<int, nodes>{});
          pick(v, e, w, Nodes<G, Visit::forward_leaves, depth>{});
          compute(v, Nodes<G, Visit::forward_ops, depth>{});
          y[w] = v[root];
        }
        detail::store_few(out + j, y, count, wide);
      }
    }
  };
  struct KeepLane {
    const Row& x;
    T *out, *kept;
    TENON_FN void operator()(int lane) const {
      if (lane != 0) return;
      if constexpr (row_root) *out = x.v[root];
      if (kept) keep(x, kept, std::make_integer_sequence<int, nodes>{});
    }
    template <int... I>
    static TENON_FN void keep(const Row& x, T* to, std::integer_sequence<int, I...>) {
      (keep_one<I>(x, to), ...);
    }
    template <int I>
    static TENON_FN void keep_one(const Row& x, T* to) {
      if constexpr (G::plan.reduction[I] > 0) {
        constexpr int k = G::plan.reduction[I] - 1;
        to[2 * k] = x.v[I], to[2 * k + 1] = x.kept[k];
      }
    }
  };

  template <class Team>
  static TENON_FN void forward(const Forward& a, const Team& team) {
    const Head& h = a.head;
    const Count items = h.items_down * h.items_along.divisor;
    for (Count item = team.index(); item < items; item += team.count()) {
      const Item i = item_of(h, item);
      for (Count r = i.first; r < i.last; ++r) {
        Row x;
        open_row(x, a, r);
        if constexpr (depth > 0) reduce_pass<0>(x, i.at, team);
        const abi::DeviceOperand& o = a.operand[leaves];
        T* out = static_cast<T*>(o.base) + (h.one_result ? item : detail::device_row(h, o, r));
        if constexpr (!row_root) team.each(ForwardLane{x, i.at, out});
        T* kept = static_cast<T*>(h.kept);
        if constexpr (row_root || reductions > 0)
          team.each(KeepLane{x, out, kept ? kept + r * 2 * reductions : nullptr});
      }
    }
  }

  /// For kernels and for the host.
  struct ForwardBody {
    static TENON_FN int lanes(const Forward& a) { return a.head.lanes; }
    template <class Team>
    static TENON_FN void run(const Forward& a, const Team& team) {
      forward(a, team);
    }
  };
};

}  // namespace tenon::kernel
