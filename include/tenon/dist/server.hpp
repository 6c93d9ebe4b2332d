// SPDX-License-Identifier: Apache-2.0
// What a server rank does: it keeps slices of tensors, applies the pushes of the workers to them,
// and answers, each worker's requests in order.
#pragma once
#include <tenon/dist/buckets.hpp>
#include <tenon/dist/facts.hpp>
#include <tenon/dist/request.hpp>
#include <tenon/dist/served_rule.hpp>

#include <deque>
#include <optional>

namespace tenon::inline TENON_ISA::dist {

/// The same on every rank: compared at the start.
struct StoreOptions {
  int servers = 1;          ///< the last ranks; all others are workers
  bool synchronous = true;  ///< an update waits for the push of every worker
  bool mean = false;        ///< synchronous: the mean by the pushes' weights, not the sum
  int staleness = -1;       ///< asynchronous: pushes of a key that a worker may be ahead; -1: any
  std::size_t split = std::size_t{1} << 20;  ///< tensors of so many bytes are spread over servers
  std::vector<Fact> program{};               ///< what else must be equal: rate, data, ...
};

namespace detail {

/// Errors: Error::value without a worker or a server; Error::peer where ranks differ.
inline void compare_stores(Communicator& c, const StoreOptions& o) {
  if (o.servers < 1 || o.servers >= c.size())
    fail(Error::value, {"parameter server: ", o.servers, " of ", c.size(),
                        " ranks are servers: one worker and one server are the least"});
  std::vector<Fact> facts = {{"library version", std::to_string(TENON_VERSION)},
                             {"instruction set", instruction_set()},
                             {"compiler", __VERSION__},
                             {"number of ranks", std::to_string(c.size())},
                             {"number of servers", std::to_string(o.servers)},
                             {"mode", o.synchronous ? "synchronous" : "asynchronous"},
                             {"joining of pushes", o.mean ? "mean" : "sum"},
                             {"staleness", std::to_string(o.staleness)},
                             {"bytes from which tensors are split", std::to_string(o.split)}};
  facts.insert(facts.end(), o.program.begin(), o.program.end());
  c.run(std::make_shared<Comparison>(std::move(facts), c.size()));
}

/// A rule with its numbers, as worker 0 last set it.
struct RuleSetting {
  ServedRule rule;
  std::vector<double> numbers;
};
using Setting = std::shared_ptr<const RuleSetting>;

struct QueuedPush {
  Bytes message;
  std::span<const std::byte> data;
  double weight;
  Setting setting;
};

/// One slice of a tensor with its optimizer's state.
struct Entry {
  Dtype dtype;
  Extents extents;  // of the whole tensor
  int slices;
  AnyTensor value;  // [elements of the slice]
  std::vector<AnyTensor> slots;
  std::string rule;                           // whose slots they are
  std::int64_t steps = 0;                     // updates
  std::vector<std::deque<QueuedPush>> queue;  // by worker
  std::vector<std::int64_t> pushed;

  AnyTensor tensor(std::span<const std::byte> data) const {
    AnyTensor t = AnyTensor::empty(dtype, value_extents());
    if (!data.empty()) std::memcpy(t.raw_writable(), data.data(), data.size());
    return t;
  }
  AnyTensor zeros() const {
    AnyTensor t = AnyTensor::empty(dtype, value_extents());
    std::memset(t.raw_writable(), 0, static_cast<std::size_t>(t.size()) * size_of(dtype));
    return t;
  }
  Extents value_extents() const { return value.extents(); }

  void need_slots(const ServedRule& r) {
    if (rule != r.name) slots.clear(), steps = 0, rule = r.name;
    while (static_cast<int>(slots.size()) < r.slots) slots.push_back(zeros());
  }
  void apply(const RuleSetting& s, const AnyTensor& gradient) {
    need_slots(s.rule);
    const bool wide = dtype == Dtype::f32 || dtype == Dtype::f64;
    std::vector<AnyTensor> operand = {wide ? std::move(value) : value.to(Dtype::f32), gradient};
    for (AnyTensor& t : slots) operand.push_back(wide ? std::move(t) : t.to(Dtype::f32));
    s.rule.update(s.numbers.data(), ++steps, operand.data());
    value = wide ? std::move(operand[0]) : operand[0].to(dtype);
    for (std::size_t k = 0; k < slots.size(); ++k)
      slots[k] = wide ? std::move(operand[2 + k]) : operand[2 + k].to(dtype);
  }
  /// The pushes at the front of the queues, joined by a balanced tree in the order of the workers.
  AnyTensor joined(std::size_t begin, std::size_t end, bool mean) const {
    if (end - begin == 1) {
      const QueuedPush& p = queue[begin].front();
      AnyTensor t = tensor(p.data);
      if (mean) tenon::detail::combine_into(t, p.weight, t, 0);
      return t;
    }
    const std::size_t middle = begin + (end - begin) / 2;
    AnyTensor left = joined(begin, middle, mean), right = joined(middle, end, mean);
    auto* to = static_cast<std::byte*>(left.raw_writable());
    add_elements(dtype, to, to, static_cast<const std::byte*>(right.raw()),
                 static_cast<std::size_t>(left.size()) * size_of(dtype));
    return left;
  }
};

/// Serves until every worker has said goodbye.
class Server final : public Job {
 public:
  Server(const StoreOptions& options, std::vector<ServedRule> rules, int workers)
      : options_(options),
        rules_(std::move(rules)),
        workers_(static_cast<std::size_t>(workers)),
        gathers_(workers_.size()) {
    setting_ = std::make_shared<RuleSetting>(RuleSetting{rules_.at(0), {1}});
  }

