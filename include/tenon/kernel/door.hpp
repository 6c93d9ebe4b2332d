// SPDX-License-Identifier: Apache-2.0
// The one door: every value is made here, and the recorder of its context hears of it.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/kernel/fill.hpp>
#include <tenon/kernel/group_run.hpp>
#include <tenon/kernel/labels.hpp>
#include <tenon/kernel/op_info.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {
/// Computes a group operation by operation; null while groups run as kernels. A pointer, so that
/// programs that never ask for it do not compile it.
using OneByOne = AnyTensor (*)(const StatementInfo&, const AnyTensor* operand, const double* scalar,
                               const GroupCall&, Dtype);
inline Atomic<OneByOne>& one_by_one() {
  static constinit Atomic<OneByOne> compute{nullptr};
  return compute;
}
inline bool kernels_on() { return !one_by_one().load(Order::relaxed); }

/// Who hears of a statement: the recorder of its context, if the result has a gradient, and the
/// tracer.
struct Listeners {
  Recorder* recorder;
  Tracer* tracer;
  Listeners(Context context, Dtype result)
      : recorder(is_floating(result) ? find_recorder(context) : nullptr),
        tracer(ambient().tracer) {}
  explicit operator bool() const { return recorder || tracer; }
  void tell(const Statement& s) const {
    if (tracer) [[unlikely]]
      tracer->statement(*tracer, s);
    if (recorder) recorder->record(s);
  }
};
}  // namespace detail

/// Tells the recorder of `context` of a statement that does not fuse. Nothing is told when nobody
/// records or the result has no gradient.
inline void record_function(const StatementInfo& info, Context context,
                            std::span<const AnyTensor> operands, const Attributes& attributes,
                            const AnyTensor& result) {
  if (const detail::Listeners listeners(context, result.dtype()); listeners)
    listeners.tell(
        {&info, operands.data(), static_cast<int>(operands.size()), nullptr, &attributes, &result});
}
inline void record_function(const StatementInfo& info, Context context,
                            std::initializer_list<AnyTensor> operands, const Attributes& attributes,
                            const AnyTensor& result) {
  record_function(info, context, std::span<const AnyTensor>(operands.begin(), operands.size()),
                  attributes, result);
}

namespace kernel {

/// The same elements in other extents; a view where the strides allow. Differentiable.
AnyTensor reshape(const AnyTensor& x, const Extents& e, Context context);
AnyTensor add(const AnyTensor& a, const AnyTensor& b, Context context);
/// x in another dtype, x itself if it has that. Differentiable between floating ones.
AnyTensor cast(const AnyTensor& x, Dtype to, Context context);
/// A group, operation by operation.
AnyTensor interpret_forward(const StatementInfo& info, const AnyTensor* operand,
                            const double* scalar, const GroupCall& how, Dtype dtype);
void interpret_backward(BackwardCall& call, const GroupCall& how, Context context);
}  // namespace kernel

/// Whether groups run as fused kernels (the default) or operation by operation: the same values up
/// to rounding, slower; for tests and debugging.
inline void use_compiled_kernels(bool yes) {
  detail::one_by_one().store(yes ? nullptr : kernel::interpret_forward);
}

