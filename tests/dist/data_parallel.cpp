// SPDX-License-Identifier: Apache-2.0
// Ranks that share the shards of a batch get the bits of one process, whatever their number, the
// buckets and the batch; and every difference or loss of a rank is an error on all of them.
#include <tenon/dist/data_parallel.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include "dist/ranks.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace data_parallel_test {

namespace {
struct Net {
  nn::Linear<12, 9> hidden;
  nn::Dropout drop{.p = 0.2f};
  nn::Linear<9, 4> last;
  template <class X>
  auto operator()(X&& x) const {
    return last(drop(tanh(hidden(x))));
  }
};
struct Sample {
  Tensor<float, Shape<dyn, 12>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
struct Report {
  Tensor<float, Shape<>> loss;
  double weight = 0, seen = 0;
};
// Weights that are no powers of two: every rounding shows.
Report loss(const Net& net, const Sample& s) {
  const double rows = static_cast<double>(s.x.extent(0));
  return {nn::cross_entropy(net(s.x), s.label), rows * 0.3, rows};
}
Sample sample(Index n) {
  return {Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({n, 12}), 1)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({n}), [](Index i) { return (i * i + 1) % 4; }))};
}

struct Wide {
  Tensor<double, Shape<7, 3>> w;
  Tensor<double, Shape<3>> unused;
  Tensor<bf16, Shape<3>> half;
};
struct Points {
  Tensor<double, Shape<dyn, 7>> x;
};
auto wide_loss(const Wide& net, const Points& p) {
  return mean(square(tanh(matmul(p.x, net.w)))) + mean(cast<double>(net.half * net.half));
}
Wide wide() {
  return {Tensor<double, Shape<7, 3>>(spread(Dtype::f64, extents({7, 3}), 3)),
          Tensor<double, Shape<3>>(spread(Dtype::f64, extents({3}), 4)),
          Tensor<bf16, Shape<3>>(spread(Dtype::f32, extents({3}), 5).to(Dtype::bf16))};
}

struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};

struct Result {
  std::uint64_t weights = 0, gradient = 0;
  double loss = 0, weight = 0;
  std::vector<double> metrics = {};
  std::uint64_t state = 0, carried = 0;  // of the model, and in the gradient's
  bool operator==(const Result&) const = default;
};
template <class Model, class G>
Result result_of(const Model& net, const G& g) {
  Result r{train::hash_parameters(net), train::hash_parameters(g.model), g.loss, g.weight};
  for (const Metric& m : g.metrics) r.metrics.push_back(m.value);
  return r;
}
Result train_net(Index rows, int steps) {
  seed_random(5);
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  Result last;
  for (int i = 0; i < steps; ++i) {
    const auto g = train_step(net, optimizer, loss, sample(rows));
    last = result_of(net, g);
  }
  return last;
}
Result train_wide(Index rows) {
  Wide net = wide();
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, net);
  const Points p{Tensor<double, Shape<dyn, 7>>(spread(Dtype::f64, extents({rows, 7}), 9))};
  const auto g = train_step(net, optimizer, wide_loss, p);
  return result_of(net, g);
}

const dist::Timeouts quick{.deadline = 20, .progress = 60};

// What every rank gets; those that threw fail the test.
template <class Model, class F>
std::vector<Result> on_ranks(int n, std::size_t bucket, const Model& net, F&& f) {
  std::vector<Result> results(static_cast<std::size_t>(n));
  const auto thrown = run_ranks(n, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, net, {.bucket = bucket, .program = {}});
    results[static_cast<std::size_t>(t.rank())] = f();
    c.finish();
  });
  for (const std::string& text : thrown) CHECK(text == "");
  return results;
}
}  // namespace

TEST_CASE("for 1 to 9 shards and any number of ranks, every rank has the bits of one process") {
  const Net net = nn::init<Net>(Rng{3});
  for (int v = 1; v <= 9; ++v) {
    WithShards scope(v);
    for (Index rows : {Index{3}, Index{20}}) {
      const Result want = train_net(rows, 2);
      for (int n = 1; n <= v; ++n) {
        CAPTURE(v, n, rows);
        for (const Result& r : on_ranks(n, 200, net, [&] { return train_net(rows, 2); }))
          CHECK(r == want);
      }
    }
  }
}

