// SPDX-License-Identifier: Apache-2.0
// What a rank does to join one bucket along the canonical tree over the shards, and to give the
// total to everyone: a list of operations, carried out as messages arrive.
#pragma once
#include <tenon/dist/communicator.hpp>
#include <tenon/optim/ranks.hpp>

namespace tenon::inline TENON_ISA::dist {

/// One operation of a rank. Slots number the rank's own nodes, ShardCut::nodes.
struct TreeStep {
  enum Kind : std::uint8_t { send, receive_left, receive_right, add } kind;
  int peer;            ///< send, receive
  int slot;            ///< what is sent or added to
  int other;           ///< add: slot += other
  std::uint64_t node;  ///< whose operand travels
};

/// Which rank joins a node of the tree does not matter for the bits, so buckets take turns: bit d
/// of `turn` says whether at depth d the left or the right half's rank keeps the sum.
struct TreePlan {
  std::vector<TreeStep> steps;
  int root = 0, root_slot = -1;

  TreePlan(const ShardCut& cut, int rank, unsigned turn) : cut_(cut), rank_(rank), turn_(turn) {
    const Place top = join({0, cut.shards}, 0);
    root = top.rank, root_slot = top.slot;
  }

 private:
  struct Place {
    int rank = -1, slot = -1;
  };
  Place join(ShardRange node, unsigned depth) {
    if (cut_.empty(node.begin, node.end)) return {};
    const int first = static_cast<int>(cut_.rank_of(node.begin));
    if (first == cut_.rank_of(node.end - 1)) return {first, first == rank_ ? slots_++ : -1};
    const Index middle = node.begin + (node.end - node.begin) / 2;
    const Place left = join({node.begin, middle}, depth + 1);
    const Place right = join({middle, node.end}, depth + 1);
    if (left.rank < 0) return right;
    if (right.rank < 0) return left;
    const auto id =
        static_cast<std::uint64_t>(node.begin) << 32 | static_cast<std::uint64_t>(node.end);
    if (left.rank == right.rank) {
      if (left.rank == rank_) steps.push_back({TreeStep::add, -1, left.slot, right.slot, id});
      return left;
    }
    const bool keep_left = (turn_ >> depth & 1) == 0;
    const Place keep = keep_left ? left : right, give = keep_left ? right : left;
    if (give.rank == rank_) steps.push_back({TreeStep::send, keep.rank, give.slot, -1, id});
    if (keep.rank == rank_)
      steps.push_back({keep_left ? TreeStep::receive_right : TreeStep::receive_left, give.rank,
                       keep.slot, -1, id});
    return keep;
  }
  const ShardCut cut_;
  int rank_, slots_ = 0;
  unsigned turn_;
};

/// The ranks to which a rank passes what the root spreads, and from whom it has it (-1: the root).
struct Spread {
  int from = -1;
  std::vector<int> to;

  Spread(int rank, int size, int root) {
    const int place = (rank - root + size) % size;
    int low = 1;  // the lowest bit of place; of the root, past the end
    while (low < size && !(place & low)) low *= 2;
    if (place) from = (place - low + root) % size;
    while ((low /= 2) > 0)
      if (place + low < size) to.push_back((place + low + root) % size);
  }
};

/// A part of what is joined. Slots: see TreeStep.
class Bucket {
 public:
  virtual ~Bucket() = default;
  /// The bytes of a slot as a message.
  virtual Bytes pack(const Tag& tag, int slot) const = 0;
  /// slot = left + slot, or slot + right. Errors: Error::format when sizes differ.
  virtual void add(int slot, std::span<const std::byte> bytes, bool left) = 0;
  /// slot = slot + other.
  virtual void add(int slot, int other) = 0;
  /// The total has arrived; null: it is in `slot`.
  virtual void total(int slot, const std::span<const std::byte>* bytes) = 0;
};

/// The way of one bucket through the tree and back.
class BucketRun {
 public:
  BucketRun(Bucket& bucket, std::uint32_t number, std::uint64_t step, const ShardCut& cut, int rank)
      : bucket_(&bucket),
        number_(number),
        step_(step),
        plan_(cut, rank, number),
        spread_(rank, static_cast<int>(cut.ranks), plan_.root) {}

  /// True: done.
  bool advance(Communicator& c) {
    for (; next_ < plan_.steps.size(); ++next_)
      if (!one(c, plan_.steps[next_])) return false;
    Tag tag{Tag::total, number_, step_, 0};
    if (spread_.from < 0) {
      if (!spread_.to.empty()) pass(c, bucket_->pack(tag, plan_.root_slot));
      bucket_->total(plan_.root_slot, nullptr);
      return true;
    }
    const Bytes message = c.take(spread_.from, tag, since_);
    if (!message) return false;
    pass(c, message);
    const auto content = content_of(message);
    bucket_->total(-1, &content);
    return true;
  }

 private:
  bool one(Communicator& c, const TreeStep& s) {
    const Tag tag{Tag::part, number_, step_, s.node};
    if (s.kind == TreeStep::add) {
      bucket_->add(s.slot, s.other);
    } else if (s.kind == TreeStep::send) {
      c.send(s.peer, bucket_->pack(tag, s.slot));
    } else {
      const Bytes message = c.take(s.peer, tag, since_);
      if (!message) return false;
      bucket_->add(s.slot, content_of(message), s.kind == TreeStep::receive_left);
    }
    return true;
  }
  void pass(Communicator& c, const Bytes& message) {
    for (int to : spread_.to) c.send(to, message);
  }

  Bucket* bucket_;
  std::uint32_t number_;
  std::uint64_t step_;
  TreePlan plan_;
  Spread spread_;
  std::size_t next_ = 0;
  Communicator::Clock::time_point since_{};
};

}  // namespace tenon::dist
