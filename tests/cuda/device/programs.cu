// SPDX-License-Identifier: Apache-2.0
// The tests of what does not fuse, of models and of training for the device that is there. Links
// Catch2WithMain, kernel/cuda/library.cu and cuBLAS.
#define EIGEN_NO_CUDA
#include "kernel/device/functions.cpp"
#include "kernel/device/update.cpp"
#include "tensor/device.cpp"
