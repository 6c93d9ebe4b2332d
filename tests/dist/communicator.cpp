// SPDX-License-Identifier: Apache-2.0
// The communication thread: messages, order at the end, limits, and what the others hear.
#include <tenon/dist/communicator.hpp>

#include <atomic>

#include "dist/ranks.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tests;
using dist::Communicator;

namespace {
const dist::Timeouts quick{.deadline = 20, .progress = 60};

// Each rank sends its number to all and adds up what it gets.
struct Sum final : dist::Job {
  explicit Sum(std::uint64_t step = 0) : step(step) {}
  std::uint64_t step;
  int sum = 0, next = 0;
  bool sent = false;
  Communicator::Clock::time_point since{};
  bool advance(Communicator& c) override {
    const dist::Tag tag{dist::Tag::part, 1, step, 3};
    for (int r = 0; r < c.size() && !sent; ++r)
      if (r != c.rank()) c.send(r, dist::make_message(tag, std::to_string(c.rank())));
    sent = true;
    for (; next < c.size(); ++next) {
      if (next == c.rank()) continue;
      const dist::Bytes message = c.take(next, tag, since);
      if (!message) return false;
      sum += std::stoi(dist::text_in(message));
    }
    return true;
  }
  std::string operation() const override { return "adding up"; }
};
struct Thrower final : dist::Job {
  bool advance(Communicator&) override { fail(Error::value, "a job: broken"); }
  std::string operation() const override { return "breaking"; }
};
}  // namespace

TEST_CASE("a job's messages reach all ranks, again and again") {
  for (int n : {1, 2, 5}) {
    const auto thrown = run_ranks(n, [&](dist::Transport& t) {
      Communicator c(t, quick);
      for (unsigned i = 0; i < 20; ++i) {
        const auto sum = std::make_shared<Sum>(i);
        c.run(sum);
        if (sum->sum != n * (n - 1) / 2 - t.rank()) fail(Error::value, "a wrong sum");
      }
      c.finish();
      c.finish();
      if (failure([&] { c.run(std::make_shared<Sum>()); }).code != Error::value)
        fail(Error::value, "a job after the end");
    });
    for (const std::string& text : thrown) CHECK(text == "");
  }
}

TEST_CASE("the end waits for a late rank") {
  std::vector<std::chrono::steady_clock::time_point> end(2);
  run_ranks(2, [&](dist::Transport& t) {
    Communicator c(t, quick);
    if (t.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto came = std::chrono::steady_clock::now();
    c.finish();
    end[static_cast<std::size_t>(t.rank())] = t.rank() ? came : std::chrono::steady_clock::now();
  });
  CHECK(end[0] >= end[1]);
}

TEST_CASE("a job that throws ends every rank; each says where it was") {
  std::atomic<int> there{0};
  const auto thrown = run_ranks(3, [&](dist::Transport& t) {
    Communicator c(t, quick);
    c.set_activity("after step 8");
    ++there;
    while (there < 3) std::this_thread::yield();
    if (t.rank() == 1) c.run(std::make_shared<Thrower>());
    while (true) {
      c.require_alive();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  CHECK_THAT(thrown[1], ContainsSubstring("breaking: a job: broken"));
  for (std::size_t r : {0u, 2u}) {
    CHECK_THAT(thrown[r], ContainsSubstring("after step 8: a job: broken, as told by rank 1"));
    CHECK_THAT(thrown[r],
               ContainsSubstring("rank " + std::to_string(r) + " (" + dist::host_name()));
  }
}

TEST_CASE("a rank that leaves by an exception does not leave the others waiting") {
  const auto start = std::chrono::steady_clock::now();
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    Communicator c(t, quick);
    if (t.rank() == 0) throw std::runtime_error("elsewhere");
    c.run(std::make_shared<Sum>());
  });
  CHECK(thrown[0] == "elsewhere");
  CHECK_THAT(thrown[1], ContainsSubstring("rank 0 (" + dist::host_name() + ") failed"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("limits that are none, and bytes that are no message") {
  dist::Loopback loopback(2);
  for (double d : {0.0, -1.0, not_a_number, 1e30}) {
    CHECK(failure([&] { Communicator c(loopback.rank(0), {d, 1}); }).code == Error::value);
    CHECK(failure([&] { Communicator c(loopback.rank(0), {1, d}); }).code == Error::value);
  }
  loopback.rank(1).send(0, std::make_shared<std::vector<std::byte>>(40));
  Communicator c(loopback.rank(0), quick);
  const Failure f = failure([&] { c.run(std::make_shared<Sum>()); });
  CHECK(f.code == Error::peer);
  CHECK_THAT(f.text, ContainsSubstring("40 bytes that are no message"));
}
