// SPDX-License-Identifier: Apache-2.0
// Operands of benchmarks, and runs forward or with gradients.
#pragma once
#include <tenon/tenon.hpp>

#include <array>
#include <functional>

namespace bench {

using tenon::AnyTensor, tenon::Index;

/// Numbers around 0, the same ones each time.
inline AnyTensor numbers(std::initializer_list<Index> extents, int seed, float scale = 1) {
  tenon::Extents e;
  for (Index x : extents) e.extent[e.rank++] = x;
  AnyTensor t = AnyTensor::empty(tenon::Dtype::f32, e);
  auto m = t.write<float>();
  std::uint32_t state = static_cast<std::uint32_t>(seed) * 2654435761u + 1;
  for (float& x : m) {
    state = state * 1664525u + 1013904223u;
    x = scale * (static_cast<float>(state >> 8) / 8388608.f - 1);
  }
  return t;
}
inline AnyTensor filled(std::initializer_list<Index> extents, float value) {
  AnyTensor t = numbers(extents, 0);
  auto m = t.write<float>();
  for (float& x : m) x = value;
  return t;
}
inline AnyTensor labels(Index rows, Index classes) {
  AnyTensor t = AnyTensor::empty(tenon::Dtype::i64, tenon::Extents{1, {rows}});
  auto m = t.write<std::int64_t>();
  for (Index i = 0; i < rows; ++i) m[i] = i * 7 % classes;
  return t;
}

/// f(leaves...) on a tape and the gradients of all leaves, seeded with `seed` (none: a loss of one element).
template <class F, std::size_t N>
std::function<void()> with_gradients(F f, std::array<AnyTensor, N> wrt, AnyTensor seed) {
  return [f, wrt, seed] {
    tenon::Tape tape;
    tenon::Tensor y = f();
    std::array<AnyTensor, N> g;
    tape.gradient(y.any(), std::span<const AnyTensor>(wrt), std::span<AnyTensor>(g), seed);
    benchmark::DoNotOptimize(g);
  };
}
template <class F>
std::function<void()> value_of(F f) {
  return [f] {
    tenon::Tensor y = f();
    benchmark::DoNotOptimize(y);
  };
}

}  // namespace bench
