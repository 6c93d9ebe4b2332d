// SPDX-License-Identifier: Apache-2.0
// Reductions over a row: each is a state, a step, a join of two states, a finish and a derivative.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/core/scalar.hpp>

#include <limits>

namespace tenon::inline TENON_ISA::op {
using namespace scalar;

/// What a reduction carries along a row: a, and b where one number does not suffice.
template <class V>
struct State {
  V a, b;
};

namespace detail {
template <class V>
struct ScalarOf {
  using type = V;
};
template <class V>
  requires requires { typename V::Scalar; }
struct ScalarOf<V> {
  using type = typename V::Scalar;
};
template <class V>
TENON_INLINE constexpr V lowest() {
  using T = typename ScalarOf<V>::type;
  return V(std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::lowest());
}
template <class V>
TENON_INLINE constexpr V highest() {
  using T = typename ScalarOf<V>::type;
  return V(std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::max());
}
}  // namespace detail

// Arguments: x an element, e the second operand's value for the row, i the element's position in
// the row, y the result, kept the final state's b, dy = dL/dy, n the row's length. backward gives
// dL/dx; e gets none.

/// y = sum of x. An empty row gives 0.
struct Sum {
  static constexpr const char* name = "sum";
  static constexpr int arity = 1;
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {V(0), V(0)};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V, V) {
    s.a = s.a + x;
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    return {s.a + t.a, s.b};
  }
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V) {
    return s.a;
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V, V, V, V, V dy, V, V) {
    return dy;
  }
};

/// y = sum of x / n. An empty row gives NaN.
struct Mean : Sum {
  static constexpr const char* name = "mean";
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V n) {
    return s.a / n;
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V, V, V, V, V dy, V n, V) {
    return dy / n;
  }
};

/// y = largest x; NaN if one is NaN; b counts the elements equal to it, which share dy evenly.
struct Max {
  static constexpr const char* name = "max";
  static constexpr int arity = 1;
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {detail::lowest<V>(), V(0)};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V, V) {
    s = join(s, State<V>{x, V(1)});
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    V a = max(s.a, t.a);
    return {a, select(s.a == a, s.b, V(0)) + select(t.a == a, t.b, V(0))};
  }
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V) {
    return s.a;
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V x, V, V y, V kept, V dy, V, V) {
    return select(x == y, dy / kept, V(0));
  }
};

/// y = smallest x, as Max.
struct Min : Max {
  static constexpr const char* name = "min";
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {detail::highest<V>(), V(0)};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V, V) {
    s = join(s, State<V>{x, V(1)});
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    V a = min(s.a, t.a);
    return {a, select(s.a == a, s.b, V(0)) + select(t.a == a, t.b, V(0))};
  }
};

/// The largest x of a row as a shift for what follows: no gradient, 0 where it is infinite.
struct Peak {
  static constexpr const char* name = "peak";
  static constexpr int arity = 1;
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {detail::lowest<V>(), V(0)};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V, V) {
    s.a = max(s.a, x);
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    return {max(s.a, t.a), s.b};
  }
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V) {
    return select(s.a == detail::lowest<V>(), V(0), select(s.a == detail::highest<V>(), V(0), s.a));
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V, V, V, V, V, V, V) {
    return V(0);
  }
};

/// y = log(sum of exp(x)), with e = peak(x): y = e + log(sum of exp(x - e)). dL/dx = dy exp(x - y).
struct LogSumExp {
  static constexpr const char* name = "logsumexp";
  static constexpr int arity = 2;
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {V(0), detail::lowest<V>()};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V e, V) {
    s.a = s.a + exp(x - e);
    s.b = e;
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    return {s.a + t.a, max(s.b, t.b)};
  }
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V) {
    return s.b + log(s.a);
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V x, V, V y, V, V dy, V, V) {
    return dy * exp(x - y);
  }
};

/// y = x[e]: the element at position e of the row. The caller checks 0 <= e < n.
struct Pick {
  static constexpr const char* name = "pick";
  static constexpr int arity = 2;
  template <class V>
  static TENON_INLINE constexpr State<V> start() {
    return {V(0), V(0)};
  }
  template <class V>
  static TENON_INLINE constexpr void step(State<V>& s, V x, V e, V i) {
    s.a = s.a + select(i == e, x, V(0));
  }
  template <class V>
  static TENON_INLINE constexpr State<V> join(State<V> s, State<V> t) {
    return {s.a + t.a, s.b};
  }
  template <class V>
  static TENON_INLINE constexpr V finish(State<V> s, V) {
    return s.a;
  }
  template <class V>
  static TENON_INLINE constexpr V backward(V, V e, V, V, V dy, V, V i) {
    return select(i == e, dy, V(0));
  }
};

}  // namespace tenon::op
