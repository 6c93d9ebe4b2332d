// SPDX-License-Identifier: Apache-2.0
// What every element-wise operation states about itself.
#pragma once
#include <tenon/core/scalar.hpp>
#include <tenon/core/value_kinds.hpp>

/// One struct per element-wise operation. Its members:
///   name            NumPy's or PyTorch's word
///   arity           1, 2 or 3
///   domain          which dtypes it takes
///   result          the operands' dtype, or bool (forward then gives V(1) or V(0))
///   differentiable  false: the gradient is 0 everywhere and backward returns V(0)
///   cheap           false: it calls exp, tanh, pow, ...; work is given to threads earlier
///   range[arity]    where tests sample each operand; no derivative only at single points
///   ulp             largest error of float on the range, in units of the exact value's last place
///   absolute        (some) or an error below this, where the result cancels
///   forward(a, b, c)            the value
///   backward(a, b, c, y, dy)    dL/d(operand): V for one operand, Grads for more
/// Both are templates over the kind of value: a number, Pack, Dual, Probe, and the kinds of other
/// folders. They use arithmetic, comparison with select, and the functions of core/scalar.hpp; what
/// backward does not read it leaves unnamed.
namespace tenon::inline TENON_ISA::op {
using namespace scalar;

/// The element types an operation takes.
enum class Domain { floating, any };

/// The element type it gives.
enum class Result { same, boolean };

/// Where tests sample an operand.
struct Range {
  double low, high;
};

/// dL/d(operand) for two or three operands. Members, not an array: each must stay in a register.
template <class V, int N>
struct Grads;
template <class V>
struct Grads<V, 1> {
  V first;
};
template <class V>
struct Grads<V, 2> {
  V first, second;
};
template <class V>
struct Grads<V, 3> {
  V first, second, third;
};

namespace detail {
constexpr unsigned united(Probe g) { return g.bits; }
constexpr unsigned united(Grads<Probe, 2> g) { return g.first.bits | g.second.bits; }
constexpr unsigned united(Grads<Probe, 3> g) { return g.first.bits | g.second.bits | g.third.bits; }
template <class Op>
constexpr auto probe_backward() {
  if constexpr (Op::arity == 1)
    return Op::backward(Probe(Probe::a), Probe(Probe::y), Probe(Probe::dy));
  else if constexpr (Op::arity == 2)
    return Op::backward(Probe(Probe::a), Probe(Probe::b), Probe(Probe::y), Probe(Probe::dy));
  else
    return Op::backward(Probe(Probe::a), Probe(Probe::b), Probe(Probe::c), Probe(Probe::y),
                        Probe(Probe::dy));
}
}  // namespace detail

/// What Op::backward reads, as Probe::Bits; found by running it.
template <class Op>
inline constexpr unsigned backward_reads = detail::united(detail::probe_backward<Op>());

/// dL/d(operand) number i, of what backward returned.
template <int I, class V, int N>
TENON_FN constexpr V gradient_of(Grads<V, N> g) {
  static_assert(I < N);
  if constexpr (I == 0) return g.first;
  else if constexpr (I == 1) return g.second;
  else return g.third;
}
template <int I, class V>
TENON_FN constexpr V gradient_of(V g) {
  static_assert(I == 0);
  return g;
}

}  // namespace tenon::inline TENON_ISA::op
