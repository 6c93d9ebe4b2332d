// SPDX-License-Identifier: Apache-2.0
// The code of docs/parameter_server.md, between example-begin and example-end.
#include <tenon/dist.hpp>
#include <tenon/tenon.hpp>

#include "support/catch.hpp"

using namespace tenon;

namespace {
// clang-format off
// example-begin store
void rank(dist::Transport& transport, AnyTensor& w) {
  dist::StoreOptions options{.servers = 1};        // the same on every rank: compared at the start
  dist::Communicator communicator(transport);
  if (transport.rank() == transport.size() - 1) {
    dist::serve(communicator, options);            // until every worker has ended
  } else {
    dist::Store store(communicator, options);
    w = ones(Shape<1000>{}).any();
    store.init("w", w);                            // worker 0's value
    store.set_optimizer(dist::Accumulate{.rate = 0.5});
    for (int i = 0; i < 4; ++i)
      store.push("w", ones(Shape<1000>{}).any());  // w += 0.5 (the sum over the workers)
    w = store.pull("w");                           // 2 workers: 1 + 4 * 0.5 * 2
    store.finish();
  }
  communicator.finish();
}
// example-end store
// clang-format on
}  // namespace

TEST_CASE("docs: two workers and a server") {
  dist::Loopback loopback(3);
  std::vector<std::thread> threads;
  AnyTensor w[3];
  for (int r = 0; r < 3; ++r) threads.emplace_back([&, r] { rank(loopback.rank(r), w[r]); });
  for (std::thread& t : threads) t.join();
  for (int r = 0; r < 2; ++r)
    for (int i = 0; i < 1000; ++i) CHECK(w[r].data<float>()[i] == 5);
}
