// SPDX-License-Identifier: Apache-2.0
// Scopes and ids of a thread.
#include <tenon/core/ambient.hpp>

#include <set>
#include <thread>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("modes nest and come back") {
  CHECK_FALSE(is_training());
  {
    Training outer;
    CHECK(is_training());
    {
      Evaluation inner;
      CHECK_FALSE(is_training());
    }
    CHECK(is_training());
  }
  CHECK_FALSE(is_training());
}

TEST_CASE("paused scopes nest; the context then records nothing") {
  Ambient& a = ambient();
  a.serial = 7;
  CHECK(Context::current().serial == 7);
  {
    Paused p;
    { Paused q; }
    CHECK(Context::current().serial == 0);
  }
  CHECK(Context::current().serial == 7);
  a.serial = 0;
}

TEST_CASE("an attached state is used instead of the thread's own") {
  Ambient other;
  other.mode = Mode::training;
  {
    AttachAmbient attach(other);
    CHECK(&ambient() == &other);
    CHECK(is_training());
  }
  CHECK_FALSE(is_training());
}

TEST_CASE("ids of several threads never repeat") {
  std::set<std::uint64_t> seen;
  std::vector<std::uint64_t> taken[3];
  std::vector<std::thread> threads;
  for (auto& list : taken)
    threads.emplace_back([&list] {
      for (int i = 0; i < 3000; ++i) list.push_back(detail::fresh_id());
    });
  for (auto& t : threads) t.join();
  for (auto& list : taken)
    for (auto id : list) CHECK(seen.insert(id).second);
}
