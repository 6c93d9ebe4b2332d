// SPDX-License-Identifier: Apache-2.0
// Two kinds of value that question an operation: for its tangent, and for what its backward reads.
#pragma once
#include <tenon/core/scalar.hpp>

namespace tenon::inline TENON_ISA::scalar {

/// A value and its derivative along one direction (forward mode). V: a number, Pack or Dual.
/// An operation run on Duals gives its result and the jvp. Comparisons compare the values.
/// Source: Wengert, A simple automatic derivative evaluation program, 1964.
template <class V>
struct Dual {
  V value, tangent;

  Dual() = default;
  TENON_FN constexpr Dual(V x, V dx) : value(x), tangent(dx) {}
  /// A constant.
  template <Number S>
  TENON_FN constexpr explicit Dual(S x) : value(V(x)), tangent(V(0)) {}

  friend TENON_FN constexpr Dual operator+(Dual a, Dual b) {
    return {a.value + b.value, a.tangent + b.tangent};
  }
  friend TENON_FN constexpr Dual operator-(Dual a, Dual b) {
    return {a.value - b.value, a.tangent - b.tangent};
  }
  friend TENON_FN constexpr Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.tangent * b.value + a.value * b.tangent};
  }
  friend TENON_FN constexpr Dual operator/(Dual a, Dual b) {
    V y = a.value / b.value;
    return {y, (a.tangent - y * b.tangent) / b.value};
  }
  friend TENON_FN constexpr Dual operator-(Dual a) { return {-a.value, -a.tangent}; }

  friend TENON_FN constexpr auto operator==(Dual a, Dual b) { return a.value == b.value; }
  friend TENON_FN constexpr auto operator!=(Dual a, Dual b) { return a.value != b.value; }
  friend TENON_FN constexpr auto operator<(Dual a, Dual b) { return a.value < b.value; }
  friend TENON_FN constexpr auto operator<=(Dual a, Dual b) { return a.value <= b.value; }
  friend TENON_FN constexpr auto operator>(Dual a, Dual b) { return a.value > b.value; }
  friend TENON_FN constexpr auto operator>=(Dual a, Dual b) { return a.value >= b.value; }
};

template <class V, class M>
TENON_FN Dual<V> select(M c, Dual<V> a, Dual<V> b) {
  return {select(c, a.value, b.value), select(c, a.tangent, b.tangent)};
}
template <class V>
TENON_FN Dual<V> exp(Dual<V> x) {
  V y = exp(x.value);
  return {y, x.tangent * y};
}
template <class V>
TENON_FN Dual<V> exp2(Dual<V> x) {
  V y = exp2(x.value);
  return {y, x.tangent * y * V(0.6931471805599453094)};
}
template <class V>
TENON_FN Dual<V> expm1(Dual<V> x) {
  V y = expm1(x.value);
  return {y, x.tangent * (y + V(1))};
}
template <class V>
TENON_FN Dual<V> log(Dual<V> x) {
  return {log(x.value), x.tangent / x.value};
}
template <class V>
TENON_FN Dual<V> log2(Dual<V> x) {
  return {log2(x.value), x.tangent * V(1.4426950408889634074) / x.value};
}
template <class V>
TENON_FN Dual<V> log10(Dual<V> x) {
  return {log10(x.value), x.tangent * V(0.43429448190325182765) / x.value};
}
template <class V>
TENON_FN Dual<V> log1p(Dual<V> x) {
  return {log1p(x.value), x.tangent / (V(1) + x.value)};
}
template <class V>
TENON_FN Dual<V> sin(Dual<V> x) {
  return {sin(x.value), x.tangent * cos(x.value)};
}
template <class V>
TENON_FN Dual<V> cos(Dual<V> x) {
  return {cos(x.value), -x.tangent * sin(x.value)};
}
template <class V>
TENON_FN Dual<V> tanh(Dual<V> x) {
  V y = tanh(x.value);
  return {y, x.tangent * (V(1) - y * y)};
}
/// d erf = 2 / sqrt(pi) e^(-x^2) dx.
template <class V>
TENON_FN Dual<V> erf(Dual<V> x) {
  return {erf(x.value), x.tangent * V(1.1283791670955125739) * exp(-x.value * x.value)};
}
template <class V>
TENON_FN Dual<V> sqrt(Dual<V> x) {
  V y = sqrt(x.value);
  return {y, x.tangent / (V(2) * y)};
}
template <class V>
TENON_FN Dual<V> rsqrt(Dual<V> x) {
  V y = rsqrt(x.value);
  return {y, V(-0.5) * x.tangent * y / x.value};
}
/// d x^y = y x^(y-1) dx + x^y ln x dy; a factor y = 0 or x^y = 0 makes its term 0.
template <class V>
TENON_FN Dual<V> pow(Dual<V> x, Dual<V> y) {
  V z = pow(x.value, y.value);
  V by_x = select(y.value == V(0), V(0), y.value * pow(x.value, y.value - V(1)));
  V by_y = select(z == V(0), V(0), z * log(x.value));
  by_y = select(y.tangent == V(0), V(0), by_y);
  return {z, by_x * x.tangent + by_y * y.tangent};
}
/// The slope at 0 is 0.
template <class V>
TENON_FN Dual<V> abs(Dual<V> x) {
  V slope = select(x.value > V(0), V(1), select(x.value < V(0), V(-1), V(0)));
  return {abs(x.value), x.tangent * slope};
}
template <class V>
TENON_FN Dual<V> floor(Dual<V> x) {
  return {floor(x.value), V(0)};
}
template <class V>
TENON_FN Dual<V> ceil(Dual<V> x) {
  return {ceil(x.value), V(0)};
}
template <class V>
TENON_FN Dual<V> round(Dual<V> x) {
  return {round(x.value), V(0)};
}
template <class V>
TENON_FN Dual<V> trunc(Dual<V> x) {
  return {trunc(x.value), V(0)};
}
/// Equal values share the slope half and half.
template <class V>
TENON_FN Dual<V> max(Dual<V> a, Dual<V> b) {
  V half = V(0.5) * (a.tangent + b.tangent);
  V slope = select(a.value > b.value, a.tangent, select(a.value == b.value, half, b.tangent));
  return {max(a.value, b.value), slope};
}
template <class V>
TENON_FN Dual<V> min(Dual<V> a, Dual<V> b) {
  V half = V(0.5) * (a.tangent + b.tangent);
  V slope = select(a.value < b.value, a.tangent, select(a.value == b.value, half, b.tangent));
  return {min(a.value, b.value), slope};
}

