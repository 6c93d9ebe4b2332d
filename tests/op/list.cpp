// SPDX-License-Identifier: Apache-2.0
// Laws of every element-wise operation. Each is compiled once into a row of functions.
#include <tenon/core/pack.hpp>
#include <tenon/op/list.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

using namespace tenon;
using scalar::Dual, scalar::Pack, scalar::Probe;

namespace {

constexpr int width = scalar::lanes<float>;
using Lanes = Pack<float, width>;

/// One operation with the kinds of value erased. x, dx: operands; g: dL/d(operand).
struct Row {
  std::string name;
  int arity;
  bool differentiable, boolean;
  const op::Range* range;
  double ulp, absolute;
  unsigned reads;
  double (*value)(const double* x);
  float (*value_float)(const float* x);
  void (*value_lanes)(const float (*x)[width], float* y);
  double (*tangent)(const double* x, const double* dx);
  void (*gradient)(const double* x, double y, double dy, double* g);
  void (*gradient_lanes)(const float (*x)[width], const float* y, const float* dy,
                         float (*g)[width]);
};

template <class Op, class V>
V forward(const V* x) {
  if constexpr (Op::arity == 1) return Op::forward(x[0]);
  if constexpr (Op::arity == 2) return Op::forward(x[0], x[1]);
  if constexpr (Op::arity == 3) return Op::forward(x[0], x[1], x[2]);
}
template <class Op, class V>
void backward(const V* x, V y, V dy, V* g) {
  if constexpr (Op::arity == 1) {
    g[0] = Op::backward(x[0], y, dy);
  } else if constexpr (Op::arity == 2) {
    auto all = Op::backward(x[0], x[1], y, dy);
    g[0] = all.first, g[1] = all.second;
  } else {
    auto all = Op::backward(x[0], x[1], x[2], y, dy);
    g[0] = all.first, g[1] = all.second, g[2] = all.third;
  }
}

template <class Op>
void value_lanes(const float (*x)[width], float* y) {
  Lanes p[Op::arity];
  for (int i = 0; i < Op::arity; ++i) p[i] = Lanes::load(x[i]);
  forward<Op>(p).store(y);
}
template <class Op>
double tangent(const double* x, const double* dx) {
  Dual<double> p[Op::arity];
  for (int i = 0; i < Op::arity; ++i) p[i] = {x[i], dx[i]};
  return forward<Op>(p).tangent;
}
template <class Op>
void gradient_lanes(const float (*x)[width], const float* y, const float* dy, float (*g)[width]) {
  Lanes p[Op::arity], q[Op::arity];
  for (int i = 0; i < Op::arity; ++i) p[i] = Lanes::load(x[i]);
  backward<Op>(p, Lanes::load(y), Lanes::load(dy), q);
  for (int i = 0; i < Op::arity; ++i) q[i].store(g[i]);
}

template <class Op>
Row row() {
  double absolute = 0;
  if constexpr (requires { Op::absolute; }) absolute = Op::absolute;
  return {Op::name,
          Op::arity,
          Op::differentiable,
          Op::result == op::Result::boolean,
          Op::range,
          Op::ulp,
          absolute,
          op::backward_reads<Op>,
          forward<Op, double>,
          forward<Op, float>,
          value_lanes<Op>,
          tangent<Op>,
          backward<Op, double>,
          gradient_lanes<Op>};
}

template <class... Ops>
std::vector<Row> rows(op::TypeList<Ops...>) {
  return {row<Ops>()...};
}
const std::vector<Row>& table() {
  static const std::vector<Row> all = rows(op::Elementwise{});
  return all;
}

/// Operand i of sample k: irrational steps, so that no sample is a kink and no two move alike.
double sample(const Row& r, int k, int i) {
  static const double step[] = {0.6180339887498949, 0.7548776662466927, 0.8191725133961645};
  double t = std::fmod(0.123 + k * step[i], 1.0);
  return r.range[i].low + (r.range[i].high - r.range[i].low) * t;
}
constexpr int samples = 500;

double ulp_of(double y) {
  int exponent;
  std::frexp(y, &exponent);
  return std::ldexp(1.0, std::max(exponent, -125) - 24);
}

TEST_CASE("op: backward equals the central difference", "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    for (int k = 0; k < samples; ++k) {
      double x[3], g[3], h = 1e-5;
      for (int i = 0; i < r.arity; ++i) x[i] = sample(r, k, i);
      double y = r.value(x);
      r.gradient(x, y, 1.0, g);
      for (int i = 0; i < r.arity; ++i) {
        if (!r.differentiable) {
          CHECK(g[i] == 0);
          continue;
        }
        double up[3] = {x[0], x[1], x[2]}, down[3] = {x[0], x[1], x[2]};
        up[i] += h, down[i] -= h;
        double slope = (r.value(up) - r.value(down)) / (2 * h);
        if (std::fabs(g[i] - slope) <= 1e-8 * (1 + std::fabs(slope) + std::fabs(y))) continue;
        CAPTURE(k, i, x[0], y, slope);
        CHECK(g[i] == slope);
      }
    }
  }
}