  bool advance(Communicator& c) override {
    // Heartbeats go out between turns.
    const auto end = Communicator::Clock::now() + std::chrono::milliseconds(20);
    for (bool any = true; any && Communicator::Clock::now() < end;) {
      any = false;
      for (std::size_t w = 0; w < workers_.size(); ++w) any = one(c, w) || any;
    }
    check_patience(c);
    for (const Worker& w : workers_)
      if (!w.left) return false;
    return true;
  }
  std::string operation() const override {
    return "step " + std::to_string(steps_) + ", serving " + std::to_string(workers_.size()) +
           " workers";
  }

 private:
  struct Worker {
    std::uint64_t next = 1;
    bool left = false;
  };
  // A request that cannot be answered yet.
  struct Waiting {
    std::size_t worker;
    std::uint64_t number;
    Bytes message;
    Request request;
    Communicator::Clock::time_point since;
  };
  enum class Answer { given, later, gathered };

  bool one(Communicator& c, std::size_t w) {
    Worker& worker = workers_[w];
    if (worker.left) return false;
    Communicator::Clock::time_point since{};  // a worker may think for as long as nobody waits
    const Bytes message = c.take(static_cast<int>(w), Tag{Tag::request, 0, worker.next, 0}, since);
    if (!message) return false;
    Waiting q{w, worker.next++, message, {}, Communicator::Clock::now()};
    const Answer a = answer(c, q, true);
    if (a == Answer::later) waiting_.push_back(std::move(q));
    else if (a == Answer::gathered) gathers_[w] = std::move(q);
    if (a == Answer::gathered || workers_[w].left) finish_gather(c);
    retry(c);
    return true;
  }
  void retry(Communicator& c) {
    while (changed_) {
      changed_ = false;
      std::erase_if(waiting_, [&](Waiting& q) { return answer(c, q, false) == Answer::given; });
    }
  }

  Answer answer(Communicator& c, Waiting& q, bool first) {
    try {
      if (first) q.request = read_request(content_of(q.message));
      return handle(c, q);
    } catch (const Error& error) {
      refuse(c, q, error.code(), error.what());
    } catch (const std::exception& error) {
      refuse(c, q, Error::memory, error.what());
    }
    return Answer::given;
  }
  Answer handle(Communicator& c, const Waiting& q) {
    switch (q.request.kind) {
      case Request::init: return init(c, q);
      case Request::push: return push(c, q);
      case Request::pull: return pull(c, q);
      case Request::put: return put(c, q);
      case Request::describe: return describe(c, q);
      case Request::rule: return set_rule(c, q);
      case Request::gather: return Answer::gathered;
      case Request::leave: return leave(c, q);
    }
    return Answer::given;
  }
  Answer give(Communicator& c, const Waiting& q, std::span<const std::byte> data = {}) {
    c.send(static_cast<int>(q.worker), Reply::pack(Tag{Tag::reply, 0, q.number, 0}, 0, data));
    return Answer::given;
  }
  void refuse(Communicator& c, const Waiting& q, int code, std::string_view why) {
    if (why.starts_with("tenon::")) why.remove_prefix(7);
    const Request& r = q.request;
    const bool keyed = !r.key.empty() && r.kind != Request::rule;
    const std::string text = "tenon::parameter server " + c.name(c.rank()) + ": " +
                             Request::name(r.kind) + (keyed ? " of " + Key::name(r.key) : "") +
                             " by " + c.name(static_cast<int>(q.worker)) + ": " + std::string(why);
    c.send(static_cast<int>(q.worker),
           Reply::pack(Tag{Tag::reply, 0, q.number, 0}, code, std::as_bytes(std::span(text))));
  }

