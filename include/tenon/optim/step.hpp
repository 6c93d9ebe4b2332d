// SPDX-License-Identifier: Apache-2.0
// The step of every mode: batch_gradient, where a batch is cut into shards, and update, where an
// optimizer applies.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/optim/join.hpp>
#include <tenon/optim/optimizer.hpp>
#include <tenon/optim/ranks.hpp>
#include <tenon/optim/scalar.hpp>
#include <tenon/tape/tape.hpp>

#include <cmath>

namespace tenon::inline TENON_ISA {

namespace detail {

/// Sum of squares in fixed blocks of 4,096 elements, joined in order: the same on any number of
/// threads.
inline double square_sum(const AnyTensor& t) {
  if (t.get()->place) return kernel::device_calls().square_sum(t);
  AnyTensor dense = t.to(Dtype::f64).to_contiguous();
  const double* p = static_cast<const double*>(dense.raw());
  double total = 0;
  for (Index begin = 0, n = t.size(); begin < n; begin += 4096) {
    double sum = 0;
    for (Index i = begin, end = std::min(n, begin + 4096); i < end; ++i) sum += p[i] * p[i];
    total += sum;
  }
  return total;
}

inline Atomic<int>& shard_setting() {
  static constinit Atomic<int> shards{1};
  return shards;
}

/// Rows [begin, end) of axis 0.
inline AnyTensor rows_of(const AnyTensor& t, Index begin, Index end) {
  Extents e = t.extents();
  e.extent[0] = end - begin;
  Index strides[max_rank] = {};
  for (int i = 0; i < e.rank; ++i) strides[i] = t.stride(i);
  return t.view(e, strides, begin * strides[0]);
}

template <class B>
void each_batch_tensor(B& batch, auto&& f) {
  if constexpr (is_tensor<std::remove_const_t<B>>) f(batch);
  else if constexpr (is_list<std::remove_const_t<B>>)
    for (auto& x : batch) each_batch_tensor(x, f);
  else if constexpr (is_optional<std::remove_const_t<B>>) {
    if (batch) each_batch_tensor(*batch, f);
  } else if constexpr (Aggregate<std::remove_const_t<B>>)
    each_member(batch, [&](std::string_view, auto& m) { each_batch_tensor(m, f); });
}

}  // namespace detail

/// The number of virtual shards that batch_gradient cuts a batch into, for the whole program; 1 at
/// the start.
/// Results depend on it and on nothing else: not on threads, processes or machines.
inline void set_shards(int shards) {
  if (shards < 1 || shards > 65535)
    fail(Error::value, {"set_shards: ", shards, " is not in 1 .. 65535"});
  detail::shard_setting().store(shards);
}
inline int shards() { return detail::shard_setting().load(); }

/// What batch_gradient returns: the gradient of a model, the loss and what was counted with it.
template <class Model>
struct Gradient {
  Model model;    ///< dL/d(parameter); other members as in the model
  Scalar loss;    ///< mean over the batch, weighted by samples (or by the function's `weight`)
  Scalar weight;  ///< samples, or the sum of the weights
  std::vector<Metric> metrics;

