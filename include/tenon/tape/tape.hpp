// SPDX-License-Identifier: Apache-2.0
// The explicit tape: one node per statement, walked backwards once.
#pragma once
#include <tenon/core/reflect.hpp>
#include <tenon/kernel/materialise.hpp>
#include <tenon/tape/nodes.hpp>
#include <tenon/tensor/model.hpp>

namespace tenon::inline TENON_ISA {

/// Hears of gradients while a tape runs backwards.
struct GradientSink {
  /// Memory for gradient `index`: a writable contiguous tensor, or an undefined one to let the tape
  /// allocate.
  virtual AnyTensor memory(int index) { return (void)index, AnyTensor{}; }
  /// Gradient `index` is complete.
  virtual void final(int index, const AnyTensor& gradient) = 0;

 protected:
  ~GradientSink() = default;
};

namespace detail {
inline void sink_final(GradientSink* sink, int index, const AnyTensor& gradient) {
  sink->final(index, gradient);
}
inline AnyTensor sink_memory(GradientSink* sink, int index) { return sink->memory(index); }
}  // namespace detail

/// What `gradient` leaves of the tape.
enum class AfterGradient { end, keep };

/// Records every floating-point statement of this thread while it lives. `gradient` computes
/// derivatives of a recorded loss and ends the tape: what it kept is released, recording and
/// training mode end.
///   Tape tape; auto loss = f(net); auto g = tape.gradient(loss, net);
/// Tapes nest: a gradient computed while an outer tape records is itself recorded there (second
/// derivatives).
class Tape final : public Recorder {
 public:
  Tape() : Recorder(record_on_tape), storage_(detail::TapeStorage::acquire()) {}
  ~Tape() {
    leave();
    detail::TapeStorage::release(storage_);
  }

  /// dL/dx for each x in wrt, zeros for one that the loss does not depend on. seed: dL/d(loss),
  /// ones by default; without a seed the loss must have one element. Errors: Error::tape when the
  /// loss was not recorded.
  void gradient(const AnyTensor& loss, std::span<const AnyTensor> wrt, std::span<AnyTensor> out,
                const AnyTensor& seed = {}, AfterGradient after = AfterGradient::end,
                GradientSink* sink = nullptr) {
    storage_->check_idle();
    struct Unlink {  // the backward pass is recorded by outer tapes, never by this one
      Tape& tape;
      Recorder* innermost;  // of those that go on recording afterwards
      bool ends, records;
      ~Unlink() {
        if (ends) tape.storage_->clear();
        else if (records) activate(innermost);
      }
    };
    const bool ends = after == AfterGradient::end, records = !left();
    Unlink unlink{*this, ambient().recorder, ends, records};
    if (ends) leave();
    else if (records) activate(outer());
    storage_->gradient(loss, wrt, out, seed, ends, sink);
  }

  /// The gradient of a tensor is a tensor; that of a model is a model.
  template <class L, class X>
    requires(!std::is_convertible_v<X, std::span<const AnyTensor>>)
  X gradient(const L& loss, const X& x, AfterGradient after = AfterGradient::end) {
    X g = x;
    detail::Members from(detail::Members::parameters), to(detail::Members::parameters);
    detail::collect_members(from, x), detail::collect_members(to, g);
    detail::check_distinct(from, detail::parameter_path<X>, &x);
    members_gradient(loss_value(loss), from, to, after);
    return g;
  }

  /// Recording and training mode end; `gradient` may still be asked for.
  void stop() { leave(); }
  /// Whether a statement of this tape made the value.
  bool recorded(const AnyTensor& value) const { return storage_->recorded(value); }

 private:
  static void record_on_tape(Recorder& self, const Statement& s) {
    auto& tape = static_cast<Tape&>(self);
    tape.storage_->record(s, tape.outer() != nullptr);
    if (tape.outer()) tape.outer()->record(s);
  }
  template <class L>
  static const AnyTensor& loss_value(const L& loss) {
    if constexpr (detail::is_expression<L>) return loss.value();
    else return loss;
  }
  void members_gradient(const AnyTensor& loss, const detail::Members& from,
                        const detail::Members& to, AfterGradient after) {
    std::vector<AnyTensor>&value = storage_->asked, &gradient_of = storage_->answered;
    value.clear(), gradient_of.clear();
    for (const AnyTensor* t : from) value.push_back(*t);
    gradient_of.resize(value.size());
    gradient(loss, std::span<const AnyTensor>(value), std::span<AnyTensor>(gradient_of), {}, after);
    for (std::size_t i = 0; i < to.size(); ++i)
      to[i] = kernel::cast(gradient_of[i], value[i].dtype(), Context::current());
    value.clear(), gradient_of.clear();
  }
  detail::TapeStorage* storage_;
};

namespace detail {
inline AnyTensor constant_of(const AnyTensor& x) {
  AnyTensor t = x.clone();
  trace_same(x.id(), t);
  return t;
}
}  // namespace detail

/// x as a constant: nothing flows back through it.
template <class T, class S>
Tensor<T, S> stop_gradient(const Tensor<T, S>& x) {
  return Tensor<T, S>(detail::constant_of(x.any()));
}
template <class Tr, class T, class S>
Tensor<T, S> stop_gradient(const Expression<Tr, T, S>& x) {
  return Tensor<T, S>(detail::constant_of(x.value()));
}

}  // namespace tenon
