// SPDX-License-Identifier: Apache-2.0
// gradcheck: derivatives of the tape against central differences, first and second.
#pragma once
#include <tenon/tape/tape.hpp>

#include <cmath>

namespace tenon::inline TENON_ISA {

namespace detail {

/// A function of tensors with its type erased, and what its derivatives are compared by.
struct GradientCheck {
  const void* function;
  AnyTensor (*call)(const void* function, const AnyTensor* x);
  const AnyTensor* x;
  int count;
  double tolerance;
};

// Fixed numbers in [0.5, 1.5), different for every element, so that errors do not cancel in a sum.
inline AnyTensor check_weights(const Extents& e, int salt) {
  AnyTensor w = AnyTensor::empty(Dtype::f64, e);
  Writer<double> to = w.write<double>();
  for (Index i = 0; i < to.size(); ++i) {
    const double golden = 0.6180339887498949 * static_cast<double>(i + 1 + 31 * salt);
    to[i] = 0.5 + golden - std::floor(golden);
  }
  return w;
}
/// The sum of the products of the elements.
inline AnyTensor check_product(const AnyTensor& a, const AnyTensor& b) {
  const Context context = Context::current();
  const AnyTensor in[2] = {a, b};
  const OpInfo &times = op_info<op::Multiply, double>, &plus = op_info<op::Sum, double>;
  AnyTensor p = kernel::evaluate(*times.single, in, 2, nullptr, GroupCall{}, Dtype::f64, context);
  GroupCall all;
  all.from_end = static_cast<std::uint8_t>((1u << p.rank()) - 1);
  return p.rank() ? kernel::evaluate(*plus.single, &p, 1, nullptr, all, Dtype::f64, context) : p;
}
inline double check_number(const AnyTensor& t) { return *t.data<double>(); }

/// sum(weights * f(x)) under the tape that is active, or its gradients weighted and summed in the
/// same way.
inline AnyTensor check_loss(const GradientCheck& c, const AnyTensor* x, bool second) {
  if (!second) {
    AnyTensor y = c.call(c.function, x);
    return check_product(y, check_weights(y.extents(), 0));
  }
  AnyTensor g[max_leaves], total;
  {
    Tape inner;
    const AnyTensor loss = check_loss(c, x, false);
    inner.gradient(loss, std::span<const AnyTensor>(x, static_cast<std::size_t>(c.count)),
                   std::span<AnyTensor>(g, static_cast<std::size_t>(c.count)));
  }
  for (int k = 0; k < c.count; ++k) {
    AnyTensor part = check_product(g[k], check_weights(g[k].extents(), k + 1));
    total = total.defined() ? kernel::add(total, part, Context::current()) : part;
  }
  return total;
}
[[noreturn]] TENON_COLD inline void fail_gradcheck(bool second, int argument, Index element,
                                                   const Extents& e, double got,
                                                   double difference) {
  Extents place = e;
  for (int i = e.rank - 1; i >= 0; --i)
    place.extent[i] = element % e.extent[i], element /= e.extent[i];
  fail(Error::value,
       {"gradcheck: the ", (second ? "second" : "first"), " derivative by argument ", argument,
        " at ", place, " is ", got, ", by central differences ", difference});
}

inline double check_gradients(const GradientCheck& c, bool second) {
  AnyTensor own[max_leaves], g[max_leaves];
  for (int k = 0; k < c.count; ++k) {
    if (c.x[k].dtype() != Dtype::f64)
      fail(Error::dtype, {"gradcheck: argument ", k, " holds ", name_of(c.x[k].dtype()),
                          "; central differences need f64"});
    own[k] = c.x[k].to_contiguous().clone();
  }
  {
    Tape tape;
    const AnyTensor loss = check_loss(c, own, second);
    tape.gradient(loss, std::span<const AnyTensor>(own, static_cast<std::size_t>(c.count)),
                  std::span<AnyTensor>(g, static_cast<std::size_t>(c.count)));
  }
  double worst = 0;
  for (int k = 0; k < c.count; ++k) {
    const AnyTensor value = own[k], gradient = g[k].to_contiguous();
    for (Index i = 0; i < value.size(); ++i) {
      const double at = value.data<double>()[i], step = 1e-5 * std::max(1.0, std::fabs(at));
      double side[2];
      for (int s = 0; s < 2; ++s) {
        own[k] = value.clone();
        own[k].write<double>()[i] = s ? at + step : at - step;
        side[s] = check_number(check_loss(c, own, second));
      }
      own[k] = value;
      const double got = gradient.data<double>()[i], difference = (side[1] - side[0]) / (2 * step);
      const double error = std::fabs(got - difference) / std::max(1.0, std::fabs(difference));
      if (!(error <= c.tolerance)) fail_gradcheck(second, k, i, value.extents(), got, difference);
      worst = std::max(worst, error);
    }
  }
  return worst;
}

template <class F, class... Xs>
double gradcheck_erased(bool second, double tolerance, const F& f, const Xs&... x) {
  static_assert(sizeof...(Xs) > 0 && sizeof...(Xs) <= max_leaves,
                "tenon: gradcheck: 1 to 24 arguments");
  const AnyTensor values[] = {static_cast<const AnyTensor&>(x)...};
  auto call = [](const void* function, const AnyTensor* in) -> AnyTensor {
    const F& g = *static_cast<const F*>(function);
    auto run = [&]<int... I>(std::integer_sequence<int, I...>) {
      auto y = g(Xs(in[I])...);
      if constexpr (is_expression<decltype(y)>) return AnyTensor(y.value());
      else return AnyTensor(y);
    };
    return run(std::make_integer_sequence<int, static_cast<int>(sizeof...(Xs))>{});
  };
  return check_gradients({&f, call, values, static_cast<int>(sizeof...(Xs)), tolerance}, second);
}

}  // namespace detail

/// Compares the tape's gradient of a weighted sum of f(x...) by every element of every x with
/// central differences.
/// x: f64 tensors, typed or AnyTensor, away from points where f has no derivative.   f(x...): an
/// f64 tensor or expression Returns the worst error, |derivative - difference| / max(1,
/// |difference|): about 1e-9 where both are right.
/// Errors: Error::value, naming argument and element, where it exceeds 1e-6; Error::dtype.
template <class F, class... Xs>
double gradcheck(const F& f, const Xs&... x) {
  return detail::gradcheck_erased(false, 1e-6, f, x...);
}
/// The same for second derivatives: a tape inside a tape against central differences of the first
/// gradient.
template <class F, class... Xs>
double gradcheck_second(const F& f, const Xs&... x) {
  return detail::gradcheck_erased(true, 1e-6, f, x...);
}

}  // namespace tenon