TEST_CASE("bits do not depend on the size of a bucket, nor on which shards are empty") {
  const Net net = nn::init<Net>(Rng{3});
  WithShards scope(8);
  for (Index rows : {Index{1}, Index{2}, Index{7}, Index{40}}) {
    const Result want = train_net(rows, 3);
    for (std::size_t bucket :
         {std::size_t{1}, std::size_t{64}, std::size_t{1000}, std::size_t{1} << 20})
      for (int n : {2, 3, 8}) {
        CAPTURE(rows, bucket, n);
        for (const Result& r : on_ranks(n, bucket, net, [&] { return train_net(rows, 3); }))
          CHECK(r == want);
      }
  }
}

TEST_CASE("f64 and bf16 parameters, one that the loss does not use") {
  const Wide net = wide();
  for (int v : {2, 5}) {
    WithShards scope(v);
    for (Index rows : {Index{4}, Index{11}}) {
      const Result want = train_wide(rows);
      for (int n = 2; n <= v; ++n)
        for (std::size_t bucket : {std::size_t{64}, std::size_t{4096}}) {
          CAPTURE(v, n, rows, bucket);
          for (const Result& r : on_ranks(n, bucket, net, [&] { return train_wide(rows); }))
            CHECK(r == want);
        }
    }
  }
}

TEST_CASE("ranks that differ are told apart at the start, both named, with what differs") {
  struct Case {
    const char* words;
    std::function<void(dist::Communicator&, bool)> start;
  };
  struct Other {
    nn::Linear<12, 8> hidden;
    nn::Linear<8, 4> last;
  };
  const Net net = nn::init<Net>(Rng{3});
  const Case cases[] = {
      {"differ in seed: 5 and 6",
       [&](dist::Communicator& c, bool odd) {
         seed_random(odd ? 6 : 5);
         dist::DataParallel ranks(c, net);
       }},
      {"differ in parameter 0: hidden.weight f32 [9, 12] and hidden.weight f32 [8, 12]",
       [&](dist::Communicator& c, bool odd) {
         if (odd) dist::DataParallel(c, nn::init<Other>(Rng{3}));
         else dist::DataParallel(c, net);
       }},
      {"differ in values of the parameters",
       [&](dist::Communicator& c, bool odd) {
         dist::DataParallel ranks(c, nn::init<Net>(Rng{odd ? 4u : 3u}));
       }},
      {"differ in --batch: 64 and 32",
       [&](dist::Communicator& c, bool odd) {
         dist::DataParallel ranks(c, net, {.program = {{"--batch", odd ? "32" : "64"}}});
       }},
      {"differ in bytes of a bucket: 4096 and 1024",
       [&](dist::Communicator& c, bool odd) {
         dist::DataParallel ranks(c, net, {.bucket = odd ? 1024u : 4096u, .program = {}});
       }},
      {"differ in library version",
       [&](dist::Communicator& c, bool odd) {
         auto facts = dist::facts_of(net);
         if (odd) facts[0].value = "99";
         dist::DataParallel ranks(c, facts, {});
       }},
  };
  WithShards scope(3);
  for (const Case& one : cases) {
    CAPTURE(one.words);
    const auto thrown = run_ranks(3, [&](dist::Transport& t) {
      seed_random(5);
      dist::Communicator c(t, quick);
      one.start(c, t.rank() == 2);
      c.finish();
    });
    for (const std::string& text : thrown) {
      CHECK_THAT(text, ContainsSubstring(one.words));
      CHECK_THAT(text, ContainsSubstring("rank 0 (" + dist::host_name() + ") and rank 2 ("));
    }
  }
}

TEST_CASE("more ranks than shards are refused with both numbers") {
  WithShards scope(2);
  const auto thrown = run_ranks(3, [&](dist::Transport& t) {
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, wide());
  });
  for (const std::string& text : thrown)
    CHECK_THAT(text, ContainsSubstring("3 ranks cannot share 2 shards"));
}

