// SPDX-License-Identifier: Apache-2.0
// The table and the drawing of a graph: columns in line, sums right, DOT that parses.
#include <tenon/graph/summary.hpp>

#include "support/model.hpp"

#include <set>
#include <sstream>

using namespace tests;

namespace {

graph::Graph step_graph() {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, net);
  return trace(training_step<optim::Sgd>, net, optimizer, batch(6, 1)).graph();
}

/// A reader of the DOT that is written: names of nodes and edges, or why it is none.
struct Dot {
  std::set<std::string> nodes;
  std::vector<std::pair<std::string, std::string>> edges;
  std::vector<std::string> labels;
  std::string wrong;

  explicit Dot(const std::string& text) : text_(text) { parse(); }

 private:
  void parse() {
    if (word() != "digraph" || word().empty() || !take('{')) return fail("head");
    while (!take('}')) {
      const std::string name = word();
      if (name.empty()) return fail("name");
      if (take('-')) {
        if (!take('>')) return fail("arrow");
        edges.push_back({name, word()});
      } else if (name != "node") {
        nodes.insert(name);
      }
      if (take('[')) do {
          if (word().empty() || !take('=') || !value()) return fail("attribute");
        } while (take(','));
      else return fail("attributes");
      if (!take(']') || !take(';')) return fail("end of a statement");
    }
    blank();
    if (at_ != text_.size()) fail("text behind the end");
  }
  void fail(const char* what) { wrong = what + (" at " + std::to_string(at_)); }
  void blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    blank();
    return at_ < text_.size() && text_[at_] == c && ++at_;
  }
  std::string word() {
    blank();
    std::string w;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      w += text_[at_++];
    return w;
  }
  bool value() {
    if (!take('"')) return !word().empty();
    std::string v;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      v += text_[at_];
    }
    labels.push_back(v);
    return take('"');
  }
  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

TEST_CASE("summary: a row a node, columns in line, parameters and bytes add up") {
  const graph::Graph g = step_graph();
  for (Index rows : {1, 6, 50}) {
    std::istringstream text(graph::summary(g, rows));
    std::string head, line;
    std::getline(text, head);
    const std::size_t where = head.find("where"), bytes = head.find("bytes");
    REQUIRE(where != std::string::npos);
    std::size_t count = 0;
    Index sum = 0;
    while (std::getline(text, line) && line.rfind("rows ", 0) != 0) {
      CHECK(line.rfind(std::to_string(count) + " ", 0) == 0);
      CHECK(line[where - 1] == ' ');
      CHECK(line[where] != ' ');
      std::istringstream list(line.substr(bytes, where - bytes));
      if (line.compare(where, 8, "in place") != 0)
        for (std::string one; std::getline(list, one, ';');) sum += std::stoll(one);
      ++count;
    }
    CHECK(count == g.nodes.size());
    const graph::Plan p = graph::plan(g, rows);
    CHECK(line == "rows " + std::to_string(rows) + ", parameters " +
                      std::to_string(12 * 16 + 16 + 2 * 16 + 16 * 5 + 5) + ", block " +
                      std::to_string(p.bytes) + " bytes, outside " + std::to_string(p.outside) +
                      ", all values " + std::to_string(p.all));
    CHECK(sum == p.all);
  }
  CHECK_THAT(graph::summary(g, 6),
             ContainsSubstring("matmul, less, add, tanh") && ContainsSubstring("backward matmul") &&
                 ContainsSubstring("update sgd") && ContainsSubstring("f32 [6, 16]"));
}

TEST_CASE("to_dot: parses, names every node, and every edge joins two of them") {
  graph::Graph g = step_graph();
  g.value(g.inputs[0]).name = "a \"quoted\" \\ name";
  const std::string text = graph::to_dot(g);
  const Dot dot(text);
  CHECK(dot.wrong == "");
  for (std::size_t n = 0; n < g.nodes.size(); ++n) CHECK(dot.nodes.count("n" + std::to_string(n)));
  for (const auto& [from, to] : dot.edges) {
    CHECK(dot.nodes.count(from));
    CHECK(dot.nodes.count(to));
  }
  std::size_t reads = g.outputs.size();
  for (const graph::Node& n : g.nodes)
    for (std::size_t k = 0; k < n.in.size(); ++k)
      reads += n.in[k] >= 0 && n.reads(static_cast<int>(k));
  for (int v : g.states) reads += v >= 0;
  CHECK(dot.edges.size() == reads);
  auto has = [&](const char* label) {
    return std::find(dot.labels.begin(), dot.labels.end(), label) != dot.labels.end();
  };
  CHECK(has("a \"quoted\" \\ name"));
  CHECK(has("[B, 12]"));
  CHECK(has("argument 0.fc1.bias"));
  CHECK(graph::detail::symbolic({{-1, 2}, {3, 0}, {4, 1}}) == "[2B - 1, 3, B + 4]");
}