  /// The Euclidean norm of all parameters' gradients together.
  double norm() const {
    detail::Members m(detail::Members::parameters);
    detail::collect_members(m, model);
    double sum = 0;
    for (const AnyTensor* t : m) sum += detail::square_sum(*t);
    return std::sqrt(sum);
  }
  /// Whether loss and every gradient are finite.
  bool finite() const { return std::isfinite(loss) && std::isfinite(norm()); }
  Gradient& scale(double factor) {
    detail::Members m(detail::Members::parameters);
    detail::visit_members(m, model);
    for (AnyTensor* t : m) detail::combine_into(*t, factor, *t, 0);
    return *this;
  }
  /// Adds the gradients of another batch, for accumulation over several; losses are averaged by
  /// weight.
  Gradient& operator+=(const Gradient& other) {
    add(other, 1, 1);
    const double total = weight + other.weight;
    if (total > 0) loss = (loss * weight + other.loss * other.weight) / total;
    weight = total;
    for (std::size_t i = 0; i < metrics.size() && i < other.metrics.size(); ++i)
      metrics[i].value += other.metrics[i].value;
    return *this;
  }
  /// model = a model + b other.model.
  void add(const Gradient& other, double a, double b) {
    detail::Members from(detail::Members::parameters), to(detail::Members::parameters);
    detail::collect_members(from, other.model), detail::visit_members(to, model);
    if (from.size() != to.size())
      fail(Error::shape, {"Gradient: gradients of ", to.size(), " and ", from.size(),
                          " parameters cannot be added"});
    for (std::size_t i = 0; i < to.size(); ++i)
      if (!(to[i].extents() == from[i].extents()))
        fail(Error::shape, {"Gradient: gradients of ", detail::parameter_path<Model>(&model, i),
                            " differ: ", to[i].extents(), " and ", from[i].extents()});
    for (std::size_t i = 0; i < to.size(); ++i) detail::combine_into(to[i], a, from[i], b);
  }
};

namespace detail {

template <class R>
Scalar number_of(R&& r) {
  if constexpr (std::is_arithmetic_v<std::remove_cvref_t<R>>) return static_cast<double>(r);
  else {
    Tensor t(std::forward<R>(r));
    if (t.size() != 1)
      fail(Error::shape,
           {"batch_gradient: a loss, weight or metric is ", t.extents(), ", not one number"});
    return Scalar(t.any());
  }
}

// The gradient goes into g, or to the ranks that share the batch.
template <class Model, class L>
void shard_backward(Tape& tape, const L& loss, const Model& net, Gradient<Model>& g,
                    OwnShards* own) {
  if (own) own->backward(tape, loss.any(), g.loss, g.weight, std::move(g.metrics));
  else g.model = tape.gradient(loss, net);
}

// One shard: forward and backward under a tape of its own.
template <class Loss, class Model, class Batch, class... Extra>
Gradient<Model> taped_gradient(OwnShards* own, const Loss& loss, const Model& net,
                               const Batch& batch, Index samples, const Extra&... extra) {
  Gradient<Model> g;
  Tape tape;
  auto result = loss(net, batch, unwritten(extra)...);
  using R = decltype(result);
  if constexpr (TensorExpr<R>) {
    Tensor value(std::move(result));
    g.loss = number_of(value), g.weight = static_cast<double>(samples);
    shard_backward(tape, value, net, g, own);
  } else {
    Tensor value(result.loss);
    g.loss = number_of(value);
    if constexpr (requires { result.weight; }) g.weight = number_of(result.weight);
    else g.weight = static_cast<double>(samples);
    each_member(result, [&](std::string_view name, auto& m) {
      if (name != "loss" && name != "weight")
        g.metrics.push_back({std::string(name), number_of(m)});
    });
    shard_backward(tape, value, net, g, own);
  }
  return g;
}
// One shard, by its tape or by a graph (train/traced_loss.hpp).
template <class Loss, class Model, class Batch, class... Extra>
Gradient<Model> shard_gradient(OwnShards* own, const Loss& loss, const Model& net,
                               const Batch& batch, Index samples, const Extra&... extra) {
  if constexpr (requires { loss.traced_gradient(net, batch, samples); }) {
    static_assert(sizeof...(Extra) == 0, "tenon: a traced loss takes no extra arguments");
    Gradient<Model> g = loss.traced_gradient(net, batch, samples);
    if (own) {
      Members of(Members::parameters);
      collect_members(of, g.model);
      own->take(of, g.loss, g.weight, std::move(g.metrics));
    }
    return g;
  } else {
    return taped_gradient(own, loss, net, batch, samples, extra...);
  }
}

// The gradient where several ranks share the shards; run computes one of them.
template <class Model>
TENON_COLD Gradient<Model> ranked_gradient(Ambient& a, const Model& net, StepStates& states,
                                           const ShardCut& cut, OwnShards::Run run,
                                           const void* context) {
  if (cut.ranks > cut.shards)
    fail(Error::value, {"batch_gradient: ", cut.ranks, " ranks cannot share ", cut.shards,
                        " shards; set_shards(", cut.ranks, ") or more"});
  Members named(Members::states, true), parameters(Members::parameters);
  if constexpr (holds_state<Model>()) collect_members(named, net);
  for (std::size_t i = 0; i < named.size(); ++i)
    if (!named[i].defined())
      fail(Error::uninitialised, {"batch_gradient: the State ", named.path(i),
                                  " has no value; ranks join those that have one at the start"});
  collect_members(parameters, net);
  check_distinct(parameters, parameter_path<Model>, &net);
  OwnShards own(*a.ranks, parameters, states, cut);
  GradientSum sum = own.sum(a.position, run, context);
  for (std::size_t i = 0; i < sum.state.size(); ++i)
    sum.state[i] = sum.state[i].to(states.start()[i].device());
  states.finish(sum.state, sum.changed, sum.weight);
  Gradient<Model> g;
  g.model = net;
  Members out(Members::parameters);
  visit_members(out, g.model);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = sum.gradient[i].to(out[i].device());
  g.loss = sum.loss, g.weight = sum.weight, g.metrics = std::move(sum.metrics);
  return g;
}

}  // namespace detail

/// The gradient of loss(net, batch, extra...) with respect to net, the batch cut by sample order
/// into shards(): shard v has rows floor(vB/V) .. floor((v+1)B/V) of every tensor of the batch and
/// is run as a batch of its own; empty ones are skipped; the gradients, weighted, are added up by
/// one balanced binary tree in shard order.
/// State members of net start each shard as they were before the step; their Join says how the
/// shards' values become one, in the same tree. A step that fails leaves them alone where there are
/// several shards.
/// loss: a function without captures or an aggregate; it returns a rank-0 tensor, or a struct with
/// members loss, optionally weight, and metrics. extra is not differentiated, and its State members
/// are not written.
/// Where ranks share the shards (dist/data_parallel.hpp) every one of them calls with the same
/// batch and gets the same gradient, to the bit that of one process with as many shards.
/// Errors: Error::value for an empty batch, Error::shape when tensors of the batch differ in their
/// first extent.
template <class Loss, class Model, class Batch, class... Extra>
Gradient<Model> batch_gradient(const Loss& loss, const Model& net, const Batch& batch,
                               const Extra&... extra) {
  Index rows = -1;
  detail::each_batch_tensor(batch, [&](const auto& t) {
    const Index own = t.any().record("batch_gradient").rank ? t.any().extent(0) : 0;
    if (rows >= 0 && own != rows)
      fail(Error::shape,
           {"batch_gradient: tensors of the batch differ on axis 0 (", rows, " vs ", own, ")"});
    rows = own;
  });
  if (rows <= 0) fail(Error::value, {"batch_gradient: the batch has no samples"});
  Ambient& a = ambient();
  struct LastShard {  // also where loss throws
    Ambient& a;
    ~LastShard() { a.shard = 0; }
  } last{a};
  ++a.position;
  a.call = 0, a.shard = 0;
  const Index count = shards();
  const bool ranked = a.ranks && a.ranks->size() > 1;
  if (count == 1 && !ranked)
    return detail::shard_gradient(nullptr, loss, net, batch, rows, extra...);
  if (a.tracer)
    fail(Error::trace, {"batch_gradient: a step over ", count,
                        " shards cannot be traced as a whole; ", "trace its loss with trace_loss"});
  detail::StepStates states(detail::state_places(net));
  auto one = [&](Index v, detail::OwnShards* own) {
    states.begin_shard();
    const Index begin = v * rows / count, end = (v + 1) * rows / count;
    Batch part = batch;
    detail::each_batch_tensor(part, [&](auto& t) {
      t = std::remove_cvref_t<decltype(t)>(detail::rows_of(t.any(), begin, end));
    });
    a.shard = static_cast<std::uint32_t>(v), a.call = 0;
    Gradient<Model> g = detail::shard_gradient(own, loss, net, part, end - begin, extra...);
    return g;
  };
  if (ranked) {
    auto run = [](const void* context, Index v, detail::OwnShards& own) {
      (*static_cast<const decltype(one)*>(context))(v, &own);
    };
    Gradient<Model> g =
        detail::ranked_gradient(a, net, states, {count, rows, a.ranks->size()}, run, &one);
    g.scale(1 / g.weight);
    g.loss /= g.weight;
    return g;
  }
  auto empty = [&](Index v) { return v * rows / count == (v + 1) * rows / count; };
  // Sums of weight * gradient; divided by the whole weight at the end.
  auto tree = [&](auto& self, Index lo, Index hi) -> std::optional<Gradient<Model>> {
    if (hi - lo == 1) {
      if (empty(lo)) return std::nullopt;
      Gradient<Model> g = one(lo, nullptr);
      states.leave(detail::state_places(g.model), g.weight);
      g.scale(g.weight);
      g.loss *= g.weight;
      return g;
    }
    const Index mid = lo + (hi - lo) / 2;
    auto left = self(self, lo, mid), right = self(self, mid, hi);
    if (!left) return right;
    if (!right) return left;
    left->add(*right, 1, 1);
    states.add(detail::state_places(left->model), detail::state_places(right->model));
    left->loss += right->loss, left->weight += right->weight;
    for (std::size_t i = 0; i < left->metrics.size(); ++i)
      left->metrics[i].value += right->metrics[i].value;
    return left;
  };
  Gradient<Model> g = std::move(*tree(tree, 0, count));
  states.finish(detail::state_places(g.model), g.weight);
  g.scale(1 / g.weight);
  g.loss /= g.weight;
  return g;
}

/// How `update` applies a gradient.
struct UpdateOptions {
  double scale = 1;  ///< the gradient is multiplied with it first
  bool when = true;  ///< false: nothing happens (an overflowed step is skipped)
};

namespace detail {
template <class Rule, class Model>
TENON_COLD void update_elsewhere(Updater& updater, optim::Optimizer<Rule, Model>& optimizer,
                                 Model& net, const Model& gradient) {
  Members own(Members::parameters), slope(Members::parameters);
  visit_members(own, net), collect_members(slope, gradient);
  double number[optim::detail::number_count<Rule> + 1];
  const double* end = optim::detail::put_numbers(optimizer.rule, number);
  const char* name = "update";
  if constexpr (requires { Rule::name; }) name = Rule::name;
  updater.update(name, {number, end}, {own.begin(), own.end()}, {slope.begin(), slope.end()});
  ++optimizer.steps;
}
}  // namespace detail

/// One step of the optimizer with a gradient from batch_gradient; by a server where there is one
/// (dist/server_training.hpp), which then keeps the optimizer's state.
template <class Rule, class Model>
void update(optim::Optimizer<Rule, Model>& optimizer, Model& net, Gradient<Model>& g,
            UpdateOptions options = {}) {
  if (!options.when) return;
  if (options.scale != 1) g.scale(options.scale);
  if (Updater* updater = ambient().updater) [[unlikely]]
    return detail::update_elsewhere(*updater, optimizer, net, g.model);
  optimizer.step(net, g.model);
}

/// batch_gradient and update; the gradient's loss is returned with it.
template <class Loss, class Rule, class Model, class Batch, class... Extra>
Gradient<Model> train_step(Model& net, optim::Optimizer<Rule, Model>& optimizer, const Loss& loss,
                           const Batch& batch, const Extra&... extra) {
  Gradient<Model> g = batch_gradient(loss, net, batch, extra...);
  update(optimizer, net, g);
  return g;
}

}  // namespace tenon
