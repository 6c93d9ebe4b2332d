// SPDX-License-Identifier: Apache-2.0
// Umbrella of CUDA (link tenon::cuda). A file built by nvcc that includes it before its statements
// has kernels for them. A file of another compiler may use tensors on devices whose statements an
// nvcc file has. Without a device or a driver programs run as before.
#pragma once
#include <tenon/tensor/device.hpp>
#if defined(__CUDACC__)
#include <tenon/kernel/cuda/fill.cuh>
#include <tenon/kernel/device/all.hpp>
#endif
