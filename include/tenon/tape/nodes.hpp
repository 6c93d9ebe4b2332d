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

/// From an id to a slot number, 0 for an id without one; open addressing, cleared by a stamp.
class IdMap {
 public:
  void clear(std::size_t expected) {
    std::size_t wanted = 64;
    while (wanted < expected * 2) wanted *= 2;
    if (wanted > entries_.size()) entries_.assign(wanted, Entry{}), stamp_ = 0, mask_ = wanted - 1;
    if (++stamp_ == 0) entries_.assign(entries_.size(), Entry{}), stamp_ = 1;
  }
  int find(std::uint64_t id) const {
    const Entry* entry = entries_.data();
    for (std::size_t i = place(id);; i = (i + 1) & mask_) {
      const Entry& e = entry[i];
      if (e.stamp != stamp_) return 0;
      if (e.id == id) return e.slot;
    }
  }
  /// The slot of an id; if it has none yet, it gets this one.
  int insert(std::uint64_t id, int slot) {
    Entry* entry = entries_.data();
    std::size_t i = place(id);
    for (; entry[i].stamp == stamp_; i = (i + 1) & mask_)
      if (entry[i].id == id) return entry[i].slot;
    entry[i] = {id, slot, stamp_};
    return slot;
  }

 private:
  struct Entry {
    std::uint64_t id = 0;
    int slot = 0;
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
    adjoint_.clear();
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
    n.attributes = -1, n.alike = s.alike;
    const std::uint32_t read = all ? ~0u : info.reads | (info.product ? ~0u << info.leaves : 0);
    Record** const to = values_.extend(static_cast<std::size_t>(s.operands) + 2);
    AnyTensor* given = all ? nullptr : s.given;
    for (int i = 0; i < s.operands; ++i) {
      const bool value = all || (i < 32 && read >> i & 1) || small(s.operand[i]);
      to[i] = given && value && may_give(given[i]) ? nullptr : kept(s.operand[i], value);
    }
    if (info.reads_result || all || info.product)
      to[s.operands] = kept(*s.result, info.reads_result || all);
    if (s.kept) to[s.operands + 1] = AnyTensor::retained(s.kept->get());
    if (info.scalars) scalars_.insert(scalars_.end(), s.scalar, s.scalar + info.scalars);
    if (s.attributes != &kernel::no_attributes) {
      n.attributes = static_cast<int>(attributes_.size());
      attributes_.push_back(*s.attributes);
    }
    nodes_.push_back(n);
    // Last, since what is above may throw, and then the operands are still wanted.
    for (int i = 0; given && i < s.operands; ++i)
      if (!to[i]) to[i] = given[i].give();
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
    if (sink) count_uses();
    const int loss_slot = slots_.find(loss.id());
    check_loss(loss, loss_slot, seed);
    if (loss_slot) {
      adjoint_[static_cast<std::size_t>(loss_slot)] = seed.defined() ? seed : ones(loss);
      walk(static_cast<int>(wrt.size()), consume, sink);
    }
    for (std::size_t i = 0; i < wrt.size(); ++i) {
      const auto first = static_cast<std::size_t>(wanted_[i] - 1);
      if (first == i) out[i].swap(adjoint_[i + 1]);
      else out[i] = out[first];
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
    int slot;        // of the result, while a gradient is computed; 0: nothing flows here
    int attributes;  // their number; -1: none
    std::uint16_t operands;
    bool alike;
    bool repeats;  // two operands have one slot
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
    Record* r = t.get();
    return value || !r ? AnyTensor::retained(r) : AnyTensor::valueless(t).give();
  }
  // A value of a page at most costs less to keep than a record without it costs to make. Memory of
  // somebody else is given back as soon as nothing reads it.
  static bool small(const AnyTensor& t) {
    const Buffer* b = t.defined() ? t.get()->buffer : nullptr;
    return b && !b->adopted && b->bytes <= 4096 + sizeof(Record);
  }
  static bool may_give(const AnyTensor& t) { return t.defined() && !t.get()->writers; }
  static AnyTensor ones(const AnyTensor& like) {
    return kernel::filled(compute_dtype(like.dtype()), like.extents(), 1);
  }

