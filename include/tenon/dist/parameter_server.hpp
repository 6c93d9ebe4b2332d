// SPDX-License-Identifier: Apache-2.0
// The worker's side of the parameter server: tensors by key on server ranks, pushed to, pulled,
// moved by an optimizer there.
#pragma once
#include <tenon/dist/server.hpp>

namespace tenon::inline TENON_ISA::dist {

namespace detail {

/// Requests to servers, sent at once; done when all are answered.
class Ask final : public Job {
 public:
  struct Part {
    int server;
    std::uint64_t number;
    Bytes message, reply;
  };
  std::vector<Part> parts;
  std::string what;

  bool advance(Communicator& c) override {
    for (Part& p : parts)
      if (p.message) c.send(p.server, p.message), p.message = nullptr;
    for (; next_ < parts.size(); ++next_) {
      Part& p = parts[next_];
      Communicator::Clock::time_point since{};  // servers know who keeps whom waiting
      p.reply = c.take(p.server, Tag{Tag::reply, 0, p.number, 0}, since);
      if (!p.reply) return false;
    }
    return true;
  }
  std::string operation() const override {
    return what + " (" + std::to_string(next_) + " of " + std::to_string(parts.size()) +
           " parts answered)";
  }

 private:
  std::size_t next_ = 0;
};

}  // namespace detail

/// A tensor to push, under its key.
struct Pushed {
  Key key;
  AnyTensor value;
};

/// Worker ranks reach the servers through it; one thread at a time. Every worker initialises the
/// same keys: the value is worker 0's, the others wait for it.
///   dist::Store store(communicator, {.servers = 1});
///   store.init("w", Tensor<float, Shape<3>>(...));
///   store.set_optimizer(optim::Sgd{.lr = 0.1f});   // or none: w += push
///   store.push("w", gradient);   AnyTensor w = store.pull("w");
/// Synchronous: an update joins the pushes of all workers, in their order, and a pull waits for
/// those that this worker has pushed: every run gives the same bits. Asynchronous: an update is
/// made as its push arrives.
/// Errors, of all functions: what a server refuses, with the key, both sides and the two ranks:
/// Error::index (no such key), shape, dtype, value; the store can be used on. Error::peer where a
/// rank is gone or late: the end of the run.
class Store {
 public:
  Store(Communicator& communicator, StoreOptions options)
      : communicator_(communicator),
        options_(std::move(options)),
        exceptions_(std::uncaught_exceptions()) {
    detail::compare_stores(communicator_, options_);
    next_.assign(static_cast<std::size_t>(options_.servers), 1);
    if (worker() >= workers())
      fail(Error::value, {"Store: rank ", worker(), " is a server: it calls serve"});
  }
  /// Ends as `finish`; after an exception the other ranks are told instead.
  ~Store() {
    if (std::uncaught_exceptions() > exceptions_)
      communicator_.abandon("a worker ended by an exception");
    else try {
        finish();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
  }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  int worker() const { return communicator_.rank(); }
  int workers() const { return communicator_.size() - options_.servers; }
  Communicator& communicator() const { return communicator_; }
  const StoreOptions& options() const { return options_; }

  /// Makes a key with worker 0's value; one that exists keeps its value.
  /// Errors: Error::shape, Error::dtype where the key is there with other extents or elements.
  void init(const Key& key, const AnyTensor& value) { init({{key, value}}); }
  void init(const std::vector<Pushed>& list) {
    for (bool rest : {false, true}) {  // whoever has other extents learns it from the first slice
      Call call(*this, "init", list);
      for (const Pushed& p : list) {
        const AnyTensor value = worker() == 0 ? on_host(p.value) : p.value;
        each_slice(request(Request::init, p.key, p.value), [&](Request& q) {
          if ((q.slice > 0) != rest) return;
          if (worker() == 0) call.data(q, value);
          else call.add(q);
        });
      }
      call.run();
    }
    for (const Pushed& p : list) types_[p.key.wire()] = {p.value.dtype(), p.value.extents()};
  }

  /// Hands a gradient over, or what is to be added. Returns when the servers have it; synchronous,
  /// the update waits for the other workers. weight: see StoreOptions::mean.
  void push(const Key& key, const AnyTensor& value, double weight = 1) {
    push(std::vector<Pushed>{{key, value}}, weight);
  }
  void push(const std::vector<Pushed>& list, double weight = 1) {
    Call call(*this, "push", list);
    for (const Pushed& p : list) call.push(p, weight);
    call.run();
  }
  /// The value, a new tensor on the host.
  AnyTensor pull(const Key& key) { return pull(std::vector<Key>{key})[0]; }
  std::vector<AnyTensor> pull(const std::vector<Key>& keys) { return pull(keys, -1, nullptr); }
  /// push, then pull, in one journey; a value lies where what was pushed does.
  AnyTensor push_pull(const Key& key, const AnyTensor& value, double weight = 1) {
    return push_pull(std::vector<Pushed>{{key, value}}, weight)[0];
  }
  std::vector<AnyTensor> push_pull(const std::vector<Pushed>& list, double weight = 1) {
    Call call(*this, "push_pull", list);
    for (const Pushed& p : list) call.push(p, weight);
    std::vector<AnyTensor> out;
    for (const Pushed& p : list)
      out.push_back(call.pull(p.key, {p.value.dtype(), p.value.extents()}));
    call.run();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i].to(list[i].value.device());
    return out;
  }

