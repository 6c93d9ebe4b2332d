// SPDX-License-Identifier: Apache-2.0
// Ranks that are threads, for the tests of dist/.
#pragma once
#include <tenon/dist/data_parallel.hpp>
#include <tenon/dist/loopback.hpp>

#include <functional>

#include "support/tensors.hpp"

namespace tests {

/// f(transport of the rank) on a thread for each rank of a loopback. Returns what each threw, "" for
/// nothing.
inline std::vector<std::string> run_ranks(dist::Loopback& loopback,
                                          const std::function<void(dist::Transport&)>& f) {
  std::vector<std::string> thrown(static_cast<std::size_t>(loopback.size()));
  std::vector<std::thread> threads;
  for (int r = 0; r < loopback.size(); ++r)
    threads.emplace_back([&, r] {
      try {
        f(loopback.rank(r));
      } catch (const std::exception& error) {
        thrown[static_cast<std::size_t>(r)] = error.what();
      }
    });
  for (std::thread& t : threads) t.join();
  return thrown;
}
inline std::vector<std::string> run_ranks(int ranks,
                                          const std::function<void(dist::Transport&)>& f) {
  dist::Loopback loopback(ranks);
  return run_ranks(loopback, f);
}

}  // namespace tests
