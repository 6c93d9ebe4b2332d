// SPDX-License-Identifier: Apache-2.0
// Scalar: a loss, a norm or a metric that a step computed, fetched when the host asks for it.
#pragma once
#include <tenon/tensor/any_tensor.hpp>

namespace tenon::inline TENON_ISA {

/// One number: a double, or a tensor of one element that becomes one when it is converted. Inside a
/// trace it can be returned, not read.
class Scalar {
 public:
  Scalar(double x = 0) : x_(x) {}
  /// Errors: Error::shape unless t has one element.
  explicit Scalar(AnyTensor t) : t_(std::move(t)) {
    if (t_.record("scalar").size() != 1)
      fail(Error::shape, {"scalar: the tensor ", t_.extents(), " is not one number"});
  }
  operator double() const {
    if (!t_.defined()) return x_;
    t_.host_access("scalar");
    double x;
    const AnyTensor dense = t_.to(cpu).to_contiguous();
    convert(dense.dtype(), dense.raw(), 1, Dtype::f64, &x, 1, 1);
    return x;
  }
  /// Undefined for a number of the host.
  const AnyTensor& tensor() const { return t_; }
  Scalar& operator+=(double y) { return *this = double(*this) + y; }
  Scalar& operator*=(double y) { return *this = double(*this) * y; }
  Scalar& operator/=(double y) { return *this = double(*this) / y; }

 private:
  AnyTensor t_;
  double x_ = 0;
};

}  // namespace tenon
