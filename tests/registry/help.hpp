// SPDX-License-Identifier: Apache-2.0
// Short ways to call the registry in its tests.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/tape/tape.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

namespace tests {
using namespace tenon;
using registry::AttributeMap;
using Numbers = std::vector<double>;

inline constexpr double inf = std::numeric_limits<double>::infinity();

/// The values in row-major order, converted to the dtype.
inline AnyTensor tensor(std::initializer_list<Index> e, const Numbers& values,
                        Dtype d = Dtype::f64) {
  AnyTensor t = AnyTensor::empty(Dtype::f64, extents(e));
  REQUIRE(t.size() == static_cast<Index>(values.size()));
  std::copy(values.begin(), values.end(), static_cast<double*>(t.raw_writable()));
  return t.to(d);
}
inline Numbers numbers(const AnyTensor& t) {
  const AnyTensor d = t.to(Dtype::f64).to_contiguous();
  const auto* p = static_cast<const double*>(d.raw());
  return Numbers(p, p + d.size());
}
inline AnyTensor one(std::string_view op, const std::vector<AnyTensor>& in,
                     const AttributeMap& a = {}) {
  return registry::call(op, in, a)[0];
}
inline Numbers result(std::string_view op, const std::vector<AnyTensor>& in,
                      const AttributeMap& a = {}) {
  return numbers(one(op, in, a));
}
/// Equal, NaN to NaN, infinities by sign, numbers within the tolerance.
inline bool near(const Numbers& got, const Numbers& want, double tolerance = 1e-12) {
  if (got.size() != want.size()) return false;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double a = got[i], b = want[i];
    if (std::isnan(b)   ? !std::isnan(a)
        : std::isinf(b) ? a != b
                        : !(std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b))))
      return false;
  }
  return true;
}
/// The gradient of sum(y^2) / 2 of the first result with respect to input i, and by differences.
inline Numbers gradient(std::string_view op, const std::vector<AnyTensor>& in, int i,
                        const AttributeMap& a = {}) {
  Tape tape;
  const AnyTensor y = one(op, in, a), loss = one("sum", {one("square", {y})});
  AnyTensor g;
  const AnyTensor& x = in[static_cast<std::size_t>(i)];
  tape.gradient(loss, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1));
  Numbers n = numbers(g);
  for (double& v : n) v /= 2;
  return n;
}
inline Numbers differences(std::string_view op, std::vector<AnyTensor> in, int i,
                           const AttributeMap& a = {}) {
  AnyTensor& x = in[static_cast<std::size_t>(i)];
  const AnyTensor start = x.to_contiguous();
  Numbers slopes;
  for (Index k = 0; k < start.size(); ++k) {
    double half[2];
    for (int s = 0; s < 2; ++s) {
      x = start.clone();
      x.detach();
      static_cast<double*>(x.raw_writable())[k] += s ? -1e-5 : 1e-5;
      half[s] = 0;
      for (double v : result(op, in, a)) half[s] += v * v / 2;
    }
    slopes.push_back((half[0] - half[1]) / 2e-5);
  }
  return slopes;
}
/// x as a view whose elements lie in another order.
inline AnyTensor transposed_copy(const AnyTensor& x) {
  const AnyTensor dense = one("transpose", {x}).to_contiguous();
  return one("transpose", {dense});
}
inline Failure failing(std::string_view op, const std::vector<AnyTensor>& in,
                       const AttributeMap& a = {}) {
  return failure([&] { registry::call(op, in, a); });
}

}  // namespace tests
