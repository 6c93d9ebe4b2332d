// SPDX-License-Identifier: Apache-2.0
// The tape's memory and its backward walk, on type-erased values only. Storage is reused by later
// tapes of the thread, so that after warm-up a node allocates nothing.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/kernel/evaluate.hpp>

#include <vector>

namespace tenon::inline TENON_ISA {

struct GradientSink;

namespace detail {

void sink_final(GradientSink* sink, int index, const AnyTensor& gradient);
AnyTensor sink_memory(GradientSink* sink, int index);

/// From an id to a slot number; open addressing, cleared by a stamp.
class IdMap {
 public:
  void clear(std::size_t expected) {
    std::size_t wanted = 64;
    while (wanted < expected * 2) wanted *= 2;
    if (wanted > entries_.size()) entries_.assign(wanted, Entry{}), stamp_ = 0;
    if (++stamp_ == 0) entries_.assign(entries_.size(), Entry{}), stamp_ = 1;
  }
  int find(std::uint64_t id) const {
    for (std::size_t i = place(id);; i = (i + 1) & (entries_.size() - 1)) {
      const Entry& e = entries_[i];
      if (e.stamp != stamp_) return -1;
      if (e.id == id) return e.slot;
    }
  }
  void insert(std::uint64_t id, int slot) {
    std::size_t i = place(id);
    while (entries_[i].stamp == stamp_ && entries_[i].id != id) i = (i + 1) & (entries_.size() - 1);
    entries_[i] = {id, slot, stamp_};
  }

 private:
  struct Entry {
    std::uint64_t id = 0;
    int slot = -1;
    std::uint32_t stamp = 0;
  };
  std::size_t place(std::uint64_t id) const {
    return static_cast<std::size_t>(id * 0x9e3779b97f4a7c15u >> 20) & (entries_.size() - 1);
  }
  std::vector<Entry> entries_;
  std::uint32_t stamp_ = 0;
};

class TapeStorage {
 public:
  static TapeStorage* acquire() {
    Spare& spare = spares();
    if (!spare.first) return new TapeStorage;
    TapeStorage* s = spare.first;
    spare.first = s->next_;
    return s;
  }
  static void release(TapeStorage* s) {
    s->clear();
    s->next_ = spares().first;
    spares().first = s;
  }

  std::vector<AnyTensor> asked, answered;  ///< scratch of the caller of gradient

  void clear() {
    nodes_.clear(), values_.clear(), scalars_.clear(), integers_.clear(), numbers_.clear();
  }

  bool recorded(const AnyTensor& t) const {
    for (const Node& n : nodes_)
      if (n.result == t.id()) return true;
    return false;
  }

  /// Keeps of the operands what backward reads, of others their extents. all: everything, for an
  /// outer tape.
  void record(const Statement& s, bool all) {
    const StatementInfo& info = *s.info;
    Node n;
    n.info = &info;
    n.value = static_cast<int>(values_.size()), n.scalar = static_cast<int>(scalars_.size());
    n.integer = static_cast<int>(integers_.size()), n.number = static_cast<int>(numbers_.size());
    if (s.operands > 65535) [[unlikely]]
      fail(Error::unsupported, {info.name, ": ", s.operands, " operands are more than 65535"});
    n.operands = static_cast<std::uint16_t>(s.operands);
    for (int i = 0; i < s.operands; ++i) {
      const AnyTensor& t = s.operand[i];
      const bool product = info.product && i >= info.leaves;
      const bool read = i < 32 && (info.reads >> i & 1);
      if (!t.defined() || all || product || read) values_.push_back(t);
      else values_.push_back(AnyTensor::valueless(t));
    }
    n.result = s.result->id();
    values_.push_back(info.reads_result || all ? *s.result : AnyTensor::valueless(*s.result));
    values_.push_back(s.kept);
    scalars_.insert(scalars_.end(), s.scalar, s.scalar + info.scalars);
    integers_.insert(integers_.end(), s.attributes->integer,
                     s.attributes->integer + s.attributes->integers);
    numbers_.insert(numbers_.end(), s.attributes->number,
                    s.attributes->number + s.attributes->numbers);
    n.integers = static_cast<std::uint8_t>(s.attributes->integers);
    n.numbers = static_cast<std::uint8_t>(s.attributes->numbers);
    nodes_.push_back(n);
  }

