// SPDX-License-Identifier: Apache-2.0
// A device for tests that are compiled twice: by g++ with the fake device of any machine, by nvcc
// for the one that is there. Laws of a device: its results are the processor's, up to rounding.
#pragma once
#if defined(__CUDACC__)
#include <tenon/cuda.hpp>
#else
#include "support/fake_device.hpp"
#endif
#include <tenon/tape/tape.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

#include <cstdlib>

namespace tests {

/// Whether there is a device. Without one the test case ends early with a warning, or fails where
/// the environment variable TENON_REQUIRE_DEVICE says that there must be one.
inline bool have_device() {
  if (cuda_device_count() > 0) return true;
  if (std::getenv("TENON_REQUIRE_DEVICE"))
    FAIL("TENON_REQUIRE_DEVICE is set, but there is no CUDA device");
  WARN("no CUDA device: this test checks nothing");
  return false;
}

/// The bound for numbers that were added up from `count` of order 1, in some order: distance()
/// divides by the size of the result where that is above 1.
inline double rounding(Dtype compute, Index count) {
  const double unit = compute == Dtype::f64 ? 0x1p-52 : 0x1p-23;
  return unit * (32 + 4 * std::sqrt(static_cast<double>(count)));
}
/// tests::distance of a tensor on a device and one of the host.
inline double apart(const AnyTensor& there, const AnyTensor& here) {
  CHECK(there.device() == cuda(0));
  CHECK(there.dtype() == here.dtype());
  return distance(there.to(cpu), here);
}
/// Equal bits of a tensor on a device and one of the host.
inline bool alike(const AnyTensor& there, const AnyTensor& here) {
  return there.device() == cuda(0) && same_bits(there.to(cpu), here);
}

/// How a tensor lies in memory.
enum class Layout {
  dense,
  shifted,    ///< as x(slice(1, end)): not aligned to more than an element
  exchanged,  ///< first and last axis exchanged
  reversed,   ///< every axis backwards, at twice the distance
};
inline constexpr Layout layouts[] = {Layout::dense, Layout::shifted, Layout::exchanged,
                                     Layout::reversed};

/// A tensor that lies alike wherever it is made: a view of `base`.
struct Operand {
  AnyTensor base;
  Extents e;
  Index strides[max_rank] = {}, offset = 0;

  AnyTensor on(Device d) const { return base.to(d).view(e, strides, offset); }
};
/// spread() in a layout.
inline Operand operand(Dtype dtype, const Extents& e, unsigned seed, Layout layout = Layout::dense,
                       double low = -2, double high = 2) {
  Operand o;
  o.e = e;
  Extents wide = e;
  Index dense[max_rank] = {};
  if (layout == Layout::reversed)
    for (int i = 0; i < e.rank; ++i) wide.extent[i] *= 2;
  if (layout == Layout::exchanged && e.rank > 1) std::swap(wide.extent[0], wide.extent[e.rank - 1]);
  contiguous_strides(wide, dense);
  for (int i = 0; i < e.rank; ++i) {
    o.strides[i] = layout == Layout::reversed ? -2 * dense[i] : dense[i];
    if (layout == Layout::reversed && e.size()) o.offset += (wide.extent[i] - 1) * dense[i];
  }
  if (layout == Layout::exchanged && e.rank > 1) std::swap(o.strides[0], o.strides[e.rank - 1]);
  if (layout == Layout::shifted) o.offset = 1;
  o.base = spread(dtype, extents({wide.size() + 1}), seed, low, high);
  return o;
}

/// A group, and what it is called with.
struct Call {
  const StatementInfo* info;
  std::vector<Operand> x;
  std::vector<double> scalar = {};
  GroupCall how = {};
  Dtype dtype = Dtype::f32;  ///< of the result
  bool gradients = true;

  /// The value, then the gradients of sum(weights * value) by every floating operand.
  std::vector<AnyTensor> on(Device d) const {
    std::vector<AnyTensor> in, wrt;
    if (info->product) in.push_back(AnyTensor{});
    for (const Operand& o : x) {
      in.push_back(o.on(d));
      if (is_floating(in.back().dtype())) wrt.push_back(in.back());
    }
    const int count = static_cast<int>(in.size());
    if (!gradients)
      return {kernel::evaluate(*info, in.data(), count, scalar.data(), how, dtype, Context{})};
    std::vector<AnyTensor> out(1 + wrt.size());
    Tape tape;
    out[0] =
        kernel::evaluate(*info, in.data(), count, scalar.data(), how, dtype, Context::current());
    const AnyTensor seed = spread(info->compute, out[0].extents(), 77, 0.5, 1.5).to(d);
    tape.gradient(out[0], wrt, std::span<AnyTensor>(out).subspan(1), seed);
    return out;
  }
};
/// The law: a group gives on a device what it gives on the processor. added: how many numbers of
/// order 1 go into one of the results.
inline void check_call(const Call& c, Index added) {
  const auto here = c.on(cpu), there = c.on(cuda(0));
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(i, to_string(here[i].extents()), c.info->name);
    REQUIRE(there[i].extents() == here[i].extents());
    CHECK(apart(there[i], here[i]) <= rounding(c.info->compute, added));
  }
#if !defined(__CUDACC__)
  fake::on(0).pool->release_cache();  // each block costs a call of the system whenever work runs
#endif
}

}  // namespace tests