  // Forward from the ids asked for: a slot for every value that depends on one of them. Slot 0 is
  // that of all others; an id that was asked for has its first place among them, counted from 1.
  void mark(std::span<const AnyTensor> wrt) {
    slots_.clear(nodes_.size() + wrt.size());
    fit(slot_, values_.size()), fit(wanted_, wrt.size());
    for (std::size_t i = 0; i < wrt.size(); ++i)
      wanted_[i] = slots_.insert(wrt[i].record("gradient").id, static_cast<int>(i) + 1);
    int last = static_cast<int>(wrt.size());
    spare_ = 0;
    for (Node& n : nodes_) {
      const AnyTensor* value = values_.data() + n.value;
      int *slot = slot_.data() + n.value, any = 0;
      n.repeats = false;
      std::uint64_t met = 0;  // slots below 64
      for (int i = 0; i < n.operands; ++i) {
        const int s = slot[i] = value[i].defined() ? slots_.find(value[i].id()) : 0;
        any |= s;
        n.repeats |= s < 64 ? (met >> s & 1) != 0 : seen(slot, i);
        met |= s && s < 64 ? std::uint64_t{1} << s : 0;
      }
      n.slot = any ? slots_.insert(n.result, last + 1) : slots_.find(n.result);
      if (n.slot > last) ++last;
      if (n.repeats && n.operands > spare_) spare_ = n.operands;
    }
    slots_used_ = last + 1;
    adjoint_.renew(static_cast<std::size_t>(slots_used_ + spare_));
  }
  static bool seen(const int* slot, int i) {
    for (int j = 0; j < i; ++j)
      if (slot[j] == slot[i]) return true;
    return false;
  }
  static void fit(std::vector<int>& v, std::size_t count) {
    if (v.size() < count) [[unlikely]]
      v.resize(2 * count);
  }
  // How many operands have a slot: after so many the gradient there is complete.
  void count_uses() {
    uses_.assign(static_cast<std::size_t>(slots_used_), 0);
    for (const Node& n : nodes_)
      for (int i = 0; i < n.operands; ++i)
        ++uses_[static_cast<std::size_t>(slot_[static_cast<std::size_t>(n.value + i)])];
  }

  [[noreturn]] TENON_COLD static void fail_seed(const AnyTensor& loss, const AnyTensor& seed) {
    if (!seed.defined())
      fail(Error::shape, {"gradient: the loss ", loss.extents(),
                          " has more than one element; pass a seed for it"});
    fail(Error::shape, {"gradient: the seed ", seed.extents(), " does not have the loss's extents ",
                        loss.extents()});
  }
  void check_loss(const AnyTensor& loss, int slot, const AnyTensor& seed) const {
    if (seed.defined() ? !seed.get()->alike(*loss.get()) : loss.size() != 1) [[unlikely]]
      fail_seed(loss, seed);
    if (slot || recorded(loss)) return;
    fail(
        Error::tape,
        {"gradient: the loss was not recorded by this tape (it was computed before the tape, while "
         "paused, by an ended tape, or is not floating point)"});
  }

  void walk(int wanted, bool consume, GradientSink* sink) {
    const Context context = Context::current();
    for (std::size_t k = nodes_.size(); k-- > 0;) {
      const Node& n = nodes_[k];
      if (!n.slot) continue;
      BackwardCall c{};
      c.info = n.info, c.operand = values_.data() + n.value, c.operands = n.operands;
      c.scalar = scalars_.data() + n.scalar;
      c.attributes = n.attributes < 0 ? &kernel::no_attributes
                                      : &attributes_[static_cast<std::size_t>(n.attributes)];
      c.result = c.operand + n.operands, c.kept = c.result + 1;
      c.alike = n.alike;
      AnyTensor& adjoint = adjoint_[static_cast<std::size_t>(n.slot)];
      const bool inner = n.slot > wanted;
      if (inner) c.dy.swap(adjoint);
      else c.dy = adjoint;
      c.reuse_dy = inner && !context.serial && c.dy.defined() && !shared(c.dy);
      const int* slot = slot_.data() + n.value;
      if (n.operands > max_leaves + 2) run_wide(c, slot, context);
      else if (n.repeats) run_repeats(c, slot, wanted, context, sink);
      else run(c, slot, wanted, context, sink);
      if (sink) finish(c, slot, wanted, sink);
      if (consume)
        values_.release(static_cast<std::size_t>(n.value),
                        static_cast<std::size_t>(n.operands) + 2);
    }
  }

