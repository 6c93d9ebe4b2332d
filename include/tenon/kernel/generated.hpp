// SPDX-License-Identifier: Apache-2.0
// Random numbers as a leaf of an expression: no memory, only the key they are made from.
#pragma once
#include <tenon/core/random.hpp>
#include <tenon/kernel/fill.hpp>
#include <tenon/tensor/copy.hpp>

namespace tenon::inline TENON_ISA {

/// Sets the seed of this thread's random expressions (dropout, ...) and starts them over.
inline void seed_random(std::uint64_t seed) {
  Ambient& a = ambient();
  a.seed = seed, a.position = 0, a.shard = 0, a.call = 0;
}

namespace kernel {

namespace detail {
inline void fill_uniform_leaf(const tenon::detail::GeneratedKey& k, Dtype dtype, Index first,
                              Index n, void* target) {
  const RandomKey key{k.seed, k.position, k.shard, k.call};
  if (dtype == Dtype::f64) fill_uniform(key, first, n, static_cast<double*>(target), 0.0, 1.0);
  else fill_uniform(key, first, n, static_cast<float*>(target), 0.0f, 1.0f);
}
inline AnyTensor uniform_record(Dtype dtype, const Extents& e, const RandomKey& k) {
  Record* r = Record::create();
  r->dtype = dtype;
  r->rank = static_cast<std::uint8_t>(e.rank);
  r->generated = true;
  r->id = tenon::detail::fresh_id();
  for (int i = 0; i < e.rank; ++i) r->extents[i] = e.extent[i];
  tenon::detail::GeneratedKey key{k.seed, k.position, k.shard, k.call, fill_uniform_leaf};
  std::memcpy(r->strides, &key, sizeof key);
  return AnyTensor::own(r);
}
/// Attributes: dtype, position, shard, call. The seed is the thread's.
inline AnyTensor uniform_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  return uniform_record(
      static_cast<Dtype>(a.integer[0]), e,
      {ambient().seed, static_cast<std::uint64_t>(a.integer[1]),
       static_cast<std::uint32_t>(a.integer[2]), static_cast<std::uint32_t>(a.integer[3])});
}
inline constexpr StatementInfo uniform_info = made_info("uniform", uniform_again);
}  // namespace detail

/// Uniform numbers in [0, 1) with extents e, f32 or f64. The call number is taken now; the numbers
/// are made when a kernel reads them, again in backward.
inline AnyTensor uniform_leaf(Dtype dtype, const Extents& e) {
  Ambient& a = ambient();
  const RandomKey key{a.seed, a.position, a.shard, a.call++};
  if (a.call == 1u << 24) a.call = 0, ++a.position;
  AnyTensor t = detail::uniform_record(dtype, e, key);
  if (a.tracer) [[unlikely]] {
    Attributes of;
    of.push(static_cast<Index>(dtype)), of.push(static_cast<Index>(key.position));
    of.push(key.shard), of.push(key.call);
    detail::trace_made(detail::uniform_info, of, t);
  }
  return t;
}

}  // namespace kernel
}  // namespace tenon