namespace kernel {

/// The factor of a mean over all rows, which follows from the operands' extents.
inline void settle_scale(const StatementInfo& info, const AnyTensor* operand, GroupCall& how) {
  if (how.total < Total::mean_rows) return;
  const Extents e = detail::group_extents(info, operand, how);
  Index n = e.size();
  if (how.total == Total::mean_rows)
    for (int i = 0; i < e.rank; ++i) n /= how.axes >> i & 1 ? std::max<Index>(e.extent[i], 1) : 1;
  how.scale = 1.0 / static_cast<double>(n);
}
/// What depends on the operands in how a group is called. Checks labels.
inline void settle_call(const StatementInfo& info, const AnyTensor* operand, GroupCall& how) {
  settle_scale(info, operand, how);
  if (info.check_labels) [[unlikely]]
    info.check_labels(info, operand, how);
}
/// The value of a group, by its kernel or operation by operation; nobody hears of it. result: where
/// to, or undefined.
inline void compute(const StatementInfo& info, const AnyTensor* operand, const double* scalar,
                    const GroupCall& how, Dtype dtype, bool keep, AnyTensor& result,
                    AnyTensor& kept) {
  if (const auto one_by_one = tenon::detail::one_by_one().load(Order::relaxed);
      one_by_one && !(info.node_count == 1 && !info.product) && info.node_count > 0) [[unlikely]]
    result = one_by_one(info, operand, scalar, how, dtype);
  else if (info.product) info.run_product(info, operand, scalar, how, dtype, keep, result, kept);
  else run_forward(info, operand, scalar, how, result, dtype, keep && info.reductions, kept);
}

/// Evaluates a group. operand: its leaves, then the two matrices of its product, if any (leaf 0 is
/// then empty).
/// Errors: shape, index (labels), dtype, uninitialised.
inline AnyTensor evaluate(const StatementInfo& info, const AnyTensor* operand, int operands,
                          const double* scalar, GroupCall how, Dtype dtype, Context context) {
  using namespace detail;
  for (int i = 0; i < operands; ++i)
    if (!(info.product && i == 0)) operand[i].record(info.name);
  const tenon::detail::Listeners listeners(context, dtype);
  if (how.from_end) {
    const int rank = group_rank(info, operand, how);
    for (int k = 0; k < rank; ++k) how.axes |= (how.from_end >> k & 1u) << (rank - 1 - k);
  }
  settle_call(info, operand, how);
  AnyTensor result, kept;
  compute(info, operand, scalar, how, dtype, listeners.recorder != nullptr, result, kept);
  if (listeners) {
    const Attributes a = how.pack();
    listeners.tell({&info, operand, operands, scalar, &a, &result, 1, false, &kept});
  }
  return result;
}

/// The attributes of statements that have none: a tape need not copy them.
inline constexpr Attributes no_attributes = GroupCall{}.pack();

/// Tells recorder and tracer of an element-wise statement. given: its operands, if they are alike
/// and nobody needs their handles any more.
inline __attribute__((noinline)) void record_plain(const StatementInfo& info,
                                                   const AnyTensor* operand, const double* scalar,
                                                   const AnyTensor& result, const AnyTensor& kept,
                                                   Context context, AnyTensor* given) {
  if (const tenon::detail::Listeners listeners(context, result.dtype()); listeners)
    listeners.tell({&info, operand, info.leaves, scalar, &no_attributes, &result, 1,
                    given != nullptr, &kept, given});
}
/// Whether what backward would compute anew may be left for it. Graphs compute it anew.
inline bool may_keep(const StatementInfo& info, Context context) {
  return info.kept_values && context.serial && !ambient().tracer;
}
/// evaluate for element-wise statements, most of which need none of its questions.
inline AnyTensor evaluate_plain(const StatementInfo& info, const AnyTensor* operand,
                                const double* scalar, Dtype dtype, Context context) {
  AnyTensor result, kept;
  AnyTensor* keep = may_keep(info, context) ? &kept : nullptr;
  if (!tenon::detail::kernels_on() ||
      !detail::forward_dense(info, operand, scalar, result, dtype, keep)) [[unlikely]]
    return evaluate(info, operand, info.leaves, scalar, GroupCall{}, dtype, context);
  ++counters().forward;
  record_plain(info, operand, scalar, result, kept, context, nullptr);
  return result;
}
inline __attribute__((noinline)) void run_recorded(const StatementInfo& info, AnyTensor* operand,
                                                   abi::Block& b, const AnyTensor& result,
                                                   Context context) {
  AnyTensor kept;
  if (may_keep(info, context)) kept = detail::room_to_keep(info, result, b);
  info.forward(b);
  ++counters().forward;
  record_plain(info, operand, b.scalar, result, kept, context, operand);
}
/// The same where all operands are alike and dense, with these elements. Their handles may be gone
/// afterwards.
inline __attribute__((noinline)) AnyTensor evaluate_alike(const StatementInfo& info,
                                                          AnyTensor* operand,
                                                          const void* const* data,
                                                          const double* scalar, Context context) {
  const Record& shape = *operand[0].get();
  const Index n = shape.size();
  if (n == 0 || n > detail::tile || !tenon::detail::kernels_on()) [[unlikely]]
    return evaluate(info, operand, info.leaves, scalar, GroupCall{}, info.compute, context);
  AnyTensor result =
      AnyTensor::empty_like(shape, static_cast<std::size_t>(n) * size_of(info.compute));
  abi::Block b = detail::Dense::one_row(data, n, scalar);
  b.out = result.get()->data;
  if (context.serial || ambient().tracer) {
    run_recorded(info, operand, b, result, context);
    return result;
  }
  info.forward(b);
  ++counters().forward;
  return result;
}

/// Gradients by the compiled kernel of a group, or a function's own; nobody hears of it.
inline void compute_backward(BackwardCall& call, const GroupCall& how) {
  const StatementInfo& info = *call.info;
  if (info.function_backward) info.function_backward(call);
  else if (info.product) info.run_product_backward(info, call, how);
  else run_backward(info, call, how);
}

/// Gradients of a recorded statement: by its compiled kernel, or operation by operation where an
/// outer recorder listens (context.serial), kernels are off or were when its value was computed, so
/// that its reductions left nothing, or there is none.
inline void backward(BackwardCall& call, Context context) {
  const StatementInfo& info = *call.info;
  const bool plain = info.function_backward || call.attributes == &no_attributes;
  const GroupCall how = plain ? GroupCall{} : GroupCall::unpack(*call.attributes);
  const bool compiled = info.backward != nullptr || (info.product && info.node_count == 0);
  const bool left = !info.reductions || info.sums_rows || (call.kept && call.kept->defined());
  if (!info.function_backward &&
      (context.serial || !compiled || !left || !tenon::detail::kernels_on()))
    return interpret_backward(call, how, context);
  Tracer* tracer = ambient().tracer;
  if (tracer && !context.serial) [[unlikely]]
    tracer->backward(*tracer, call, false);
  compute_backward(call, how);
  if (tracer && !context.serial) [[unlikely]]
    tracer->backward(*tracer, call, true);
}

}  // namespace kernel
}  // namespace tenon
