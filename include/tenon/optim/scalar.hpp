// SPDX-License-Identifier: Apache-2.0
// Scalar: a loss, a norm or a metric that a step computed, fetched when the host asks for it.
#pragma once
#include <tenon/tensor/copy.hpp>

namespace tenon::inline TENON_ISA {

/// One number: a double, or a tensor of one element that becomes one when it is converted. Inside a
/// trace it can be returned, not read. Arithmetic on numbers of a device does not wait for it.
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
    return x / over_;
  }
  /// Undefined for a number of the host.
  const AnyTensor& tensor() const { return t_; }
  Scalar& operator+=(const Scalar& y) {
    if (!stays() || !y.stays() || !(t_.device() == y.t_.device()))
      return *this = double(*this) + double(y);
    t_ = times(1);
    y.write(t_, 1, true);
    return *this;
  }
  Scalar& operator*=(const Scalar& y) {
    if (!stays() || y.t_.defined()) return *this = double(*this) * double(y);
    t_ = times(y.x_);
    return *this;
  }
  Scalar& operator/=(const Scalar& y) {
    if (!stays() || y.t_.defined()) return *this = double(*this) / double(y);
    over_ = y.x_;
    return *this;
  }

 private:
  // Whether arithmetic can be left to the device, where it is that of double as here.
  bool stays() const {
    return t_.defined() && t_.get()->place && over_ == 1 && !ambient().host_access;
  }
  void write(AnyTensor& to, double factor, bool add) const {
    const Record &from = *t_.get(), &r = *to.get();
    detail::copy_strided_on(to.device(), Extents{}, from.dtype, from.data, from.strides, r.dtype,
                            r.data, r.strides, factor, add);
  }
  AnyTensor times(double factor) const {
    AnyTensor y = AnyTensor::empty(Dtype::f64, Extents{}, t_.device());
    write(y, factor, false);
    return y;
  }

  AnyTensor t_;
  double x_ = 0, over_ = 1;  // of a tensor, the number is divided by over_
};

}  // namespace tenon
