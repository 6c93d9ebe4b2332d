// SPDX-License-Identifier: Apache-2.0
// The code of docs/data_parallel.md, between example-begin and example-end.
#include <tenon/dist.hpp>
#include <tenon/tenon.hpp>

#include <tenon/train.hpp>

#include "support/catch.hpp"

using namespace tenon;

namespace {
struct Net {
  nn::Linear<4, 2> fc;
  auto operator()(const auto& x) const { return fc(x); }
};
struct Sample {
  Tensor<float, Shape<dyn, 4>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }

// clang-format off
// example-begin rank
void train_rank(dist::Transport& transport, Net& net, const Sample& batch) {
  dist::Communicator communicator(transport);     // from here on the others hear from this rank
  seed_random(1);                                 // the same on every rank, like the model
  dist::DataParallel ranks(communicator, net);    // compares the ranks, then joins gradients
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  for (int i = 0; i < 3; ++i)
    train_step(net, optimizer, loss, batch);      // every rank: the same batch, the same result
  communicator.finish();                          // waits for the others
}
// example-end rank
// clang-format on
}  // namespace

TEST_CASE("docs: two ranks that are threads have the weights of one process") {
  const Sample batch{normal(Rng{2}, Shape<dyn, 4>{10}), randint(Rng{3}, 0, 2, Shape<dyn>{10})};
  const auto start = nn::init<Net>(Rng{1});
  Net nets[3] = {start, start, start};
  // example-begin threads
  set_shards(4);  // the result depends on this number alone
  dist::Loopback loopback(2);
  std::thread other([&] { train_rank(loopback.rank(1), nets[1], batch); });
  train_rank(loopback.rank(0), nets[0], batch);
  other.join();
  // example-end threads
  dist::Loopback alone(1);
  train_rank(alone.rank(0), nets[2], batch);
  set_shards(1);
  CHECK(train::hash_parameters(nets[0]) == train::hash_parameters(nets[2]));
  CHECK(train::hash_parameters(nets[1]) == train::hash_parameters(nets[2]));
  CHECK(train::hash_parameters(nets[0]) != train::hash_parameters(start));
}