TEST_CASE("a rank that falls silent: the others end within the deadline and say where") {
  WithShards scope(4);
  dist::Loopback loopback(4);
  const Net net = nn::init<Net>(Rng{3});
  dist::Communicator::Clock::time_point silenced;
  const auto thrown = run_ranks(loopback, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, {.deadline = 1, .progress = 60});
    dist::DataParallel ranks(c, net);
    Net own = net;
    auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, own);
    for (int i = 0; i < 1000000; ++i) {
      if (t.rank() == 2 && i == 3) {
        silenced = dist::Communicator::Clock::now();
        loopback.silence(2);
      }
      train_step(own, optimizer, loss, sample(20));
    }
  });
  const double took =
      std::chrono::duration<double>(dist::Communicator::Clock::now() - silenced).count();
  CHECK(took < 1);  // the silent rank itself hears the others' failure
  const std::string host = dist::host_name();
  for (std::size_t r : {0u, 1u, 3u}) {
    CAPTURE(r, thrown[r]);
    CHECK_THAT(thrown[r],
               ContainsSubstring("rank " + std::to_string(r) + " (" + host + "), step 4"));
    CHECK_THAT(thrown[r], ContainsSubstring("joining gradients"));
    CHECK_THAT(thrown[r], ContainsSubstring("rank 2 (" + host + ") has been silent for 0.8 s"));
  }
}

TEST_CASE("a living rank that does not arrive is named after the progress limit") {
  WithShards scope(2);
  const Net net = nn::init<Net>(Rng{3});
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, {.deadline = 20, .progress = 0.3});
    dist::DataParallel ranks(c, net);
    if (t.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(1));
    batch_gradient(loss, net, sample(20));
    c.finish();
  });
  CHECK_THAT(thrown[0], ContainsSubstring("is alive, but has not arrived for 0.3 s"));
  CHECK_THAT(thrown[1], ContainsSubstring("as told by rank 0"));
}

TEST_CASE("a loss that throws on one rank ends the others with its words") {
  WithShards scope(3);
  const Net net = nn::init<Net>(Rng{3});
  Sample s = sample(9);
  s.label = Tensor<std::int64_t, Shape<dyn>>(
      made(Dtype::i64, extents({9}), [](Index i) { return i == 8 ? 77 : 0; }));
  const auto thrown = run_ranks(3, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, net);
    batch_gradient(loss, net, s);
  });
  for (const std::string& text : thrown) CHECK_THAT(text, ContainsSubstring("label 77"));
  CHECK_THAT(thrown[0], ContainsSubstring("rank 2 ("));
}

TEST_CASE("ranks with other batches, or at another step, are told so") {
  WithShards scope(2);
  const Net net = nn::init<Net>(Rng{3});
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, net);
    batch_gradient(loss, net, sample(t.rank() ? 20 : 1));
  });
  for (const std::string& text : thrown) {
    CHECK_THAT(text, ContainsSubstring("batch of 20 rows at random position 1"));
    CHECK_THAT(text, ContainsSubstring("of 1 at 1"));
  }
}

namespace {
// Statistics of every kind beside a parameter.
struct Centre {
  Tensor<float, Shape<12>> gain;
  State<Tensor<float, Shape<12>>> mean;
  State<Tensor<bf16, Shape<3>>> rough;
  State<Tensor<std::int64_t, Shape<>>, Join::sum> rows;
  State<Tensor<std::int32_t, Shape<2>>, Join::sum> steps;
  State<Tensor<double, Shape<>>, Join::sum> total;
  State<Tensor<double, Shape<>>, Join::first> first;
  State<Tensor<float, Shape<2>>> never;

