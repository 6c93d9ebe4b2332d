// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM as a question that a training loop asks between steps.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/error.hpp>

#include <signal.h>

#include <cerrno>

namespace tenon::inline TENON_ISA::train {

namespace detail {
// All that the handler touches.
TENON_SHARED inline Atomic<int>& caught_signal() {
  static constinit Atomic<int> number{0};
  return number;
}
inline void note_signal(int number) {
  Atomic<int>& caught = caught_signal();
  if (caught.load() == 0) caught.store(number);
}
}  // namespace detail

/// While it lives, SIGINT and SIGTERM end nothing: they are noted, and the program ends by itself.
/// Make it where the loop begins, before other threads ask; one at a time. Afterwards the signals
/// do what they did before.
///   train::Signals signals;
///   while (step < last && !signals.caught()) ...
///   save_checkpoint(...);
///   if (signals.caught()) return signals.exit_code();
class Signals {
 public:
  Signals() {
    detail::caught_signal().store(0);
    struct sigaction action = {};
    action.sa_handler = detail::note_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 2; ++i)
      if (sigaction(numbers[i], &action, &before_[i]) != 0)
        fail(Error::unsupported, {"Signals: sigaction failed with error ", errno});
  }
  ~Signals() {
    for (int i = 0; i < 2; ++i) sigaction(numbers[i], &before_[i], nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The first that came: SIGINT, SIGTERM, or 0.
  int caught() const { return detail::caught_signal().load(); }
  /// What the shell expects: 130 after SIGINT, 143 after SIGTERM, and where another rank was told.
  int exit_code() const { return 128 + (caught() ? caught() : SIGTERM); }
  const char* name() const { return caught() == SIGINT ? "SIGINT" : "SIGTERM"; }

 private:
  static constexpr int numbers[2] = {SIGINT, SIGTERM};
  struct sigaction before_[2];
};

}  // namespace tenon::train
