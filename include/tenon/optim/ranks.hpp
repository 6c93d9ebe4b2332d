// SPDX-License-Identifier: Apache-2.0
// The seam where ranks meet: which shards of a batch this process computes, and how their sums
// become those of all ranks. Type-erased; dist/ implements RankGroup.
#pragma once
#include <tenon/optim/join.hpp>
#include <tenon/optim/scalar.hpp>
#include <tenon/tape/tape.hpp>

#include <string>
#include <vector>

namespace tenon::inline TENON_ISA {

/// A metric that a loss function returned beside the loss, summed over the shards.
struct Metric {
  std::string name;
  Scalar value;
};

/// Sums over shards: of weight * gradient for each parameter, and of what was counted beside.
struct GradientSum {
  std::vector<AnyTensor> gradient;
  double loss = 0;    ///< sum of weight * loss
  double weight = 0;  ///< samples, or the sum of the weights
  std::vector<Metric> metrics;
  double stop = 0;  ///< how many asked the run to end after this step
  std::vector<AnyTensor> state =
      {};  ///< of the terms that detail::StepStates makes of State members
  std::vector<double> changed = {};  ///< by State: above 0 where a shard has written it
};

/// A node of the tree over the shards: the sum of [begin, end).
struct ShardRange {
  Index begin, end;
};

/// How a batch of `rows` rows is cut into `shards` shards and these are given to ranks. Shard v has
/// rows floor(v rows / shards) .. floor((v + 1) rows / shards), rank r the shards
/// floor(r shards / ranks) .. floor((r + 1) shards / ranks). Needs ranks <= shards.
struct ShardCut {
  Index shards = 1, rows = 0, ranks = 1;

  Index row(Index shard) const { return shard * rows / shards; }
  bool empty(Index begin, Index end) const { return row(begin) == row(end); }
  ShardRange of_rank(Index rank) const {
    return {rank * shards / ranks, (rank + 1) * shards / ranks};
  }
  Index rank_of(Index shard) const { return ((shard + 1) * ranks - 1) / shards; }
  /// The largest nodes of the tree that lie in a rank's range and are not empty, in order.
  std::vector<ShardRange> nodes(Index rank) const {
    std::vector<ShardRange> out;
    collect(of_rank(rank), {0, shards}, out);
    return out;
  }

 private:
  TENON_COLD void collect(ShardRange own, ShardRange node, std::vector<ShardRange>& out) const {
    if (node.end <= own.begin || node.begin >= own.end || empty(node.begin, node.end)) return;
    if (node.begin >= own.begin && node.end <= own.end) return out.push_back(node);
    const Index middle = node.begin + (node.end - node.begin) / 2;
    collect(own, {node.begin, middle}, out);
    collect(own, {middle, node.end}, out);
  }
};

/// The ranks that compute the gradient of one batch together. batch_gradient asks the one in
/// ambient().ranks. Each rank calls begin; ready for every node (see ShardCut::nodes) and every
/// tensor that travels, the parameters and after them the states, and counted for every node, in
/// any order; then finish. All ranks get the same sums.
class RankGroup {
 public:
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// position: of the random numbers, the same on every rank, as is the cut. tensors: parameters,
  /// then the model's State members, as many as joins: Join::first takes the first shard's, others
  /// are summed.
  virtual void begin(std::uint64_t position, const ShardCut& cut,
                     std::span<const AnyTensor> tensors, std::span<const Join> joins) = 0;
  /// `sum`, on the host, contiguous and of the tensor's dtype, is the group's until finish returns:
  /// the caller neither reads nor writes it.
  virtual void ready(int node, int tensor, const AnyTensor& sum) = 0;
  /// Loss, weight, metrics and what has changed; gradients and states are not looked at.
  virtual void counted(int node, const GradientSum& sum) = 0;
  /// Waits for the sums over all shards: of all tensors, in `gradient`, on the host. Errors:
  /// Error::peer.
  virtual GradientSum finish() = 0;
  /// This rank cannot go on: the others are told why, and every later call fails.
  virtual void abandon(const char* why) noexcept = 0;

 protected:
  ~RankGroup() = default;
};

/// Who applies gradients in place of the optimizer: `update` asks the one in ambient().updater.
class Updater {
 public:
  /// Gives every parameter its value after the step. rule, number: the optimizer's, by name and by
  /// its numbers; parameters and gradients in the order of the model's members.
  virtual void update(const char* rule, std::span<const double> number,
                      std::span<AnyTensor* const> parameters,
                      std::span<AnyTensor* const> gradients) = 0;

 protected:
  ~Updater() = default;
};

namespace detail {

/// The shards of this rank, one after the other: each shard's gradient is weighted and joined with
/// those before it; those of the last shard as soon as each is final, so that they can travel while
/// the rest is computed.
class OwnShards final : public GradientSink {
 public:
  using Run = void (*)(const void* context, Index shard, OwnShards& self);

  OwnShards(RankGroup& ranks, const Members& parameters, StepStates& states, const ShardCut& cut)
      : ranks_(ranks), states_(states), cut_(cut) {
    for (const AnyTensor* t : parameters) parameters_.push_back(*t);
  }

