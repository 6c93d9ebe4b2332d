// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/pack.hpp>
#include <tenon/core/value_kinds.hpp>

#include <cmath>

#include "support/catch.hpp"

using namespace tenon;
using scalar::Dual, scalar::Pack, scalar::Probe;

namespace {

using D = Dual<double>;

struct Primitive {
  const char* name;
  D (*dual)(D);
  double (*plain)(double);
};

const Primitive primitives[] = {
    {"exp", [](D x) { return exp(x); }, [](double x) { return std::exp(x); }},
    {"exp2", [](D x) { return exp2(x); }, [](double x) { return std::exp2(x); }},
    {"expm1", [](D x) { return expm1(x); }, [](double x) { return std::expm1(x); }},
    {"log", [](D x) { return log(x); }, [](double x) { return std::log(x); }},
    {"log2", [](D x) { return log2(x); }, [](double x) { return std::log2(x); }},
    {"log10", [](D x) { return log10(x); }, [](double x) { return std::log10(x); }},
    {"log1p", [](D x) { return log1p(x); }, [](double x) { return std::log1p(x); }},
    {"sin", [](D x) { return sin(x); }, [](double x) { return std::sin(x); }},
    {"cos", [](D x) { return cos(x); }, [](double x) { return std::cos(x); }},
    {"tanh", [](D x) { return tanh(x); }, [](double x) { return std::tanh(x); }},
    {"erf", [](D x) { return erf(x); }, [](double x) { return std::erf(x); }},
    {"sqrt", [](D x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }},
    {"rsqrt", [](D x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); }},
    {"abs", [](D x) { return abs(-x); }, [](double x) { return std::fabs(-x); }},
    {"floor", [](D x) { return floor(x); }, [](double x) { return std::floor(x); }},
    {"ceil", [](D x) { return ceil(x); }, [](double x) { return std::ceil(x); }},
    {"round", [](D x) { return round(x); }, [](double x) { return std::rint(x); }},
    {"trunc", [](D x) { return trunc(x); }, [](double x) { return std::trunc(x); }},
    {"max", [](D x) { return max(x, D(1.2)); }, [](double x) { return std::fmax(x, 1.2); }},
    {"min", [](D x) { return min(x, D(1.2)); }, [](double x) { return std::fmin(x, 1.2); }},
    {"x^3", [](D x) { return pow(x, D(3)); }, [](double x) { return x * x * x; }},
    {"3^x", [](D x) { return pow(D(3), x); }, [](double x) { return std::pow(3.0, x); }},
    {"x^x", [](D x) { return pow(x, x); }, [](double x) { return std::pow(x, x); }},
    {"quotient", [](D x) { return (x - D(3)) / (x * x + D(1)); },
     [](double x) { return (x - 3) / (x * x + 1); }},
    {"select", [](D x) { return select(x > D(1), x * x, -x); },
     [](double x) { return x > 1 ? x * x : -x; }},
};

TEST_CASE("dual: the tangent of every primitive is its derivative times dx", "[core][dual]") {
  const double h = 1e-6;
  for (const Primitive& p : primitives)
    for (double x : {0.3, 0.7, 1.1, 1.9, 2.6}) {
      CAPTURE(p.name, x);
      D y = p.dual(D(x, 2.0));
      double slope = (p.plain(x + h) - p.plain(x - h)) / (2 * h);
      CHECK_THAT(y.value, WithinRel(p.plain(x), 1e-14) || WithinAbs(0, 1e-15));
      CHECK_THAT(y.tangent, WithinRel(2 * slope, 1e-7) || WithinAbs(2 * slope, 1e-8));
    }
}

TEST_CASE("dual: nested, the second derivative", "[core][dual]") {
  using DD = Dual<D>;
  DD x(D(0.7, 1.0), D(1.0, 0.0));
  CHECK_THAT(sin(x).tangent.tangent, WithinRel(-std::sin(0.7), 1e-14));
  CHECK_THAT((x * x * x).tangent.tangent, WithinRel(6 * 0.7, 1e-14));
}

TEST_CASE("dual: of packs, lane by lane", "[core][dual]") {
  using P = Pack<double, scalar::lanes<double>>;
  P x = P::iota() * P(0.25) - P(0.4);
  Dual<P> y = select(Dual<P>(x, P(1)) > Dual<P>(0), tanh(Dual<P>(x, P(1))), Dual<P>(x, P(3)));
  for (int i = 0; i < P::size; ++i) {
    double t = std::tanh(x[i]);
    CHECK_THAT(y.tangent[i], WithinRel(x[i] > 0 ? 1 - t * t : 3.0, 1e-13));
  }
}

TEST_CASE("dual: equal operands of max and min share the slope, abs has none at 0",
          "[core][dual]") {
  CHECK(max(D(1, 4), D(1, 2)).tangent == 3);
  CHECK(min(D(1, 4), D(1, 2)).tangent == 3);
  CHECK(abs(D(0, 5)).tangent == 0);
  CHECK(pow(D(0, 1), D(0)).tangent == 0);
  CHECK(pow(D(-2, 1), D(3)).tangent == 12);
}

constexpr Probe a(Probe::a), b(Probe::b), y(Probe::y), dy(Probe::dy);
static_assert((a * b + Probe(1)).bits == (Probe::a | Probe::b));
static_assert(select(a > Probe(0), y, dy).bits == (Probe::a | Probe::y | Probe::dy));
static_assert(exp(-pow(a, y)).bits == (Probe::a | Probe::y));
static_assert(Probe(3.5).bits == Probe::none);

TEST_CASE("probe: a result depends on the union of what its operands depend on", "[core][probe]") {
  for (unsigned p = 0; p < 32; ++p)
    for (unsigned q = 0; q < 32; ++q) {
      Probe left, right;
      left.bits = p, right.bits = q;
      for (Probe r :
           {left + right, left - right, left * right, left / right, max(left, right),
            min(left, right), pow(left, right), left < right, left == right,
            select(left, right, Probe(0)), tanh(left) * log(right), rsqrt(left) - erf(right)})
        CHECK(r.bits == (p | q));
    }
}

}  // namespace
