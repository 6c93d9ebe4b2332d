// SPDX-License-Identifier: Apache-2.0
// A graph as a file: operations by name in versioned JSON, and the tensors it holds in safetensors
// beside it.
#pragma once
#include <nlohmann/json.hpp>
#include <tenon/graph/functions.hpp>
#include <tenon/graph/pass/expand.hpp>
#include <tenon/graph/trace.hpp>
#include <tenon/io/safetensors.hpp>

namespace tenon::inline TENON_ISA::graph {

/// The version of the format that is written.
inline constexpr int format_version = 1;

namespace detail {

using Json = nlohmann::ordered_json;

inline Json to_json(const std::vector<Affine>& list) {
  Json j = Json::array();
  for (const Affine& a : list)
    j.push_back(a.rate ? Json::array({a.constant, a.rate}) : Json(a.constant));
  return j;
}
inline Json to_json(const Value& v) {
  Json j = {{"dtype", name_of(v.dtype)}, {"extents", to_json(v.extents)}};
  if (!v.name.empty()) j["name"] = v.name;
  if (v.generated) j["generated"] = true;
  return j;
}
inline Json to_json(const Graph& g, const Node& n) {
  Json j = {{"op", n.info->name}, {"in", n.in}, {"out", Json::array()}};
  for (int v : n.out)
    if (v >= 0) j["out"].push_back(v);
  if (n.way == Way::update) {
    j["optimizer"] = n.source, j["ahead"] = n.ahead;
    j["compute"] = name_of(n.info->compute);
  } else if (n.group()) {
    j["compute"] = name_of(n.info->compute);
    if (n.how.axes) j["axes"] = n.how.axes, j["keepdims"] = n.how.keepdims;
    if (n.how.dropped_leaves) j["dropped"] = n.how.dropped_leaves;
    if (n.how.transpose_a) j["transpose_a"] = true;
    if (n.how.transpose_b) j["transpose_b"] = true;
  } else {
    if (!n.integer.empty()) j["integers"] = to_json(n.integer);
    if (!n.number.empty()) j["numbers"] = n.number;
  }
  (void)g;
  return j;
}
inline void check_single(const Graph& g) {
  for (const Node& n : g.nodes) {
    const std::span<const FunctionEntry> all = functions();
    if (n.way == Way::forward && !n.group() &&
        std::none_of(all.begin(), all.end(), [&](const auto& f) { return f.info == n.info; }))
      fail(Error::trace, {"save_graph: ", n.info->name, " has no place in a file"});
    if (n.way == Way::backward || n.way == Way::together || (n.group() && n.info->node_count > 1) ||
        (n.group() && n.how.total != Total::none) ||
        (n.group() && n.info->product && n.info->node_count))
      fail(Error::trace, {"save_graph: ", n.info->name, " is a group; expand the graph first"});
  }
}
/// "model.json" -> "model.safetensors".
inline std::string tensors_path(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return (dot == std::string::npos || path.find('/', dot) != std::string::npos
              ? path
              : path.substr(0, dot)) +
         ".safetensors";
}

}  // namespace detail

/// Writes an expanded graph. inputs: its arguments' tensors; where stored[i] holds they go into
/// the file and are what a loaded graph starts from. argument: where the arguments lie, for the
/// optimizers' numbers.
/// Errors: Error::trace for a graph with groups or a function that files cannot name, naming it;
/// Error::file.
inline void save_graph(const std::string& path, const Graph& g, std::span<AnyTensor* const> inputs,
                       const std::vector<bool>& stored, std::span<void* const> argument) {
  using detail::Json;
  detail::check_single(g);
  std::vector<io::NamedTensor> tensors;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (stored[i]) tensors.push_back({g.value(g.inputs[i]).name, *inputs[i]});
  io::save_safetensors(detail::tensors_path(path), tensors);

  std::string text = "{\n\"tenon_graph\": " + std::to_string(format_version) + ",\n";
  auto list = [&text](const char* name, std::size_t count, auto item) {
    text += std::string("\"") + name + "\": [";
    for (std::size_t i = 0; i < count; ++i) text += (i ? ",\n" : "\n") + item(i).dump();
    text += "\n],\n";
  };
  list("values", g.values.size(), [&](std::size_t i) { return detail::to_json(g.values[i]); });
  list("nodes", g.nodes.size(), [&](std::size_t i) { return detail::to_json(g, g.nodes[i]); });
  list("inputs", g.inputs.size(), [&](std::size_t i) {
    return Json{{"value", g.inputs[i]}, {"after", g.states[i]}, {"stored", bool(stored[i])}};
  });
  list("optimizers", g.sources.size(), [&](std::size_t i) {
    const Source& s = g.sources[i];
    const char* at =
        static_cast<const char*>(argument[static_cast<std::size_t>(s.argument)]) + s.offset;
    const auto steps = *reinterpret_cast<const std::int64_t*>(at - s.offset + s.steps);
    Json numbers = Json::array();
    const char* rule = "";
    for (const Node& n : g.nodes) {
      if (n.way != Way::update || n.source != static_cast<int>(i)) continue;
      double number[32];
      n.info->function_numbers(at, 1, number);
      for (int k = 0; k < n.info->scalars; ++k) numbers.push_back(number[k]);
      rule = n.info->name;
      break;
    }
    return Json{{"rule", rule}, {"numbers", numbers}, {"steps", steps}, {"count", s.count}};
  });
  text += "\"outputs\": " + Json(g.outputs).dump() +
          ",\n\"positions\": " + std::to_string(g.positions) +
          ",\n\"calls\": " + std::to_string(g.calls) + "\n}\n";
  io::AtomicFile file(path, "save_graph");
  file.write(text);
  file.commit();
}

/// Writes a traced step with everything but its batch, the last argument: parameters, optimizer,
/// states. Runs again without their types: load_graph.
template <class R, class... Args>
void save_graph(const std::string& path, const Traced<R, Args...>& step, Args&... args) {
  std::vector<AnyTensor*> inputs;
  std::vector<bool> stored;
  std::size_t which = 0;
  auto gather = [&](auto& a) {
    const bool keep = ++which < sizeof...(Args);
    detail::each_tensor({}, a, [&](const detail::Path&, AnyTensor& t) {
      inputs.push_back(&t), stored.push_back(keep);
    });
  };
  (gather(args), ...);
  const std::vector<void*> argument{const_cast<std::remove_const_t<Args>*>(&args)...};
  save_graph(path, expand(step.graph()), inputs, stored, argument);
}

}  // namespace tenon::graph