  auto operator()(const Tensor<float, Shape<dyn, 12>>& x) const {
    mean.set(mean.value * 0.75f + tenon::mean(x, axis<0>) * 0.3f);
    rough.set(rough.value * 0.7f + cast<bf16>(Tensor(sum(x))));
    rows.set(rows.value + tensor(static_cast<std::int64_t>(x.extent(0))));
    steps.set(steps.value + 1);
    total.set(total.value + cast<double>(Tensor(sum(x * x))));
    first.set(cast<double>(Tensor(sum(x))));
    return (x - stop_gradient(mean.value)) * gain;
  }
};
struct Normed {
  Centre centre;
  nn::Linear<12, 4> last;
};
Normed normed() {
  Normed net{{Tensor<float, Shape<12>>(spread(Dtype::f32, extents({12}), 2)),
              {Tensor<float, Shape<12>>(spread(Dtype::f32, extents({12}), 3))},
              {Tensor<bf16, Shape<3>>(spread(Dtype::f32, extents({3}), 4).to(Dtype::bf16))},
              {tensor(std::int64_t{1} << 62)},
              {full<std::int32_t>(Shape<2>{}, 7)},
              {tensor(0.1)},
              {tensor(-1.0)},
              {Tensor<float, Shape<2>>(spread(Dtype::f32, extents({2}), 5))}},
             {}};
  net.last = nn::init<nn::Linear<12, 4>>(Rng{3});
  return net;
}
Report normed_loss(const Normed& net, const Sample& s) {
  const double rows = static_cast<double>(s.x.extent(0));
  return {nn::cross_entropy(net.last(net.centre(s.x)), s.label), rows * 0.3, rows};
}
std::uint64_t hash_states(const Normed& net) {
  std::uint64_t hash = 0;
  each_state(net, [&](std::string, const auto& state) {
    const AnyTensor t = state.value.any().to_contiguous();
    hash = dist::detail::hash_bytes(hash, t.raw(),
                                    static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
  });
  return hash;
}
Result train_normed(Index rows) {
  seed_random(5);
  Normed net = clone(normed());
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  Result last;
  for (int i = 0; i < 3; ++i) {
    const auto g = train_step(net, optimizer, normed_loss, sample(rows));
    last = result_of(net, g);
    last.state = hash_states(net), last.carried = hash_states(g.model);
  }
  return last;
}
}  // namespace

TEST_CASE("states: after each step every rank has the bits of one process with as many shards") {
  const Normed net = normed();
  WithShards scope(8);
  for (Index rows : {Index{20}, Index{5}, Index{1}}) {
    const Result want = train_normed(rows);
    CHECK(want.state == want.carried);
    CHECK(want.state != hash_states(net));
    for (int n = 1; n <= 4; ++n)
      for (std::size_t bucket : {std::size_t{64}, std::size_t{4096}}) {
        CAPTURE(rows, n, bucket);
        for (const Result& r : on_ranks(n, bucket, net, [&] { return train_normed(rows); }))
          CHECK(r == want);
      }
  }
}

TEST_CASE("states: one without a value, and values that differ at the start, are refused by name") {
  WithShards scope(2);
  Normed hollow = normed();
  hollow.centre.total.value = {};
  auto thrown = run_ranks(2, [&](dist::Transport& t) {
    Normed own = clone(hollow);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, own);
    batch_gradient(normed_loss, own, sample(6));
  });
  CHECK_THAT(thrown[0] + thrown[1], ContainsSubstring("the State centre.total has no value"));
  thrown = run_ranks(2, [&](dist::Transport& t) {
    Normed own = clone(normed());
    if (t.rank()) own.centre.first.value = tensor(2.0);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, own);
  });
  for (const std::string& text : thrown)
    CHECK_THAT(text, ContainsSubstring("differ in values of the states"));
}

TEST_CASE("states: a step that fails on one rank leaves those of every rank as they were") {
  WithShards scope(2);
  std::vector<std::uint64_t> left(2);
  const std::uint64_t before = hash_states(normed());
  Sample s = sample(6);
  s.label = Tensor<std::int64_t, Shape<dyn>>(
      made(Dtype::i64, extents({6}), [](Index i) { return i == 5 ? 77 : 0; }));
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    Normed own = clone(normed());
    dist::Communicator c(t, quick);
    try {  // a rank may hear of the failure of the other before it has begun
      dist::DataParallel ranks(c, own);
      batch_gradient(normed_loss, own, s);
    } catch (const Error&) {
      left[static_cast<std::size_t>(t.rank())] = hash_states(own);
      throw;
    }
  });
  for (const std::string& text : thrown) CHECK_THAT(text, ContainsSubstring("label 77"));
  for (std::uint64_t hash : left) CHECK(hash == before);
}

}  // namespace data_parallel_test
