// SPDX-License-Identifier: Apache-2.0
// The tests of fused groups and of products for the device that is there. Links Catch2WithMain,
// kernel/cuda/library.cu and cuBLAS.
#define EIGEN_NO_CUDA
#include "kernel/device/group_backward.cpp"
#include "kernel/device/product.cpp"