  void gradient(const AnyTensor& loss, std::span<const AnyTensor> wrt, std::span<AnyTensor> out,
                const AnyTensor& seed, bool consume, GradientSink* sink) {
    loss.record("gradient");
    mark(wrt);
    const int loss_slot = slots_.find(loss.id());
    check_loss(loss, loss_slot, seed);
    if (loss_slot >= 0) {
      adjoint_[static_cast<std::size_t>(loss_slot)] = seed.defined() ? seed : ones(loss);
      walk(static_cast<int>(wrt.size()), consume, sink);
    }
    for (std::size_t i = 0; i < wrt.size(); ++i) {
      const int slot = slots_.find(wrt[i].id());
      out[i] = adjoint_[static_cast<std::size_t>(slot)];
      if (out[i].defined()) continue;
      out[i] = kernel::filled(compute_dtype(wrt[i].dtype()), wrt[i].extents(), 0, wrt[i].device());
      if (sink) sink_final(sink, static_cast<int>(i), out[i]);
    }
    adjoint_.clear();
  }

 private:
  struct Node {
    const StatementInfo* info;
    std::uint64_t result;
    int value, scalar, integer, number;
    std::uint16_t operands;
    std::uint8_t integers, numbers;
  };

  struct Spare {
    TapeStorage* first = nullptr;
    ~Spare() {
      while (TapeStorage* s = first) {
        first = s->next_;
        delete s;
      }
    }
  };
  static Spare& spares() {
    thread_local Spare spare;
    return spare;
  }
  static AnyTensor ones(const AnyTensor& like) {
    return kernel::filled(compute_dtype(like.dtype()), like.extents(), 1);
  }

  // Forward from the ids asked for: a slot for every value that depends on one of them.
  void mark(std::span<const AnyTensor> wrt) {
    slots_.clear(nodes_.size() + wrt.size());
    uses_.clear();
    for (const AnyTensor& x : wrt) {
      x.record("gradient");
      if (slots_.find(x.id()) >= 0) continue;
      slots_.insert(x.id(), static_cast<int>(uses_.size()));
      uses_.push_back(0);
    }
    for (const Node& n : nodes_) {
      bool depends = false;
      for (int i = 0; i < n.operands; ++i) {
        const AnyTensor& t = values_[static_cast<std::size_t>(n.value + i)];
        const int slot = t.defined() ? slots_.find(t.id()) : -1;
        if (slot < 0) continue;
        depends = true;
        ++uses_[static_cast<std::size_t>(slot)];
      }
      if (!depends || slots_.find(n.result) >= 0) continue;
      slots_.insert(n.result, static_cast<int>(uses_.size()));
      uses_.push_back(0);
    }
    adjoint_.clear();
    adjoint_.resize(uses_.size());
  }

  void check_loss(const AnyTensor& loss, int slot, const AnyTensor& seed) const {
    if (!seed.defined() && loss.size() != 1)
      fail(Error::shape, {"gradient: the loss ", loss.extents(),
                          " has more than one element; pass a seed for it"});
    if (seed.defined() && !(seed.extents() == loss.extents()))
      fail(Error::shape, {"gradient: the seed ", seed.extents(),
                          " does not have the loss's extents ", loss.extents()});
    if (slot >= 0 || recorded(loss)) return;
    fail(
        Error::tape,
        {"gradient: the loss was not recorded by this tape (it was computed before the tape, while "
         "paused, by an ended tape, or is not floating point)"});
  }

  void walk(int wanted, bool consume, GradientSink* sink) {
    const Context context = Context::current();
    for (std::size_t k = nodes_.size(); k-- > 0;) {
      const Node& n = nodes_[k];
      const int result = slots_.find(n.result);
      if (result < 0) continue;
      AnyTensor dy = std::move(adjoint_[static_cast<std::size_t>(result)]);
      if (result < wanted) adjoint_[static_cast<std::size_t>(result)] = dy;
      const bool reuse = dy.defined() && result >= wanted && !shared(dy);
      if (n.operands <= max_leaves + 2) run(n, dy, reuse, wanted, context, sink);
      else run_wide(n, dy, wanted, context, sink);
      if (!consume) continue;
      for (int i = 0; i < n.operands + 2; ++i)
        values_[static_cast<std::size_t>(n.value + i)] = AnyTensor{};
    }
  }

