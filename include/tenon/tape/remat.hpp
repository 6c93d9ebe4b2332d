// SPDX-License-Identifier: Apache-2.0
// remat(f): a function whose inner values are not kept by the tape but computed again in backward.
#pragma once
#include <tenon/tape/node_object.hpp>

namespace tenon::inline TENON_ISA {
namespace detail {

/// The second run of a function: what it read besides its arguments is as it was in the first.
class SecondRun : public Unrecorded {
 public:
  SecondRun(const Ambient& first, bool training) {
    if (before_.serial && !before_.paused)  // a higher derivative: an outer tape listens
      ambient_.recorder = before_.recorder, ambient_.serial = before_.serial;
    ambient_.mode = training ? Mode::training : Mode::evaluation;
    move_to(first);
  }
  ~SecondRun() { move_to(before_); }

 private:
  void move_to(const Ambient& a) {
    ambient_.seed = a.seed, ambient_.position = a.position;
    ambient_.shard = a.shard, ambient_.call = a.call;
  }
};

class RematNode : public NodeObject {
 public:
  RematNode() : first_(ambient()), training_(is_training()) {}
  virtual AnyTensor run() const = 0;
  virtual void inputs(std::vector<AnyTensor>& list) const = 0;
  void expect(const Extents& result) { result_ = result; }

  void backward(BackwardCall& call) override {
    std::vector<AnyTensor> all, wanted, gradient;
    inputs(all);
    std::vector<std::size_t> place;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (i >= 32 || call.wanted >> i & 1) wanted.push_back(all[i]), place.push_back(i);
    gradient.resize(wanted.size());
    {
      SecondRun scope(first_, training_);
      Tape tape;
      const AnyTensor y = run();
      if (!(y.record("remat").shape() == result_))
        fail(Error::tape, {"remat: the function gave ", y.extents(), " when it was run again and ",
                           result_, " at first; it must depend on its arguments alone"});
      bool reached = tape.recorded(y);
      for (const AnyTensor& x : wanted) reached |= x.id() == y.id();
      if (!reached) {  // memory that a sink gave holds no gradient
        for (std::size_t i : place)
          if (i >= 32 || !(call.accumulate >> i & 1)) call.gradient[i].reset();
        return;
      }
      tape.gradient(y, wanted, gradient, call.dy);
    }
    for (std::size_t k = 0; k < place.size(); ++k) settle_object(call, place[k], gradient[k]);
  }

 private:
  Ambient first_;  // the random position, before the first run
  bool training_;
  Extents result_;
};

template <class F, class... Xs>
class RematNodeOf final : public RematNode {
 public:
  explicit RematNodeOf(const F& f, const Xs&... x) : f_(f), x_(x...) {}
  AnyTensor run() const override {
    if constexpr (holds_state<F>() || (holds_state<Xs>() || ...)) {
      // What it writes into State members is read in this run and nowhere else.
      const F f = f_;
      const std::tuple<Xs...> x = x_;
      return call(f, x);
    } else {
      return call(f_, x_);
    }
  }
  void inputs(std::vector<AnyTensor>& list) const override {
    add_inputs(list, f_);
    std::apply([&list](const Xs&... x) { (add_inputs(list, x), ...); }, x_);
    drop_repeated(list);
  }

 private:
  static AnyTensor call(const F& f, const std::tuple<Xs...>& all) {
    return std::apply([&f](const Xs&... x) { return AnyTensor(settled(f(x...))); }, all);
  }
  F f_;
  std::tuple<Xs...> x_;
};

inline constexpr StatementInfo remat_info = object_info("remat");

/// f without captures, or a struct of tensors: F is a const reference where f has a name.
template <class F>
class Remat {
  using Function = std::decay_t<F>;
  static_assert(Argument<Function>,
                "tenon: remat(f): f is a function without captures or a model; what a closure "
                "captures would get no gradient: pass it as an argument");

 public:
  explicit Remat(F f) : f_(f) {}

  template <class... Xs>
  auto operator()(Xs&&... x) const {
    static_assert((Argument<Xs> && ...),
                  "tenon: remat(f)(x...): an argument is a tensor, a number or a model");
    return run(settled(std::forward<Xs>(x))...);
  }

 private:
  template <class... Xs>
  auto run(const Xs&... x) const {
    static_assert(TensorResult<decltype(f_(x...))>, "tenon: remat(f): f returns one tensor");
    using Y = std::remove_cvref_t<decltype(settled(f_(x...)))>;
    Recorder* recorder = find_recorder(Context::current());
    if (!recorder) return Y(settled(f_(x...)));
    // Made before the first run: models keep the State that it reads.
    auto* node = new RematNodeOf<Function, std::remove_cvref_t<Xs>...>(f_, x...);
    const AnyTensor owner = owner_of(node);
    Y y = [&] {
      Unrecorded scope;
      return Y(settled(f_(x...)));
    }();
    std::vector<AnyTensor> operands;
    node->inputs(operands);
    separate(y, operands);
    const AnyTensor& value = y;
    node->expect(value.record("remat").shape());
    if (is_floating(value.dtype())) record_object(remat_info, *recorder, operands, owner, value);
    return y;
  }
  F f_;
};

}  // namespace detail

/// remat(f)(x...): `Tensor y = f(x...)`, of which a tape keeps the arguments only; backward runs f
/// again under a tape of its own (gradient checkpointing). Masks of dropout are those of the first
/// run, State members of f and x are written by the first run alone, and gradients have the bits
/// that they have without remat, except where a tensor is used both inside and outside of f: sums
/// of more than two gradients then associate differently.
/// f: a function without captures, or a model, whose own parameters get gradients too; a named one
/// is referred to and must outlive the call. f returns one tensor and depends on its arguments and
/// the random position alone.   x: tensors, expressions, numbers, models; nothing is written to
/// them. Without a tape it is f(x...).
/// Cost: one more forward of f in backward; higher derivatives run f once more each.
/// Errors: those of f; Error::tape where the second run gives other extents.
/// Source: Chen et al., Training deep nets with sublinear memory cost, 2016.
template <class F>
auto remat(F&& f) {
  using Plain = std::decay_t<F>;
  constexpr bool refer = std::is_lvalue_reference_v<F> && std::is_class_v<Plain>;
  return detail::Remat<std::conditional_t<refer, const Plain&, Plain>>(std::forward<F>(f));
}

}  // namespace tenon