  // The gradients of operands in different slots.
  void run(BackwardCall& c, const int* slot, int wanted, Context context, GradientSink* sink) {
    if (!c.dy.defined()) return;
    AnyTensor* adjoint = adjoint_.data();
    c.gradient = {adjoint, slot};
    for (int i = 0; i < c.operands; ++i) {
      if (!slot[i]) continue;
      c.wanted |= 1u << i;
      AnyTensor& sum = adjoint[slot[i]];
      if (sum.defined()) {
        if (!context.serial) own(sum);
        c.accumulate |= 1u << i;
      } else if (sink && slot[i] <= wanted && !context.serial) {
        sum = sink_memory(sink, slot[i] - 1);
      }
    }
    if (c.wanted) kernel::backward(c, context);
    adjoint->reset();
  }
  // A sum that may be added to in place.
  static void own(AnyTensor& sum) {
    if (sum.contiguous() && !shared(sum)) return;
    const std::uint64_t id = sum.id();
    sum.detach();
    trace_same(id, sum);
  }
  // An operand whose slot one before it has gets a place behind all slots.
  TENON_COLD void run_repeats(BackwardCall& c, const int* slot, int wanted, Context context,
                              GradientSink* sink) {
    int apart[max_leaves + 2];
    for (int i = 0; i < c.operands; ++i)
      apart[i] = slot[i] && seen(slot, i) ? slots_used_ + i : slot[i];
    run(c, apart, wanted, context, sink);
    for (int i = 0; i < c.operands; ++i)
      if (apart[i] != slot[i])
        add_to(adjoint_[static_cast<std::size_t>(slot[i])],
               std::move(adjoint_[static_cast<std::size_t>(apart[i])]), context);
  }
  static void add_to(AnyTensor& sum, AnyTensor g, Context context) {
    if (g.defined()) sum = sum.defined() ? kernel::add(sum, g, context) : std::move(g);
  }
  // Tells of gradients to which no node further down adds.
  TENON_COLD void finish(const BackwardCall& c, const int* slot, int wanted, GradientSink* sink) {
    for (int i = 0; i < c.operands; ++i) {
      const bool last = slot[i] && --uses_[static_cast<std::size_t>(slot[i])] == 0;
      const AnyTensor& sum = adjoint_[static_cast<std::size_t>(slot[i])];
      if (last && slot[i] <= wanted && sum.defined()) sink_final(sink, slot[i] - 1, sum);
    }
  }
  // A node of a user's function may have any number of operands. It gives the gradients of all.
  TENON_COLD void run_wide(BackwardCall& c, const int* slot, Context context) {
    std::vector<AnyTensor> gradient(static_cast<std::size_t>(c.operands));
    c.wanted = ~0u, c.gradient = gradient.data();
    if (c.dy.defined()) kernel::backward(c, context);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      if (slot[i])
        add_to(adjoint_[static_cast<std::size_t>(slot[i])], std::move(gradient[i]), context);
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
  // asked for; uses_, adjoint_: by slot, behind all slots a place for each operand of a node that
  // has one twice.
  IdMap slots_;
  std::vector<int> slot_, wanted_, uses_;
  int slots_used_ = 0, spare_ = 0;
  Handles adjoint_;
};

}  // namespace detail
}  // namespace tenon
