// SPDX-License-Identifier: Apache-2.0
// An expanded graph consists of single operations and agrees with the groups it came from.
#include <tenon/graph/pass/expand.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("expand: a whole training step as single operations, for any batch size") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
  auto twin = clone(net);
  auto twin_optimizer = own(optimizer);
  seed_random(5);
  auto traced = trace(training_step<optim::Adam>, net, optimizer, batch(6, 1));
  const graph::Program program(graph::expand(traced.graph()));
  for (const graph::Node& n : program.graph().nodes) {
    CHECK(n.way != graph::Way::backward);
    if (n.group()) CHECK(n.info->node_count + (n.info->product ? 1 : 0) == 1);
  }
  graph::Workspace workspace;
  std::vector<AnyTensor> result(1);
  for (Index rows : {6, 1, 33, 6}) {
    Batch b = batch(rows, 9);
    const std::uint64_t position = ambient().position;
    const double want = traced(net, optimizer, b);
    std::vector<AnyTensor*> in;
    auto gather = [&](const graph::detail::Path&, AnyTensor& t) { in.push_back(&t); };
    graph::detail::each_tensor({}, twin, gather);
    graph::detail::each_tensor({}, twin_optimizer, gather);
    graph::detail::each_tensor({}, b, gather);
    void* argument[] = {&twin, &twin_optimizer, &b};
    ambient().position = position;
    program(workspace, in, result, argument);
    CHECK(std::abs(values(result[0])[0] - want) < 1e-5);
  }
  tenon::detail::Members x(tenon::detail::Members::parameters),
      y(tenon::detail::Members::parameters);
  tenon::detail::collect_members(x, net), tenon::detail::collect_members(y, twin);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(distance(values(x[i]), values(y[i])) < 1e-4);
}

TEST_CASE("expand: one operation of a number, or of one tensor twice") {
  struct In {
    Tensor<float, Shape<dyn, 4>> x;
  };
  struct Out {
    Tensor<float, Shape<dyn, 4>> scaled, square, turned;
  };
  auto f = [](const In& in) {
    return Out{Tensor(in.x * 2), Tensor(in.x * in.x), Tensor(3 / in.x)};
  };
  const In in{spread<float, Shape<dyn, 4>>(1, {5, 4}, 1, 2)};
  const auto result = run(graph::expand(trace(f, in).graph()), {in.x.any()});
  const Out want = f(in);
  CHECK(distance(result[0], want.scaled.any()) == 0);
  CHECK(distance(result[1], want.square.any()) == 0);
  CHECK(distance(result[2], want.turned.any()) == 0);
}

TEST_CASE("expand: the gradient of a mean over the batch") {
  struct In {
    Tensor<float, Shape<dyn>> x;
  };
  auto f = [](const In& in) {
    Tape tape;
    Tensor loss = mean(square(in.x));
    return tape.gradient(loss, in);
  };
  const graph::Program program(
      graph::expand(trace(f, In{spread<float, Shape<dyn>>(1, {5}, 1, 2)}).graph()));
  graph::Workspace workspace;
  std::vector<AnyTensor> result(1);
  for (Index rows : {8, 1, 5}) {
    AnyTensor x = spread(Dtype::f32, extents({rows}), 3);
    AnyTensor* inputs[] = {&x};
    program(workspace, inputs, result);
    std::vector<double> want = values(x);
    for (double& v : want) v *= 2 / static_cast<double>(rows);
    CHECK(distance(values(result[0]), want) < 1e-6);
  }
}
