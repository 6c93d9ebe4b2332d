// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes started by mpirun: messages over MPI's point-to-point calls. The only
// header that includes MPI's; link tenon::mpi.
#pragma once
#include <tenon/dist/transport.hpp>

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

namespace tenon::inline TENON_ISA::dist {

/// Whether Open MPI's mpirun started this process. (Without it MPI_Init would start a daemon.)
inline bool under_mpirun() { return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr; }

/// Ends the process at once, as the only safe way where ranks are lost: MPI's own end would wait
/// for them. Nothing is flushed but the standard streams.
[[noreturn]] inline void end_process(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

namespace detail {

/// MPI's beginning and end wait for all ranks, without limit: this ends the process, with a line on
/// stderr and code 4, if a scope lasts too long.
class Watchdog {
 public:
  Watchdog(double seconds, std::string what)
      : thread_([this, seconds, what = std::move(what)] {
          std::unique_lock lock(mutex_);
          const auto end = std::chrono::system_clock::now() +
                           std::chrono::milliseconds(static_cast<long long>(seconds * 1000));
          if (woken_.wait_until(lock, end, [this] { return over_; })) return;
          std::fprintf(stderr, "error: tenon::dist: rank %s (%s): %s took longer than %g s\n",
                       rank_text(), host_name().c_str(), what.c_str(), seconds);
          end_process(4);
        }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    woken_.notify_all();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  static const char* rank_text() {
    const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
    return rank ? rank : "unknown";
  }
  std::mutex mutex_;
  std::condition_variable woken_;
  bool over_ = false;
  std::thread thread_;
};

inline void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  fail(Error::peer, {call, ": ", std::string_view(text, static_cast<std::size_t>(length))});
}

}  // namespace detail

/// MPI_COMM_WORLD. Starts MPI if nobody has, and then ends it too. One thread at a time calls MPI
/// (MPI_THREAD_SERIALIZED), through this object; no collective function is called.
/// limit: seconds for MPI's start and end.   Errors: Error::peer with MPI's text.
class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(double limit = 30) : limit_(limit), host_(host_name()) {
    int running = 0, level = MPI_THREAD_SINGLE;
    detail::check_mpi(MPI_Initialized(&running), "MPI_Initialized");
    if (running) {
      detail::check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
    } else {
      detail::Watchdog watchdog(limit_, "before the first step: MPI_Init_thread");
      detail::check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level),
                        "MPI_Init_thread");
      own_ = true;
    }
    if (level < MPI_THREAD_SERIALIZED)
      fail(Error::unsupported,
           "MpiTransport: this MPI does not let a thread of its own communicate");
    detail::check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                      "MPI_Comm_set_errhandler");
    detail::check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    detail::check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  }
  ~MpiTransport() override {
    if (!own_ || abandoned_) return;
    detail::Watchdog watchdog(limit_, "after the last step: MPI_Finalize");
    MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& host() const override { return host_; }

  void send(int to, const Bytes& message) override {
    Tag tag = tag_of(message);
    if (message->size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
      fail(Error::value, {"MpiTransport: a message of ", message->size(), " bytes"});
    outgoing_.push_back({MPI_REQUEST_NULL, message});
    detail::check_mpi(MPI_Isend(message->data(), static_cast<int>(message->size()), MPI_BYTE, to,
                                tag.kind == Tag::heartbeat ? pulse : data, MPI_COMM_WORLD,
                                &outgoing_.back().request),
                      "MPI_Isend");
  }
  bool receive(int& from, Bytes& message) override {
    accept(pulse), accept(data);
    release();
    for (auto in = incoming_.begin(); in != incoming_.end(); ++in) {
      int done = 0;
      detail::check_mpi(MPI_Test(&in->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (!done) continue;
      from = in->from, message = std::move(in->bytes);
      incoming_.erase(in);
      return true;
    }
    return false;
  }
  bool sent() override {
    accept(pulse);  // lets MPI go on
    release();
    return outgoing_.empty();
  }
  /// From here on the program must end by end_process.
  void abandon() noexcept override { abandoned_ = true; }

 private:
  // MPI's tags: of heartbeats, and of all else.
  static constexpr int pulse = 32001, data = 32002;
  struct Outgoing {
    MPI_Request request;
    Bytes bytes;  // until MPI has read them
  };
  struct Incoming {
    MPI_Request request;
    int from;
    std::shared_ptr<std::vector<std::byte>> bytes;
  };

  void accept(int tag) {
    while (true) {
      int there = 0, size = 0;
      MPI_Message handle;
      MPI_Status status;
      detail::check_mpi(MPI_Improbe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &there, &handle, &status),
                        "MPI_Improbe");
      if (!there) return;
      detail::check_mpi(MPI_Get_count(&status, MPI_BYTE, &size), "MPI_Get_count");
      incoming_.push_back(
          {MPI_REQUEST_NULL, status.MPI_SOURCE,
           std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(size))});
      Incoming& in = incoming_.back();
      detail::check_mpi(MPI_Imrecv(in.bytes->data(), size, MPI_BYTE, &handle, &in.request),
                        "MPI_Imrecv");
    }
  }
  void release() {
    for (auto out = outgoing_.begin(); out != outgoing_.end();) {
      int done = 0;
      detail::check_mpi(MPI_Test(&out->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      out = done ? outgoing_.erase(out) : out + 1;
    }
  }

  const double limit_;
  const std::string host_;
  int rank_ = 0, size_ = 1;
  bool own_ = false, abandoned_ = false;
  std::deque<Outgoing> outgoing_;
  std::deque<Incoming> incoming_;
};

}  // namespace tenon::dist
