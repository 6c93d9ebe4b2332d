// SPDX-License-Identifier: Apache-2.0
// idx, the format of the MNIST family: a type, extents, and the elements in big-endian order.
#pragma once
#include <tenon/io/gzip.hpp>
#include <tenon/tensor/any_tensor.hpp>

#include <bit>
#include <string_view>

namespace tenon::inline TENON_ISA::io {

namespace detail {

static_assert(std::endian::native == std::endian::little,
              "tenon: io is for little-endian machines");

/// How an element type is stored: its number, and its bytes in the file.
struct IdxType {
  int code, bytes;
  Dtype dtype;
};
inline constexpr IdxType idx_types[] = {{0x08, 1, Dtype::u8},  {0x09, 1, Dtype::i32},
                                        {0x0b, 2, Dtype::i32}, {0x0c, 4, Dtype::i32},
                                        {0x0d, 4, Dtype::f32}, {0x0e, 8, Dtype::f64}};

template <class U>
void swap_bytes(void* data, Index n) {
  U* x = static_cast<U*>(data);
  for (Index i = 0; i < n; ++i) {
    if constexpr (sizeof(U) == 4) x[i] = __builtin_bswap32(x[i]);
    else x[i] = __builtin_bswap64(x[i]);
  }
}
inline void swap_elements(void* data, Index n, std::size_t bytes) {
  if (bytes == 4) swap_bytes<std::uint32_t>(data, n);
  if (bytes == 8) swap_bytes<std::uint64_t>(data, n);
}

/// Signed elements of one or two bytes, widened.
inline void read_narrow(GzipReader& reader, int bytes, std::int32_t* out, Index n) {
  constexpr Index block = 4096;
  unsigned char part[block * 2];
  for (Index i = 0; i < n; i += block) {
    const Index m = n - i < block ? n - i : block;
    reader.read(part, static_cast<std::size_t>(m * bytes), "elements");
    for (Index k = 0; k < m; ++k)
      out[i + k] = bytes == 1 ? static_cast<std::int8_t>(part[k])
                              : static_cast<std::int16_t>(part[2 * k] << 8 | part[2 * k + 1]);
  }
}

/// The extents, checked against what the file can hold.
inline Extents read_idx_extents(GzipReader& reader, const File& file, int rank, int bytes) {
  unsigned char raw[4 * max_rank];
  reader.read(raw, 4 * static_cast<std::size_t>(rank), "extents");
  Extents e;
  e.rank = rank;
  std::uint64_t size = 1, stretch = 1;
  bool fits = true;
  for (int i = 0; i < rank; ++i) {
    const unsigned char* b = raw + 4 * i;
    const std::uint64_t extent =
        std::uint64_t{b[0]} << 24 | std::uint64_t{b[1]} << 16 | std::uint64_t{b[2]} << 8 | b[3];
    e.extent[i] = static_cast<Index>(extent);
    // Extents beside a 0 count too: strides are made of them.
    fits = fits && !__builtin_mul_overflow(stretch, extent ? extent : 1, &stretch);
    size = fits ? size * extent : 0;
  }
  const std::uint64_t header = reader.offset();
  if (!fits || stretch > std::uint64_t{1} << 46)
    fail_format("read_idx", file.path(), 4, "extents overflow: " + to_string(e));
  const std::uint64_t wanted = size * static_cast<std::uint64_t>(bytes),
                      left = reader.most() < header ? 0 : reader.most() - header;
  if (wanted > left || (!reader.packed() && wanted != left))
    fail_format("read_idx", file.path(), 4,
                "extents " + to_string(e) + " announce " + std::to_string(wanted) +
                    " bytes of elements, the file holds " +
                    (reader.packed() ? "no more than " : "") + std::to_string(left));
  return e;
}

}  // namespace detail

/// The tensor in an idx file, plain or packed by gzip. u8, i32, f32 and f64 keep their type; signed
/// elements of 8 and 16 bits become i32. Rank 0 to 8.
/// Errors: not openable -> Error::file; anything wrong inside (magic number, type, rank, extents,
/// too few or too many bytes, a damaged gzip stream) -> Error::format. Memory is bounded by what a
/// file of this size can hold before any is allocated.
/// Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998, "file formats".
inline AnyTensor read_idx(const std::string& path) {
  File file(path, "read_idx");
  GzipReader reader(file);
  unsigned char magic[4];
  reader.read(magic, 4, "magic number");
  if (magic[0] != 0 || magic[1] != 0)
    fail_format("read_idx", path, 0, "not an idx file: the first two bytes must be 0");
  const detail::IdxType* type = nullptr;
  for (const detail::IdxType& t : detail::idx_types)
    if (t.code == magic[2]) type = &t;
  if (!type) fail_format("read_idx", path, 2, "unknown type " + std::to_string(magic[2]));
  if (magic[3] > max_rank)
    fail_format("read_idx", path, 3,
                "rank " + std::to_string(magic[3]) + ", tensors have at most 8 axes");
  const Extents e = detail::read_idx_extents(reader, file, magic[3], type->bytes);
  const Index n = e.size();
  AnyTensor x = AnyTensor::empty(type->dtype, e);
  if (size_of(type->dtype) != static_cast<std::size_t>(type->bytes)) {
    detail::read_narrow(reader, type->bytes, static_cast<std::int32_t*>(x.raw_writable()), n);
  } else {
    reader.read(x.raw_writable(), static_cast<std::size_t>(n) * size_of(type->dtype), "elements");
    detail::swap_elements(x.raw_writable(), n, size_of(type->dtype));
  }
  reader.expect_end();
  return x;
}

/// Writes a tensor of u8, i32, f32 or f64; packed if the name ends in ".gz". The old file stays
/// until the new one is whole.
/// Errors: another dtype -> Error::dtype; an extent of 2^32 or more -> Error::shape; Error::file.
inline void write_idx(const std::string& path, const AnyTensor& tensor) {
  const AnyTensor x = tensor.to_contiguous();
  x.host_access("write_idx");
  const detail::IdxType* type = nullptr;
  for (const detail::IdxType& t : detail::idx_types)
    if (t.dtype == x.dtype()) type = &t;
  if (!type) fail(Error::dtype, {"write_idx: idx has no type for ", name_of(x.dtype())});
  const Extents e = x.extents();
  std::string header{'\0', '\0', static_cast<char>(type->code), static_cast<char>(e.rank)};
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] > 0xffffffff)
      fail(Error::shape, {"write_idx: axis ", i, " of ", e, " has an extent of 2^32 or more"});
    for (int shift = 24; shift >= 0; shift -= 8)
      header += static_cast<char>(e.extent[i] >> shift & 0xff);
  }
  AtomicFile file(path, "write_idx");
  std::unique_ptr<GzipWriter> packer;
  if (std::string_view(path).ends_with(".gz")) packer = std::make_unique<GzipWriter>(file);
  auto put = [&](const void* data, std::size_t bytes) {
    if (packer) packer->write(data, bytes);
    else file.write(data, bytes);
  };
  put(header.data(), header.size());
  const std::size_t bytes = size_of(x.dtype());
  const char* from = static_cast<const char*>(x.raw());
  alignas(8) char part[1 << 15];
  for (std::size_t left = static_cast<std::size_t>(e.size()) * bytes; left > 0;) {
    const std::size_t m = left < sizeof part ? left : sizeof part;
    std::memcpy(part, from, m);
    detail::swap_elements(part, static_cast<Index>(m / bytes), bytes);
    put(part, m);
    from += m;
    left -= m;
  }
  if (packer) packer->finish();
  file.commit();
}

}  // namespace tenon::io
