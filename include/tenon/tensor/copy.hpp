// SPDX-License-Identifier: Apache-2.0
// Copying elements between tensors of one shape: any strides, any dtypes.
#pragma once
#include <tenon/tensor/handle.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {

/// Elements of a strided source to a strided target, both with the given extents.
inline void copy_strided(const Extents& e, Dtype from, const void* source,
                         const Index* source_strides, Dtype to, void* target,
                         const Index* target_strides) {
  if (e.size() == 0) return;
  const Index from_bytes = static_cast<Index>(size_of(from)),
              to_bytes = static_cast<Index>(size_of(to));
  // Axes of extent 1 say nothing; the others are merged where both sides allow.
  Index extent[max_rank], ss[max_rank], ts[max_rank];
  int rank = 0;
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] == 1) continue;
    const bool merges = rank > 0 && ss[rank - 1] == source_strides[i] * e.extent[i] &&
                        ts[rank - 1] == target_strides[i] * e.extent[i];
    if (!merges) extent[rank++] = 1;
    extent[rank - 1] *= e.extent[i];
    ss[rank - 1] = source_strides[i];
    ts[rank - 1] = target_strides[i];
  }
  if (rank == 0) extent[rank] = 1, ss[rank] = 1, ts[rank++] = 1;
  const int last = rank - 1;
  Index at[max_rank] = {};
  const char* s = static_cast<const char*>(source);
  char* t = static_cast<char*>(target);
  for (;;) {
    convert(from, s, ss[last], to, t, ts[last], extent[last]);
    int i = last - 1;
    for (; i >= 0; --i) {
      s += ss[i] * from_bytes, t += ts[i] * to_bytes;
      if (++at[i] < extent[i]) break;
      s -= at[i] * ss[i] * from_bytes, t -= at[i] * ts[i] * to_bytes;
      at[i] = 0;
    }
    if (i < 0) return;
  }
}

/// What a generated record carries in place of strides: the key of its numbers and who makes them.
struct GeneratedKey {
  std::uint64_t seed, position;
  std::uint32_t shard, call;
  void (*fill)(const GeneratedKey& key, Dtype dtype, Index first, Index n, void* target);
};

/// Numbers first .. first + n - 1 of a generated record, in its dtype.
inline void generate(const Record& r, Index first, Index n, void* target) {
  GeneratedKey k;
  std::memcpy(&k, r.strides, sizeof k);
  k.fill(k, r.dtype, first, n, target);
}

/// Writes the elements of `source` in logical order to contiguous memory of dtype `to`.
inline void copy_out(const Record& source, Dtype to, void* target) {
  const Extents e = source.shape();
  if (source.valueless) fail(Error::tape, {"copy: only the extents of this value were kept"});
  if (source.generated && to == source.dtype) return generate(source, 0, e.size(), target);
  if (source.generated) {
    AnyTensor full = AnyTensor::empty(source.dtype, e);
    generate(source, 0, e.size(), full.raw_writable());
    return copy_out(*full.get(), to, target);
  }
  Index strides[max_rank] = {};
  contiguous_strides(e, strides);
  // Converting many short runs would cost more than one pass to put them together.
  if (to != source.dtype && !source.contiguous()) {
    AnyTensor packed = AnyTensor::empty(source.dtype, e);
    copy_strided(e, source.dtype, source.data, source.strides, source.dtype, packed.raw_writable(),
                 strides);
    return convert(source.dtype, packed.raw(), 1, to, target, 1, e.size());
  }
  copy_strided(e, source.dtype, source.data, source.strides, to, target, strides);
}

}  // namespace detail

inline Record* AnyTensor::copy_record() const {
  AnyTensor fresh = empty(r_->dtype, r_->shape());
  detail::copy_out(*r_, r_->dtype, fresh.r_->data);
  Record* r = fresh.r_;
  fresh.r_ = nullptr;
  return r;
}

inline AnyTensor AnyTensor::to_contiguous() const {
  record("to_contiguous");
  return contiguous() ? *this : own(copy_record());
}

inline AnyTensor AnyTensor::to(Dtype dtype) const {
  if (record("to").dtype == dtype) return *this;
  AnyTensor fresh = empty(dtype, r_->shape());
  detail::copy_out(*r_, dtype, fresh.r_->data);
  return fresh;
}

}  // namespace tenon