TEST_CASE("op: backward is linear in dy", "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    for (int k = 0; k < samples; ++k) {
      double x[3], one[3], many[3];
      for (int i = 0; i < r.arity; ++i) x[i] = sample(r, k, i);
      double y = r.value(x);
      r.gradient(x, y, 1.0, one), r.gradient(x, y, -4.0, many);
      for (int i = 0; i < r.arity; ++i) CHECK(many[i] == -4.0 * one[i]);
    }
  }
}

TEST_CASE("op: the tangent of dual numbers is the gradient times the direction", "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    for (int k = 0; k < samples; ++k) {
      double x[3], dx[3], g[3], expected = 0, scale = 1;
      for (int i = 0; i < r.arity; ++i) x[i] = sample(r, k, i), dx[i] = 0.5 + i;
      r.gradient(x, r.value(x), 1.0, g);
      for (int i = 0; i < r.arity; ++i) expected += g[i] * dx[i], scale += std::fabs(g[i] * dx[i]);
      CAPTURE(k, x[0]);
      CHECK(std::fabs(r.tangent(x, dx) - expected) <= 1e-13 * scale);
    }
  }
}

TEST_CASE("op: numbers and lanes of float are within the documented units in the last place",
          "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    double worst = 0;
    for (int k = 0; k < 40 * samples; k += width) {
      float x[3][width], y[width];
      for (int i = 0; i < r.arity; ++i)
        for (int j = 0; j < width; ++j) x[i][j] = static_cast<float>(sample(r, k + j, i));
      r.value_lanes(x, y);
      for (int j = 0; j < width; ++j) {
        double wide[3];
        float narrow[3];
        for (int i = 0; i < r.arity; ++i) narrow[i] = x[i][j], wide[i] = x[i][j];
        double exact = r.value(wide);
        for (double got : {double{y[j]}, double{r.value_float(narrow)}}) {
          double error = std::fabs(got - exact);
          if (error > r.absolute) worst = std::max(worst, error / ulp_of(exact));
        }
      }
    }
    CHECK(worst <= r.ulp);
  }
}

TEST_CASE("op: the gradient of a lane is the gradient in double, to single precision", "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    for (int k = 0; k < samples; k += width) {
      float x[3][width], y[width], dy[width], g[3][width];
      for (int i = 0; i < r.arity; ++i)
        for (int j = 0; j < width; ++j) x[i][j] = static_cast<float>(sample(r, k + j, i));
      for (float& d : dy) d = 1;
      r.value_lanes(x, y);
      r.gradient_lanes(x, y, dy, g);
      for (int j = 0; j < width; ++j) {
        double wide[3], exact[3];
        for (int i = 0; i < r.arity; ++i) wide[i] = x[i][j];
        double value = r.value(wide);
        r.gradient(wide, value, 1.0, exact);
        for (int i = 0; i < r.arity; ++i) {
          CAPTURE(wide[0], i);
          CHECK(std::fabs(g[i][j] - exact[i]) <= 2e-6 * std::max(1.0, std::fabs(exact[i])));
        }
      }
    }
  }
}