  /// run(context, shard, *this) computes a shard's loss and calls backward.
  TENON_COLD GradientSum sum(std::uint64_t position, Run run, const void* context) {
    run_ = run, context_ = context;
    const std::vector<ShardRange> nodes = cut_.nodes(ranks_.rank());
    if (!nodes.empty()) {
      last_ = nodes.back().end - 1;
      while (cut_.empty(last_, last_ + 1)) --last_;
    }
    std::vector<AnyTensor> travels = parameters_;
    travels.insert(travels.end(), states_.start().begin(), states_.start().end());
    try {
      ranks_.begin(position, cut_, travels, states_.joins());
      for (node_ = 0; node_ < static_cast<int>(nodes.size()); ++node_) one_node(nodes);
      GradientSum sum = ranks_.finish();
      const auto end = sum.gradient.begin() + static_cast<std::ptrdiff_t>(parameters_.size());
      sum.state.assign(end, sum.gradient.end());
      sum.gradient.erase(end, sum.gradient.end());
      return sum;
    } catch (const std::exception& error) {
      ranks_.abandon(error.what());
      throw;
    }
  }

  /// The gradient of a shard whose loss the tape recorded.
  TENON_COLD void backward(Tape& tape, const AnyTensor& loss, double value, double weight,
                           std::vector<Metric>&& metrics) {
    into_->loss = value * weight, into_->weight = weight, into_->metrics = std::move(metrics);
    into_->gradient.assign(parameters_.size(), {});
    std::vector<AnyTensor> unused(parameters_.size());
    tape.gradient(loss, std::span<const AnyTensor>(parameters_), std::span<AnyTensor>(unused), {},
                  AfterGradient::end, this);
  }

  /// The gradients of a shard that are there already, one a parameter.
  TENON_COLD void take(const Members& gradients, double value, double weight,
                       std::vector<Metric>&& metrics) {
    into_->loss = value * weight, into_->weight = weight, into_->metrics = std::move(metrics);
    into_->gradient.assign(parameters_.size(), {});
    for (std::size_t i = 0; i < gradients.size(); ++i) final(static_cast<int>(i), gradients[i]);
  }

  TENON_COLD void final(int index, const AnyTensor& gradient) override {
    const auto i = static_cast<std::size_t>(index);
    AnyTensor sum = gradient.to(parameters_[i].dtype());
    combine_into(sum, into_->weight, sum, 0);
    if (shard_ != last_) {
      into_->gradient[i] = std::move(sum);
      return;
    }
    for (std::size_t k = left_.size(); k-- > 0;) {
      combine_into(left_[k]->gradient[i], 1, sum, 1);
      sum = left_[k]->gradient[i];
    }
    give(index, sum);
  }

 private:
  TENON_COLD void one_node(const std::vector<ShardRange>& nodes) {
    GradientSum sum;
    const ShardRange node = nodes[static_cast<std::size_t>(node_)];
    tree(node, sum);
    sum.changed = states_.changed();
    ranks_.counted(node_, sum);
    for (std::size_t i = 0; i < sum.state.size(); ++i)
      give(static_cast<int>(parameters_.size() + i), sum.state[i]);
    if (streamed(node)) return;
    for (std::size_t i = 0; i < sum.gradient.size(); ++i)
      give(static_cast<int>(i), sum.gradient[i]);
  }
  /// What travels does so from the host's memory.
  void give(int tensor, const AnyTensor& sum) { ranks_.ready(node_, tensor, sum.to(cpu)); }
  bool streamed(ShardRange node) const { return node.begin <= last_ && last_ < node.end; }

  /// Sums of weight * gradient over a node; false: it is empty.
  TENON_COLD bool tree(ShardRange node, GradientSum& out) {
    if (cut_.empty(node.begin, node.end)) return false;
    if (node.end - node.begin == 1) {
      shard_ = node.begin, into_ = &out;
      run_(context_, shard_, *this);
      out.state = states_.left(out.weight);
      return true;
    }
    const Index middle = node.begin + (node.end - node.begin) / 2;
    GradientSum right;
    const bool any = tree({node.begin, middle}, out);
    if (any) left_.push_back(&out);
    const bool more = tree({middle, node.end}, any ? right : out);
    if (any) left_.pop_back();
    if (!any || !more) return true;
    if (!streamed({middle, node.end}))
      for (std::size_t i = 0; i < out.gradient.size(); ++i)
        combine_into(out.gradient[i], 1, right.gradient[i], 1);
    states_.add(out.state, right.state);
    out.loss += right.loss, out.weight += right.weight;
    for (std::size_t i = 0; i < out.metrics.size(); ++i)
      out.metrics[i].value += right.metrics[i].value;
    return true;
  }

  RankGroup& ranks_;
  StepStates& states_;
  ShardCut cut_;
  std::vector<AnyTensor> parameters_;
  Run run_ = nullptr;
  const void* context_ = nullptr;
  std::vector<GradientSum*> left_;  // what waits for its right half, the outermost first
  GradientSum* into_ = nullptr;
  Index shard_ = -1, last_ = -1;
  int node_ = 0;
};

}  // namespace detail
}  // namespace tenon
