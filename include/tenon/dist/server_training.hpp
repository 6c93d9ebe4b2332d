// SPDX-License-Identifier: Apache-2.0
// Training over a parameter server with the loop of one process: batch_gradient computes a worker's
// part of the batch, `update` is made by the servers.
#pragma once
#include <tenon/dist/parameter_server.hpp>

namespace tenon::inline TENON_ISA::dist {

namespace detail {

/// What a worker counted in its part of a batch, as bytes, and the sum over the workers.
struct WorkerCount {
  double position = 0, rows = 0, counted = 0, stop = 0, loss = 0, weight = 0;
  std::vector<double> metrics{};
  std::string names{};

  std::vector<std::byte> bytes() const {
    const double head[] = {
        position, rows, counted, stop, loss, weight, static_cast<double>(metrics.size())};
    std::vector<std::byte> out(sizeof head + metrics.size() * sizeof(double) + names.size());
    std::memcpy(out.data(), head, sizeof head);
    std::byte* to = out.data() + sizeof head;
    if (!metrics.empty()) std::memcpy(to, metrics.data(), metrics.size() * sizeof(double));
    if (!names.empty())
      std::memcpy(to + metrics.size() * sizeof(double), names.data(), names.size());
    return out;
  }
  static WorkerCount read(std::span<const std::byte> from) {
    double head[7];
    if (from.size() < sizeof head) fail(Error::format, {"a count of ", from.size(), " bytes"});
    std::memcpy(head, from.data(), sizeof head);
    from = from.subspan(sizeof head);
    if (!(head[6] >= 0 && head[6] <= static_cast<double>(from.size() / sizeof(double))))
      fail(Error::format, {"a count is cut off"});
    WorkerCount c{head[0], head[1], head[2], head[3], head[4], head[5]};
    c.metrics.resize(static_cast<std::size_t>(head[6]));
    const std::size_t numbers = c.metrics.size() * sizeof(double);
    if (numbers) std::memcpy(c.metrics.data(), from.data(), numbers);
    from = from.subspan(numbers);
    c.names.assign(reinterpret_cast<const char*>(from.data()), from.size());
    return c;
  }
  /// The balanced tree in the order of the workers.
  static WorkerCount sum(const std::vector<WorkerCount>& all, std::size_t begin, std::size_t end) {
    if (end - begin == 1) return all[begin];
    const std::size_t middle = begin + (end - begin) / 2;
    WorkerCount a = sum(all, begin, middle), b = sum(all, middle, end);
    const double stop = a.stop + b.stop;
    if (a.counted == 0) std::swap(a, b);
    else if (b.counted != 0) {
      if (a.names != b.names || a.metrics.size() != b.metrics.size())
        fail(Error::peer, {"the workers' metrics differ: ", a.names, " and ", b.names});
      a.loss += b.loss, a.weight += b.weight;
      for (std::size_t i = 0; i < a.metrics.size(); ++i) a.metrics[i] += b.metrics[i];
    }
    a.stop = stop;
    return a;
  }
};

}  // namespace detail

/// While it lives, the steps of this thread go over the store's servers: every parameter of the
/// model is a key, by its path, and `update` pushes gradients and pulls values. The optimizer's
/// state lives on the servers, and is `fetch`ed for a checkpoint; its numbers are worker 0's.
///   set_shards(store.workers());                          // synchronous
///   dist::ServerTraining training(store, net, optimizer); // worker 0's values for all
///   ... train_step(net, optimizer, loss, batch) ...
/// Synchronous: every worker calls batch_gradient with the same batch and computes shard `worker`
/// of it; loss, weight and metrics are those of all, the gradient is the worker's term of the sum
/// that the servers make. Where the batch's weight is a power of two the result has the bits of one
/// process with as many shards. Asynchronous: every worker has batches of its own.
class ServerTraining final : public RankGroup, public Updater {
 public:
  template <class Model, class Rule>
  ServerTraining(Store& store, Model& net, const optim::Optimizer<Rule, Model>& optimizer)
      : store_(store), ambient_(ambient()) {
    using tenon::detail::Members;
    const bool synchronous = store.options().synchronous;
    if (synchronous && shards() != store.workers())
      fail(Error::value, {"ServerTraining: ", shards(), " shards for ", store.workers(),
                          " workers: set_shards(", store.workers(), ")"});
    if (store.options().mean)
      fail(Error::value,
           "ServerTraining: gradients are weighted already: StoreOptions::mean = false");
    Members own(Members::parameters, true);
    tenon::detail::visit_members(own, net);
    for (std::size_t i = 0; i < own.size(); ++i) keys_.push_back(own.path(i));
    std::vector<Pushed> values = pushed(own);
    store_.init(values);
    remember(optimizer.rule);
    store_.change_optimizer(rule_, numbers_);
    if (store_.worker() == 0 && optimizer.steps > 0) {
      for (std::size_t k = 0; k < optimizer.state.size(); ++k) {
        Members state(Members::parameters);
        tenon::detail::collect_members(state, optimizer.state[k]);
        store_.put(pushed(state), static_cast<int>(k), optimizer.steps);
      }
    }
    store_.barrier();
    take(own);
    before_ranks_ = ambient_.ranks, before_updater_ = ambient_.updater;
    if (synchronous) ambient_.ranks = this;
    ambient_.updater = this;
  }
  ~ServerTraining() { ambient_.ranks = before_ranks_, ambient_.updater = before_updater_; }
  ServerTraining(const ServerTraining&) = delete;
  ServerTraining& operator=(const ServerTraining&) = delete;

