// SPDX-License-Identifier: Apache-2.0
// Ranks that are threads of one process: what runs under mpirun runs here without MPI.
#pragma once
#include <tenon/dist/transport.hpp>

#include <deque>
#include <mutex>

namespace tenon::inline TENON_ISA::dist {

/// The mailboxes of `ranks` ranks. Each thread takes the transport of its rank, and must have ended
/// before the object goes.
///   dist::Loopback loopback(4);   thread r: train(loopback.rank(r));
class Loopback {
 public:
  explicit Loopback(int ranks) {
    if (ranks < 1 || ranks > 1024) fail(Error::value, {"Loopback: ", ranks, " ranks: 1 to 1024"});
    for (int r = 0; r < ranks; ++r) ends_.push_back(std::make_unique<End>(*this, r));
  }
  int size() const { return static_cast<int>(ends_.size()); }
  Transport& rank(int r) { return *ends_.at(static_cast<std::size_t>(r)); }

  /// From now on nothing that rank r sends arrives, as if it had died: for tests.
  void silence(int r) {
    End& end = *ends_.at(static_cast<std::size_t>(r));
    std::lock_guard lock(end.mutex);
    end.silent = true;
  }

 private:
  struct End final : Transport {
    End(Loopback& all, int rank) : all_(all), rank_(rank), host_(host_name()) {}
    int rank() const override { return rank_; }
    int size() const override { return all_.size(); }
    const std::string& host() const override { return host_; }
    void send(int to, const Bytes& message) override {
      {
        std::lock_guard lock(mutex);
        if (silent) return;
      }
      End& end = *all_.ends_.at(static_cast<std::size_t>(to));
      std::lock_guard lock(end.mutex);
      end.arrived_.emplace_back(rank_, message);
    }
    bool receive(int& from, Bytes& message) override {
      std::lock_guard lock(mutex);
      if (arrived_.empty()) return false;
      from = arrived_.front().first;
      message = std::move(arrived_.front().second);
      arrived_.pop_front();
      return true;
    }
    bool sent() override { return true; }

    std::mutex mutex;
    bool silent = false;

   private:
    Loopback& all_;
    int rank_;
    std::string host_;
    std::deque<std::pair<int, Bytes>> arrived_;
  };

  std::vector<std::unique_ptr<End>> ends_;
};

}  // namespace tenon::dist
