// SPDX-License-Identifier: Apache-2.0
// What a tensor handle points to: a counted record (id, dtype, extents, strides) over a counted
// buffer.
#pragma once
#include <tenon/core/ambient.hpp>
#include <tenon/core/atomic.hpp>
#include <tenon/core/dtype.hpp>
#include <tenon/memory/allocator.hpp>
#include <tenon/memory/device_table.hpp>
#include <tenon/shape/broadcast.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA {

/// Memory shared by records. Its own blocks hold the elements behind this header and 64 readable
/// bytes after them, so kernels may load whole registers past the end; adopted memory has no such
/// margin. Elements on a device lie apart from the header.
struct alignas(64) Buffer {
  Atomic<std::uint32_t> references{1};
  Device device;
  bool adopted = false;  ///< memory of somebody else: read only
  bool apart = false;    ///< the elements are not behind this header; `release(context)` ends them
  std::uint8_t size_class = memory::class_of(sizeof(Buffer));  ///< of its block
  void* data = nullptr;
  std::size_t bytes = 0;
  void (*release)(void* context) = nullptr;
  void* context = nullptr;

  static constexpr std::size_t margin = 64;
  static constexpr int class_of(std::size_t bytes) {
    return memory::class_of(sizeof(Buffer) + bytes + margin);
  }
  static Buffer* create(std::size_t bytes) { return create(bytes, 0, class_of(bytes)); }
  /// `bytes` of which the first `head` are for a record; size_class: class_of(bytes).
  static Buffer* create(std::size_t bytes, std::size_t head, int size_class) {
    auto* b = new (memory::allocate(sizeof(Buffer) + bytes + margin, size_class)) Buffer;
    b->data = reinterpret_cast<char*>(b + 1) + head;
    b->bytes = bytes;
    b->size_class = static_cast<std::uint8_t>(size_class);
    return b;
  }
  static Buffer* adopt(const void* data, std::size_t bytes, void (*release)(void*), void* context) {
    auto* b = new (memory::allocate(sizeof(Buffer))) Buffer;
    b->adopted = b->apart = true;
    b->data = const_cast<void*>(data);
    b->bytes = bytes;
    b->release = release;
    b->context = context;
    return b;
  }
  void drop() noexcept {
    if (references.load(Order::acquire) != 1 && references.count(-1u, Order::acq_rel) != 1) return;
    if (release) release(context);
    memory::deallocate(this, sizeof(Buffer) + bytes + margin, size_class);
  }
};
static_assert(sizeof(Buffer) == 64);

class AnyTensor;
struct Record;

/// What tensors on a device need beside the device's table: elements there, contiguous copies there
/// and here, and copies between strided places (Errors: Error::device, Error::memory). It comes
/// with tenon/cuda.hpp, so that programs without a device do not compile it.
struct DeviceTensors {
  Buffer* (*create)(std::size_t bytes, Device);
  AnyTensor (*pack)(const Record& source, Dtype to);
  void (*download)(const Record& source, Dtype to, void* target);
  void (*copy_strided)(Device, const Extents&, Dtype from, const void* source,
                       const Index* source_strides, Dtype to, void* target,
                       const Index* target_strides, double factor, bool add);
};
namespace detail {
inline const DeviceTensors* device_tensors_place = nullptr;
inline const DeviceTensors& device_tensors() {
  if (!device_tensors_place) [[unlikely]]
    fail(Error::device, {"cuda: no file of this program was built by nvcc with tenon/cuda.hpp"});
  return *device_tensors_place;
}
}  // namespace detail

/// The counter of uniform random numbers that a generated record stands for.
struct RandomKey;

/// What decides how a kernel reads a value, small enough to compare at once.
struct RecordKind {
  Dtype dtype = Dtype::f32;
  std::uint8_t rank = 0;
  bool generated = false;  ///< no memory: uniform numbers made from `strides` read as a RandomKey
  bool valueless = false;  ///< extents only: the tape kept no value
  bool dense = false;      ///< the strides are known to be those of contiguous elements
  std::uint8_t place = 0;  ///< 0: the host's memory; i + 1: that of CUDA device i
  std::uint8_t unused[2] = {};
  constexpr std::uint64_t bits() const { return __builtin_bit_cast(std::uint64_t, *this); }
  static const std::uint64_t valueless_bits, all_but_rank;
};
constexpr std::uint64_t RecordKind::valueless_bits = [] {
  RecordKind k;
  k.valueless = true;
  return k.bits() ^ RecordKind {}.bits();
}();
constexpr std::uint64_t RecordKind::all_but_rank = [] {
  RecordKind k;
  k.rank = 255;
  return ~(k.bits() ^ RecordKind{}.bits());
}();

/// One value. Copies of a handle share it; a view, a clone or a mutation has a record with an id of
/// its own.
struct Record : RecordKind {
  Atomic<std::uint32_t> references{1};
  std::uint32_t writers = 0;  ///< live scoped writers
  std::uint64_t id = 0;
  Buffer* buffer = nullptr;
  void* data = nullptr;
  Index extents[max_rank];
  Index strides[max_rank];  ///< elements

  /// A record and its elements in one block.
  static Record* create(std::size_t bytes) {
    return create(bytes + head(), Buffer::class_of(bytes + head()));
  }
  static constexpr std::size_t head() { return (sizeof(Record) + 63) / 64 * 64; }
  /// Of `bytes` with the record, in a block of that class.
  static Record* create(std::size_t bytes, int size_class) {
    Buffer* b = Buffer::create(bytes, head(), size_class);
    auto* r = new (static_cast<void*>(b + 1)) Record;
    r->buffer = b, r->data = b->data;
    return r;
  }
  /// A record whose elements lie on a device, in a buffer of their own.
  TENON_COLD static Record* create(std::size_t bytes, Device d) {
    Buffer* b = detail::device_tensors().create(bytes, d);
    Record* r = create();
    r->place = static_cast<std::uint8_t>(d.index + 1);
    r->buffer = b, r->data = b->data;
    return r;
  }
  static Record* create() { return new (memory::allocate(sizeof(Record))) Record; }
  // Out of line: handles die everywhere, and code that is not repeated need not be compiled again.
  __attribute__((noinline)) void drop() noexcept {
    if (references.load(Order::acquire) != 1 && references.count(-1u, Order::acq_rel) != 1) return;
    Buffer* b = buffer;
    if (!inside()) memory::deallocate(this, sizeof(Record));
    if (b) b->drop();
  }
  /// Whether it lies in the block of its buffer, and goes with that.
  bool inside() const {
    return buffer && !buffer->apart && static_cast<const void*>(buffer + 1) == this;
  }
  Device device() const { return place ? cuda(place - 1) : cpu; }
  Index size() const {
    Index n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
  Extents shape() const {
    Extents e;
    e.rank = rank;
    for (int i = 0; i < rank; ++i) e.extent[i] = extents[i];
    return e;
  }
  /// Whether the extents are those of `other`.
  bool alike(const Record& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i)
      if (extents[i] != other.extents[i]) return false;
    return true;
  }
  bool contiguous() const {
    Index step = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (extents[i] != 1 && strides[i] != step) return false;
      step *= extents[i];
    }
    return true;
  }
  /// Whether whole registers may be loaded past the last element.
  bool padded() const { return buffer && !buffer->adopted; }
};

}  // namespace tenon
