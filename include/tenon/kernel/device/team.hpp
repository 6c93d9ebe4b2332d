// SPDX-License-Identifier: Apache-2.0
// The threads that share a row of a kernel, on the host: its lanes one after the other, their sums
// joined in the order in which a device joins them.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/kernel/block.hpp>

namespace tenon::inline TENON_ISA::kernel {

/// What a kernel's body is written over. Nothing that a lane keeps for itself outlives a call of
/// `each` or `reduce`, so lanes in turn give what lanes at once give.
///   index(), count()   which team this is, of how many
///   each(f)            f(lane) for every lane
///   reduce<J>(f, s)    f(lane, s) for every lane, each on a copy of s; then s is the join of all:
///                      J::join(s, other), between lanes at distance lanes / 2, ..., 2, 1 (beyond a
///                      warp of 32: of warps, in order). J::fetch(other, s, from) copies what of s
///                      has to travel.
class TeamInTurn {
 public:
  static constexpr int warp = 32, most = 256;
  TeamInTurn(abi::Count index, abi::Count count, int lanes)
      : index_(index), count_(count), lanes_(lanes) {}
  abi::Count index() const { return index_; }
  abi::Count count() const { return count_; }

  template <class F>
  void each(const F& f) const {
    for (int lane = 0; lane < lanes_; ++lane) f(lane);
  }
  template <class J, class F, class S>
  void reduce(const F& f, S& s) const {
    S own[most], next[most];
    own[0] = s, f(0, own[0]);
    for (int lane = 1; lane < lanes_; ++lane) own[lane] = s, f(lane, own[lane]);
    const int width = lanes_ < warp ? lanes_ : warp;
    for (int k = width / 2; k > 0; k /= 2) {
      for (int lane = 0; lane < lanes_; ++lane) {
        next[lane] = own[lane];
        J::join(next[lane], own[lane ^ k]);
      }
      for (int lane = 0; lane < lanes_; ++lane) own[lane] = next[lane];
    }
    s = own[0];
    for (int first = warp; first < lanes_; first += warp) J::join(s, own[first]);
  }

 private:
  abi::Count index_, count_;
  int lanes_;
};

/// Runs a body's teams of one block: Body::run(arguments, team).
template <class Body, class Arguments>
void run_in_turn(const void* arguments, std::int64_t block, std::int64_t blocks, int threads) {
  const auto& a = *static_cast<const Arguments*>(arguments);
  const int lanes = Body::lanes(a), teams = threads / lanes;
  for (int t = 0; t < teams; ++t)
    Body::run(a, TeamInTurn(block * teams + t, blocks * teams, lanes));
}

}  // namespace tenon::kernel
