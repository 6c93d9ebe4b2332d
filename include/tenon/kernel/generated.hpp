// SPDX-License-Identifier: Apache-2.0
// Random numbers as a leaf of an expression: no memory, only the key they are made from.
#pragma once
#include <tenon/core/random.hpp>
#include <tenon/tensor/any_tensor.hpp>

namespace tenon::inline TENON_ISA {

/// Sets the seed of this thread's random expressions (dropout, ...) and starts them over.
inline void seed_random(std::uint64_t seed) {
  Ambient& a = ambient();
  a.seed = seed, a.position = 0, a.shard = 0, a.call = 0;
}

namespace kernel {

/// Uniform numbers in [0, 1) with extents e. The call number is taken now; the numbers are made when a kernel
/// reads them, again in backward.
inline AnyTensor uniform_leaf(Dtype dtype, const Extents& e) {
  Ambient& a = ambient();
  Record* r = Record::create();
  r->dtype = dtype;
  r->rank = static_cast<std::uint8_t>(e.rank);
  r->generated = true;
  r->id = tenon::detail::fresh_id();
  for (int i = 0; i < e.rank; ++i) r->extents[i] = e.extent[i];
  tenon::detail::GeneratedKey key{a.seed, a.position, a.shard, a.call++};
  if (a.call == 1u << 24) a.call = 0, ++a.position;
  std::memcpy(r->strides, &key, sizeof key);
  return AnyTensor::own(r);
}

}  // namespace kernel
}  // namespace tenon
