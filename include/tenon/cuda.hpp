// SPDX-License-Identifier: Apache-2.0
// Umbrella of CUDA (link tenon::cuda). A file built by nvcc that includes it before its statements
// has kernels for them; one built by another compiler may use tensors on devices whose statements
// another file has. Without a device or a driver programs run as before.
#pragma once
#include <tenon/kernel/device/functions.hpp>
#include <tenon/tensor/device.hpp>
#if defined(__CUDACC__)
#include <tenon/kernel/cuda/fill.cuh>
#endif