  void run(const Node& n, const AnyTensor& dy, bool reuse, int wanted, Context context,
           GradientSink* sink) {
    const AnyTensor* operand = values_.data() + n.value;
    AnyTensor gradient[max_leaves + 2];
    int slot[max_leaves + 2];
    BackwardCall c{};
    for (int i = 0; i < n.operands; ++i) {
      slot[i] = operand[i].defined() ? slots_.find(operand[i].id()) : -1;
      if (slot[i] < 0) continue;
      const auto s = static_cast<std::size_t>(slot[i]);
      --uses_[s];
      if (!dy.defined()) continue;
      c.wanted |= 1u << i;
      bool again = false;
      for (int j = 0; j < i; ++j) again |= slot[j] == slot[i];
      if (again) continue;
      AnyTensor& sum = adjoint_[s];
      if (sum.defined()) {
        if (!context.serial && (!sum.contiguous() || shared(sum))) {
          const std::uint64_t id = sum.id();
          sum.detach();
          trace_same(id, sum);
        }
        c.accumulate |= 1u << i;
        gradient[i] = std::move(sum);
      } else if (sink && slot[i] < wanted && !context.serial) {
        gradient[i] = sink_memory(sink, slot[i]);
      }
    }
    if (dy.defined() && c.wanted) {
      Attributes a;
      a.integers = n.integers, a.numbers = n.numbers;
      std::copy_n(integers_.data() + n.integer, n.integers, a.integer);
      std::copy_n(numbers_.data() + n.number, n.numbers, a.number);
      c.info = n.info, c.operand = operand, c.operands = n.operands,
      c.scalar = scalars_.data() + n.scalar;
      c.attributes = &a, c.result = operand + n.operands, c.kept = operand + n.operands + 1;
      c.dy = dy, c.gradient = gradient;
      c.reuse_dy = reuse && !context.serial;
      kernel::backward(c, context);
    }
    for (int i = 0; i < n.operands; ++i) {
      if (slot[i] < 0) continue;
      AnyTensor& sum = adjoint_[static_cast<std::size_t>(slot[i])];
      if (gradient[i].defined())
        sum = sum.defined() ? kernel::add(sum, gradient[i], context) : std::move(gradient[i]);
      const bool last = uses_[static_cast<std::size_t>(slot[i])] == 0;
      bool later = false;
      for (int j = i + 1; j < n.operands; ++j) later |= slot[j] == slot[i];
      if (sink && last && !later && slot[i] < wanted && sum.defined())
        sink_final(sink, slot[i], sum);
    }
  }
  // A node of a user's function may have any number of operands. It gives the gradients of all.
  TENON_COLD void run_wide(const Node& n, const AnyTensor& dy, int wanted, Context context,
                           GradientSink* sink) {
    const AnyTensor* operand = values_.data() + n.value;
    std::vector<AnyTensor> gradient(n.operands);
    if (dy.defined()) {
      BackwardCall c{};
      Attributes none;
      c.info = n.info, c.operand = operand, c.operands = n.operands, c.attributes = &none;
      c.result = operand + n.operands, c.kept = operand + n.operands + 1;
      c.dy = dy, c.wanted = ~0u, c.gradient = gradient.data();
      kernel::backward(c, context);
    }
    for (std::size_t i = 0; i < n.operands; ++i) {
      const int slot = operand[i].defined() ? slots_.find(operand[i].id()) : -1;
      if (slot < 0) continue;
      AnyTensor& sum = adjoint_[static_cast<std::size_t>(slot)];
      if (gradient[i].defined())
        sum = sum.defined() ? kernel::add(sum, gradient[i], context) : std::move(gradient[i]);
      const bool last = --uses_[static_cast<std::size_t>(slot)] == 0;
      if (sink && last && slot < wanted && sum.defined()) sink_final(sink, slot, sum);
    }
  }
  static bool shared(const AnyTensor& t) {
    const Record& r = *t.get();
    return r.references.load(Order::relaxed) != 1 || r.generated || r.buffer->adopted ||
           r.buffer->references.load(Order::relaxed) != 1;
  }

  TapeStorage* next_ = nullptr;
  std::vector<Node> nodes_;
  std::vector<AnyTensor> values_;
  std::vector<double> scalars_, numbers_;
  std::vector<Index> integers_;
  IdMap slots_;
  std::vector<int> uses_;
  std::vector<AnyTensor> adjoint_;
};

}  // namespace detail
}  // namespace tenon
