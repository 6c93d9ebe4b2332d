// SPDX-License-Identifier: Apache-2.0
// Plans of all ranks, carried out together on sums that remember how they were made: the tree is the
// canonical one whoever joins it, and the total reaches every rank once.
#include <tenon/dist/collective.hpp>

#include <set>

#include "support/catch.hpp"

using namespace tenon;
using dist::Spread, dist::TreePlan, dist::TreeStep;

namespace {
// "(0 (1 2))": how a sum was put together.
std::string tree_text(const ShardCut& cut, Index begin, Index end) {
  if (cut.empty(begin, end)) return "";
  if (end - begin == 1) return std::to_string(begin);
  const Index middle = begin + (end - begin) / 2;
  const std::string a = tree_text(cut, begin, middle), b = tree_text(cut, middle, end);
  return a.empty() ? b : b.empty() ? a : "(" + a + " " + b + ")";
}

// Runs the plans of all ranks as far as they go, in turns; the text that the root holds.
std::string joined(const ShardCut& cut, unsigned turn) {
  const int n = static_cast<int>(cut.ranks);
  std::vector<TreePlan> plans;
  std::vector<std::vector<std::string>> slots;
  std::vector<std::size_t> next(static_cast<std::size_t>(n));
  for (int r = 0; r < n; ++r) {
    plans.emplace_back(cut, r, turn);
    slots.emplace_back();
    for (const ShardRange& node : cut.nodes(r))
      slots.back().push_back(tree_text(cut, node.begin, node.end));
  }
  std::map<std::pair<int, std::uint64_t>, std::string> mail;
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t r = 0; r < plans.size(); ++r) {
      if (next[r] == plans[r].steps.size()) continue;
      const TreeStep& s = plans[r].steps[next[r]];
      std::string& own = slots[r].at(static_cast<std::size_t>(s.slot));
      if (s.kind == TreeStep::send) {
        CHECK(mail.emplace(std::pair{s.peer, s.node}, own).second);
      } else if (s.kind == TreeStep::add) {
        own = "(" + own + " " + slots[r].at(static_cast<std::size_t>(s.other)) + ")";
      } else {
        const auto found = mail.find({static_cast<int>(r), s.node});
        if (found == mail.end()) continue;
        own = s.kind == TreeStep::receive_left ? "(" + found->second + " " + own + ")"
                                               : "(" + own + " " + found->second + ")";
        mail.erase(found);
      }
      ++next[r], moved = true;
    }
  }
  CHECK(mail.empty());
  for (std::size_t r = 0; r < plans.size(); ++r) {
    CHECK(next[r] == plans[r].steps.size());
    CHECK(plans[r].root == plans[0].root);
    CHECK((plans[r].root_slot >= 0) == (plans[r].root == static_cast<int>(r)));
  }
  const auto root = static_cast<std::size_t>(plans[0].root);
  return slots.at(root).at(static_cast<std::size_t>(plans[root].root_slot));
}
}  // namespace

TEST_CASE("ranks join the canonical tree, for any number of them, batch and turn") {
  for (Index shards = 1; shards <= 17; ++shards)
    for (Index ranks = 1; ranks <= shards; ++ranks)
      for (Index rows : {Index{1}, Index{5}, Index{12}, Index{100}})
        for (unsigned turn : {0u, 1u, 2u, 5u, 31u}) {
          const ShardCut cut{shards, rows, ranks};
          CAPTURE(shards, ranks, rows, turn);
          CHECK(joined(cut, turn) == tree_text(cut, 0, shards));
        }
}

TEST_CASE("buckets take turns: no rank is the root of all of them") {
  const ShardCut cut{8, 64, 4};
  std::set<int> roots;
  for (unsigned turn = 0; turn < 4; ++turn) roots.insert(TreePlan(cut, 0, turn).root);
  CHECK(roots.size() == 4);
}

TEST_CASE("the total reaches every rank once") {
  for (int n = 1; n <= 33; ++n)
    for (int root = 0; root < n; ++root) {
      std::vector<int> from(static_cast<std::size_t>(n), -1);
      for (int r = 0; r < n; ++r)
        for (int to : Spread(r, n, root).to) {
          CHECK(from.at(static_cast<std::size_t>(to)) == -1);
          from[static_cast<std::size_t>(to)] = r;
        }
      for (int r = 0; r < n; ++r) {
        CAPTURE(n, root, r);
        CHECK(from[static_cast<std::size_t>(r)] == Spread(r, n, root).from);
        CHECK((r == root) == (from[static_cast<std::size_t>(r)] == -1));
      }
    }
}
