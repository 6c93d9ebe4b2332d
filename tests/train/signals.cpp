// SPDX-License-Identifier: Apache-2.0
// Signals are noted while the scope lives, and do what they did before afterwards.
#include <tenon/train/signals.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.hpp"

using namespace tenon;

namespace {
int seen = 0;
void own_handler(int number) { seen = number; }
// How a child that runs f ends: its exit code, or minus the signal.
template <class F>
int child(F&& f) {
  const pid_t pid = fork();
  if (pid == 0) _exit(f());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
}  // namespace

TEST_CASE("the first signal is noted, with the exit code that a shell expects") {
  for (int number : {SIGINT, SIGTERM}) {
    train::Signals signals;
    CHECK(signals.caught() == 0);
    raise(number);
    raise(number == SIGINT ? SIGTERM : SIGINT);
    CHECK(signals.caught() == number);
    CHECK(signals.exit_code() == 128 + number);
    CHECK(signals.name() == std::string(number == SIGINT ? "SIGINT" : "SIGTERM"));
  }
  train::Signals again;
  CHECK(again.caught() == 0);
}

TEST_CASE("afterwards a signal does what it did before") {
  const auto before = ::signal(SIGTERM, own_handler);
  { train::Signals signals; }
  raise(SIGTERM);
  CHECK(seen == SIGTERM);
  ::signal(SIGTERM, before);
  CHECK(child([] {
          ::signal(SIGINT, SIG_DFL);  // not the test program's
          { train::Signals signals; }
          raise(SIGINT);
          return 7;
        }) == -SIGINT);
}

TEST_CASE("a signal from outside does not interrupt a read, and the loop ends by itself") {
  CHECK(child([] {
          train::Signals signals;
          const pid_t self = getpid();
          int ends[2];
          if (pipe(ends) != 0) return 1;
          if (fork() == 0) {
            usleep(50000), kill(self, SIGTERM), usleep(50000);
            _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
          }
          char c = 0;
          if (read(ends[0], &c, 1) != 1) return 2;
          return signals.caught() ? signals.exit_code() : 3;
        }) == 143);
}
