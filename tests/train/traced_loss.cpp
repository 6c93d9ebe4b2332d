// SPDX-License-Identifier: Apache-2.0
// A traced loss gives batch_gradient the bits of the loss, for any number of shards.
#include <tenon/train/traced_loss.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("a traced loss: the same gradients, losses and masks over any number of shards") {
  const auto net = nn::init<Net>(Rng{3});
  const auto traced = trace_loss(loss_of, net, batch(6, 1));
  for (int shards : {1, 2, 5}) {
    set_shards(shards);
    for (Index rows : {6, 3, 25}) {
      const Batch b = batch(rows, 4);
      seed_random(7);
      const auto want = batch_gradient(loss_of, net, b);
      seed_random(7);
      const auto got = batch_gradient(traced, net, b);
      CAPTURE(shards, rows);
      CHECK(same_parameters(want.model, got.model));
      CHECK(double(want.loss) == double(got.loss));
      CHECK(double(want.weight) == double(got.weight));
    }
  }
  set_shards(1);
}

TEST_CASE("a traced loss with a weight and metrics of its own") {
  struct Result {
    Tensor<float, Shape<>> loss, weight;
    Tensor<float, Shape<>> squared;
  };
  auto loss = [](const Net& n, const Batch& b) {
    Tensor y = n(b.x);
    Result r;
    r.loss = nn::cross_entropy(y, b.label);
    r.weight = sum(abs(y));
    r.squared = sum(y * y);
    return r;
  };
  const auto net = nn::init<Net>(Rng{3});
  const auto traced = trace_loss(loss, net, batch(4, 1));
  set_shards(3);
  const Batch b = batch(8, 2);
  seed_random(1);
  const auto want = batch_gradient(loss, net, b);
  seed_random(1);
  const auto got = batch_gradient(traced, net, b);
  set_shards(1);
  CHECK(same_parameters(want.model, got.model));
  CHECK(double(want.weight) == double(got.weight));
  REQUIRE(got.metrics.size() == 1);
  CHECK(got.metrics[0].name == "squared");
  CHECK(double(want.metrics[0].value) == double(got.metrics[0].value));
}
