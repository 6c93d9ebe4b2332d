// SPDX-License-Identifier: Apache-2.0
// A checkpoint in time although a step is long: where a signal comes while a gradient is computed,
// that of the last boundary between steps, which is still the model's state.
#pragma once
#include <tenon/train/checkpoint.hpp>
#include <tenon/train/signals.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>

namespace tenon::inline TENON_ISA::train {

/// Writes checkpoints of a run, from the loop or, after a signal, by a thread of its own: if the
/// loop has not come to its end within `patience` seconds and the state is that between two steps,
/// it saves that and ends the process with the signal's exit code.
///   train::StopCheckpoint checkpoint(signals, path, net, optimizer, at);
///   while (at.step < last && !signals.caught()) {
///     auto g = batch_gradient(loss, net, batch);   // reads the model: a checkpoint may be written
///     auto change = checkpoint.change();           // from here on it may not
///     update(optimizer, net, g), ++at.step;
///   }                                              // change ends: the next boundary
///   checkpoint.save();                             // the loop has ended: no thread steps in
/// A step of several updates takes `change` before the first. Nothing else writes net, optimizer
/// and at. Make it on the thread that trains: its random position is saved.
class StopCheckpoint {
 public:
  template <class Model, class Rule>
  StopCheckpoint(const Signals& signals, std::string path, const Model& net,
                 const optim::Optimizer<Rule, Model>& optimizer, const Position& at,
                 double patience = 0.4)
      : signals_(signals),
        path_(std::move(path)),
        write_([this, &net, &optimizer, &at] { save_checkpoint(path_, net, optimizer, at); }),
        step_(at.step),
        trained_(ambient()),
        patience_(std::chrono::milliseconds(static_cast<long long>(1000 * patience))) {
    note();
    thread_ = std::thread([this] { watch(); });
  }
  ~StopCheckpoint() {
    disarm();
    thread_.join();
  }
  StopCheckpoint(const StopCheckpoint&) = delete;
  StopCheckpoint& operator=(const StopCheckpoint&) = delete;

  /// While it lives the state is between two boundaries.
  class Change {
   public:
    explicit Change(StopCheckpoint& owner) : owner_(owner), lock_(owner.state_) {}
    ~Change() { owner_.note(); }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    StopCheckpoint& owner_;
    std::lock_guard<std::mutex> lock_;
  };
  [[nodiscard]] Change change() { return Change(*this); }

  /// Writes one now, on the way.
  void save_and_go_on() {
    std::lock_guard lock(state_);
    write_();
  }
  /// Writes the last one; the thread steps in no more.
  void save() {
    disarm();
    std::lock_guard lock(state_);
    write_();
  }

 private:
  void note() { seed_ = trained_.seed, position_ = trained_.position, boundary_ = step_; }
  void disarm() {
    std::lock_guard lock(mutex_);
    over_ = true;
    woken_.notify_all();
  }
  // Waits are until a time of the system's clock: see dist/communicator.hpp.
  bool wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return woken_.wait_until(lock, std::chrono::system_clock::now() + time,
                             [this] { return over_; });
  }
  void watch() {
    while (signals_.caught() == 0)
      if (wait(std::chrono::milliseconds(20))) return;
    if (wait(patience_)) return;
    std::lock_guard lock(state_);  // to the end of the process: the loop waits in change()
    {
      std::lock_guard over(mutex_);
      if (over_) return;
    }
    ambient().seed = seed_, ambient().position = position_;
    int code = signals_.exit_code();
    try {
      write_();
      std::printf("stopped by %s: the checkpoint is that after step %lld\n", signals_.name(),
                  static_cast<long long>(boundary_));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "error: %s\n", error.what());
      code = 1;
    }
    std::fflush(nullptr);
    std::_Exit(code);
  }

  const Signals& signals_;
  const std::string path_;
  const std::function<void()> write_;
  const std::int64_t& step_;
  Ambient& trained_;
  const std::chrono::milliseconds patience_;
  std::mutex state_;  // held while the state changes or is written
  std::uint64_t seed_ = 0, position_ = 0;
  std::int64_t boundary_ = 0;

  std::mutex mutex_;
  std::condition_variable woken_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace tenon::train
