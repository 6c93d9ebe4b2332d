// SPDX-License-Identifier: Apache-2.0
// How the library reaches a device: one table of functions, which a file built by nvcc fills, and
// the kernels of such files by structure. Plain data outside the instruction set's namespace, so
// that files of different compilers share it.
#pragma once
#include <tenon/core/error.hpp>
#include <tenon/memory/device.hpp>

#include <cstddef>

namespace tenon::abi {

/// One kernel. `device`: the __global__ function, null unless a file built by nvcc has it.
/// `lanes`: the same body on the host, one block, its lanes in turn; null unless a test asks for
/// it.
struct DeviceKernel {
  const void* device = nullptr;
  void (*lanes)(const void* arguments, std::int64_t block, std::int64_t blocks,
                int threads) = nullptr;
};

/// One launch: `blocks` blocks of `threads` threads, all with the same arguments by value.
struct Launch {
  const DeviceKernel* kernel;
  const void* arguments;
  std::size_t bytes;
  std::int64_t blocks;
  int threads;
};

/// c = op(a) op(b), or added to c. Row-major m x k and k x n, `count` of them, at these distances
/// in elements. Type: f32 or f64 by bytes.
struct DeviceGemm {
  int element_bytes;
  std::int64_t m, n, k, count;
  const void *a, *b;
  void* c;
  std::int64_t a_row, b_row, c_row;  ///< distance between stored rows
  std::int64_t a_matrix, b_matrix, c_matrix;
  bool transpose_a, transpose_b, add;
};

/// `rows` rows of n keys each, sorted along the row, equal ones in their order: values = the sorted
/// keys, order = where each came from. Type: the number of f32, f64, i64 or i32; NaN is largest.
struct DeviceSort {
  const void* keys;
  void *values, *order;  ///< order: i64
  std::uint8_t type;
  std::int64_t rows, n;
  bool descending;
};
/// Running sums along rows of n elements: y[i] = x[0] + ... + x[i]. f32, f64, i64 or i32.
struct DeviceScan {
  const void* source;
  void* target;
  std::uint8_t type;
  std::int64_t rows, n;
};

/// A label or an index out of range that a kernel met: kept on the device until the host asks.
struct DeviceFault {
  std::int64_t index, position, extent;
  std::int32_t code;  ///< Error::Code, 0 for none
  std::int32_t what;  ///< 0: pick, 1: take, 2: scatter_rows
};

/// All work of one device is done in the order of the calls, by a queue of its own; only download
/// and synchronise wait. Functions return null or a text that says what failed.
struct DeviceTable {
  const char* name;
  int (*count)();
  void* (*allocate)(int device, std::size_t bytes);  ///< aligned to 256; null: no memory left
  void (*deallocate)(int device, void* p, std::size_t bytes);
  const char* (*upload)(int device, void* to, const void* from, std::size_t bytes);
  const char* (*download)(int device, void* to, const void* from, std::size_t bytes);
  const char* (*copy)(int device, void* to, int from_device, const void* from, std::size_t bytes);
  const char* (*clear)(int device, void* to, std::size_t bytes);
  const char* (*launch)(int device, const Launch&);
  const char* (*gemm)(int device, const DeviceGemm&);
  const char* (*sort)(int device, const DeviceSort&);
  const char* (*scan)(int device, const DeviceScan&);
  const char* (*synchronise)(int device);
  DeviceFault* (*fault)(int device);  ///< device memory
};

/// Null: the program was built without a device.
inline const DeviceTable* device_table = nullptr;

}  // namespace tenon::abi

namespace tenon::inline TENON_ISA {

/// How many CUDA devices there are: 0 without a driver, and in programs without a file built by
/// nvcc.
inline int cuda_device_count() { return abi::device_table ? abi::device_table->count() : 0; }

namespace detail {

TENON_COLD inline void check_device(const char* failed) {
  if (failed) fail(Error::device, {"cuda: ", failed});
}
/// The table, for work on a device that exists.
inline const abi::DeviceTable& device_table(Device d) {
  const int count = cuda_device_count();
  if (d.index >= count)
    fail(
        Error::device,
        {"cuda(", int(d.index), "): ",
         abi::device_table ? "there are " : "no file of this program was built by nvcc; there are ",
         count, " devices"});
  return *abi::device_table;
}
/// A fault that kernels left behind, as an error; the next one starts from none.
inline void check_fault(const abi::DeviceTable& t, int device) {
  abi::DeviceFault f{};
  check_device(t.download(device, &f, t.fault(device), sizeof f));
  if (f.code == 0) [[likely]]
    return;
  check_device(t.clear(device, t.fault(device), sizeof f));
  static constexpr const char* name[] = {"pick", "take", "scatter_rows"};
  fail(static_cast<Error::Code>(f.code),
       {name[f.what], ": index ", f.index, " at position ", f.position,
        " is out of range for an extent of ", f.extent, " (found on cuda(", device,
        ") and reported when the host waited for it)"});
}
inline void launch(Device d, const abi::DeviceKernel& kernel, const char* name,
                   const void* arguments, std::size_t bytes, Index blocks, int threads) {
  const abi::DeviceTable& t = device_table(d);
  if (!kernel.device && !kernel.lanes) [[unlikely]]
    fail(Error::device, {name, ": no kernel for cuda(", int(d.index),
                         "): a file with this statement must be built by nvcc"});
  check_device(t.launch(d.index, {&kernel, arguments, bytes, blocks, threads}));
}

}  // namespace detail

/// Waits until all work given to a device is done. Errors: what went wrong there -> Error::device;
/// a label or index out of range -> Error::index.
inline void synchronize(Device d) {
  if (d == cpu) return;
  const abi::DeviceTable& t = detail::device_table(d);
  detail::check_device(t.synchronise(d.index));
  detail::check_fault(t, d.index);
}

}  // namespace tenon
