// SPDX-License-Identifier: Apache-2.0
// Data parallel training: ranks share the shards of every batch, and each gets the whole gradient,
// with the bits of one process that computes all shards.
#pragma once
#include <tenon/dist/buckets.hpp>
#include <tenon/dist/facts.hpp>

namespace tenon::inline TENON_ISA::dist {

namespace detail {

/// The joining of one gradient: buckets start as their parameters are ready.
class Exchange final : public Job {
 public:
  Exchange(const ShardCut& cut, int rank, std::uint64_t step, std::uint64_t position,
           std::span<const AnyTensor> tensors, std::span<const Join> joins,
           std::size_t bucket_bytes)
      : position_(position),
        full_{cut.shards, cut.shards, cut.ranks},
        nodes_(cut.nodes(rank)),
        all_nodes_(full_.nodes(rank)),
        pieces_(cut_with_states(tensors, joins, bucket_bytes)),
        buckets_of_(tensors.size()),
        counts_(position, cut.rows, rank, all_nodes_.size(), joins.size()),
        counts_missing_(nodes_.size()) {
    for (const AnyTensor& t : tensors) dtypes_.push_back(t.dtype());
    memory_.slots.assign(std::max<std::size_t>(nodes_.size(), 1),
                         std::vector<AnyTensor>(tensors.size()));
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (nodes_.empty() || tensors[i].size() == 0)
        memory_.slots[0][i] = AnyTensor::empty(tensors[i].dtype(), tensors[i].extents());
    runs_.emplace_back(counts_, 0, step, full_, rank);
    for (std::size_t b = 0; b < pieces_.size(); ++b) {
      buckets_.push_back(std::make_unique<TensorBucket>(memory_, pieces_[b], dtypes_));
      runs_.emplace_back(*buckets_[b], static_cast<std::uint32_t>(b + 1), step, cut, rank);
      for (const BucketPiece& p : pieces_[b])
        buckets_of_[static_cast<std::size_t>(p.parameter)].push_back(b);
      missing_.push_back(pieces_[b].size() * nodes_.size());
      if (nodes_.empty()) ready_.push_back(b + 1);
    }
    if (nodes_.empty()) ready_.push_back(0);
  }

  // ---- the thread that computes; true: something can start ----
  bool ready(int node, int tensor, const AnyTensor& sum) {
    const auto i = static_cast<std::size_t>(tensor);
    std::lock_guard lock(mutex_);
    memory_.slots[static_cast<std::size_t>(node)][i] = sum;
    bool any = false;
    for (std::size_t b : buckets_of_[i])
      if (--missing_[b] == 0) ready_.push_back(b + 1), any = true;
    return any;
  }
  bool counted(int node, const GradientSum& sum) {
    const ShardRange own = nodes_[static_cast<std::size_t>(node)];
    std::lock_guard lock(mutex_);
    int slot = 0;
    while (all_nodes_[static_cast<std::size_t>(slot)].begin != own.begin) ++slot;
    counts_.set(slot, sum);
    if (--counts_missing_ > 0) return false;
    ready_.push_back(0);
    return true;
  }
  GradientSum result() {
    std::lock_guard lock(mutex_);
    GradientSum sum;
    counts_.read_total(sum);
    sum.gradient = std::move(memory_.slots[0]);
    memory_.slots.clear();
    return sum;
  }

  // ---- the communication thread ----
  bool advance(Communicator& c) override {
    {
      std::lock_guard lock(mutex_);
      active_.insert(active_.end(), ready_.begin(), ready_.end());
      ready_.clear();
    }
    std::erase_if(active_, [&](std::size_t b) { return runs_[b].advance(c) && ++done_ > 0; });
    return done_ == runs_.size();
  }
  std::string operation() const override {
    return "step " + std::to_string(position_) + ", joining gradients (" + std::to_string(done_) +
           " of " + std::to_string(runs_.size()) + " parts done)";
  }

 private:
  const std::uint64_t position_;
  const ShardCut full_;  // as if no shard were empty
  const std::vector<ShardRange> nodes_, all_nodes_;
  const std::vector<std::vector<BucketPiece>> pieces_;
  std::vector<std::vector<std::size_t>> buckets_of_;
  std::vector<Dtype> dtypes_;

