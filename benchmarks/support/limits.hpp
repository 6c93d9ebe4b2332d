// SPDX-License-Identifier: Apache-2.0
// What no program can undercut: multiply-adds in registers, and loads and stores with next to no arithmetic.
#pragma once
#include <tenon/core/pack.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace bench {

using Float = tenon::scalar::Pack<float, tenon::scalar::lanes<float>>;

/// At least that many flops as independent multiply-adds on registers.
__attribute__((noinline)) inline void multiply_adds(double flops) {
  constexpr int chains = 12;
  Float x[chains];
  for (int i = 0; i < chains; ++i) x[i] = Float(1.f + static_cast<float>(i));
  Float m(0.999f), c(0.001f);
  const long steps = static_cast<long>(flops / (2.0 * chains * Float::size)) + 1;
  for (long s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) x[i] = multiply_add(x[i], m, c);
  }
  for (int i = 0; i < chains; ++i) asm volatile("" : : "m"(x[i]));
}

/// One pass over `loads` arrays of n floats that writes `stores` arrays, the first `in_place` of those it read.
template <int loads, int stores, int in_place = 0>
class Stream {
 public:
  explicit Stream(long n) : n_(n) {
    for (auto& a : array_) a.assign(static_cast<std::size_t>(n) + 16, 1.f);
  }
  __attribute__((noinline)) void operator()() {
    float* p[loads + stores];
    for (int k = 0; k < loads + stores; ++k) p[k] = array_[k].data();
    for (int k = 0; k < in_place; ++k) p[loads + k] = p[k];
    const Float half(0.5f);
    for (long i = 0; i + Float::size <= n_; i += Float::size) {
      Float sum = Float::load(p[0] + i);
#pragma GCC unroll 8
      for (int k = 1; k < loads; ++k) sum = sum + Float::load(p[k] + i);
      sum = sum * half;
#pragma GCC unroll 8
      for (int k = 0; k < stores; ++k) sum.store(p[loads + k] + i);
    }
  }

 private:
  long n_;
  std::vector<float> array_[loads + stores];
};
template <int loads, int stores, int in_place = 0>
std::function<void()> stream(long n) {
  auto s = std::make_shared<Stream<loads, stores, in_place>>(n);
  return [s] { (*s)(); };
}

}  // namespace bench
