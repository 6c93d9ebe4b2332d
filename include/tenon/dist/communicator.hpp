// SPDX-License-Identifier: Apache-2.0
// The thread that does all of a rank's communication: it drives one job at a time, sends heartbeats
// and finds out who is gone. Whoever waits for it waits with a deadline.
#pragma once
#include <tenon/dist/transport.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

namespace tenon::inline TENON_ISA::dist {

/// In seconds.
struct Timeouts {
  /// When a rank dies or is stopped, every other has failed within this time: it is taken for dead
  /// after four fifths of it without a sign of life.
  double deadline = 30;
  /// A living rank that lets others wait for longer is named, and they fail.
  double progress = 600;
};

class Communicator;

/// Work for the communication thread.
class Job {
 public:
  virtual ~Job() = default;
  /// Goes as far as it can without waiting; true: done. May throw: then the rank fails.
  virtual bool advance(Communicator& c) = 0;
  /// "step 12, joining gradients": for messages, on the communication thread.
  virtual std::string operation() const = 0;
};

class Communicator {
 public:
  using Clock = std::chrono::steady_clock;

  /// The transport must outlive it, and nobody else uses it meanwhile. Make it early: peers hear
  /// from this rank from here on.
  explicit Communicator(Transport& transport, Timeouts timeouts = {})
      : transport_(transport),
        timeouts_(timeouts),
        exceptions_(std::uncaught_exceptions()),
        peers_(static_cast<std::size_t>(transport.size())) {
    if (!(timeouts.deadline > 0 && timeouts.deadline <= 1e6) ||
        !(timeouts.progress > 0 && timeouts.progress <= 1e9))
      fail(Error::value,
           {"Communicator: a deadline of ", timeouts.deadline, " s and a progress limit of ",
            timeouts.progress, " s: both must be positive"});
    const auto now = Clock::now();
    for (Peer& p : peers_) p.heard = now;
    me().host = transport.host();
    turned_ = now;
    thread_ = std::thread([this] { loop(); });
  }
  /// Without a failure: waits until every rank has come here, so that nobody is missed.
  ~Communicator() {
    if (std::uncaught_exceptions() > exceptions_) abandon("ended by an exception");
    else try {
        finish();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return transport_.rank(); }
  int size() const { return transport_.size(); }
  const Timeouts& timeouts() const { return timeouts_; }

  /// Hands a job over. One at a time: wait() ends it.
  void start(std::shared_ptr<Job> job) {
    std::lock_guard lock(mutex_);
    check();
    job_ = std::move(job), done_ = false;
    wake_.notify_all();
  }
  /// Until the job is done. Errors: Error::peer with rank, host, step and operation.
  void wait() {
    std::unique_lock lock(mutex_);
    const auto patience = seconds(2 * timeouts_.deadline + 5);
    while (!done_ && failure_.empty()) {
      done_or_failed_.wait_until(lock, soon(seconds(1)));
      if (!done_ && failure_.empty() && Clock::now() - turned_ > patience)
        failure_ = "dist: " + name(rank()) + ": the communication thread hangs";
    }
    if (!failure_.empty()) fail(Error::peer, failure_);
  }
  void run(std::shared_ptr<Job> job) {
    start(std::move(job));
    wait();
  }
  /// Something a job waits for is there.
  void wake() {
    std::lock_guard lock(mutex_);
    poked_ = true;
    wake_.notify_all();
  }
  /// Errors: Error::peer once the rank has failed.
  void require_alive() {
    std::lock_guard lock(mutex_);
    check();
  }
  /// The others are told that this rank fails, and why.
  void abandon(const char* why) noexcept {
    try {
      std::lock_guard lock(mutex_);
      if (!failure_.empty() || finished_) return;
      failure_ = "dist: " + name(rank()) + " failed: " + why;
      own_cause_ = name(rank()) + " failed: " + why;
      wake_.notify_all();
    } catch (...) {
      std::terminate();
    }
  }
  /// Waits for all ranks to come to the end, in order. Nothing can be sent afterwards.
  void finish() {
    {
      std::lock_guard lock(mutex_);
      if (finished_) return;
      if (!failure_.empty()) return;
    }
    run(std::make_shared<Goodbye>());
    std::lock_guard lock(mutex_);
    finished_ = true;
  }

  // ---- for jobs, on the communication thread ----
  void send(int to, const Bytes& message) { transport_.send(to, message); }
  /// A message that has arrived, taken out; null: not yet. A rank sends a tag once. `since` is the
  /// caller's, null at first: when it began to wait. Errors: Error::peer after the progress limit.
  Bytes take(int from, const Tag& tag, Clock::time_point& since) {
    auto found = mail_.find({from, tag});
    if (found != mail_.end()) {
      Bytes message = std::move(found->second);
      mail_.erase(found);
      since = {};
      return message;
    }
    const auto now = Clock::now();
    if (since == Clock::time_point{}) since = now;
    if (now - since > seconds(timeouts_.progress))
      fail(Error::peer, {name(from), " is alive, but has not arrived for ",
                         text(timeouts_.progress), " s (the progress limit)"});
    return nullptr;
  }
  bool said_goodbye(int r) const { return peer(r).goodbye; }
  /// "rank 2 (host a)".
  std::string name(int r) const {
    const std::string& host = peer(r).host;
    return "rank " + std::to_string(r) + " (" + (host.empty() ? "host unknown" : host) + ")";
  }

 private:
  struct Peer {
    Clock::time_point heard;
    std::string host;
    bool goodbye = false;
  };
  struct Goodbye final : Job {
    bool said = false;
    Clock::time_point since{};
    bool advance(Communicator& c) override {
      for (int r = 0; r < c.size() && !said; ++r)
        if (r != c.rank()) c.send(r, make_message(Tag{Tag::goodbye}, ""));
      said = true;
      for (int r = 0; r < c.size(); ++r) {
        if (r == c.rank() || c.said_goodbye(r)) continue;
        c.take(r, Tag{Tag::goodbye}, since);  // never there: for the limit
        return false;
      }
      return c.transport_.sent();
    }
    std::string operation() const override { return "waiting for the others to end"; }
  };

  static Clock::duration seconds(double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  }
  // Waits are until a time of the system's clock: the thread sanitizer of g++ 12 does not know the
  // other kind. A clock that is set costs one late or early turn.
  static std::chrono::system_clock::time_point soon(Clock::duration d) {
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(d);
  }
  static std::string text(double s) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.3g", s);
    return buffer;
  }
  Peer& me() { return peers_[static_cast<std::size_t>(rank())]; }
  Peer& peer(int r) { return peers_[static_cast<std::size_t>(r)]; }
  const Peer& peer(int r) const { return peers_[static_cast<std::size_t>(r)]; }

