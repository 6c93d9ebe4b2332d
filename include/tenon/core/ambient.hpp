// SPDX-License-Identifier: Apache-2.0
// The state a thread carries around implicitly: who records, whether recording is paused, training
// mode, the position of the random numbers. One object, reached through one thread-local pointer.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/config.hpp>

namespace tenon::inline TENON_ISA {

class Recorder;   // kernel/statement.hpp
struct Tracer;    // kernel/statement.hpp
struct Record;    // tensor/record.hpp
class AnyTensor;  // tensor/handle.hpp
class RankGroup;  // optim/ranks.hpp
class Updater;    // optim/ranks.hpp

enum class Mode : std::uint8_t { automatic, training, evaluation };

namespace detail {
/// How a tensor came about that no kernel computed; a and b are the numbers it was made from.
///   fill: a everywhere             ramp: a, a + b, ...           linspace: from a to b
///   eye: ones on the diagonal      one_hot: of the tensor `from`
///   same: the value of `from` under another id
enum class Made : std::uint8_t { fill, ramp, linspace, eye, one_hot, same };
}  // namespace detail

struct Ambient {
  Recorder* recorder = nullptr;  ///< the innermost active one
  std::uint64_t serial = 0;      ///< its serial number, 0 without one
  int paused = 0;                ///< depth of Paused scopes
  Mode mode = Mode::automatic;   ///< automatic: training while a recorder is active
  std::uint64_t seed = 0, position = 0;
  std::uint32_t shard = 0, call = 0;
  Tracer* tracer = nullptr;    ///< hears of every statement, whatever its context
  RankGroup* ranks = nullptr;  ///< who shares the shards of a batch; null: this process alone
  Updater* updater = nullptr;  ///< who applies gradients in `update`; null: the optimizer, here
  /// Asked before the host reads or writes elements, when set; `what` names the access.
  void (*host_access)(const Record& record, const char* what) = nullptr;
  /// Told of a tensor made as `how` says, when set: below kernel/ nobody knows the tracer.
  void (*made)(detail::Made how, const AnyTensor& t, const AnyTensor* from, double a,
               double b) = nullptr;
};

namespace detail {
TENON_SHARED inline Ambient& thread_ambient() {
  thread_local constinit Ambient a;
  return a;
}
TENON_SHARED inline Ambient*& attached_ambient() {
  thread_local constinit Ambient* a = nullptr;
  return a;
}
TENON_SHARED inline Atomic<std::uint64_t>& next_id() {
  static constinit Atomic<std::uint64_t> id{1};
  return id;
}
}  // namespace detail

/// The state in force on this thread.
inline Ambient& ambient() {
  Ambient* a = detail::attached_ambient();
  return a ? *a : detail::thread_ambient();
}

/// While it lives, this thread uses the given state: how work done for one thread by another keeps
/// its modes.
class AttachAmbient {
 public:
  explicit AttachAmbient(Ambient& a) : before_(detail::attached_ambient()) {
    detail::attached_ambient() = &a;
  }
  ~AttachAmbient() { detail::attached_ambient() = before_; }
  AttachAmbient(const AttachAmbient&) = delete;
  AttachAmbient& operator=(const AttachAmbient&) = delete;

 private:
  Ambient* before_;
};

namespace detail {
// Ids are taken from the shared counter 1,024 at a time, so that a thread seldom touches it.
inline std::uint64_t fresh_id() {
  thread_local constinit std::uint64_t next = 0, end = 0;
  if (next == end) {
    next = next_id().fetch_add(1024, Order::relaxed);
    end = next + 1024;
  }
  return next++;
}
}  // namespace detail

/// What an expression remembers of its birth: the recorder's serial number, 0 for none or paused.
struct Context {
  std::uint64_t serial = 0;
  static Context current() {
    const Ambient& a = ambient();
    return {a.paused ? 0 : a.serial};
  }
  bool operator==(const Context&) const = default;
};

/// Whether layers such as dropout behave as in training: while a recorder is active, unless a scope
/// says otherwise.
inline bool is_training() {
  const Ambient& a = ambient();
  return a.mode == Mode::training || (a.mode == Mode::automatic && a.recorder != nullptr);
}

/// Scopes. Paused: nothing is recorded. Training, Evaluation: the mode, whatever records.
class Paused {
 public:
  Paused() : ambient_(ambient()) { ++ambient_.paused; }
  ~Paused() { --ambient_.paused; }
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;

 private:
  Ambient& ambient_;
};

class ModeScope {
 public:
  explicit ModeScope(Mode mode) : ambient_(ambient()), before_(ambient_.mode) {
    ambient_.mode = mode;
  }
  ~ModeScope() { ambient_.mode = before_; }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  Ambient& ambient_;
  Mode before_;
};
struct Training : ModeScope {
  Training() : ModeScope(Mode::training) {}
};
struct Evaluation : ModeScope {
  Evaluation() : ModeScope(Mode::evaluation) {}
};

}  // namespace tenon
