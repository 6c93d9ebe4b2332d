// SPDX-License-Identifier: Apache-2.0
// Sorting and running sums on a CUDA device, by CUB. Its headers cost seconds: library.cu alone
// includes this. Every type is sorted as one: 64-bit keys in the order of its numbers.
#pragma once
#include <tenon/kernel/device/bodies.hpp>
#include <tenon/memory/cuda_device.cuh>

#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/tabulate_output_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

namespace cuda = memory::cuda;

/// Memory of a device for the length of a call.
struct DeviceScratch {
  int device;
  std::size_t bytes;
  void* p;
  DeviceScratch(int d, std::size_t n) : device(d), bytes(n ? n : 1), p(cuda::allocate(d, bytes)) {}
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  ~DeviceScratch() {
    if (p) cuda::deallocate(device, p, bytes);
  }
  template <class T>
  T* at(std::int64_t i) const {
    return static_cast<T*>(p) + i;
  }
};
inline constexpr const char* no_memory = "no memory left for sorting or scanning";

/// A number as 64 bits that are ordered like it: equal numbers, +0 and -0 among them, have equal
/// bits, and NaN is the largest.
__device__ inline std::uint64_t ordered_bits(const void* p, Dtype type, std::int64_t i) {
  constexpr std::uint64_t sign = std::uint64_t{1} << 63;
  if (!floating(type)) return static_cast<std::uint64_t>(load_integer(p, type, i)) ^ sign;
  const double x = load_floating(p, type, i);
  if (x != x) return ~std::uint64_t{0};
  const std::uint64_t b = tenon::detail::bits_as<std::uint64_t>(x == 0 ? 0.0 : x);
  return b & sign ? ~b : b | sign;
}
__device__ inline std::int64_t first_of_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t threads_of_grid() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}
__global__ void make_keys(abi::DeviceSort s, std::uint64_t* key, std::int64_t* position) {
  for (std::int64_t i = first_of_thread(); i < s.rows * s.n; i += threads_of_grid()) {
    const std::uint64_t b = ordered_bits(s.keys, static_cast<Dtype>(s.type), i);
    key[i] = s.descending ? ~b : b, position[i] = i;
  }
}
__global__ void make_rows(std::int64_t count, std::int64_t n, const std::int64_t* position,
                          std::uint64_t* key) {
  for (std::int64_t i = first_of_thread(); i < count; i += threads_of_grid())
    key[i] = static_cast<std::uint64_t>(position[i] / n);
}
__global__ void take_sorted(abi::DeviceSort s, const std::int64_t* position) {
  const Dtype type = static_cast<Dtype>(s.type);
  auto* order = static_cast<std::int64_t*>(s.order);
  for (std::int64_t i = first_of_thread(); i < s.rows * s.n; i += threads_of_grid()) {
    const std::int64_t p = position[i];
    order[i] = p % s.n;
    if (floating(type)) store_element(s.values, type, i, load_floating(s.keys, type, p));
    else store_element(s.values, type, i, load_integer(s.keys, type, p));
  }
}

/// An element of a row, for CUB to read and write.
template <class V>
struct LoadAs {
  const void* p;
  Dtype type;
  __device__ V operator()(std::int64_t i) const {
    if constexpr (std::is_same_v<V, double>) return load_floating(p, type, i);
    else return load_integer(p, type, i);
  }
};
template <class V>
struct StoreAs {
  void* p;
  Dtype type;
  __device__ void operator()(std::int64_t i, V x) const { store_element(p, type, i, x); }
};
struct RowOf {
  std::int64_t n;
  __device__ std::int64_t operator()(std::int64_t i) const { return i / n; }
};
template <class F>
auto numbered(F f) {
  return thrust::make_transform_iterator(thrust::counting_iterator<std::int64_t>(0), f);
}

template <class V>
const char* scan_rows(int device, const abi::DeviceScan& s) {
  const Dtype type = static_cast<Dtype>(s.type);
  cudaStream_t stream = cuda::on(device).stream;
  std::size_t bytes = 0;
  auto run = [&](void* scratch) {
    return cub::DeviceScan::InclusiveSumByKey(
        scratch, bytes, numbered(RowOf{s.n}), numbered(LoadAs<V>{s.source, type}),
        thrust::make_tabulate_output_iterator(StoreAs<V>{s.target, type}), s.rows * s.n,
        ::cuda::std::equal_to<>{}, stream);
  };
  if (const char* e = cuda::text(run(nullptr))) return e;
  const DeviceScratch scratch(device, bytes);
  return scratch.p ? cuda::text(run(scratch.p)) : no_memory;
}

}  // namespace detail

/// Stable: sorted by key, then, where there are several rows, by row.
inline const char* cuda_sort(int device, const abi::DeviceSort& s) {
  using namespace detail;
  const std::int64_t count = s.rows * s.n;
  if (count == 0) return nullptr;
  cudaStream_t stream = cuda::on(device).stream;
  const auto each = static_cast<std::size_t>(count) * 8;
  const DeviceScratch key(device, 2 * each), position(device, 2 * each);
  if (!key.p || !position.p) return no_memory;
  make_keys<<<2048, 256, 0, stream>>>(s, key.at<std::uint64_t>(0), position.at<std::int64_t>(0));
  int now = 0;
  auto pass = [&](int bits) -> const char* {
    std::size_t bytes = 0;
    auto run = [&](void* scratch) {
      return cub::DeviceRadixSort::SortPairs(
          scratch, bytes, key.at<const std::uint64_t>(now * count),
          key.at<std::uint64_t>((1 - now) * count), position.at<const std::int64_t>(now * count),
          position.at<std::int64_t>((1 - now) * count), count, 0, bits, stream);
    };
    if (const char* e = cuda::text(run(nullptr))) return e;
    const DeviceScratch scratch(device, bytes);
    if (!scratch.p) return no_memory;
    const char* e = cuda::text(run(scratch.p));
    now = 1 - now;
    return e;
  };
  if (const char* e = pass(64)) return e;
  if (s.rows > 1) {
    make_rows<<<2048, 256, 0, stream>>>(count, s.n, position.at<std::int64_t>(now * count),
                                        key.at<std::uint64_t>(now * count));
    if (const char* e = pass(64 - __builtin_clzll(static_cast<std::uint64_t>(s.rows)))) return e;
  }
  take_sorted<<<2048, 256, 0, stream>>>(s, position.at<std::int64_t>(now * count));
  return cuda::text(cudaGetLastError());
}
/// Floating numbers are added in double.
inline const char* cuda_scan(int device, const abi::DeviceScan& s) {
  if (s.rows == 0 || s.n == 0) return nullptr;
  const Dtype type = static_cast<Dtype>(s.type);
  return detail::floating(type) ? detail::scan_rows<double>(device, s)
                                : detail::scan_rows<std::int64_t>(device, s);
}

}  // namespace tenon::kernel