/// Which of an operation's values a result depends on: a set of bits that every primitive unites.
struct Probe {
  enum Bits : unsigned { none = 0, a = 1, b = 2, c = 4, y = 8, dy = 16 };
  unsigned bits = none;

  constexpr Probe() = default;
  constexpr Probe(Bits which) : bits(which) {}
  /// A constant depends on nothing.
  template <Number S>
  constexpr explicit Probe(S) {}

  /// The union; operators and functions of any number of operands.
  static constexpr Probe join(Probe p, Probe q) {
    Probe r;
    r.bits = p.bits | q.bits;
    return r;
  }

  friend constexpr Probe operator+(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator-(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator*(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator/(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator-(Probe p) { return p; }
  friend constexpr Probe operator==(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator!=(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator<(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator<=(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator>(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator>=(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator&(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator|(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator^(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe operator!(Probe p) { return p; }

  friend constexpr Probe select(Probe p, Probe q, Probe r) { return join(p, join(q, r)); }
  friend constexpr Probe pow(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe max(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe min(Probe p, Probe q) { return join(p, q); }
  friend constexpr Probe exp(Probe p) { return p; }
  friend constexpr Probe exp2(Probe p) { return p; }
  friend constexpr Probe expm1(Probe p) { return p; }
  friend constexpr Probe log(Probe p) { return p; }
  friend constexpr Probe log2(Probe p) { return p; }
  friend constexpr Probe log10(Probe p) { return p; }
  friend constexpr Probe log1p(Probe p) { return p; }
  friend constexpr Probe sin(Probe p) { return p; }
  friend constexpr Probe cos(Probe p) { return p; }
  friend constexpr Probe tanh(Probe p) { return p; }
  friend constexpr Probe erf(Probe p) { return p; }
  friend constexpr Probe sqrt(Probe p) { return p; }
  friend constexpr Probe rsqrt(Probe p) { return p; }
  friend constexpr Probe abs(Probe p) { return p; }
  friend constexpr Probe floor(Probe p) { return p; }
  friend constexpr Probe ceil(Probe p) { return p; }
  friend constexpr Probe round(Probe p) { return p; }
  friend constexpr Probe trunc(Probe p) { return p; }
};

}  // namespace tenon::inline TENON_ISA::scalar
