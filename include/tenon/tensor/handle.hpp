// SPDX-License-Identifier: Apache-2.0
// AnyTensor: the value every operation, file and recorder works with, its dtype and rank known at
// run time.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/convert.hpp>
#include <tenon/tensor/record.hpp>

#include <span>

namespace tenon::inline TENON_ISA {

template <class T>
class Writer;

namespace detail {
[[noreturn]] TENON_COLD inline void fail_place(const Record& r, const char* name) {
  fail(Error::device, {name, ": the tensor ", r.shape(), " lies on cuda(", r.place - 1,
                       "), which the host cannot read or write; to(cpu) copies it"});
}
}  // namespace detail

/// A handle, one pointer wide. Copies are O(1) and share the value; whoever writes first detaches
/// (copy on write). A default-constructed handle holds nothing: using it is Error::uninitialised.
class AnyTensor {
 public:
  AnyTensor() = default;
  AnyTensor(const AnyTensor& other) : r_(retained_apart(other.r_)) {}
  AnyTensor(AnyTensor&& other) noexcept : r_(other.r_) { other.r_ = nullptr; }
  AnyTensor& operator=(AnyTensor other) noexcept {
    Record* r = r_;
    r_ = other.r_;
    other.r_ = r;
    return *this;
  }
  ~AnyTensor() {
    if (r_) r_->drop();
  }

  /// A new contiguous tensor whose elements are undefined until written.
  static AnyTensor empty(Dtype dtype, const Extents& e) {
    const std::size_t bytes = checked_bytes(dtype, e);
    AnyTensor t;
    t.r_ = Record::create(bytes);
    t.describe(dtype, e);
    return t;
  }
  /// A new tensor of the kind and extents of `r`, which lies dense on the host and has `bytes`
  /// bytes of elements.
  static __attribute__((noinline)) AnyTensor empty_like(const Record& r, std::size_t bytes) {
    const std::size_t all = bytes + Record::head();
    const Buffer* b = r.buffer;
    Record* s = Record::create(
        all, b && !b->apart && b->bytes == all ? b->size_class : Buffer::class_of(all));
    static_cast<RecordKind&>(*s) = r;
    s->valueless = false;
    s->id = detail::fresh_id();
    std::memcpy(s->extents, r.extents, sizeof r.extents);
    std::memcpy(s->strides, r.strides, sizeof r.strides);
    return own(s);
  }
  /// On a device. Errors: Error::device where it does not exist, Error::memory.
  TENON_COLD static AnyTensor empty(Dtype dtype, const Extents& e, Device d) {
    if (d == cpu) return empty(dtype, e);
    AnyTensor t;
    t.r_ = Record::create(checked_bytes(dtype, e), d);
    t.describe(dtype, e);
    return t;
  }
  /// The bytes of a tensor of these extents. Errors: Error::shape, Error::memory.
  static std::size_t checked_bytes(Dtype dtype, const Extents& e) {
    // Extents beside a 0 count too: strides are made of them.
    Index n = 1, stretch = 1;
    for (int i = 0; i < e.rank; ++i) {
      if (e.extent[i] < 0) fail(Error::shape, {"empty: negative extent in ", e});
      const bool overflows =
          __builtin_mul_overflow(stretch, e.extent[i] ? e.extent[i] : 1, &stretch);
      if (overflows || stretch > (Index{1} << 46)) [[unlikely]]
        fail(Error::memory, {"empty: extents overflow: ", e});
      n *= e.extent[i];
    }
    return static_cast<std::size_t>(n) * size_of(dtype);
  }
  /// Reads foreign memory in place, contiguous; never written through. `release(context)` is called
  /// when nothing reads it any more.
  static AnyTensor adopt(Dtype dtype, const Extents& e, const void* data,
                         void (*release)(void*) = nullptr, void* context = nullptr) {
    AnyTensor t;
    t.r_ = Record::create();
    t.describe(dtype, e);
    t.r_->buffer =
        Buffer::adopt(data, static_cast<std::size_t>(e.size()) * size_of(dtype), release, context);
    t.r_->data = t.r_->buffer->data;
    return t;
  }
  /// Extents without a value: what the tape keeps of an operand whose elements backward does not
  /// read.
  static AnyTensor valueless(const AnyTensor& like) {
    const Record& r = *like.r_;
    Record* s = Record::create();
    s->dtype = r.dtype, s->rank = r.rank, s->valueless = s->dense = true;
    s->place = r.place, s->id = r.id;
    Index step = 1;
    for (int i = r.rank - 1; i >= 0; --i) {
      s->extents[i] = r.extents[i], s->strides[i] = step;
      step *= r.extents[i];
    }
    return own(s);
  }