TEST_CASE("op: backward depends on what a Probe says it reads, and on nothing else", "[op]") {
  for (const Row& r : table()) {
    CAPTURE(r.name);
    // Places of (a, b, c, y, dy): changed one at a time, at many samples.
    for (int place = 0; place < 5; ++place) {
      if (place < 3 && place >= r.arity) continue;
      bool matters = false;
      for (int k = 0; k < samples; ++k) {
        double v[5] = {0, 0, 0, 0, 1}, before[3], after[3];
        for (int i = 0; i < r.arity; ++i) v[i] = sample(r, k, i);
        v[3] = r.value(v);
        r.gradient(v, v[3], v[4], before);
        v[place] = place >= 3 ? v[place] + 0.75 : k % 2 == 0 ? sample(r, k + 7, place) : 0;
        r.gradient(v, v[3], v[4], after);
        for (int i = 0; i < r.arity; ++i) matters = matters || before[i] != after[i];
      }
      unsigned bit = 1u << place;
      CAPTURE(place);
      CHECK(matters == ((r.reads & bit) != 0));
    }
  }
}

TEST_CASE("op: what is a question is answered with 0 or 1", "[op]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double values[] = {0.0, -0.0, 1.0, -2.5, infinity, -infinity, std::nan("")};
  for (const Row& r : table()) {
    if (!r.boolean) continue;
    CAPTURE(r.name);
    for (double a : values)
      for (double b : values) {
        double x[3] = {a, b, 0}, y = r.value(x);
        CHECK((y == 0 || y == 1));
      }
  }
}

TEST_CASE("op: a lane's result does not depend on its neighbours", "[op]") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float odd[] = {1e30f, infinity, -infinity, std::nanf(""), 0.0f, -1e-42f, -3e5f};
  for (const Row& r : table()) {
    CAPTURE(r.name);
    for (int k = 0; k < samples; ++k) {
      float x[3][width], alone[width], beside[width];
      for (int i = 0; i < r.arity; ++i)
        for (float& v : x[i]) v = static_cast<float>(sample(r, k, i));
      r.value_lanes(x, alone);
      for (int i = 0; i < r.arity; ++i)
        for (int j = 1; j < width; ++j) x[i][j] = odd[(k + j) % 7];
      r.value_lanes(x, beside);
      CHECK(alone[0] == beside[0]);
    }
  }
}

/// Results of an operation on integers, as numbers and as lanes.
template <class T>
struct IntegerRow {
  std::string name;
  T (*value)(const T* x);
  void (*value_lanes)(const T* x, T* y);
};
template <class T, class Op>
void add_integer_row(std::vector<IntegerRow<T>>& all) {
  if constexpr (Op::domain == op::Domain::any)
    all.push_back({Op::name, forward<Op, T>, [](const T* x, T* y) {
                     using P = Pack<T, scalar::lanes<T>>;
                     P p[3] = {P(x[0]), P(x[1]), P(x[2])};
                     forward<Op>(p).store(y);
                   }});
}
template <class T, class... Ops>
std::vector<IntegerRow<T>> integer_rows(op::TypeList<Ops...>) {
  std::vector<IntegerRow<T>> all;
  (add_integer_row<T, Ops>(all), ...);
  return all;
}
template <class T>
void check_integers() {
  for (const IntegerRow<T>& r : integer_rows<T>(op::Elementwise{}))
    for (T a = -3; a <= 3; ++a)
      for (T b = -3; b <= 3; ++b) {
        CAPTURE(r.name, a, b);
        T x[3] = {a, b, T(2)}, y[scalar::lanes<T>];
        r.value_lanes(x, y);
        for (T lane : y) CHECK(lane == r.value(x));
        if (r.name == "maximum") CHECK(y[0] == std::max(a, b));
        if (r.name == "square") CHECK(y[0] == a * a);
        if (r.name == "less") CHECK(y[0] == (a < b));
        if (r.name == "round") CHECK(y[0] == a);
      }
}

TEST_CASE("op: of integers, lanes equal numbers", "[op]") {
  check_integers<std::int32_t>();
  check_integers<std::int64_t>();
}

TEST_CASE("op: number and At are each other's inverse, and the numbers on disk stay", "[op]") {
  CHECK(op::number<op::Negative> == 0);
  CHECK(op::number<op::Tanh> == 16);
  CHECK(op::number<op::Add> == 33);
  CHECK(op::number<op::Lerp> == 54);
  CHECK(std::is_same_v<op::At<16>, op::Tanh>);
  CHECK(std::is_same_v<op::At<op::number<op::Where>>, op::Where>);
  std::vector<Row> all = table();
  CHECK(static_cast<int>(all.size()) == op::Elementwise::size);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(all[i].name != all[j].name);
}

}  // namespace
