// SPDX-License-Identifier: Apache-2.0
// The seam for ranks: how shards are given away, what a rank hands over, and when.
#include <tenon/optim/ranks.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/step.hpp>

#include "support/files.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace ranks_test {

namespace {
struct Net {
  nn::Linear<6, 5> first;
  nn::Linear<5, 4> second;
  auto operator()(const auto& x) const { return second(tanh(first(x))); }
};
struct Rows {
  Tensor<float, Shape<dyn, 6>> x;
};
auto loss(const Net& net, const Rows& r) { return mean(square(net(r.x))); }
Rows rows(Index n) {
  return {Tensor<float, Shape<dyn, 6>>(spread(Dtype::f32, extents({n, 6}), 1))};
}

// Notes the calls; the answer is what this rank handed over for its first node.
struct Notebook final : RankGroup {
  int rank_, size_;
  std::vector<std::string> calls;
  std::vector<std::int64_t> backward;  // kernels run when a parameter was handed over
  GradientSum answer;
  std::string abandoned;
  bool broken = false;

  Notebook(int rank, int size) : rank_(rank), size_(size) { ambient().ranks = this; }
  ~Notebook() { ambient().ranks = nullptr; }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void begin(std::uint64_t, const ShardCut&, std::span<const AnyTensor> p,
             std::span<const Join> joins) override {
    answer.changed.resize(joins.size());
    answer.gradient.resize(p.size());
    for (std::size_t i = 0; i < p.size(); ++i)
      answer.gradient[i] = made(p[i].dtype(), p[i].extents(), [](Index) { return 0; });
  }
  void ready(int node, int parameter, const AnyTensor& sum) override {
    calls.push_back(std::to_string(node) + "." + std::to_string(parameter));
    backward.push_back(static_cast<std::int64_t>(kernel::counters().backward));
    if (node == 0) answer.gradient[static_cast<std::size_t>(parameter)] = sum.clone();
  }
  void counted(int node, const GradientSum& sum) override {
    if (broken) fail(Error::peer, "a broken group");
    if (node == 0) answer.loss = sum.loss, answer.weight = sum.weight;
  }
  GradientSum finish() override { return answer; }
  void abandon(const char* why) noexcept override { abandoned = why; }
};
struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
}  // namespace

TEST_CASE("each shard belongs to one rank, each rank has one, and its nodes are its shards") {
  for (Index shards = 1; shards <= 40; ++shards)
    for (Index ranks = 1; ranks <= shards; ++ranks)
      for (Index n : {Index{3}, Index{1000}}) {
        const ShardCut cut{shards, n, ranks};
        Index next = 0;
        for (Index r = 0; r < ranks; ++r) {
          CAPTURE(shards, ranks, n, r);
          const ShardRange own = cut.of_rank(r);
          CHECK(own.begin == next);
          CHECK(own.end > own.begin);
          for (Index v = own.begin; v < own.end; ++v) CHECK(cut.rank_of(v) == r);
          next = own.end;
          Index rows = 0, last = own.begin;
          for (const ShardRange& node : cut.nodes(r)) {
            CHECK(node.begin >= last);
            CHECK(node.end <= own.end);
            CHECK_FALSE(cut.empty(node.begin, node.end));
            rows += cut.row(node.end) - cut.row(node.begin);
            last = node.end;
          }
          CHECK(rows == cut.row(own.end) - cut.row(own.begin));
        }
        CHECK(next == shards);
      }
}

TEST_CASE("what a rank hands over for a node is the sum that one process has there") {
  const auto net = nn::init<Net>(Rng{1});
  const Rows all = rows(20);
  WithShards scope(4);
  Notebook group(1, 2);  // shards 2 and 3: rows 10 .. 20, one node
  const auto g = batch_gradient(loss, net, all);
  group.size_ = 1;  // from here on alone
  set_shards(2);
  const Rows half{Tensor<float, Shape<dyn, 6>>(detail::rows_of(all.x, 10, 20))};
  const auto want = batch_gradient(loss, net, half);
  CHECK(g.weight == 10);
  CHECK(g.loss == want.loss);
  CHECK(same_bits(g.model.first.weight, want.model.first.weight));
  CHECK(same_bits(g.model.second.bias, want.model.second.bias));
}

TEST_CASE("gradients of the last shard are handed over while backward runs") {
  const auto net = nn::init<Net>(Rng{1});
  for (int shards : {2, 8}) {
    WithShards scope(shards);
    Notebook group(0, 2);
    batch_gradient(loss, net, rows(16));
    REQUIRE(group.calls.size() == 4);
    CHECK(group.calls.front().substr(0, 3) >= "0.2");  // the last layer's first
    CHECK(group.calls.back().substr(0, 3) <= "0.1");
    CHECK(group.backward.front() < group.backward.back());
  }
}

TEST_CASE("a rank all of whose shards are empty hands over nothing") {
  const auto net = nn::init<Net>(Rng{1});
  WithShards scope(8);
  Notebook group(0, 2);
  group.answer.weight = 1;
  batch_gradient(loss, net, rows(1));  // in shard 7
  CHECK(group.calls.empty());
}

TEST_CASE("where a shard or the group fails, the group hears why") {
  const auto net = nn::init<Net>(Rng{1});
  WithShards scope(2);
  Notebook group(0, 2);
  group.broken = true;
  CHECK(failure([&] { batch_gradient(loss, net, rows(4)); }).code == Error::peer);
  CHECK_THAT(group.abandoned, ContainsSubstring("a broken group"));
  auto bad = [](const Net& net, const Rows& r) -> Tensor<float, Shape<>> {
    if (r.x.extent(0) == 2) fail(Error::value, "a bad shard");
    return mean(square(net(r.x)));
  };
  CHECK_THROWS_AS(batch_gradient(bad, net, rows(4)), Error);
  CHECK_THAT(group.abandoned, ContainsSubstring("a bad shard"));
  CHECK(ambient().shard == 0);
}

TEST_CASE("more ranks than shards are an error with both numbers") {
  const auto net = nn::init<Net>(Rng{1});
  WithShards scope(2);
  Notebook group(0, 3);
  const Failure f = failure([&] { batch_gradient(loss, net, rows(4)); });
  CHECK(f.code == Error::value);
  CHECK_THAT(f.text, ContainsSubstring("3 ranks cannot share 2 shards"));
}

}  // namespace ranks_test