  bool defined() const { return r_ != nullptr; }
  explicit operator bool() const { return defined(); }
  Dtype dtype() const { return r_->dtype; }
  int rank() const { return r_->rank; }
  Extents extents() const { return record("extents").shape(); }
  Index extent(int axis) const {
    return record("extent").extents[normalize_axis("extent", axis, rank())];
  }
  Index size() const { return record("size").size(); }
  Index stride(int axis) const { return r_->strides[axis]; }
  std::uint64_t id() const { return r_ ? r_->id : 0; }
  Device device() const { return record("device").device(); }
  bool contiguous() const { return !r_->generated && !r_->valueless && r_->contiguous(); }

  /// The record, which must exist; `name` is the function that an error names.
  Record& record(const char* name) const {
    if (!r_) [[unlikely]]
      fail(Error::uninitialised, {name, ": the tensor was never given a value"});
    return *r_;
  }
  Record* get() const { return r_; }

  /// The first element, for the host to read; elements lie at the strides. Errors: dtype,
  /// uninitialised.
  template <class T>
  const T* data() const {
    Record& r = record("data");
    check_dtype(r, dtype_of<T>, "data");
    host_access("data");
    if (r.generated || r.valueless || r.place) [[unlikely]]
      fail_data(r);
    return static_cast<const T*>(r.data);
  }
  /// The memory for kernels of the host, without asking anybody but the device. Errors:
  /// Error::device.
  const void* raw() const {
    if (r_->place) [[unlikely]]
      detail::fail_place(*r_, "data");
    return r_->data;
  }
  void* raw_writable() { return const_cast<void*>(raw()); }

  /// Scoped writable access: detaches first; while the object lives, copying the tensor copies its
  /// data.
  template <class T>
  Writer<T> write();

  /// The same value with a fresh id; buffers are shared until one side writes.
  AnyTensor clone() const {
    Record& r = record("clone");
    if (r.writers) return own(copy_record(r));
    return own(share(r));
  }
  /// This value if it is contiguous, a contiguous copy otherwise.
  AnyTensor to_contiguous() const;
  /// The same elements in another dtype (rounded to nearest, truncated to integers). See
  /// core/convert.hpp.
  AnyTensor to(Dtype dtype) const;
  /// This value on another device: a contiguous copy unless it is there already. The host waits
  /// where it is the target. Errors: Error::device, Error::memory.
  AnyTensor to(Device device) const;

  /// Makes this handle the only owner of its elements, in contiguous memory that may be written,
  /// under a new id. What other handles see does not change. copy == false: the elements need not
  /// survive.
  void detach(bool copy = true) {
    Record& r = record("write");
    if (r.references.load(Order::acquire) != 1 || r.writers) {
      if (copy || r.generated) {
        Record* fresh = r.writers || r.generated ? copy_record(r) : share(r);
        r_->drop();
        r_ = fresh;
      } else {
        *this = empty(r.dtype, r.shape(), r.device());
        return;
      }
    }
    Buffer* b = r_->buffer;
    if (r_->generated || r_->valueless || b->adopted || b->references.load(Order::acquire) != 1 ||
        !r_->contiguous()) {
      AnyTensor fresh = copy ? own(copy_record(*r_)) : empty(r_->dtype, r_->shape(), r_->device());
      *this = std::move(fresh);
    }
    r_->id = detail::fresh_id();
  }

  /// A view: other extents, strides and first element over the same memory, with its own id.
  AnyTensor view(const Extents& e, const Index* strides, Index offset) const {
    AnyTensor base = record("view").writers || r_->generated ? own(copy_record(*r_)) : *this;
    Record* v = share(*base.r_);
    v->rank = static_cast<std::uint8_t>(e.rank);
    for (int i = 0; i < e.rank; ++i) v->extents[i] = e.extent[i], v->strides[i] = strides[i];
    if (v->data)
      v->data = static_cast<char*>(v->data) + offset * static_cast<Index>(size_of(v->dtype));
    v->dense = v->contiguous();
    return own(v);
  }

