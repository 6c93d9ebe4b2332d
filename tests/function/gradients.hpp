// SPDX-License-Identifier: Apache-2.0
// Gradients of functions of tensors against central differences in f64, first and second order.
#pragma once
#include <tenon/expr/all.hpp>
#include <tenon/function/rearrange.hpp>
#include <tenon/tape/tape.hpp>
#include <tenon/tensor/create.hpp>

#include <functional>
#include <vector>

namespace gradients {
using namespace tenon;
using Tensors = std::vector<AnyTensor>;
using Function = std::function<AnyTensor(const Tensors&)>;

/// Numbers without a pattern in [-1, 1).
inline AnyTensor numbers(const Extents& e, std::uint64_t seed) {
  AnyTensor t = AnyTensor::empty(Dtype::f64, e);
  fill_uniform(Rng(seed).next(), 0, t.size(), static_cast<double*>(t.raw_writable()), -1.0, 1.0);
  return t;
}
/// <y, w> with a fixed w, as a recorded value.
inline Tensor<double, Shape<>> weighed(const AnyTensor& y, std::uint64_t seed) {
  const Extents flat{1, {y.size()}};
  const Tensor<double, Shape<dyn>> v(reshape(y, flat)), w(numbers(flat, seed));
  return Tensor<double, Shape<>>(sum(v * w));
}
inline Tensors gradient(const Function& f, const Tensors& x) {
  Tape tape;
  auto loss = weighed(f(x), 99);
  Tensors g(x.size());
  tape.gradient(loss, x, g);
  return g;
}
inline double slope(const std::function<double(const Tensors&)>& loss, Tensors x, std::size_t k,
                    Index i) {
  const double h = 1e-5;
  double v[2];
  for (int side = 0; side < 2; ++side) {
    Tensors moved = x;
    {
      auto m = moved[k].write<double>();
      m[i] += side ? h : -h;
    }
    v[side] = loss(moved);
  }
  return (v[1] - v[0]) / (2 * h);
}
/// The largest difference between the tape's gradient of <f(x), w> and central differences.
inline double error(const Function& f, const Tensors& x) {
  const Tensors g = gradient(f, x);
  double worst = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const AnyTensor got = g[k].to_contiguous();
    for (Index i = 0; i < x[k].size(); ++i) {
      const double want =
          slope([&](const Tensors& at) { return weighed(f(at), 99).item(); }, x, k, i);
      worst = std::max(worst, std::abs(want - got.data<double>()[i]));
    }
  }
  return worst;
}
/// The same for the gradient of <gradient of <f(x), w>, v>: what a tape around a tape computes.
inline double second_error(const Function& f, const Tensors& x) {
  auto first = [&](const Tensors& at) {
    const Tensors g = gradient(f, at);
    Tensor<double, Shape<>> total = weighed(g[0], 7);
    for (std::size_t k = 1; k < g.size(); ++k)
      total = Tensor<double, Shape<>>(total + weighed(g[k], 7 + k));
    return total;
  };
  Tape tape;
  auto loss = first(x);
  Tensors g(x.size());
  tape.gradient(loss, x, g);
  double worst = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const AnyTensor got = g[k].to_contiguous();
    for (Index i = 0; i < x[k].size(); ++i) {
      const double want = slope([&](const Tensors& at) { return first(at).item(); }, x, k, i);
      worst = std::max(worst, std::abs(want - got.data<double>()[i]));
    }
  }
  return worst;
}
/// a b of f64, recorded where a tape records.
inline AnyTensor multiply(const AnyTensor& a, const AnyTensor& b) {
  const AnyTensor in[] = {a, b};
  return kernel::evaluate(*op_info<op::Multiply, double>.single, in, 2, nullptr, GroupCall{},
                          Dtype::f64, Context::current());
}
inline AnyTensor squared(const AnyTensor& x) { return multiply(x, x); }
/// Whether two tensors have the same extents and elements.
inline bool same(const AnyTensor& a, const AnyTensor& b) {
  if (!(a.extents() == b.extents()) || a.dtype() != b.dtype()) return false;
  const AnyTensor x = a.to(Dtype::f64).to_contiguous(), y = b.to(Dtype::f64).to_contiguous();
  for (Index i = 0; i < x.size(); ++i)
    if (x.data<double>()[i] != y.data<double>()[i]) return false;
  return true;
}
/// 0, 1, 2, ... as f64.
inline AnyTensor counted(const Extents& e) {
  return reshape(arange(Dtype::f64, 0, static_cast<double>(e.size())), e);
}

}  // namespace gradients
