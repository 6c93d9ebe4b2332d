// SPDX-License-Identifier: Apache-2.0
// A graph for people: a table of its nodes, and a drawing for Graphviz.
#pragma once
#include <tenon/graph/plan.hpp>

#include <string>
#include <vector>

namespace tenon::inline TENON_ISA::graph {

namespace detail {

/// "matmul, add, tanh"; the direction in front where it is not forward.
inline std::string operations_of(const Node& n) {
  std::string text = n.way == Way::backward ? "backward " : n.way == Way::update ? "update " : "";
  const StatementInfo& i = *n.info;
  if (n.way == Way::together) {
    for (const Node& o : n.together->nodes)
      text += (text.empty() ? "" : ", ") + std::string(o.info->name);
    return text;
  }
  if (!n.group() || (i.node_count == 0 && !i.product)) return text + i.name;
  if (i.product) text += i.node_count ? "matmul, " : "matmul";
  for (int k = 0; k < i.node_count; ++k) text += (k ? ", " : "") + std::string(i.nodes[k].op->name);
  if (n.how.total != Total::none) text += n.how.total == Total::sum ? ", sum" : ", mean";
  return text;
}
/// "[2B + 1, 12]": B is the batch size.
inline std::string symbolic(const std::vector<Affine>& extents) {
  std::string text = "[";
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const Affine a = extents[i];
    if (i) text += ", ";
    if (a.rate) text += a.rate == 1 ? "B" : std::to_string(a.rate) + "B";
    if (a.rate && a.constant) text += a.constant > 0 ? " + " : " - ";
    if (!a.rate || a.constant)
      text += std::to_string(a.rate && a.constant < 0 ? -a.constant : a.constant);
  }
  return text + "]";
}
inline std::string numeric(const Value& v, Index rows) {
  std::string text = std::string(name_of(v.dtype)) + " [";
  for (std::size_t i = 0; i < v.extents.size(); ++i)
    text += (i ? ", " : "") + std::to_string(v.extents[i].at(rows));
  return text + "]";
}
/// The text of a DOT string.
inline std::string quoted(const std::string& text) {
  std::string q = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') q += '\\';
    q += c;
  }
  return q + "\"";
}
/// An argument that no batch changes: a parameter.
inline bool is_parameter(const Value& v) {
  for (const Affine& a : v.extents)
    if (a.rate) return false;
  return v.origin == Origin::input && is_floating(v.dtype);
}

}  // namespace detail

/// A table, one row a node in the order in which they run: its number, operations, what it makes,
/// the parameters that it is the first to read, bytes of the results and where they lie: an offset
/// in the block, `result` (leaves the graph), `outside` (memory of its own), `in place` (updates),
/// `none` (random numbers).
/// Below: parameters, bytes of the block, outside of it, and of all values without a plan.
inline std::string summary(const Graph& g, Index rows) {
  const Plan p = plan(g, rows);
  std::vector<bool> result(g.values.size(), false), seen(g.values.size(), false);
  for (const auto* list : {&g.outputs, &g.states})
    for (int v : *list)
      if (v >= 0) result[static_cast<std::size_t>(v)] = true;
  std::vector<std::vector<std::string>> table{
      {"node", "operation", "makes", "parameters", "bytes", "where"}};
  Index parameters = 0;
  for (std::size_t at = 0; at < g.nodes.size(); ++at) {
    const Node& n = g.nodes[at];
    std::string makes, bytes, where;
    for (int v : n.out) {
      if (v < 0) continue;
      const auto i = static_cast<std::size_t>(v);
      const char* gap = makes.empty() ? "" : "; ";
      makes += gap + detail::numeric(g.value(v), rows);
      bytes += gap + std::to_string(g.value(v).bytes(rows));
      where += gap + (n.way == Way::update   ? std::string("in place")
                      : g.value(v).generated ? "none"
                      : p.offset[i] >= 0     ? std::to_string(p.offset[i])
                      : result[i]            ? "result"
                                             : "outside");
    }
    Index own = 0;
    for (int v : n.in) {
      if (n.way == Way::backward || n.way == Way::update || v < 0 ||
          seen[static_cast<std::size_t>(v)])
        continue;
      seen[static_cast<std::size_t>(v)] = true;
      if (detail::is_parameter(g.value(v))) own += g.value(v).at(rows).size();
    }
    parameters += own;
    table.push_back({std::to_string(at), detail::operations_of(n), makes,
                     own ? std::to_string(own) : "", bytes, where});
  }
  std::vector<std::size_t> width(table[0].size(), 0);
  for (const auto& row : table)
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
  std::string text;
  for (const auto& row : table) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c)
      line += row[c] + std::string(width[c] - row[c].size() + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text + "rows " + std::to_string(rows) + ", parameters " + std::to_string(parameters) +
         ", block " + std::to_string(p.bytes) + " bytes, outside " + std::to_string(p.outside) +
         ", all values " + std::to_string(p.all) + "\n";
}

/// The graph as Graphviz draws it (`dot -Tsvg`): ellipses are arguments and results, boxes nodes,
/// edges values with their extents; B is the batch size.
inline std::string to_dot(const Graph& g) {
  std::vector<int> maker(g.values.size(), -1);
  std::string text = "digraph graph_of_a_step {\n  node [shape=box];\n";
  auto line = [&text](const std::string& what) { text += "  " + what + ";\n"; };
  auto label = [](const std::string& words) { return "label=" + detail::quoted(words); };
  auto ellipse = [&](const std::string& id, const std::string& name) {
    line(id + " [shape=ellipse, " + label(name) + "]");
  };
  for (std::size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].origin == Origin::constant)
      ellipse("v" + std::to_string(v), "constant " + std::to_string(v));
  for (int v : g.inputs) ellipse("v" + std::to_string(v), g.value(v).name);
  for (std::size_t n = 0; n < g.nodes.size(); ++n) {
    line("n" + std::to_string(n) + " [" + label(detail::operations_of(g.nodes[n])) + "]");
    for (int v : g.nodes[n].out)
      if (v >= 0) maker[static_cast<std::size_t>(v)] = static_cast<int>(n);
  }
  auto edge = [&](int v, const std::string& to) {
    const int from = maker[static_cast<std::size_t>(v)];
    line((from < 0 ? "v" + std::to_string(v) : "n" + std::to_string(from)) + " -> " + to + " [" +
         label(detail::symbolic(g.value(v).extents)) + "]");
  };
  for (std::size_t n = 0; n < g.nodes.size(); ++n)
    for (std::size_t k = 0; k < g.nodes[n].in.size(); ++k)
      if (const int v = g.nodes[n].in[k]; v >= 0 && g.nodes[n].reads(static_cast<int>(k)))
        edge(v, "n" + std::to_string(n));
  for (std::size_t k = 0; k < g.outputs.size(); ++k) {
    ellipse("r" + std::to_string(k), g.value(g.outputs[k]).name);
    edge(g.outputs[k], "r" + std::to_string(k));
  }
  for (std::size_t k = 0; k < g.states.size(); ++k) {
    if (g.states[k] < 0) continue;
    ellipse("s" + std::to_string(k), g.value(g.inputs[k]).name + " afterwards");
    edge(g.states[k], "s" + std::to_string(k));
  }
  return text + "}\n";
}

}  // namespace tenon::inline TENON_ISA::graph
