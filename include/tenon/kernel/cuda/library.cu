// SPDX-License-Identifier: Apache-2.0
// What a program with CUDA links once, beside its own files: the runtime, cuBLAS, and the kernels
// that do not depend on its statements. Built by nvcc; tenon::cuda does it.
#include <tenon/kernel/cuda/sort.cuh>
#include <tenon/kernel/cuda/team.cuh>
#include <tenon/kernel/device/lookup_bodies.hpp>
#include <tenon/memory/cuda_device.cuh>

namespace tenon::inline TENON_ISA {
namespace {

template <class Body>
abi::DeviceKernel kernel_of() {
  using Arguments = typename Body::Arguments;
  return {reinterpret_cast<const void*>(&kernel::run_on_device<Body, Arguments>), nullptr};
}

bool fill() {
  using namespace kernel;
  namespace c = memory::cuda;
  abi::device_kernels = {
      kernel_of<CopyBody>(),    kernel_of<RampBody>(),    kernel_of<UniformBody>(),
      kernel_of<TakeBody>(),    kernel_of<ScatterBody>(), kernel_of<CheckBody>(),
      kernel_of<ExtremeBody>(), kernel_of<TotalBody>(),   kernel_of<FoldBody>(),
      kernel_of<SquaresBody>(), kernel_of<CombineBody>()};
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