  /// The servers' values and optimizer state, for a checkpoint or an evaluation.
  template <class Model, class Rule>
  void fetch(Model& net, optim::Optimizer<Rule, Model>& optimizer) {
    using tenon::detail::Members;
    Members own(Members::parameters);
    tenon::detail::visit_members(own, net);
    take(own);
    for (std::size_t k = 0; k < optimizer.state.size(); ++k) {
      Members state(Members::parameters);
      tenon::detail::visit_members(state, optimizer.state[k]);
      const auto values = store_.pull_state(keys_, static_cast<int>(k), &optimizer.steps);
      for (std::size_t i = 0; i < state.size(); ++i) settle(state[i], values[i]);
    }
  }
  /// Asks all workers to end together (asynchronous: this one to end); see stop().
  void ask_to_stop() { asked_ = true; }
  /// Whether a worker had asked before the step that has just ended: the same on every worker.
  bool stop() const {
    return store_.options().synchronous && store_.workers() > 1 ? stop_ : asked_;
  }

  // ---- RankGroup ----
  int rank() const override { return store_.worker(); }
  /// With one worker there is nothing to share.
  int size() const override { return store_.workers(); }
  void begin(std::uint64_t position, const ShardCut& cut, std::span<const AnyTensor> parameters,
             std::span<const Join> states) override {
    if (!states.empty())
      fail(Error::unsupported, {"batch_gradient: the model has states (", states.size(),
                                "), which servers do not join"});
    count_ = {static_cast<double>(position), static_cast<double>(cut.rows)};
    own_ = {};
    for (const AnyTensor& t : parameters) {
      own_.gradient.push_back(AnyTensor::empty(t.dtype(), t.extents()));
      std::memset(own_.gradient.back().raw_writable(), 0,
                  static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
    }
  }
  void ready(int, int parameter, const AnyTensor& sum) override {
    own_.gradient[static_cast<std::size_t>(parameter)] = sum;
  }
  void counted(int, const GradientSum& sum) override {
    count_.counted = 1, count_.loss = sum.loss, count_.weight = sum.weight;
    for (const Metric& m : sum.metrics) {
      count_.metrics.push_back(m.value);
      (count_.names += m.name) += '\n';
    }
  }
  GradientSum finish() override {
    count_.stop = asked_ ? 1 : 0;
    std::vector<detail::WorkerCount> all;
    for (const auto& bytes : store_.gather(count_.bytes())) {
      if (bytes.empty()) fail(Error::peer, {"a worker has ended before this step"});
      all.push_back(detail::WorkerCount::read(bytes));
      check_step(all);
    }
    const detail::WorkerCount total = detail::WorkerCount::sum(all, 0, all.size());
    stop_ = total.stop > 0;
    own_.loss = total.loss, own_.weight = total.weight;
    std::size_t begin = 0;
    for (double value : total.metrics) {
      const std::size_t end = total.names.find('\n', begin);
      own_.metrics.push_back({total.names.substr(begin, end - begin), value});
      begin = end + 1;
    }
    return std::move(own_);
  }
  void abandon(const char* why) noexcept override { store_.communicator().abandon(why); }

  // ---- Updater ----
  void update(const char* rule, std::span<const double> number,
              std::span<AnyTensor* const> parameters,
              std::span<AnyTensor* const> gradients) override {
    if (parameters.size() != keys_.size() || gradients.size() != keys_.size())
      fail(Error::shape, {"ServerTraining: made for ", keys_.size(), " parameters, the step has ",
                          parameters.size()});
    const std::vector<double> numbers(number.begin(), number.end());
    if (rule_ != rule || numbers_ != numbers) {
      store_.change_optimizer(rule, number);
      rule_ = rule, numbers_ = numbers;
    }
    std::vector<Pushed> list;
    for (std::size_t i = 0; i < keys_.size(); ++i) list.push_back({keys_[i], *gradients[i]});
    const std::vector<AnyTensor> values = store_.push_pull(list);
    for (std::size_t i = 0; i < keys_.size(); ++i) settle(*parameters[i], values[i]);
  }

 private:
  template <class Rule>
  void remember(const Rule& rule) {
    numbers_.resize(static_cast<std::size_t>(optim::detail::number_count<Rule>));
    optim::detail::put_numbers(rule, numbers_.data());
    rule_ = Rule::name;
  }
  template <class M>
  std::vector<Pushed> pushed(const M& members) const {
    std::vector<Pushed> list;
    for (std::size_t i = 0; i < keys_.size(); ++i) list.push_back({keys_[i], members[i]});
    return list;
  }
  template <class M>
  void take(M& members) {
    const std::vector<AnyTensor> values = store_.pull(keys_);
    for (std::size_t i = 0; i < keys_.size(); ++i) settle(members[i], values[i]);
  }
  /// A value from a server goes where the member lies.
  static void settle(AnyTensor& member, const AnyTensor& value) {
    member = member.defined() ? value.to(member.device()) : value;
  }
  void check_step(const std::vector<detail::WorkerCount>& all) const {
    const detail::WorkerCount &a = all[0], &b = all.back();
    if (a.position == b.position && a.rows == b.rows) return;
    const Communicator& c = store_.communicator();
    fail(Error::peer, {c.name(static_cast<int>(all.size()) - 1), " has a batch of ", b.rows,
                       " rows at random position ", b.position, ", ", c.name(0), " one of ", a.rows,
                       " at ", a.position});
  }

  Store& store_;
  Ambient& ambient_;
  RankGroup* before_ranks_ = nullptr;
  Updater* before_updater_ = nullptr;
  std::vector<Key> keys_;
  std::string rule_;
  std::vector<double> numbers_;
  detail::WorkerCount count_;
  GradientSum own_;
  bool asked_ = false, stop_ = false;
};

}  // namespace tenon::dist