  void swap(AnyTensor& other) noexcept { std::swap(r_, other.r_); }
  void reset() noexcept {
    if (r_) r_->drop();
    r_ = nullptr;
  }
  /// The record, to whoever owns it from now on.
  Record* give() noexcept {
    Record* r = r_;
    r_ = nullptr;
    return r;
  }
  void host_access(const char* what) const {
    Ambient& a = ambient();
    if (a.host_access) [[unlikely]]
      a.host_access(*r_, what);
  }
  static AnyTensor own(Record* r) {
    AnyTensor t;
    t.r_ = r;
    return t;
  }
  /// The record that one more handle of r, or of none, holds.
  static TENON_INLINE Record* retained(Record* r) {
    if (!r) return nullptr;
    if (r->writers) [[unlikely]]
      return copy_record(*r);
    r->references.count(1, Order::relaxed);
    return r;
  }

 private:
  void describe(Dtype dtype, const Extents& e) {
    r_->dtype = dtype;
    r_->rank = static_cast<std::uint8_t>(e.rank);
    r_->id = detail::fresh_id();
    for (int i = 0; i < e.rank; ++i) r_->extents[i] = e.extent[i];
    contiguous_strides(e, r_->strides);
    r_->dense = true;
  }
  [[noreturn]] TENON_COLD static void fail_data(const Record& r) {
    if (r.place) detail::fail_place(r, "data");
    fail(Error::tape,
         {r.valueless ? "data: only the extents of this value were kept"
                      : "data: random numbers not yet made; to_contiguous() makes them"});
  }
  static void check_dtype(const Record& r, Dtype wanted, const char* name) {
    if (r.dtype != wanted) [[unlikely]]
      fail(Error::dtype,
           {name, ": the tensor holds ", name_of(r.dtype), ", not ", name_of(wanted)});
  }
  static Record* share(const Record& r) {
    Record* s = Record::create();
    static_cast<RecordKind&>(*s) = r;
    s->id = detail::fresh_id(), s->buffer = r.buffer, s->data = r.data;
    std::memcpy(s->extents, r.extents, sizeof r.extents);
    std::memcpy(s->strides, r.strides, sizeof r.strides);
    if (s->buffer) s->buffer->references.count(1, Order::relaxed);
    return s;
  }
  // Out of line like Record::drop: handles are copied everywhere.
  static __attribute__((noinline)) Record* retained_apart(Record* r) { return retained(r); }
  static Record* copy_record(const Record& r);

  Record* r_ = nullptr;
  template <class T>
  friend class Writer;
};
static_assert(sizeof(AnyTensor) == sizeof(void*));

namespace detail {
inline __attribute__((noinline)) void release_handles(Record* const* handle,
                                                      std::size_t count) noexcept {
  const bool alone = single_threaded();
  for (Record* const* end = handle + count; handle != end; ++handle)
    if (Record* r = *handle; r && !(alone && r->references.drop_one_of_several())) r->drop();
}
}  // namespace detail

/// Writable elements of a tensor, contiguous in logical order, for as long as the object lives.
template <class T>
class Writer {
 public:
  explicit Writer(AnyTensor& t) : r_(t.r_) {
    ++r_->writers;
    r_->references.count(1, Order::relaxed);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    --r_->writers;
    r_->id = detail::fresh_id();
    r_->drop();
  }
  T* data() const { return static_cast<T*>(r_->data); }
  Index size() const { return r_->size(); }
  T* begin() const { return data(); }
  T* end() const { return data() + size(); }
  operator std::span<T>() const { return {data(), static_cast<std::size_t>(size())}; }

  /// The element in row-major order.
  T& operator[](Index i) const { return data()[i]; }
  /// The element at one index per axis; negative counts from the end. Errors: Error::index.
  template <class... Is>
  T& operator()(Is... index) const {
    const Index at[] = {static_cast<Index>(index)..., 0};
    return data()[offset(at, static_cast<int>(sizeof...(Is)))];
  }

 private:
  Index offset(const Index* at, int count) const {
    if (count != r_->rank)
      fail(Error::index, {"write: ", count, " indices for a tensor of rank ", int(r_->rank)});
    Index o = 0;
    for (int i = 0; i < count; ++i) {
      Index k = at[i] < 0 ? at[i] + r_->extents[i] : at[i];
      if (k < 0 || k >= r_->extents[i])
        fail(Error::index, {"write: index ", at[i], " is out of range on axis ", i, " of extent ",
                            r_->extents[i]});
      o += k * r_->strides[i];
    }
    return o;
  }
  Record* r_;
};

template <class T>
Writer<T> AnyTensor::write() {
  check_dtype(record("write"), dtype_of<T>, "write");
  if (r_->place) detail::fail_place(*r_, "write");
  host_access("write");
  detach();
  return Writer<T>(*this);
}

}  // namespace tenon
