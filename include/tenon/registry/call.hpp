// SPDX-License-Identifier: Apache-2.0
// Every operation by name: what graph loaders, test vectors and other languages call. This header
// declares; the
// operations are defined by registry/all.hpp, or come from the library tenon::compiled.
#pragma once
#include <tenon/registry/arguments.hpp>
#include <tenon/registry/device.hpp>

namespace tenon::inline TENON_ISA::registry {

/// The value of an operation: one result, or several in the operation's order.
using Results = std::vector<AnyTensor>;

/// An operation of the registry.
struct Operation {
  const char* name;
  Results (*run)(const Arguments& arguments);
};

/// The operations of one header each, declared only: who includes registry/all.hpp compiles them,
/// others link them.
template <class>
std::span<const Operation> elementwise_operations();
template <class>
std::span<const Operation> composed_operations();
template <class>
std::span<const Operation> reduce_operations();
template <class>
std::span<const Operation> contract_operations();
template <class>
std::span<const Operation> shape_operations();
template <class>
std::span<const Operation> index_operations();
template <class>
std::span<const Operation> loss_operations();
template <class>
std::span<const Operation> norm_operations();
template <class>
std::span<const Operation> optimize_operations();

/// The operation of this name, or null.
inline const Operation* find(std::string_view name) {
  const std::span<const Operation> all[] = {
      elementwise_operations<void>(), composed_operations<void>(), reduce_operations<void>(),
      contract_operations<void>(),    shape_operations<void>(),    index_operations<void>(),
      loss_operations<void>(),        norm_operations<void>(),     optimize_operations<void>()};
  for (std::span<const Operation> area : all)
    for (const Operation& o : area)
      if (o.name == name) return &o;
  return nullptr;
}

/// Calls an operation by NumPy's or PyTorch's name. Shapes broadcast as NumPy's do, also extents
/// known only at run
/// time; operands of one call have one dtype, but for bool and u8, which follow the others, and for
/// indices (i64).
/// Errors: unknown operation -> Error::unsupported; an attribute that it does not take, or of
/// another type, or a
/// wrong number of tensors -> Error::value; dtype, shape, index: the operation's rule.
/// Gradient: every floating-point step is recorded by the tape or trace of this thread.
/// Operands on a device: products, views, sort, argsort, topk and cumsum compute there; all else
/// computes on the host and its results go back, gradients likewise. Errors: Error::device for
/// operands on two devices.
inline Results call(std::string_view name, std::span<const AnyTensor> inputs,
                    const AttributeMap& attributes = {}) {
  const Operation* o = find(name);
  if (!o) fail(Error::unsupported, {"registry: no operation is called \"", name, "\""});
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined())
      fail(Error::uninitialised, {name, ": tensor ", i, " was never given a value"});
  const Device device =
      kernel::common_device(o->name, inputs.data(), static_cast<int>(inputs.size()));
  std::vector<AnyTensor> here;
  if (!(device == cpu) && !detail::runs_on_device(name, inputs)) {
    for (const AnyTensor& t : inputs) here.push_back(to_device(t, cpu));
    inputs = here;
  }
  const Arguments arguments(o->name, inputs, attributes);
  Results results = o->run(arguments);
  arguments.check_all_read();
  if (!here.empty())
    for (AnyTensor& t : results) t = to_device(t, device);
  return results;
}

}  // namespace tenon::inline TENON_ISA::registry
