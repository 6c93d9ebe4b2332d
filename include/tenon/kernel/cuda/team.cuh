// SPDX-License-Identifier: Apache-2.0
// The threads that share a row of a kernel, on a CUDA device.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/kernel/block.hpp>

#include <cuda_runtime.h>

namespace tenon::inline TENON_ISA::kernel {

/// See kernel/device/team.hpp. Teams of up to 32 lanes lie side by side in a warp; a larger one is
/// its block. (Its members are marked for the host too, since bodies are, but do nothing there.)
class CudaTeam {
 public:
  TENON_FN CudaTeam(int lanes) : lanes_(lanes) {}
#if defined(__CUDA_ARCH__)
  TENON_FN abi::Count index() const {
    return static_cast<abi::Count>(blockIdx.x) * teams() +
           (static_cast<int>(threadIdx.x) >> (31 - __clz(lanes_)));
  }
  TENON_FN abi::Count count() const { return static_cast<abi::Count>(gridDim.x) * teams(); }
  template <class F>
  TENON_FN void each(const F& f) const {
    f(lane());
  }
  template <class J, class F, class S>
  TENON_FN void reduce(const F& f, S& s) const {
    f(lane(), s);
    const int width = lanes_ < 32 ? lanes_ : 32, thread = static_cast<int>(threadIdx.x);
    const unsigned all = width == 32 ? ~0u : ((1u << width) - 1) << (thread & 31 & ~(width - 1));
    for (int k = width / 2; k > 0; k /= 2) {
      S other = s;
      J::fetch(other, s, Exchange{all, k});
      J::join(s, other);
    }
    if (lanes_ <= 32) return;
    __shared__ S warps[8];  // 256 threads at most
    if ((thread & 31) == 0) warps[thread / 32] = s;
    __syncthreads();
    s = warps[0];
    for (int w = 1; w < lanes_ / 32; ++w) J::join(s, warps[w]);
    __syncthreads();
  }

 private:
  struct Exchange {
    unsigned lanes;
    int distance;
    template <class T>
    TENON_FN T operator()(T x) const {
      return __shfl_xor_sync(lanes, x, distance);
    }
  };
  TENON_FN int lane() const { return static_cast<int>(threadIdx.x) & (lanes_ - 1); }
  TENON_FN int teams() const { return static_cast<int>(blockDim.x) >> (31 - __clz(lanes_)); }
#else
  TENON_FN abi::Count index() const { return 0; }
  TENON_FN abi::Count count() const { return lanes_; }
  template <class F>
  TENON_FN void each(const F&) const {}
  template <class J, class F, class S>
  TENON_FN void reduce(const F&, S&) const {}

 private:
#endif
  int lanes_;
};

/// The kernel of a body.
template <class Body, class Arguments>
__global__ void __launch_bounds__(256, 2) run_on_device(const __grid_constant__ Arguments a) {
  Body::run(a, CudaTeam(Body::lanes(a)));
}

}  // namespace tenon::kernel
