// SPDX-License-Identifier: Apache-2.0
// The code of the pages on graphs and deployment, between example-begin and example-end.
#include <tenon/tenon.hpp>

#include <tenon/deploy.hpp>
#include <tenon/graph.hpp>
#include <tenon/graph/summary.hpp>
#include <tenon/train.hpp>
#include <tenon/train/saved_graph.hpp>

#include <tenon/registry/table.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;

namespace graphs_test {

namespace {
struct Net {
  nn::Linear<8, 16> fc1;
  nn::Dropout drop{.p = 0.1f};
  nn::Linear<16, 3> fc2;
  auto operator()(const auto& x) const { return fc2(drop(relu(fc1(x)))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 8>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& batch) {
  return nn::cross_entropy(net(batch.x), batch.label);
}
Sample some_batch(Index n) {
  return {normal(Rng{2}, Shape<dyn, 8>{n}), randint(Rng{3}, 0, 3, Shape<dyn>{n})};
}
}  // namespace

TEST_CASE("docs: graphs") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "step.json";
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, net);
  // example-begin trace
  auto step = [](Net& net, auto& optimizer, const Sample& batch) {
    auto g = batch_gradient(loss, net, batch);
    update(optimizer, net, g);
    return g.loss;
  };
  auto traced = trace(step, net, optimizer, some_batch(4));  // changes nothing
  for (Index rows : {4, 32, 7})                              // any batch size
    traced(net, optimizer, some_batch(rows));                // the bits of step(...)
  // example-end trace
  // example-begin look
  std::string table = graph::summary(traced.graph(), 32);  // nodes, extents, parameters, bytes
  std::string drawing = graph::to_dot(traced.graph());     // for `dot -Tsvg`
  // example-end look
  CHECK_THAT(table, ContainsSubstring("parameters 195"));
  CHECK_THAT(drawing, StartsWith("digraph"));
  Sample batch = some_batch(5);
  const std::uint64_t position = ambient().position;
  // example-begin save
  graph::save_graph(path, traced, net, optimizer, batch);  // and step.safetensors beside it

  graph::Loaded loaded = graph::load_graph(path);  // without the types Net and Sample
  const AnyTensor inputs[] = {batch.x.any(), batch.label.any()};
  Tensor<float, Shape<>> loss = loaded(inputs)[0];  // one step of training
  // example-end save
  ambient().position = position;  // the same mask again
  CHECK(loss.item() == Approx(double(step(net, optimizer, batch))));
}

TEST_CASE("docs: deploy") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "classify.cpp";
  auto net = nn::init<Net>(Rng{1});
  const auto x = some_batch(4).x;
  // example-begin deploy
  Evaluation evaluation;  // no dropout, no running statistics that change
  auto forward =
      trace([](const Net& net,
               const Tensor<float, Shape<dyn, 8>>& x) { return Tensor(softmax(net(x), axis<-1>)); },
            net, x);
  deploy::cpp(path, forward, {.name = "classify", .rows = 1}, net);  // net's weights go in
  // example-end deploy
  CHECK_THAT(tests::get(path), ContainsSubstring("int classify(const float* in, float* out);"));
}

}  // namespace graphs_test
