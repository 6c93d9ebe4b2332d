// SPDX-License-Identifier: Apache-2.0
// Models on devices, and where a program asked to run on a device can run.
#pragma once
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/model.hpp>

#include <cstdio>

namespace tenon::inline TENON_ISA {

/// A copy of a model, or of a batch, whose tensors lie on a device; it shares those that lie there
/// already. Parameters, states and, in a batch, every tensor move; other members are copied.
/// Errors: Error::device, Error::memory.
template <class Model>
Model to(const Model& model, Device device);

namespace detail {
template <class X>
void move_tensors(X& x, Device device) {
  using P = std::remove_const_t<X>;
  if constexpr (is_tensor<P>) {
    if (x.defined()) x.any() = x.any().to(device);
  } else if constexpr (is_state<P>) {
    move_tensors(x.value, device);
  } else if constexpr (is_list<P>) {
    for (auto& m : x) move_tensors(m, device);
  } else if constexpr (is_optional<P>) {
    if (x) move_tensors(*x, device);
  } else if constexpr (!std::is_empty_v<P> && Aggregate<P>) {
    each_member(x, [&](std::string_view, auto& m) {
      if constexpr (std::is_class_v<std::remove_reference_t<decltype(m)>>) move_tensors(m, device);
    });
  }
}
}  // namespace detail

template <class Model>
Model to(const Model& model, Device device) {
  Model there = model;
  detail::move_tensors(there, device);
  return there;
}

/// cuda(index) where there is such a device; else the processor, and the first time a line on
/// stderr that says so.
inline Device cuda_or_cpu(int index = 0) {
  if (index >= 0 && index < cuda_device_count()) return cuda(index);
  static constinit Atomic<bool> said{false};
  if (!said.exchange(true)) std::fputs("no CUDA device, running on the CPU\n", stderr);
  return cpu;
}

}  // namespace tenon