  /// The rule that servers apply to pushes from here on; all workers call it, and meet in it. Its
  /// state begins at zero.
  template <class Rule>
  void set_optimizer(const Rule& rule) {
    change_optimizer(rule);
    barrier();
  }
  /// New numbers (a rate) between steps: worker 0 alone, the others' calls do nothing. Synchronous,
  /// they hold from its next push on.
  template <class Rule>
  void change_optimizer(const Rule& rule) {
    double number[optim::detail::number_count<Rule> + 1];
    const double* end = optim::detail::put_numbers(rule, number);
    change_optimizer(Rule::name, {number, end});
  }
  void change_optimizer(std::string_view name, std::span<const double> number) {
    if (worker() != 0) return;
    Call call(*this, "set_optimizer", name);
    Request q{.kind = Request::rule, .key = std::string(name), .data = std::as_bytes(number)};
    for (int s = 0; s < options_.servers; ++s) call.add(q, s);
    call.run();
  }

  /// Waits for all workers that have not ended.
  void barrier() { gather({}); }
  /// Every worker's bytes, in order; nothing from those that have ended. Waits for all.
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> own) {
    Call call(*this, "barrier", "");
    Request q{.kind = Request::gather, .data = own};
    call.add(q, 0);
    call.run();
    std::span<const std::byte> data = Reply::read(call.reply(0)).data;
    std::vector<std::vector<std::byte>> out;
    while (data.size() >= sizeof(std::uint64_t)) {
      std::uint64_t size;
      std::memcpy(&size, data.data(), sizeof size);
      data = data.subspan(sizeof size);
      if (size > data.size()) fail(Error::format, {"parameter server: a barrier is cut off"});
      out.emplace_back(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
      data = data.subspan(size);
    }
    return out;
  }

  /// Slot k of the optimizer's state; steps: updates that the key has had.
  std::vector<AnyTensor> pull_state(const std::vector<Key>& keys, int k, std::int64_t* steps) {
    return pull(keys, k, steps);
  }
  /// Overwrites the value (slot -1) or a slot, and the number of updates: worker 0 alone, before
  /// the first push.
  void put(const std::vector<Pushed>& list, int slot, std::int64_t steps) {
    Call call(*this, "put", list);
    for (const Pushed& p : list) {
      const AnyTensor value = on_host(p.value);
      each_slice(request(Request::put, p.key, p.value), [&](Request& q) {
        q.slot = slot, q.steps = steps;
        call.data(q, value);
      });
    }
    call.run();
  }

  /// Says goodbye to the servers, which end when every worker has. Nothing can be asked afterwards.
  void finish() {
    if (finished_) return;
    Call call(*this, "finish", "");
    Request q{.kind = Request::leave};
    for (int s = 0; s < options_.servers; ++s) call.add(q, s);
    finished_ = true;
    call.run(true);
  }

 private:
  struct Type {
    Dtype dtype;
    Extents extents;
  };
  /// Requests that travel together, and where their answers go.
  class Call {
   public:
    Call(Store& store, const char* what, const std::vector<Pushed>& list) : Call(store, what, "") {
      if (!list.empty()) name(list[0].key.wire(), list.size());
    }
    Call(Store& store, const char* what, std::string_view key) : store_(store) {
      ask_->what = "step " + std::to_string(store.step_) + ", " + what;
      if (!key.empty()) (ask_->what += ' ') += key;
    }
    void name(const std::string& key, std::size_t count) {
      ask_->what += " of " + Key::name(key);
      if (count > 1) ask_->what += " and " + std::to_string(count - 1) + " more";
    }
    void add(Request& q) { add(q, Slices::server(q.key, q.slice, store_.options_.servers)); }
    void add(Request& q, int server) {
      std::uint64_t& next = store_.next_[static_cast<std::size_t>(server)];
      const Bytes message = pack_request(Tag{Tag::request, 0, next, 0}, q);
      ask_->parts.push_back({store_.workers() + server, next++, message, nullptr});
    }
    /// value: of on_host.
    void data(Request& q, const AnyTensor& value) {
      const std::size_t element = size_of(q.dtype);
      q.data = {static_cast<const std::byte*>(value.raw()) +
                    static_cast<std::size_t>(q.begin()) * element,
                q.bytes()};
      add(q);
      q.data = {};
    }
    void push(const Pushed& p, double weight) {
      const AnyTensor value = on_host(p.value);
      store_.each_slice(store_.request(Request::push, p.key, p.value), [&](Request& q) {
        q.weight = weight;
        data(q, value);
      });
      counts_ = true;
    }
    AnyTensor pull(const Key& key, const Type& type, int slot = -1, std::int64_t* steps = nullptr) {
      AnyTensor out = AnyTensor::empty(type.dtype, type.extents);
      auto* to = static_cast<std::byte*>(out.raw_writable());
      store_.each_slice(store_.request(Request::pull, key, out), [&](Request& q) {
        q.slot = slot;
        add(q);
        targets_.push_back({ask_->parts.size() - 1,
                            to + static_cast<std::size_t>(q.begin()) * size_of(q.dtype), q.bytes(),
                            steps});
      });
      return out;
    }
    const Bytes& reply(std::size_t part) const { return ask_->parts[part].reply; }
    void run(bool last = false) {
      if (store_.finished_ && !last) fail(Error::value, {"Store: it has finished"});
      store_.communicator_.run(ask_);
      for (const Ask::Part& p : ask_->parts) {
        const Reply r = Reply::read(p.reply);
        if (r.code) throw Error(static_cast<Error::Code>(r.code), r.text().c_str());
      }
      for (const Target& t : targets_) fill(t);
      if (counts_) ++store_.step_;
      store_.communicator_.set_activity("after step " + std::to_string(store_.step_));
    }

   private:
    using Ask = detail::Ask;
    struct Target {
      std::size_t part;
      std::byte* to;
      std::size_t bytes;
      std::int64_t* steps;
    };
    void fill(const Target& t) const {
      const auto data = Reply::read(reply(t.part)).data;
      if (data.size() != sizeof(std::int64_t) + t.bytes)
        fail(Error::format,
             {"parameter server: ", data.size(), " bytes came for a slice of ", t.bytes});
      if (t.steps) std::memcpy(t.steps, data.data(), sizeof(std::int64_t));
      if (t.bytes) std::memcpy(t.to, data.data() + sizeof(std::int64_t), t.bytes);
    }
    Store& store_;
    std::shared_ptr<Ask> ask_ = std::make_shared<Ask>();
    std::vector<Target> targets_;
    bool counts_ = false;
  };

  static AnyTensor on_host(const AnyTensor& value) { return value.to(cpu).to_contiguous(); }
  static Request request(Request::Kind kind, const Key& key, const AnyTensor& value) {
    const Record& r = value.record("parameter server");
    (void)r;
    Request q{.kind = kind, .dtype = value.dtype(), .extents = value.extents()};
    q.key = key.wire();
    return q;
  }
  template <class F>
  void each_slice(Request q, F&& f) {
    q.slices =
        Slices::of(q.extents.size(), size_of(q.dtype), options_.servers, options_.split).slices;
    for (q.slice = 0; q.slices > q.slice; ++q.slice) f(q);
  }
  const Type& type_of(const Key& key) {
    auto found = types_.find(key.wire());
    if (found != types_.end()) return found->second;
    Call call(*this, "pull", "");
    call.name(key.wire(), 1);
    Request q{.kind = Request::describe, .key = key.wire()};
    call.add(q);
    call.run();
    const Bytes reply = call.reply(0);
    const Request r = read_request(Reply::read(reply).data);
    return types_[key.wire()] = {r.dtype, r.extents};
  }
  std::vector<AnyTensor> pull(const std::vector<Key>& keys, int slot, std::int64_t* steps) {
    std::vector<Type> types;
    for (const Key& key : keys) types.push_back(type_of(key));
    Call call(*this, "pull", "");
    if (!keys.empty()) call.name(keys[0].wire(), keys.size());
    std::vector<AnyTensor> out;
    for (std::size_t i = 0; i < keys.size(); ++i)
      out.push_back(call.pull(keys[i], types[i], slot, steps));
    call.run();
    return out;
  }

  Communicator& communicator_;
  const StoreOptions options_;
  const int exceptions_;
  std::vector<std::uint64_t> next_;  // by server: the number of the next request
  std::map<std::string, Type> types_;
  std::int64_t step_ = 0;
  bool finished_ = false;
};

}  // namespace tenon::dist
