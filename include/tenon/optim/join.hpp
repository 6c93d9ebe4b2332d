// SPDX-License-Identifier: Apache-2.0
// State members of a model over the shards of one step: each shard starts from the step's values,
// and what the shards left becomes one value.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/device/calls.hpp>
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/model.hpp>

namespace tenon::inline TENON_ISA {
namespace detail {

/// to = scale_to * to + scale_from * from, contiguous f32 or f64, where `to` lies (from: any dtype,
/// anywhere).
inline void combine_into(AnyTensor& to, double scale_to, const AnyTensor& from, double scale_from) {
  to.detach();
  const AnyTensor dense =
      from.id() == to.id() ? AnyTensor{} : moved(from, to.device()).to(to.dtype()).to_contiguous();
  const bool narrow = to.dtype() == Dtype::bf16 || to.dtype() == Dtype::f16;
  if (to.get()->place && !narrow) [[unlikely]]
    return kernel::device_calls().combine(to, scale_to, dense.defined() ? dense : to, scale_from);
  const void* source = narrow ? nullptr : dense.defined() ? dense.raw() : to.raw();
  auto run = [&](auto* p, const auto* q) {
    using T = std::remove_pointer_t<decltype(p)>;
    const T a = static_cast<T>(scale_to), b = static_cast<T>(scale_from);
    const Index n = to.size(), block = 16 * 1024;
    parallel_for((n + block - 1) / block, n >= Threshold::cheap ? num_threads() : 1, [&](Index k) {
      const Index end = std::min(n, (k + 1) * block);
      for (Index i = k * block; i < end; ++i) p[i] = a * p[i] + b * q[i];
    });
  };
  if (to.dtype() == Dtype::f64)
    run(static_cast<double*>(to.raw_writable()), static_cast<const double*>(source));
  else if (to.dtype() == Dtype::f32)
    run(static_cast<float*>(to.raw_writable()), static_cast<const float*>(source));
  else
    to = [&] {
      AnyTensor wide = to.to(Dtype::f32);
      combine_into(wide, scale_to, dense.defined() ? dense : to, scale_from);
      return wide.to(to.dtype());
    }();
}
/// to += sign * from. Integers wrap, as they do in the sum of all; they are added by the host.
inline void add_state(AnyTensor& to, const AnyTensor& from, int sign) {
  if (is_floating(to.dtype())) return combine_into(to, 1, from, sign);
  AnyTensor sum = moved(to, cpu).to(Dtype::i64).clone();
  const AnyTensor other = moved(from, cpu).to(Dtype::i64).to_contiguous();
  sum.detach();
  auto* p = static_cast<std::uint64_t*>(sum.raw_writable());
  const auto* q = static_cast<const std::uint64_t*>(other.raw());
  for (Index i = 0, n = sum.size(); i < n; ++i) p[i] = sign > 0 ? p[i] + q[i] : p[i] - q[i];
  to = moved(sum.to(to.dtype()), to.device());
}

struct StatePlace {
  AnyTensor* value;
  Join join;
};
using StatePlaces = std::vector<StatePlace>;
template <class Model>
StatePlaces state_places(const Model& model) {
  StatePlaces list;
  auto add = [&](const char*, auto& s) { list.push_back({&s.value.any(), s.join}); };
  if constexpr (holds_state<Model>()) each_typed<true>(nullptr, model, add);
  return list;
}

/// The State members of `own` during one step. What a shard leaves in them travels in the model of
/// its gradient: `leave` turns it into a term of the sum over shards, `add` adds two such sums,
/// `finish` makes the joined values and stores them. Where ranks share the shards the terms travel
/// as tensors (`left`, `add`, `finish`). Where the step fails all is as before.
class StepStates {
 public:
  explicit StepStates(StatePlaces own) : own_(std::move(own)), changed_(own_.size()) {
    for (const StatePlace& s : own_) start_.push_back(*s.value);
  }
  ~StepStates() {
    if (!finished_) begin_shard();
  }
  StepStates(const StepStates&) = delete;
  StepStates& operator=(const StepStates&) = delete;

