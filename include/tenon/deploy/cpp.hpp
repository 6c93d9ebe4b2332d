// SPDX-License-Identifier: Apache-2.0
// deploy::cpp(file, traced function, options, model): a model's inference as one C++ file.
#pragma once
#include <tenon/deploy/source.hpp>
#include <tenon/graph/pass/expand.hpp>
#include <tenon/graph/trace.hpp>
#include <tenon/io/file.hpp>

namespace tenon::inline TENON_ISA::deploy {

/// The text of the file for a forward graph. parameter: the values of its first inputs, which are
/// embedded; its other inputs are arguments of the function, then its outputs.
/// Errors: Error::unsupported naming the operation for what has no text (random numbers, gradients,
/// updates, integer arithmetic, operations that are not the library's); Error::value for a name
/// that is no identifier and rows below 1; Error::shape for a parameter that does not fit.
inline std::string cpp_text(const graph::Graph& g, std::span<const AnyTensor> parameter,
                            const Options& options = {}) {
  detail::check(options);
  for (const graph::Node& n : g.nodes) {
    const char* what = graph::is_uniform(n) ? " draws random numbers; trace in evaluation mode"
                       : n.way == graph::Way::backward ? " computes a gradient"
                       : n.way == graph::Way::update   ? " updates a parameter"
                                                       : nullptr;
    if (what) fail(Error::unsupported, {"deploy: ", n.info->name, what});
  }
  for (std::size_t i = 0; i < g.states.size(); ++i)
    if (g.states[i] >= 0)
      fail(Error::unsupported, {"deploy: the function changes ", g.value(g.inputs[i]).name});
  if (parameter.size() > g.inputs.size())
    fail(Error::shape, {"deploy: ", parameter.size(), " parameters for ", g.inputs.size(),
                        " inputs of the graph"});
  graph::Graph own = graph::fixed(graph::expand(g), options.rows);
  graph::fold(own);
  std::vector<AnyTensor> here;  // a model on a device is read from there
  for (const AnyTensor& t : parameter) here.push_back(t.defined() ? t.to(cpu) : t);
  return detail::Source(own, here, options).text();
}

/// Writes `path`: one function `extern "C" int NAME(const float* in..., float* out...)` for
/// options.rows rows, without heap, exceptions and headers beyond <math.h> and <stdint.h>. It
/// compiles as C++11 and as C99. Its results agree with the library's up to rounding.
/// Errors: as cpp_text; Error::file.
inline void cpp(const std::string& path, const graph::Graph& g,
                std::span<const AnyTensor> parameter, const Options& options = {}) {
  const std::string text = cpp_text(g, parameter, options);
  io::AtomicFile file(path, "deploy");
  file.write(text);
  file.commit();
}

/// The same for a function traced in evaluation mode. state: all its arguments but the last, the
/// batch; they are embedded as they are now.
template <class R, class... Args, class... State>
  requires(sizeof...(State) + 1 == sizeof...(Args))
void cpp(const std::string& path, const graph::Traced<R, Args...>& forward, const Options& options,
         const State&... state) {
  std::vector<AnyTensor> parameter;
  [[maybe_unused]] auto gather = [&](const auto& a) {
    graph::detail::each_tensor(
        {}, a, [&](const graph::detail::Path&, AnyTensor& t) { parameter.push_back(t); });
  };
  (gather(state), ...);
  cpp(path, forward.graph(), parameter, options);
}

}  // namespace tenon::inline TENON_ISA::deploy