  // Under the lock until a bucket is ready, then of the communication thread.
  std::mutex mutex_;
  GradientMemory memory_;
  CountBucket counts_;
  std::vector<std::unique_ptr<TensorBucket>> buckets_;
  std::vector<std::size_t> missing_, ready_;
  std::size_t counts_missing_;

  std::vector<BucketRun> runs_;  // 0: counts; b + 1: bucket b
  std::vector<std::size_t> active_;
  std::size_t done_ = 0;
};

}  // namespace detail

struct DataParallelOptions {
  std::size_t bucket =
      512 * 1024;             ///< bytes that travel together; the result does not depend on it
  std::vector<Fact> program;  ///< what else must be equal on all ranks: batch size, data, ...
};

/// While it lives, batch_gradient on this thread computes this rank's shards of a batch and returns
/// the sums over all ranks. Every rank calls it with the same batches in the same order.
///   set_shards(8); seed_random(seed);
///   dist::Communicator communicator(transport);
///   dist::DataParallel ranks(communicator, net);
///   ... train_step(net, optimizer, loss, batch) as ever ...
/// Errors: Error::peer where ranks differ at the start (library, instruction set, compiler, shards,
/// seed, model, program), where one is dead, late, or at another step: all ranks fail, each naming
/// its rank, host, step (the random position) and operation; more ranks than shards.
class DataParallel final : public RankGroup {
 public:
  template <class Model>
  DataParallel(Communicator& communicator, const Model& net, DataParallelOptions options = {})
      : DataParallel(communicator, facts_of(net), std::move(options)) {}
  DataParallel(Communicator& communicator, std::vector<Fact> facts, DataParallelOptions options)
      : communicator_(communicator), bucket_(options.bucket), ambient_(ambient()) {
    facts.push_back({"bytes of a bucket", std::to_string(options.bucket)});
    facts.push_back({"number of ranks", std::to_string(communicator.size())});
    facts.insert(facts.end(), options.program.begin(), options.program.end());
    communicator.run(std::make_shared<Comparison>(std::move(facts), shards()));
    if (bucket_ < 1 || bucket_ > std::size_t{1} << 30)
      fail(Error::value, {"DataParallel: a bucket of ", bucket_, " bytes: 1 to 2^30"});
    communicator.set_activity("before the first step");
    before_ = ambient_.ranks;
    ambient_.ranks = this;
  }
  ~DataParallel() { ambient_.ranks = before_; }
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  int rank() const override { return communicator_.rank(); }
  int size() const override { return communicator_.size(); }

  void begin(std::uint64_t position, const ShardCut& cut, std::span<const AnyTensor> tensors,
             std::span<const Join> joins) override {
    exchange_ =
        std::make_shared<detail::Exchange>(cut, rank(), ++step_, position, tensors, joins, bucket_);
    position_ = position;
    communicator_.start(exchange_);
  }
  void ready(int node, int tensor, const AnyTensor& sum) override {
    if (exchange_->ready(node, tensor, sum)) communicator_.wake();
  }
  void counted(int node, const GradientSum& sum) override {
    const GradientSum own{{}, sum.loss,   sum.weight, sum.metrics, asked_ ? 1.0 : 0.0,
                          {}, sum.changed};
    if (exchange_->counted(node, own)) communicator_.wake();
  }
  GradientSum finish() override {
    const auto exchange = std::move(exchange_);
    communicator_.wait();
    communicator_.set_activity("after step " + std::to_string(position_));
    GradientSum sum = exchange->result();
    stop_ = sum.stop > 0;
    return sum;
  }
  /// Asks all ranks to end together. It travels with the counts of this rank's next step, if it has
  /// rows in it.
  void ask_to_stop() { asked_ = true; }
  /// Whether a rank had asked before the step that has just ended: the same answer on every rank.
  bool stop() const { return stop_; }
  void abandon(const char* why) noexcept override {
    exchange_ = nullptr;
    communicator_.abandon(why);
  }

 private:
  Communicator& communicator_;
  std::size_t bucket_;
  Ambient& ambient_;
  RankGroup* before_ = nullptr;
  std::shared_ptr<detail::Exchange> exchange_;
  std::uint64_t step_ = 0, position_ = 0;
  bool asked_ = false, stop_ = false;
};

}  // namespace tenon::dist
