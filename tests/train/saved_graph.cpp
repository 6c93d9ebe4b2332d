// SPDX-License-Identifier: Apache-2.0
// A training step saved, loaded without its types, and trained on; files that were damaged.
#include <tenon/train/saved_graph.hpp>

#include "support/files.hpp"
#include "support/model.hpp"

#include <tenon/registry/table.hpp>

using namespace tests;

namespace {

struct Saved {
  TemporaryFolder folder;
  std::string path = folder / "step.json";
  Net net = nn::init<Net>(Rng{3});
  optim::Optimizer<optim::Adam, Net> optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
  Saved() {
    seed_random(5);
    Batch b = batch(6, 1);
    auto traced = trace(training_step<optim::Adam>, net, optimizer, b);
    for (int i = 0; i < 3; ++i) traced(net, optimizer, b);
    graph::save_graph(path, traced, net, optimizer, b);
  }
};

}  // namespace

TEST_CASE("a saved step goes on training where it was saved, without the model's types") {
  Saved s;
  graph::Loaded loaded = graph::load_graph(s.path);
  for (int i = 0; i < 6; ++i) {
    const Batch b = batch(std::array{6, 1, 17}[static_cast<std::size_t>(i % 3)], 4);
    const std::uint64_t position = ambient().position;
    const double want = training_step(s.net, s.optimizer, b);
    ambient().position = position;
    const AnyTensor in[] = {b.x.any(), b.label.any()};
    CHECK(std::abs(values(loaded(in)[0])[0] - want) < 1e-5);
  }
  each_parameter(s.net, [&](const char* path, const auto& t) {
    CHECK(distance(values(loaded.tensor(std::string("argument 0.") + path)), values(t)) < 1e-4);
  });
  CHECK_THROWS_WITH(loaded.tensor("nothing"), ContainsSubstring("holds no tensor \"nothing\""));
  const AnyTensor one[] = {batch(3, 1).x.any()};
  CHECK_THROWS_WITH(loaded(one), ContainsSubstring("more wanted"));
}

TEST_CASE("a damaged graph file is refused, naming file, field and offset") {
  Saved s;
  const std::string good = io::read_file(s.path);
  auto refuses = [&](const std::string& from, const std::string& to, const char* words) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    put(s.path, text);
    CAPTURE(from, to);
    CHECK_THROWS_WITH(graph::load_graph(s.path),
                      ContainsSubstring(words) && ContainsSubstring("step.json, offset "));
  };
  refuses("\"tenon_graph\": 1", "\"tenon_graph\": 2", "field tenon_graph is version 2");
  refuses("\"op\":\"matmul\"", "\"op\":\"matmull\"", ".op names no operation");
  refuses("\"in\":[-1,", "\"in\":[999999,", ".in[0] is 999999");
  refuses("\"in\":[", "\"in\":{},\"im\":[", ".in is not an array");
  refuses("\"out\":[", "\"out\":[-4,", "is -4, not in");
  refuses("\"dtype\":\"f32\"", "\"dtype\":\"f31\"", "values[0].dtype is no dtype");
  refuses("\"extents\":[", "\"extents\":[[1,2,3],", "is not [constant, rate]");
  refuses("\"extents\":[", "\"extents\":[1e300,", "is not an integer in range");
  refuses("\"rule\":\"adam\"", "\"rule\":\"madam\"", "names no known rule");
  refuses("\"outputs\"", "\"output\"", "field outputs is missing");
  refuses("\"nodes\": [", "\"nodes\": [[[[[[[[[[", "nested deeper");
  refuses("\n]", "\n", "is not JSON");
  put(s.path, std::string(200000, '['));
  CHECK_THROWS_AS(graph::load_graph(s.path), Error);
  put(s.path, "");
  CHECK_THROWS_WITH(graph::load_graph(s.path), ContainsSubstring("is not JSON"));
}

TEST_CASE("numbers of a graph file changed at random give an error or a result, never a crash") {
  Saved s;
  const std::string good = io::read_file(s.path);
  const Batch b = batch(6, 1);
  const AnyTensor in[] = {b.x.any(), b.label.any()};
  std::uint64_t state = 88172645463325252u;
  auto random = [&](std::uint64_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % n;
  };
  int refused = 0, ran = 0;
  for (int i = 0; i < 400; ++i) {
    std::string text = good;
    for (std::uint64_t k = 0, n = 1 + random(3); k < n; ++k) {
      std::size_t at = random(text.size());
      while (at < text.size() && !(text[at] >= '0' && text[at] <= '9')) ++at;
      if (at < text.size()) text[at] = static_cast<char>('0' + random(10));
    }
    put(s.path, text);
    try {
      graph::Loaded l = graph::load_graph(s.path, graph::rules<>(), 1 << 24);
      l(in), l(in);
      ++ran;
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 50);
  CHECK(ran + refused == 400);
}
