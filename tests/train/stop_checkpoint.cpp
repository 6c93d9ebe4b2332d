// SPDX-License-Identifier: Apache-2.0
// After a signal: the loop's own checkpoint where it ends in time, that of the last boundary where a
// gradient takes long, and none while the state changes. Each run is a process of its own.
#include <tenon/train/stop_checkpoint.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>

#include <sys/wait.h>

#include "support/files.hpp"
#include "support/tensors.hpp"

#include "support/catch.hpp"

using namespace tests;

namespace stop_checkpoint_test {

namespace {
struct Net {
  nn::Linear<3, 2> fc;
};
using Optimizer = optim::Optimizer<optim::Sgd, Net>;

struct Run {
  Net net = nn::init<Net>(Rng{1});
  Optimizer optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  train::Position at;
  void step() {
    ++ambient().position;
    optimizer.step(net, net), ++at.step;
  }
};
// f(run, checkpoint) in a child that gets SIGTERM from itself; its exit code.
template <class F>
int child(const std::string& path, F&& f) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    if (!std::freopen("/dev/null", "w", stdout)) _exit(9);
    seed_random(11);
    Run run;
    train::Signals signals;
    train::StopCheckpoint checkpoint(signals, path, run.net, run.optimizer, run.at, 0.1);
    f(run, checkpoint);
    checkpoint.save();
    _exit(signals.caught() ? signals.exit_code() : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
void pause_for(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}
void steps(Run& run, train::StopCheckpoint& checkpoint, int count) {
  for (int i = 0; i < count; ++i) {
    auto change = checkpoint.change();
    run.step();
  }
}
// The checkpoint is that after `want` steps, random position included.
void check_file(const std::string& path, int want) {
  Run loaded, expected;
  seed_random(0);
  loaded.at = train::load_checkpoint(path, loaded.net, loaded.optimizer);
  CHECK(loaded.at.step == want);
  CHECK(ambient().seed == 11);
  CHECK(ambient().position == static_cast<std::uint64_t>(want));
  for (int i = 0; i < want; ++i) expected.step();
  CHECK(train::hash_parameters(loaded.net) == train::hash_parameters(expected.net));
  CHECK(train::hash_parameters(loaded.optimizer.state[0]) ==
        train::hash_parameters(expected.optimizer.state[0]));
}
}  // namespace

TEST_CASE("a loop that ends in time writes its own checkpoint") {
  TemporaryFolder folder;
  CHECK(child(folder / "c", [](Run& run, train::StopCheckpoint& checkpoint) {
          steps(run, checkpoint, 3);
          raise(SIGTERM);
          steps(run, checkpoint, 1);
        }) == 143);
  check_file(folder / "c", 4);
  CHECK(folder.entries() == 1);
}

TEST_CASE("a gradient that takes long: the last boundary is saved, and the process ends") {
  TemporaryFolder folder;
  CHECK(child(folder / "c", [](Run& run, train::StopCheckpoint& checkpoint) {
          steps(run, checkpoint, 3);
          ++ambient().position;  // as a gradient under way does
          raise(SIGINT);
          pause_for(20000);
          steps(run, checkpoint, 5);
        }) == 130);
  check_file(folder / "c", 3);
}

TEST_CASE("while the state changes nothing is written; then the boundary is") {
  TemporaryFolder folder;
  CHECK(child(folder / "c", [&](Run& run, train::StopCheckpoint& checkpoint) {
          {
            auto change = checkpoint.change();
            raise(SIGTERM);
            run.step();
            pause_for(400);
            if (folder.entries() != 0) _exit(8);
          }
          pause_for(20000);
        }) == 143);
  check_file(folder / "c", 1);
}

TEST_CASE("a file that cannot be written is an error, not the signal's code") {
  TemporaryFolder folder;
  CHECK(child(folder / "no/such/c", [](Run&, train::StopCheckpoint&) {
          if (!std::freopen("/dev/null", "w", stderr)) _exit(9);
          raise(SIGTERM);
          pause_for(20000);
        }) == 1);
}

TEST_CASE("without a signal it writes when asked") {
  TemporaryFolder folder;
  CHECK(child(folder / "c", [](Run& run, train::StopCheckpoint& checkpoint) {
          steps(run, checkpoint, 2);
          checkpoint.save_and_go_on();
          steps(run, checkpoint, 1);
          pause_for(300);
        }) == 0);
  check_file(folder / "c", 3);
}

}  // namespace stop_checkpoint_test
