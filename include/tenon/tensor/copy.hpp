// SPDX-License-Identifier: Apache-2.0
// Copying elements between tensors of one shape: any strides, any dtypes.
#pragma once
#include <tenon/tensor/handle.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {

/// Two layouts over the same extents: axes of extent 1 left out, the others merged where both
/// allow. At least one axis.
struct MergedAxes {
  Index extent[max_rank], source[max_rank], target[max_rank];
  int rank = 0;

  MergedAxes(const Extents& e, const Index* source_strides, const Index* target_strides) {
    for (int i = 0; i < e.rank; ++i) {
      if (e.extent[i] == 1) continue;
      const bool merges = rank > 0 && source[rank - 1] == source_strides[i] * e.extent[i] &&
                          target[rank - 1] == target_strides[i] * e.extent[i];
      if (!merges) extent[rank++] = 1;
      extent[rank - 1] *= e.extent[i];
      source[rank - 1] = source_strides[i];
      target[rank - 1] = target_strides[i];
    }
    if (rank == 0) extent[rank] = 1, source[rank] = 1, target[rank++] = 1;
  }
};

/// Elements of a strided source to a strided target, both with the given extents.
inline void copy_strided(const Extents& e, Dtype from, const void* source,
                         const Index* source_strides, Dtype to, void* target,
                         const Index* target_strides) {
  if (e.size() == 0) return;
  const Index from_bytes = static_cast<Index>(size_of(from)),
              to_bytes = static_cast<Index>(size_of(to));
  const MergedAxes m(e, source_strides, target_strides);
  const int last = m.rank - 1;
  Index at[max_rank] = {};
  const char* s = static_cast<const char*>(source);
  char* t = static_cast<char*>(target);
  for (;;) {
    convert(from, s, m.source[last], to, t, m.target[last], m.extent[last]);
    int i = last - 1;
    for (; i >= 0; --i) {
      s += m.source[i] * from_bytes, t += m.target[i] * to_bytes;
      if (++at[i] < m.extent[i]) break;
      s -= at[i] * m.source[i] * from_bytes, t -= at[i] * m.target[i] * to_bytes;
      at[i] = 0;
    }
    if (i < 0) return;
  }
}

/// The same on a device; the elements times a factor, or added to what is there, where asked for.
inline void copy_strided_on(Device d, const Extents& e, Dtype from, const void* source,
                            const Index* source_strides, Dtype to, void* target,
                            const Index* target_strides, double factor = 1, bool add = false) {
  device_tensors().copy_strided(d, e, from, source, source_strides, to, target, target_strides,
                                factor, add);
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
  if (source.place) return device_tensors().download(source, to, target);
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

inline Record* AnyTensor::copy_record(const Record& r) {
  if (r.place && r.valueless) fail(Error::tape, {"copy: only the extents of this value were kept"});
  AnyTensor fresh = r.place ? detail::device_tensors().pack(r, r.dtype) : empty(r.dtype, r.shape());
  if (!r.place) detail::copy_out(r, r.dtype, fresh.r_->data);
  Record* copy = fresh.r_;
  fresh.r_ = nullptr;
  return copy;
}

inline AnyTensor AnyTensor::to_contiguous() const {
  record("to_contiguous");
  return contiguous() ? *this : own(copy_record(*r_));
}

inline AnyTensor AnyTensor::to(Dtype dtype) const {
  if (record("to").dtype == dtype) return *this;
  if (r_->place && !r_->valueless) return detail::device_tensors().pack(*r_, dtype);
  AnyTensor fresh = empty(dtype, r_->shape());
  detail::copy_out(*r_, dtype, fresh.r_->data);
  return fresh;
}

namespace detail {
/// to(device) inside an operation: no trace takes it for the host's reading.
TENON_COLD inline AnyTensor moved(const AnyTensor& x, Device device) {
  const Record& r = x.record("to");
  if (r.device() == device) return x;
  const AnyTensor dense = x.to_contiguous();
  AnyTensor there = AnyTensor::empty(r.dtype, r.shape(), device);
  const std::size_t bytes = static_cast<std::size_t>(r.size()) * size_of(r.dtype);
  if (bytes == 0) return there;
  if (device == cpu) {
    device_tensors().download(*dense.get(), r.dtype, there.get()->data);
  } else {
    const abi::DeviceTable& t = device_table(device);
    check_device(
        r.place ? t.copy(device.index, there.get()->data, r.place - 1, dense.get()->data, bytes)
                : t.upload(device.index, there.get()->data, dense.get()->data, bytes));
  }
  return there;
}
}  // namespace detail

inline AnyTensor AnyTensor::to(Device device) const {
  if (record("to").device() == device) return *this;
  host_access("to");
  return detail::moved(*this, device);
}

namespace detail {
/// A tensor of zeros beside another: its dtype unless said otherwise, its device.
inline AnyTensor zeros_beside(const AnyTensor& like, Dtype dtype, const Extents& e) {
  AnyTensor t = AnyTensor::empty(dtype, e, like.device());
  const std::size_t bytes = static_cast<std::size_t>(t.size()) * size_of(dtype);
  if (!t.get()->place) std::memset(t.raw_writable(), 0, bytes);
  else if (bytes) {
    const Device d = t.device();
    check_device(device_table(d).clear(d.index, t.get()->data, bytes));
  }
  return t;
}
}  // namespace detail

}  // namespace tenon
