// SPDX-License-Identifier: Apache-2.0
// The tape's memory and its backward walk, on type-erased values only. Storage is reused by later
// tapes of the thread, so that after warm-up a node allocates nothing.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/kernel/evaluate.hpp>
#include <tenon/tape/handles.hpp>

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
    if (wanted > entries_.size()) entries_.assign(wanted, Entry{}), stamp_ = 0, mask_ = wanted - 1;
    if (++stamp_ == 0) entries_.assign(entries_.size(), Entry{}), stamp_ = 1;
  }
  int find(std::uint64_t id) const {
    for (std::size_t i = place(id);; i = (i + 1) & mask_) {
      const Entry& e = entries_[i];
      if (e.stamp != stamp_) return -1;
      if (e.id == id) return e.slot;
    }
  }
  /// The slot of an id; if it has none yet, it gets this one.
  int insert(std::uint64_t id, int slot) {
    std::size_t i = place(id);
    for (; entries_[i].stamp == stamp_; i = (i + 1) & mask_)
      if (entries_[i].id == id) return entries_[i].slot;
    entries_[i] = {id, slot, stamp_};
    return slot;
  }

 private:
  struct Entry {
    std::uint64_t id = 0;
    int slot = -1;
    std::uint32_t stamp = 0;
  };
  std::size_t place(std::uint64_t id) const {
    return static_cast<std::size_t>(id * 0x9e3779b97f4a7c15u >> 20) & mask_;
  }
  std::vector<Entry> entries_;
  std::size_t mask_ = 0;
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
    s->asked.clear(), s->answered.clear();
    s->next_ = spares().first;
    spares().first = s;
  }

  std::vector<AnyTensor> asked, answered;  ///< scratch of the caller of gradient

  void clear() {
    nodes_.clear(), values_.clear(), scalars_.clear(), attributes_.clear();
    adjoint_.clear(), gradient_.clear();
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
    if (s.operands > 65535) [[unlikely]]
      fail(Error::unsupported, {info.name, ": ", s.operands, " operands are more than 65535"});
    Node n;
    n.info = &info;
    n.result = s.result->id();
    n.value = static_cast<int>(values_.size()), n.scalar = static_cast<int>(scalars_.size());
    n.operands = static_cast<std::uint16_t>(s.operands);
    n.attributes = -1;
    const std::uint32_t read = all ? ~0u : info.reads | (info.product ? ~0u << info.leaves : 0);
    Record** to = values_.extend(static_cast<std::size_t>(s.operands) + 2);
    for (int i = 0; i < s.operands; ++i)
      *to++ = kept(s.operand[i], all || (i < 32 && read >> i & 1));
    *to++ = info.reads_result || all || info.product ? kept(*s.result, info.reads_result || all)
                                                     : nullptr;
    *to = AnyTensor::retained(s.kept.get());
    if (info.scalars) scalars_.insert(scalars_.end(), s.scalar, s.scalar + info.scalars);
    if (s.attributes != &kernel::no_attributes) {
      n.attributes = static_cast<int>(attributes_.size());
      attributes_.push_back(*s.attributes);
    }
    nodes_.push_back(n);
  }

  /// Errors: a gradient asked for by a function whose own gradient this is -> Error::tape.
  void check_idle() const {
    if (walking_) [[unlikely]]
      fail(Error::tape, {"gradient: this tape is already running backwards"});
  }
  void gradient(const AnyTensor& loss, std::span<const AnyTensor> wrt, std::span<AnyTensor> out,
                const AnyTensor& seed, bool consume, GradientSink* sink) {
    loss.record("gradient");
    struct Walking {
      bool& now;
      explicit Walking(bool& w) : now(w) { now = true; }
      ~Walking() { now = false; }
    } walking(walking_);
    mark(wrt);
    const int loss_slot = slots_.find(loss.id());
    check_loss(loss, loss_slot, seed);
    if (loss_slot >= 0) {
      adjoint_[static_cast<std::size_t>(loss_slot)] = seed.defined() ? seed : ones(loss);
      walk(static_cast<int>(wrt.size()), consume, sink);
    }
    for (std::size_t i = 0; i < wrt.size(); ++i) {
      const auto slot = static_cast<std::size_t>(wanted_[i]);
      if (slot == i) out[i].swap(adjoint_[i]);
      else out[i] = out[slot];
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
    int value, scalar;
    int slot;        // of the result, while a gradient is computed
    int attributes;  // their number; -1: none
    std::uint16_t operands;
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
  static Record* kept(const AnyTensor& t, bool value) {
    if (value || !t.defined()) return AnyTensor::retained(t.get());
    return AnyTensor::valueless(t).give();
  }
  static AnyTensor ones(const AnyTensor& like) {
    return kernel::filled(compute_dtype(like.dtype()), like.extents(), 1);
  }

  // Forward from the ids asked for: a slot for every value that depends on one of them. An id that
  // was asked for has the number of its first place among them.
  void mark(std::span<const AnyTensor> wrt) {
    slots_.clear(nodes_.size() + wrt.size());
    uses_.assign(wrt.size(), 0);
    slot_.resize(values_.size()), wanted_.resize(wrt.size());
    for (std::size_t i = 0; i < wrt.size(); ++i)
      wanted_[i] = slots_.insert(wrt[i].record("gradient").id, static_cast<int>(i));
    for (Node& n : nodes_) {
      bool depends = false;
      for (int i = 0; i < n.operands; ++i) {
        const auto at = static_cast<std::size_t>(n.value + i);
        slot_[at] = values_[at].defined() ? slots_.find(values_[at].id()) : -1;
        if (slot_[at] < 0) continue;
        depends = true;
        ++uses_[static_cast<std::size_t>(slot_[at])];
      }
      const int next = static_cast<int>(uses_.size());
      n.slot = depends ? slots_.insert(n.result, next) : slots_.find(n.result);
      if (n.slot == next) uses_.push_back(0);
    }
    adjoint_.renew(uses_.size());
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
      if (n.slot < 0) continue;
      BackwardCall c{};
      c.info = n.info, c.operand = &values_[static_cast<std::size_t>(n.value)],
      c.operands = n.operands;
      c.scalar = scalars_.data() + n.scalar;
      c.attributes = n.attributes < 0 ? &kernel::no_attributes
                                      : &attributes_[static_cast<std::size_t>(n.attributes)];
      c.result = c.operand + n.operands, c.kept = c.result + 1;
      AnyTensor& adjoint = adjoint_[static_cast<std::size_t>(n.slot)];
      c.dy = n.slot < wanted ? adjoint : std::move(adjoint);
      c.reuse_dy = !context.serial && n.slot >= wanted && c.dy.defined() && !shared(c.dy);
      const int* slot = slot_.data() + n.value;
      if (n.operands <= max_leaves + 2) run(c, slot, wanted, context, sink);
      else run_wide(c, slot, wanted, context, sink);
      if (consume)
        values_.release(static_cast<std::size_t>(n.value),
                        static_cast<std::size_t>(n.operands) + 2);
    }
  }

  void run(BackwardCall& c, const int* slot, int wanted, Context context, GradientSink* sink) {
    const bool reached = c.dy.defined(), plain = !context.serial;
    std::uint64_t met = 0;  // slots below 64 that an operand before had
    gradient_.renew(static_cast<std::size_t>(c.operands));  // a walk before may have ended early
    AnyTensor* gradient = c.gradient = gradient_.data();
    for (int i = 0; i < c.operands; ++i) {
      if (slot[i] < 0) continue;
      const auto s = static_cast<std::size_t>(slot[i]);
      --uses_[s];
      if (!reached) continue;
      c.wanted |= 1u << i;
      if (s < 64 ? met >> s & 1 : seen(slot, i)) continue;
      if (s < 64) met |= std::uint64_t{1} << s;
      AnyTensor& sum = adjoint_[s];
      if (sum.defined()) {
        if (plain && (!sum.contiguous() || shared(sum))) {
          const std::uint64_t id = sum.id();
          sum.detach();
          trace_same(id, sum);
        }
        c.accumulate |= 1u << i;
        gradient[i] = std::move(sum);
      } else if (sink && slot[i] < wanted && plain) {
        gradient[i] = sink_memory(sink, slot[i]);
      }
    }
    if (c.wanted) kernel::backward(c, context);
    for (int i = 0; i < c.operands; ++i) {
      if (slot[i] < 0) continue;
      AnyTensor& sum = adjoint_[static_cast<std::size_t>(slot[i])];
      if (gradient[i].defined()) {
        if (sum.defined()) sum = kernel::add(sum, gradient[i], context);
        else sum.swap(gradient[i]);
      }
      if (!sink || slot[i] >= wanted || !sum.defined()) continue;
      bool later = false;
      for (int j = i + 1; j < c.operands; ++j) later |= slot[j] == slot[i];
      if (!later && uses_[static_cast<std::size_t>(slot[i])] == 0) sink_final(sink, slot[i], sum);
    }
    gradient_.clear();
  }
  static bool seen(const int* slot, int i) {
    for (int j = 0; j < i; ++j)
      if (slot[j] == slot[i]) return true;
    return false;
  }
  // A node of a user's function may have any number of operands. It gives the gradients of all.
  TENON_COLD void run_wide(BackwardCall& c, const int* slot, int wanted, Context context,
                           GradientSink* sink) {
    std::vector<AnyTensor> gradient(static_cast<std::size_t>(c.operands));
    c.wanted = ~0u, c.gradient = gradient.data();
    if (c.dy.defined()) kernel::backward(c, context);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      if (slot[i] < 0) continue;
      AnyTensor& sum = adjoint_[static_cast<std::size_t>(slot[i])];
      if (gradient[i].defined())
        sum = sum.defined() ? kernel::add(sum, gradient[i], context) : std::move(gradient[i]);
      const bool last = --uses_[static_cast<std::size_t>(slot[i])] == 0;
      if (sink && last && slot[i] < wanted && sum.defined()) sink_final(sink, slot[i], sum);
    }
  }
  static bool shared(const AnyTensor& t) {
    const Record& r = *t.get();
    return r.references.load(Order::relaxed) != 1 || r.generated || r.buffer->adopted ||
           r.buffer->references.load(Order::relaxed) != 1;
  }

  TapeStorage* next_ = nullptr;
  bool walking_ = false;
  std::vector<Node> nodes_;
  Handles values_;  // of each node its operands, its result and what it kept
  std::vector<double> scalars_;
  std::vector<Attributes> attributes_;
  // While a gradient is computed. slot_: of the operands among values_; wanted_: of the values
  // asked for; uses_, adjoint_: by slot; gradient_: of the operands of one node.
  IdMap slots_;
  std::vector<int> slot_, wanted_, uses_;
  Handles adjoint_, gradient_;
};

}  // namespace detail
}  // namespace tenon