  // ---- keys ----
  Entry* find(const Request& r) {
    const auto found = entries_.find({r.key, r.slice});
    return found == entries_.end() ? nullptr : &found->second;
  }
  /// Errors: Error::index for a key that nobody has initialised.
  Entry& existing(const Request& r) {
    Entry* e = find(r);
    if (!e) fail(Error::index, {"there is no such key"});
    return *e;
  }
  static void check_type(const Entry& e, const Request& r) {
    if (e.dtype != r.dtype)
      fail(Error::dtype, {"it holds ", name_of(r.dtype), ", the key ", name_of(e.dtype)});
    if (!(e.extents == r.extents))
      fail(Error::shape, {"it is ", r.extents, ", the key ", e.extents});
    if (e.slices != r.slices)
      fail(Error::format, {"it is cut into ", r.slices, " slices, the key into ", e.slices});
  }
  static void check_data(const Request& r) {
    if (r.data.size() != r.bytes())
      fail(Error::format, {"slice ", r.slice, " has ", r.data.size(), " bytes, not ", r.bytes()});
  }

  Answer init(Communicator& c, const Waiting& q) {
    const Request& r = q.request;
    Entry* e = find(r);
    if (!is_floating(r.dtype))
      fail(Error::dtype, {"it holds ", name_of(r.dtype), "; a key's elements are floating"});
    if (!e) {
      if (q.worker != 0) {  // the value is worker 0's
        if (workers_[0].left) fail(Error::peer, {c.name(0), " has ended"});
        return Answer::later;
      }
      check_data(r);
      Entry made{r.dtype, r.extents, r.slices, {}, {}, {}, 0, {}, {}};
      made.queue.resize(workers_.size()), made.pushed.resize(workers_.size());
      Extents own{1, {r.elements()}};
      made.value = AnyTensor::empty(r.dtype, own);
      made.value = made.tensor(r.data);
      entries_.emplace(std::pair{r.key, r.slice}, std::move(made));
      changed_ = true;
    } else {
      check_type(*e, r);
    }
    return give(c, q);
  }
  Answer describe(Communicator& c, const Waiting& q) {
    const Entry& e = existing(q.request);
    Request r = q.request;
    r.data = {}, r.dtype = e.dtype, r.extents = e.extents, r.slices = e.slices;
    return give(c, q, content_of(pack_request(Tag{Tag::reply}, r)));
  }
  Answer push(Communicator& c, const Waiting& q) {
    const Request& r = q.request;
    Entry& e = existing(r);
    check_type(e, r), check_data(r);
    if (!(r.weight >= 0 && r.weight <= std::numeric_limits<double>::max()))
      fail(Error::value, {"a weight of ", r.weight});
    ++e.pushed[q.worker];
    if (options_.synchronous) {
      e.queue[q.worker].push_back({q.message, r.data, r.weight, setting_});
      while (complete(e)) round(e);
    } else {
      e.apply(*setting_, e.tensor(r.data));
      steps_ = std::max(steps_, e.steps);
      changed_ = true;
    }
    return give(c, q);
  }
  static bool complete(const Entry& e) {
    for (const auto& queue : e.queue)
      if (queue.empty()) return false;
    return true;
  }
  void round(Entry& e) {
    AnyTensor sum = e.joined(0, workers_.size(), options_.mean);
    double weight = 0;
    for (const auto& queue : e.queue) weight += queue.front().weight;
    if (options_.mean) tenon::detail::combine_into(sum, weight > 0 ? 1 / weight : 0, sum, 0);
    e.apply(*e.queue[0].front().setting, sum);  // worker 0's: the same in every run
    for (auto& queue : e.queue) queue.pop_front();
    steps_ = std::max(steps_, e.steps);
    changed_ = true;
  }
  /// The worker for which a pull waits; -1: none.
  int awaited(const Entry& e, std::size_t w) const {
    for (std::size_t other = 0; other < workers_.size(); ++other) {
      if (options_.synchronous ? !e.queue[w].empty() && e.queue[other].empty()
                               : options_.staleness >= 0 && !workers_[other].left &&
                                     e.pushed[other] < e.pushed[w] - options_.staleness)
        return static_cast<int>(other);
    }
    return -1;
  }
  Answer pull(Communicator& c, const Waiting& q) {
    const Request& r = q.request;
    Entry& e = existing(r);
    check_type(e, r);
    if (const int other = awaited(e, q.worker); other >= 0) {
      if (workers_[static_cast<std::size_t>(other)].left)
        fail(Error::peer, {c.name(other), " has ended without a push for it"});
      return Answer::later;
    }
    if (r.slot >= 0) e.need_slots(setting_->rule);
    if (r.slot >= static_cast<int>(e.slots.size()) && r.slot >= 0)
      fail(Error::index, {"the rule ", e.rule, " keeps ", e.slots.size(), " slots"});
    const AnyTensor& t = r.slot < 0 ? e.value : e.slots[static_cast<std::size_t>(r.slot)];
    const Bytes reply = make_message(Tag{Tag::reply, 0, q.number, 0},
                                     2 * sizeof(std::int64_t) + r.bytes(), [&](std::byte* to) {
                                       const std::int64_t head[] = {0, e.steps};
                                       std::memcpy(to, head, sizeof head);
                                       if (r.bytes())
                                         std::memcpy(to + sizeof head, t.raw(), r.bytes());
                                     });
    c.send(static_cast<int>(q.worker), reply);
    return Answer::given;
  }
  Answer put(Communicator& c, const Waiting& q) {
    const Request& r = q.request;
    only_first(q);
    Entry& e = existing(r);
    check_type(e, r), check_data(r);
    e.need_slots(setting_->rule);
    if (r.slot >= static_cast<int>(e.slots.size()))
      fail(Error::index, {"the rule ", e.rule, " keeps ", e.slots.size(), " slots"});
    (r.slot < 0 ? e.value : e.slots[static_cast<std::size_t>(r.slot)]) = e.tensor(r.data);
    e.steps = r.steps;
    return give(c, q);
  }

