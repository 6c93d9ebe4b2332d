// SPDX-License-Identifier: Apache-2.0
// Workers and servers that are threads, for the tests of the parameter server.
#pragma once
#include <tenon/dist/server_training.hpp>

#include "dist/ranks.hpp"

namespace tests {

inline const dist::Timeouts store_limits{.deadline = 20, .progress = 60};

/// f(store) on every worker; servers serve. What each rank threw, workers first, "" for nothing.
inline std::vector<std::string> run_stores(dist::Loopback& loopback,
                                           const dist::StoreOptions& options,
                                           const std::function<void(dist::Store&)>& f,
                                           dist::Timeouts limits = store_limits) {
  return run_ranks(loopback, [&](dist::Transport& t) {
    dist::Communicator c(t, limits);
    if (t.rank() >= t.size() - options.servers) {
      dist::serve(c, options);
    } else {
      dist::Store store(c, options);
      f(store);
      store.finish();
    }
    c.finish();
  });
}
inline std::vector<std::string> run_stores(int workers, const dist::StoreOptions& options,
                                           const std::function<void(dist::Store&)>& f,
                                           dist::Timeouts limits = store_limits) {
  dist::Loopback loopback(workers + options.servers);
  return run_stores(loopback, options, f, limits);
}
/// Nobody may throw.
inline void check_stores(int workers, const dist::StoreOptions& options,
                         const std::function<void(dist::Store&)>& f) {
  std::string all;
  for (const std::string& text : run_stores(workers, options, f)) all += text;
  if (!all.empty()) throw std::runtime_error(all);
}

}  // namespace tests