  void check() const {
    if (!failure_.empty()) fail(Error::peer, failure_);
    if (finished_) fail(Error::value, "dist: the communicator has finished");
  }

  // ---- the thread ----
  void loop() {
    const auto pulse = seconds(std::min(1.0, timeouts_.deadline / 10));
    Clock::time_point next{};
    int idle = 0;
    while (true) {
      const auto now = Clock::now();
      bool moved = false;
      try {
        if (now >= next) {
          next = now + pulse;
          beat();
        }
        moved = drain();
        if (!lost_) check_silence(now);
      } catch (const std::exception& error) {
        lose(error.what());
      }
      std::unique_lock lock(mutex_);
      turned_ = now;
      if (!failure_.empty()) drop();
      std::shared_ptr<Job> job = done_ || lost_ ? nullptr : job_;
      if (job) {
        lock.unlock();
        moved = turn(*job) || moved;
        job = nullptr;
        lock.lock();
      }
      if (stop_) {
        if (!failure_.empty()) drop();
        break;
      }
      if (poked_ || moved) idle = 0;
      poked_ = false;
      // Others' messages wake nobody: look often while something is under way.
      if (++idle > 4)
        wake_.wait_until(lock, soon(std::chrono::microseconds(
                                   !job_ || done_ ? 1000 : std::min(20 * (idle - 4), 200))));
    }
    for (int i = 0; i < 100 && !transport_.sent(); ++i)  // the last words, if anybody listens
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  // One turn of a job; true: it is done or failed.
  bool turn(Job& job) {
    try {
      if (!job.advance(*this)) return false;
      std::lock_guard lock(mutex_);
      job_ = nullptr, done_ = true;
      done_or_failed_.notify_all();
    } catch (const std::exception& error) {
      lose(error.what());
    }
    return true;
  }

  void beat() {
    const Bytes message = make_message(Tag{Tag::heartbeat}, me().host);
    for (int r = 0; r < size(); ++r)
      if (r != rank() && !lost_) transport_.send(r, message);
  }

  bool drain() {
    bool any = false;
    int from = 0;
    for (Bytes message; transport_.receive(from, message); any = true) {
      const Tag tag = tag_of(message);
      Peer& p = peer(from);
      p.heard = Clock::now();
      if (tag.kind == Tag::heartbeat) {
        if (p.host.empty()) {
          std::lock_guard lock(mutex_);
          p.host = text_in(message);
        }
      } else if (tag.kind == Tag::goodbye) p.goodbye = true;
      else if (tag.kind == Tag::failure) lose(text_in(message), from);
      else if (!lost_ && !mail_.emplace(std::pair{from, tag}, std::move(message)).second)
        fail(Error::format, {"two messages of rank ", from, " with one tag"});
    }
    return any;
  }

  void check_silence(Clock::time_point now) {
    const double limit = 0.8 * timeouts_.deadline;
    for (int r = 0; r < size(); ++r) {
      if (r == rank() || peer(r).goodbye || now - peer(r).heard <= seconds(limit)) continue;
      fail(Error::peer, {name(r), " has been silent for ", text(limit), " s: dead or stopped"});
    }
  }

  // This rank fails: whoever waits hears it, and so do the peers, with the cause alone.
  void lose(std::string_view cause, int told_by = -1) {
    if (cause.starts_with("tenon::")) cause.remove_prefix(7);
    std::unique_lock lock(mutex_);
    if (failure_.empty()) {
      failure_ = "dist: " + name(rank()) + ", " + (job_ && !done_ ? job_->operation() : between_) +
                 ": " + std::string(cause);
      if (told_by >= 0) failure_ += ", as told by rank " + std::to_string(told_by);
      own_cause_ = cause;
    }
    drop();
  }
  // Under the lock.
  void drop() {
    if (lost_) return;
    lost_ = true;
    job_ = nullptr;
    mail_.clear();
    transport_.abandon();
    try {
      const Bytes message = make_message(Tag{Tag::failure}, own_cause_);
      for (int r = 0; r < size(); ++r)
        if (r != rank()) transport_.send(r, message);
    } catch (const std::exception&) {
      // The peers find out by our silence.
    }
    done_or_failed_.notify_all();
  }

 public:
  /// What this rank does while no job runs, for messages: "after step 12".
  void set_activity(std::string what) {
    std::lock_guard lock(mutex_);
    between_ = std::move(what);
  }

 private:
  Transport& transport_;
  const Timeouts timeouts_;
  const int exceptions_;

  // Of the communication thread; hosts are written under the lock.
  std::vector<Peer> peers_;
  std::map<std::pair<int, Tag>, Bytes> mail_;
  bool lost_ = false;

  std::mutex mutex_;
  std::condition_variable wake_, done_or_failed_;
  std::shared_ptr<Job> job_;
  std::string failure_, own_cause_, between_ = "at the start";
  bool done_ = true, stop_ = false, finished_ = false, poked_ = false;
  Clock::time_point turned_;
  std::thread thread_;
};

}  // namespace tenon::dist