  // ---- workers ----
  static void only_first(const Waiting& q) {
    if (q.worker != 0) fail(Error::value, {"worker 0 alone may do that"});
  }
  Answer set_rule(Communicator& c, const Waiting& q) {
    only_first(q);
    const Request& r = q.request;
    for (const ServedRule& rule : rules_) {
      if (r.key != rule.name) continue;
      std::vector<double> numbers(static_cast<std::size_t>(rule.numbers));
      if (r.data.size() != numbers.size() * sizeof(double))
        fail(Error::format, {"the rule ", r.key, " has ", rule.numbers, " numbers, ", r.data.size(),
                             " bytes came"});
      if (!numbers.empty()) std::memcpy(numbers.data(), r.data.data(), r.data.size());
      setting_ = std::make_shared<RuleSetting>(RuleSetting{rule, std::move(numbers)});
      return give(c, q);
    }
    fail(Error::value, {"no rule is called ", r.key});
  }
  /// Everybody's data for everybody, in order: each behind its length.
  void finish_gather(Communicator& c) {
    bool any = false;
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      if (!gathers_[w] && !workers_[w].left) return;
      any = any || gathers_[w];
    }
    if (!any) return;
    std::vector<std::byte> data;
    for (const auto& q : gathers_) {
      const std::uint64_t size = q ? q->request.data.size() : 0;
      const auto head = std::as_bytes(std::span(&size, 1));
      data.insert(data.end(), head.begin(), head.end());
      if (size) data.insert(data.end(), q->request.data.begin(), q->request.data.end());
    }
    for (auto& q : gathers_) {
      if (q) give(c, *q, data);
      q.reset();
    }
  }
  Answer leave(Communicator& c, const Waiting& q) {
    workers_[q.worker].left = true;
    changed_ = true;
    return give(c, q);
  }

  /// Errors: Error::peer where somebody waits for a living worker beyond the progress limit.
  void check_patience(const Communicator& c) {
    for (const Waiting& q : waiting_) {
      const Entry* e = q.request.kind == Request::pull ? find(q.request) : nullptr;
      check_patience(c, q, e ? awaited(*e, q.worker) : 0);
    }
    for (const auto& q : gathers_)
      for (std::size_t w = 0; q && w < workers_.size(); ++w)
        if (!gathers_[w] && !workers_[w].left) check_patience(c, *q, static_cast<int>(w));
  }
  static void check_patience(const Communicator& c, const Waiting& q, int other) {
    const double limit = c.timeouts().progress;
    if (std::chrono::duration<double>(Communicator::Clock::now() - q.since).count() <= limit)
      return;
    const std::string& key = q.request.key;
    fail(Error::peer,
         {c.name(other), " is alive, but has not arrived for ", limit,
          " s (the progress limit): ", c.name(static_cast<int>(q.worker)), " waits in ",
          Request::name(q.request.kind), key.empty() ? "" : " of " + Key::name(key)});
  }

  const StoreOptions options_;
  const std::vector<ServedRule> rules_;
  std::vector<Worker> workers_;
  std::map<std::pair<std::string, int>, Entry> entries_;
  std::vector<Waiting> waiting_;                 // init, pull
  std::vector<std::optional<Waiting>> gathers_;  // by worker
  Setting setting_;
  std::int64_t steps_ = 0;
  bool changed_ = false;
};

}  // namespace detail

/// What a server rank does, until every worker has ended: served_rules<MyRule>() names rules of
/// your own. Errors: Error::peer as for every rank.
inline void serve(Communicator& communicator, const StoreOptions& options,
                  std::vector<ServedRule> rules = served_rules<>()) {
  detail::compare_stores(communicator, options);
  communicator.run(std::make_shared<detail::Server>(options, std::move(rules),
                                                    communicator.size() - options.servers));
}

}  // namespace tenon::dist
