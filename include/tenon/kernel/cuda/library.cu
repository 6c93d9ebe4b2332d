// SPDX-License-Identifier: Apache-2.0
// What a program with CUDA links once, beside its own files: the runtime, cuBLAS, and the kernels
// that do not depend on its statements. Built by nvcc; tenon::cuda does it.
#include <tenon/kernel/cuda/fill.cuh>
#include <tenon/kernel/cuda/sort.cuh>
#include <tenon/memory/cuda_device.cuh>

namespace tenon::inline TENON_ISA {
namespace {

bool fill() {
  using namespace kernel;
  namespace c = memory::cuda;
  fill_library(abi::device_kernels);
  static constexpr abi::DeviceTable table{
      "cuda",         c::count, c::allocate, c::deallocate, c::upload,         c::download,
      c::copy,        c::clear, c::launch,   c::gemm,       kernel::cuda_sort, kernel::cuda_scan,
      c::synchronise, c::fault};
  abi::device_table = &table;
  return true;
}
[[maybe_unused]] const bool filled = fill();

}  // namespace
}  // namespace tenon