  void begin_shard() {
    for (std::size_t i = 0; i < own_.size(); ++i) *own_[i].value = start_[i];
  }
  void leave(const StatePlaces& left, double weight) {
    for (std::size_t i = 0; i < own_.size(); ++i) leave(i, *left[i].value, weight);
  }
  void add(const StatePlaces& to, const StatePlaces& from) const {
    for (std::size_t i = 0; i < own_.size(); ++i) add(i, *to[i].value, *from[i].value);
  }
  void finish(const StatePlaces& total, double weight) {
    for (std::size_t i = 0; i < own_.size(); ++i) {
      AnyTensor& v = *total[i].value;
      const Join join = own_[i].join;
      const bool mean = join == Join::weighted_mean;
      if (start_[i].defined() && v.defined()) {
        if (!changed_[i] || (mean && !(weight > 0))) v = start_[i];
        else if (join == Join::sum) add_state(v, start_[i], 1);
        else if (mean) combine_into(v, 1 / weight, v, 0);
      }
      *own_[i].value = v;
    }
    finished_ = true;
  }

  // ---- for ranks ----
  const std::vector<AnyTensor>& start() const { return start_; }
  std::vector<Join> joins() const {
    std::vector<Join> list;
    for (const StatePlace& s : own_) list.push_back(s.join);
    return list;
  }
  /// The terms of the shard that has just run, each in memory of its own.
  std::vector<AnyTensor> left(double weight) {
    std::vector<AnyTensor> list;
    for (std::size_t i = 0; i < own_.size(); ++i) {
      AnyTensor v = *own_[i].value;
      if (!v.defined())
        fail(Error::uninitialised, {"batch_gradient: a shard took away the value of State ", i});
      leave(i, v, weight);
      v.detach();
      list.push_back(std::move(v));
    }
    return list;
  }
  void add(std::vector<AnyTensor>& to, const std::vector<AnyTensor>& from) const {
    for (std::size_t i = 0; i < own_.size(); ++i) add(i, to[i], from[i]);
  }
  /// 1 for each State that a shard has written so far, else 0.
  std::vector<double> changed() const { return {changed_.begin(), changed_.end()}; }
  /// changed: of all ranks.
  void finish(std::vector<AnyTensor>& total, const std::vector<double>& changed, double weight) {
    StatePlaces places;
    for (std::size_t i = 0; i < own_.size(); ++i) {
      changed_[i] = changed[i] > 0;
      places.push_back({&total[i], own_[i].join});
    }
    finish(places, weight);
  }

 private:
  void leave(std::size_t i, AnyTensor& v, double weight) {
    if (!v.defined() || !start_[i].defined()) return;
    if (v.id() != start_[i].id()) changed_[i] = true;
    check(i, v);
    if (own_[i].join == Join::sum) add_state(v, start_[i], -1);
    if (own_[i].join == Join::weighted_mean) combine_into(v, weight, v, 0);
  }
  void add(std::size_t i, AnyTensor& to, const AnyTensor& from) const {
    if (own_[i].join != Join::first && to.defined() && from.defined()) add_state(to, from, 1);
  }
  void check(std::size_t i, const AnyTensor& v) const {
    if (!(v.extents() == start_[i].extents()))
      fail(Error::shape, {"batch_gradient: a shard turned a State of ", start_[i].extents(),
                          " into one of ", v.extents()});
  }
  StatePlaces own_;
  std::vector<AnyTensor> start_;
  std::vector<bool> changed_;
  bool finished_ = false;
};

/// An argument that is not differentiated, as a loss sees it: its State members are not written.
template <class X>
decltype(auto) unwritten(const X& x) {
  if constexpr (holds_state<X>()) return X(x);
  else return (x);
}

}  // namespace detail
}  // namespace tenon
