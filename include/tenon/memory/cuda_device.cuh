// SPDX-License-Identifier: Apache-2.0
// The table of memory/device_table.hpp on the CUDA runtime: one stream a device, a pool of memory,
// cuBLAS for products. Included by kernel/cuda/library.cu alone.
#pragma once
#include <tenon/memory/device_pool.hpp>
#include <tenon/memory/device_table.hpp>

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <memory>

namespace tenon::inline TENON_ISA::memory::cuda {

inline const char* text(cudaError_t e) {
  return e == cudaSuccess ? nullptr : cudaGetErrorString(e);
}
inline const char* text(cublasStatus_t s) {
  return s == CUBLAS_STATUS_SUCCESS ? nullptr : cublasGetStatusString(s);
}

inline void* take(int device, std::size_t bytes) {
  void* p = nullptr;
  if (cudaSetDevice(device) != cudaSuccess || cudaMalloc(&p, bytes) != cudaSuccess) {
    cudaGetLastError();  // so that the next call does not report it again
    return nullptr;
  }
  return p;
}
// cudaFree waits for the device, so nothing that is queued loses its memory.
inline void give(int device, void* p) {
  cudaSetDevice(device);
  cudaFree(p);
}

/// What the library keeps of one device.
struct State {
  explicit State(int index) : pool(index, take, give) {}
  DevicePool pool;
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;
  abi::DeviceFault* fault = nullptr;
  SpinLock mutex;
};

inline int count() {
  static const int n = [] {
    int found = 0;
    if (cudaGetDeviceCount(&found) != cudaSuccess) {
      cudaGetLastError();
      return 0;
    }
    return found < 255 ? found : 255;
  }();
  return n;
}
/// Makes the device current. Never destroyed: tensors may outlive every static object.
inline State& on(int device) {
  static std::unique_ptr<State>* all = [] {
    auto* list = new std::unique_ptr<State>[static_cast<std::size_t>(count())];
    for (int i = 0; i < count(); ++i) {
      list[i] = std::make_unique<State>(i);
      cudaSetDevice(i);
      cudaStreamCreateWithFlags(&list[i]->stream, cudaStreamNonBlocking);
      list[i]->fault = static_cast<abi::DeviceFault*>(take(i, sizeof(abi::DeviceFault)));
      cudaMemsetAsync(list[i]->fault, 0, sizeof(abi::DeviceFault), list[i]->stream);
    }
    return list;
  }();
  cudaSetDevice(device);
  return *all[device];
}

inline void* allocate(int device, std::size_t bytes) { return on(device).pool.allocate(bytes); }
inline void deallocate(int device, void* p, std::size_t bytes) {
  on(device).pool.deallocate(p, bytes);
}
// From pageable memory the call returns when the source has been read.
inline const char* upload(int device, void* to, const void* from, std::size_t bytes) {
  return text(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, on(device).stream));
}
inline const char* download(int device, void* to, const void* from, std::size_t bytes) {
  State& s = on(device);
  if (const char* e = text(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s.stream)))
    return e;
  return text(cudaStreamSynchronize(s.stream));
}
inline const char* copy(int device, void* to, int from_device, const void* from,
                        std::size_t bytes) {
  if (device == from_device)
    return text(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, on(device).stream));
  // Between devices both wait: their queues know nothing of each other.
  if (const char* e = text(cudaStreamSynchronize(on(from_device).stream))) return e;
  State& s = on(device);
  if (const char* e = text(cudaMemcpyPeerAsync(to, device, from, from_device, bytes, s.stream)))
    return e;
  return text(cudaStreamSynchronize(s.stream));
}
inline const char* clear(int device, void* to, std::size_t bytes) {
  return text(cudaMemsetAsync(to, 0, bytes, on(device).stream));
}
inline const char* launch(int device, const abi::Launch& l) {
  if (!l.kernel->device) return "a kernel that was built for the host only";
  void* arguments[] = {const_cast<void*>(l.arguments)};
  return text(cudaLaunchKernel(l.kernel->device, dim3(static_cast<unsigned>(l.blocks)),
                               dim3(static_cast<unsigned>(l.threads)), arguments, 0,
                               on(device).stream));
}
inline const char* synchronise(int device) {
  return text(cudaStreamSynchronize(on(device).stream));
}
inline abi::DeviceFault* fault(int device) { return on(device).fault; }

/// cuBLAS counts columns first, so that c^T = op(b)^T op(a)^T is what it is asked for.
inline const char* gemm(int device, const abi::DeviceGemm& g) {
  State& s = on(device);
  Locked lock(s.mutex);
  if (!s.blas) {
    if (const char* e = text(cublasCreate(&s.blas))) return e;
    if (const char* e = text(cublasSetStream(s.blas, s.stream))) return e;
  }
  const std::int64_t most = 0x7fffffff;
  if (g.m > most || g.n > most || g.k > most || g.count > most || g.a_row > most ||
      g.b_row > most || g.c_row > most)
    return "a product has an extent beyond 2147483647";
  const auto whole = [](std::int64_t x) { return static_cast<int>(x); };
  const cublasOperation_t ta = g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                          tb = g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const int m = whole(g.m), n = whole(g.n), k = whole(g.k);
  if (g.element_bytes == 4) {
    const float one = 1, beta = g.add ? 1.0f : 0.0f;
    return text(cublasSgemmStridedBatched(
        s.blas, tb, ta, n, m, k, &one, static_cast<const float*>(g.b), whole(g.b_row), g.b_matrix,
        static_cast<const float*>(g.a), whole(g.a_row), g.a_matrix, &beta, static_cast<float*>(g.c),
        whole(g.c_row), g.c_matrix, whole(g.count)));
  }
  const double one = 1, beta = g.add ? 1.0 : 0.0;
  return text(cublasDgemmStridedBatched(
      s.blas, tb, ta, n, m, k, &one, static_cast<const double*>(g.b), whole(g.b_row), g.b_matrix,
      static_cast<const double*>(g.a), whole(g.a_row), g.a_matrix, &beta, static_cast<double*>(g.c),
      whole(g.c_row), g.c_matrix, whole(g.count)));
}

}  // namespace tenon::memory::cuda
