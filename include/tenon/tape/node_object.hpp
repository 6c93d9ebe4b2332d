// SPDX-License-Identifier: Apache-2.0
// Nodes of a user's function: one statement whose backward is an object that the node owns, where a
// constant cannot say it (remat, custom gradients); and what such a function's arguments are.
#pragma once
#include <tenon/tape/tape.hpp>

namespace tenon::inline TENON_ISA {
namespace detail {

/// Owned by the node that records it, freed when the tape has walked over it.
struct NodeObject {
  virtual ~NodeObject() = default;
  /// As StatementInfo::function_backward.
  virtual void backward(BackwardCall& call) = 0;
};

// The object travels as a tensor without elements, which every tape that records the statement may
// hold. Ordinary statements pay nothing for it.
inline AnyTensor owner_of(NodeObject* object) {
  auto release = [](void* p) { delete static_cast<NodeObject*>(p); };
  try {
    return AnyTensor::adopt(Dtype::u8, Extents{1, {0}}, nullptr, release, object);
  } catch (...) {
    release(object);
    throw;
  }
}
inline void object_backward(BackwardCall& call) {
  static_cast<NodeObject*>(call.kept->get()->buffer->context)->backward(call);
}
constexpr StatementInfo object_info(const char* name) {
  StatementInfo s;
  s.name = name, s.function_backward = object_backward;
  return s;
}
/// Gradient i of the call is g, added to what is there where it accumulates.
inline void settle_object(BackwardCall& call, std::size_t i, const AnyTensor& g) {
  AnyTensor& to = call.gradient[i];
  const bool add = i < 32 && (call.accumulate >> i & 1) && to.defined();
  to = add ? kernel::add(to, g, Context::current()) : g;
}

inline void identity_backward(BackwardCall& call) { settle_object(call, 0, call.dy); }
inline constexpr StatementInfo identity_info = [] {
  StatementInfo s;
  s.name = "identity", s.function_backward = identity_backward;
  return s;
}();
/// The same value under an id of its own; gradients flow through.
inline AnyTensor alias(const AnyTensor& x) {
  AnyTensor y = x.clone();
  record_function(identity_info, Context::current(), {x}, Attributes{}, y);
  return y;
}

template <class X>
inline constexpr bool is_any = std::is_same_v<std::remove_cvref_t<X>, AnyTensor>;
/// Arguments whose tensors can be found: tensors, expressions, numbers, and structs, arrays,
/// vectors and optionals of these. Not a closure with captures.
template <class X>
concept Argument = TensorExpr<X> || is_any<X> || !std::is_class_v<std::remove_cvref_t<X>> ||
                   std::is_empty_v<std::remove_cvref_t<X>> || Aggregate<std::remove_cvref_t<X>> ||
                   is_list<std::remove_cvref_t<X>> || is_optional<std::remove_cvref_t<X>>;
template <class X>
concept TensorResult = TensorExpr<X> || is_any<X>;

/// An expression or view as the tensor it is; other things as they are.
template <class X>
decltype(auto) settled(X&& x) {
  if constexpr (TensorExpr<X>) return Tensor(std::forward<X>(x));
  else return static_cast<const std::remove_cvref_t<X>&>(x);
}

/// The parameters of an argument, in order; those never initialised are left out.
template <class X>
void add_inputs(std::vector<AnyTensor>& list, const X& x) {
  if constexpr (is_any<X>) {
    if (x.defined() && is_floating(x.dtype())) list.push_back(x);
  } else if constexpr (std::is_class_v<X> && !std::is_empty_v<X>) {
    Members m(Members::parameters);
    collect_members(m, x);
    for (const AnyTensor* t : m)
      if (t->defined()) list.push_back(*t);
  }
}
inline void drop_repeated(std::vector<AnyTensor>& list) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    bool again = false;
    for (std::size_t j = 0; j < kept; ++j) again |= list[j].id() == list[i].id();
    if (!again) list[kept++] = list[i];
  }
  list.resize(kept);
}

/// This thread without recorders, in a mode that stays. What it restores of the rest is for those
/// who derive.
class Unrecorded {
 public:
  Unrecorded() : ambient_(ambient()), before_(ambient_) {
    ambient_.mode = is_training() ? Mode::training : Mode::evaluation;
    ambient_.recorder = nullptr, ambient_.serial = 0, ambient_.paused = 0;
  }
  ~Unrecorded() {
    ambient_.mode = before_.mode, ambient_.paused = before_.paused;
    ambient_.recorder = before_.recorder, ambient_.serial = before_.serial;
  }
  Unrecorded(const Unrecorded&) = delete;
  Unrecorded& operator=(const Unrecorded&) = delete;

 protected:
  Ambient& ambient_;
  Ambient before_;
};

/// Tells the recorders of a node with an object.
inline void record_object(const StatementInfo& info, Recorder& recorder,
                          const std::vector<AnyTensor>& operands, const AnyTensor& owner,
                          const AnyTensor& result) {
  const Attributes none;
  Statement s{&info, operands.data(), static_cast<int>(operands.size()), nullptr, &none, &result};
  s.kept = &owner;
  recorder.record(s);
}
/// A result that is no operand: a node's result has an id of its own.
template <class Y>
void separate(Y& y, const std::vector<AnyTensor>& operands) {
  AnyTensor& t = [&]() -> AnyTensor& {
    if constexpr (is_any<Y>) return y;
    else return y.any();
  }();
  for (const AnyTensor& x : operands)
    if (x.id() == t.id()) {
      t = t.clone();
      return;
    }
}

}  // namespace detail
}  // namespace tenon
