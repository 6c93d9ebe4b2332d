// SPDX-License-Identifier: Apache-2.0
// Keys on servers: what n pushes leave there is known in closed form or from one process, to the
// bit, for any number of workers and servers; what does not fit is refused to whoever sent it.
#include <tenon/dist/parameter_server.hpp>

#include <tenon/optim/all.hpp>

#include <mutex>

#include "dist/stores.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tests;
using dist::Key, dist::Store, dist::StoreOptions;

namespace {
AnyTensor filled(Dtype dtype, const Extents& e, double value) {
  return made(dtype, e, [=](Index) { return value; });
}
StoreOptions with(int servers, std::size_t split, bool synchronous = true) {
  StoreOptions o;
  o.servers = servers, o.split = split, o.synchronous = synchronous;
  return o;
}
struct One {
  Tensor<float, Shape<dyn>> w;
};
// Worker w's gradient in step i.
AnyTensor gradient(Dtype dtype, Index n, int w, int i) {
  return spread(dtype, extents({n}), static_cast<unsigned>(100 * w + i));
}
// left + right by the balanced tree over [begin, end) of the workers.
AnyTensor tree(Dtype dtype, Index n, int i, int begin, int end) {
  if (end - begin == 1) return gradient(dtype, n, begin, i).clone();
  const int middle = begin + (end - begin) / 2;
  AnyTensor left = tree(dtype, n, i, begin, middle);
  detail::combine_into(left, 1, tree(dtype, n, i, middle, end), 1);
  return left;
}
template <class Rule>
AnyTensor reference(Rule rule, Index n, int workers, int steps, float late_rate) {
  One net{Tensor<float, Shape<dyn>>(spread(Dtype::f32, extents({n}), 9))};
  auto optimizer = optim::make(rule, net);
  for (int i = 0; i < steps; ++i) {
    if (i == steps / 2) optimizer.rule.lr = late_rate;
    optimizer.step(net, One{Tensor<float, Shape<dyn>>(tree(Dtype::f32, n, i, 0, workers))});
  }
  return net.w.any();
}
template <class Rule>
void compare_with_reference(Rule rule, Index n, int workers, int servers, bool pull_each) {
  constexpr int steps = 6;
  const AnyTensor want = reference(rule, n, workers, steps, 0.003f);
  CAPTURE(Rule::name, n, workers, servers, pull_each);
  std::vector<AnyTensor> got(static_cast<std::size_t>(workers));
  check_stores(workers, with(servers, 64), [&](Store& store) {
    Rule own = rule;
    store.init("w", spread(Dtype::f32, extents({n}), store.worker() == 0 ? 9 : 10));
    store.set_optimizer(own);
    for (int i = 0; i < steps; ++i) {
      own.lr = 0.003f;
      if (i == steps / 2) store.change_optimizer(own);
      store.push("w", gradient(Dtype::f32, n, store.worker(), i));
      if (pull_each) store.pull("w");
    }
    got[static_cast<std::size_t>(store.worker())] = store.pull("w");
  });
  for (const AnyTensor& t : got) CHECK(same_bits(t, want));
}
}  // namespace

TEST_CASE("after n pushes of rank + 1 at rate r the weights are 1 + n r W (W + 1) / 2") {
  constexpr int n = 7;
  for (int workers : {1, 2, 3})
    for (int servers : {1, 2})
      for (bool synchronous : {true, false})
        for (Dtype dtype : {Dtype::f32, Dtype::f64})
          for (double rate : {0.5, -0.125}) {
            CAPTURE(workers, servers, synchronous, name_of(dtype), rate);
            const double want = 1 + n * rate * workers * (workers + 1) / 2;
            check_stores(workers, with(servers, 100, synchronous), [&](Store& store) {
              const std::vector<Key> keys = {"small", "large", 7, "7", "scalar"};
              const std::vector<Extents> sizes = {extents({3}), extents({11, 13}), extents({2, 2}),
                                                  extents({1000}), extents({})};
              std::vector<dist::Pushed> ones, own;
              for (std::size_t k = 0; k < keys.size(); ++k) {
                ones.push_back({keys[k], filled(dtype, sizes[k], 1)});
                own.push_back({keys[k], filled(dtype, sizes[k], store.worker() + 1)});
              }
              store.init(ones);
              store.set_optimizer(dist::Accumulate{rate});
              for (int i = 0; i < n; ++i) {
                if (i % 2) store.push(own);
                else store.push_pull(own);
              }
              store.barrier();
              const auto values_now = store.pull(keys);
              for (std::size_t k = 0; k < keys.size(); ++k) {
                if (!(values_now[k].extents() == sizes[k])) fail(Error::value, "wrong extents");
                for (double x : values(values_now[k]))
                  if (x != want) fail(Error::value, {"got ", x, ", not ", want});
              }
            });
          }
}

TEST_CASE("synchronous: the bits of an optimizer in one process that joins gradients in order") {
  for (int workers : {1, 2, 3, 5})
    for (int servers : {1, 2, 3})
      for (Index n : {Index{1}, Index{5}, Index{1003}})
        for (bool pull_each : {true, false}) {
          compare_with_reference(optim::Sgd{.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f}, n,
                                 workers, servers, pull_each);
          compare_with_reference(optim::Adam{.lr = 0.01f}, n, workers, servers, pull_each);
        }
}

TEST_CASE("synchronous: the mean of pushes, weighted") {
  StoreOptions o = with(2, 64);
  o.mean = true;
  check_stores(3, o, [&](Store& store) {
    store.init(1, filled(Dtype::f64, extents({40}), 0));
    store.push(1, filled(Dtype::f64, extents({40}), store.worker() + 1), store.worker() + 2);
    for (double x : values(store.pull(1)))  // (2 1 + 3 2 + 4 3) / 9
      if (std::fabs(x - 20.0 / 9) > 1e-15) fail(Error::value, {"got ", x});
  });
}

TEST_CASE("storage types: computed in float, rounded once a step") {
  for (Dtype dtype : {Dtype::bf16, Dtype::f16}) {
    AnyTensor want = spread(dtype, extents({50}), 1), velocity = filled(dtype, extents({50}), 0);
    for (int i = 0; i < 3; ++i) {
      AnyTensor w = want.to(Dtype::f32), v = velocity.to(Dtype::f32);
      AnyTensor* slot[] = {&v};
      const optim::Sgd rule{.lr = 0.1f, .momentum = 0.9f};
      optim::detail::update_tensor<float>(rule, rule.at(i + 1), w, gradient(dtype, 50, 0, i), slot,
                                          1);
      want = w.to(dtype), velocity = v.to(dtype);
    }
    check_stores(1, with(2, 16), [&](Store& store) {
      store.init("w", spread(dtype, extents({50}), 1));
      store.set_optimizer(optim::Sgd{.lr = 0.1f, .momentum = 0.9f});
      for (int i = 0; i < 3; ++i) store.push("w", gradient(dtype, 50, 0, i));
      std::int64_t steps = 0;
      if (!same_bits(store.pull("w"), want)) fail(Error::value, "another value");
      if (!same_bits(store.pull_state({"w"}, 0, &steps)[0], velocity) || steps != 3)
        fail(Error::value, "another state");
    });
  }
}

TEST_CASE("asynchronous: descent with late gradients arrives; a bound on lateness holds") {
  const AnyTensor target = spread(Dtype::f64, extents({30}), 4);
  for (int staleness : {-1, 0, 2}) {
    CAPTURE(staleness);
    StoreOptions o = with(2, 64, false);
    o.staleness = staleness;
    std::mutex mutex;
    std::vector<int> count(3);
    int widest = 0;
    check_stores(3, o, [&](Store& store) {
      store.init("w", filled(Dtype::f64, extents({30}), 0));
      store.set_optimizer(optim::Sgd{.lr = 0.1f});
      AnyTensor w = store.pull("w");
      for (int i = 0; i < 80; ++i) {
        AnyTensor g = w.clone();
        detail::combine_into(g, 1, target, -1);
        if (store.worker() == 2) std::this_thread::sleep_for(std::chrono::microseconds(300));
        w = store.push_pull("w", g);
        std::lock_guard lock(mutex);
        ++count[static_cast<std::size_t>(store.worker())];
        widest = std::max(widest, *std::max_element(count.begin(), count.end()) -
                                      *std::min_element(count.begin(), count.end()));
      }
      store.barrier();
      if (distance(store.pull("w"), target) > 1e-3) fail(Error::value, "did not converge");
    });
    // One more: a worker counts after its pull has been answered, another before.
    if (staleness >= 0) CHECK(widest <= staleness + 1);
  }
}

TEST_CASE(
    "what does not fit is refused to its sender, with key, both sides and ranks; it goes on") {
  const std::string host = dist::host_name();
  check_stores(2, with(2, 64), [&](Store& store) {
    const AnyTensor w = filled(Dtype::f32, extents({10, 4}), 1);
    store.init("w", w);
    auto expect = [&](int code, const std::string& words, auto&& f) {
      const Failure got = failure(f);
      const bool fits = got.code == code && got.text.find(words) != std::string::npos &&
                        got.text.find("by rank " + std::to_string(store.worker()) + " (" + host) !=
                            std::string::npos &&
                        got.text.starts_with("tenon::parameter server rank ");
      if (!fits) fail(Error::value, "expected " + words + ", got " + got.text);
    };
    const AnyTensor other = filled(Dtype::f32, extents({4, 10}), 1);
    expect(Error::shape, "push of key \"w\"", [&] { store.push("w", other); });
    expect(Error::shape, "it is [4, 10], the key [10, 4]", [&] { store.push("w", other); });
    expect(Error::shape, "it is [3], the key [10, 4]",
           [&] { store.push_pull("w", filled(Dtype::f32, extents({3}), 1)); });
    expect(Error::dtype, "it holds f64, the key f32", [&] { store.push("w", w.to(Dtype::f64)); });
    expect(Error::shape, "init of key \"w\"", [&] { store.init("w", other); });
    expect(Error::dtype, "init of key \"w\"", [&] { store.init("w", w.to(Dtype::f64)); });
    expect(Error::dtype, "elements are floating",
           [&] { store.init("i", filled(Dtype::i64, extents({2}), 1)); });
    expect(Error::index, "key 12", [&] { store.push(12, w); });
    expect(Error::index, "there is no such key", [&] { store.pull("none"); });
    expect(Error::value, "a weight of -1", [&] { store.push("w", w, -1); });
    if (store.worker() == 1)
      expect(Error::value, "worker 0 alone", [&] { store.put({{"w", w}}, -1, 3); });
    if (failure([&] { store.push("w", AnyTensor()); }).code != Error::uninitialised)
      fail(Error::value, "a tensor without a value");
    if (store.worker() == 0)
      expect(Error::value, "no rule is called strange",
             [&] { store.change_optimizer("strange", {}); });
    store.init("w", other.clone().to_contiguous().view(extents({10, 4}),
                                                       std::array<Index, 2>{4, 1}.data(), 0));
    for (int i = 0; i < 2; ++i) store.push("w", w);
    for (double x : values(store.pull("w")))
      if (x != 5) fail(Error::value, {"got ", x, " after refusals"});
  });
}

TEST_CASE("a worker whose first init differs learns it; the key is worker 0's") {
  const auto thrown = run_stores(2, with(2, 16), [&](Store& store) {
    const Failure f = failure([&] {
      store.init("w", filled(Dtype::f32, extents({store.worker() ? 90 : 3}), store.worker()));
    });
    if (store.worker() == 0 && f.code) fail(Error::value, f.text);
    if (store.worker() == 1 && f.code != Error::shape) fail(Error::value, "not told: " + f.text);
    if (values(store.pull("w")) != std::vector<double>(3, 0.0)) fail(Error::value, "another value");
  });
  for (const std::string& text : thrown) CHECK(text == "");
}

TEST_CASE("bytes that are no request are answered by an error") {
  struct Send final : dist::Job {
    dist::Bytes message;
    std::string text;
    bool sent = false;
    dist::Communicator::Clock::time_point since{};
    bool advance(dist::Communicator& c) override {
      if (!sent) c.send(1, message);
      sent = true;
      const dist::Bytes reply = c.take(1, dist::Tag{dist::Tag::reply, 0, 1, 0}, since);
      if (!reply) return false;
      text = dist::Reply::read(reply).text();
      return true;
    }
    std::string operation() const override { return "sending noise"; }
  };
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    dist::Communicator c(t, store_limits);
    if (t.rank() == 1) {
      dist::detail::compare_stores(c, StoreOptions{});
      auto server =
          std::make_shared<dist::detail::Server>(StoreOptions{}, dist::served_rules<>(), 1);
      c.start(server);
      c.wait();
    } else {
      dist::detail::compare_stores(c, StoreOptions{});
      auto job = std::make_shared<Send>();
      job->message = dist::make_message(dist::Tag{dist::Tag::request, 0, 1, 0}, "noise");
      c.run(job);
      if (job->text.find("a request of 5 bytes: cut off") == std::string::npos)
        fail(Error::value, "answered " + job->text);
      dist::Request leave;
      leave.kind = dist::Request::leave;
      auto end = std::make_shared<dist::detail::Ask>();
      end->parts.push_back(
          {1, 2, dist::pack_request(dist::Tag{dist::Tag::request, 0, 2, 0}, leave), nullptr});
      c.run(end);
    }
    c.finish();
  });
  for (const std::string& text : thrown) CHECK(text == "");
}

TEST_CASE("ranks that disagree on mode or servers, or are too few, end at the start") {
  const auto thrown = run_ranks(3, [&](dist::Transport& t) {
    dist::Communicator c(t, store_limits);
    StoreOptions o;
    if (t.rank() == 1) o.synchronous = false;
    if (t.rank() == 2) dist::serve(c, o);
    else Store(c, o).finish();
  });
  for (const std::string& text : thrown)
    CHECK_THAT(text, ContainsSubstring("differ in mode: synchronous and asynchronous"));
  dist::Loopback alone(1);
  dist::Communicator c(alone.rank(0), store_limits);
  for (int servers : {0, 1, -1, 5})
    CHECK(failure([&] { Store(c, with(servers, 64)); }).code == Error::value);
}

TEST_CASE("a worker or a server that falls silent ends all others in time, which say where") {
  for (int victim : {1, 2}) {
    CAPTURE(victim);
    dist::Loopback loopback(3);
    dist::Communicator::Clock::time_point silenced;
    const auto thrown = run_stores(loopback, with(1, 64),
                                   [&](Store& store) {
                                     store.init("w", filled(Dtype::f32, extents({100}), 0));
                                     for (int i = 0; i < 1000000; ++i) {
                                       if (store.worker() == 1 && i == 3) {
                                         silenced = dist::Communicator::Clock::now();
                                         loopback.silence(victim);
                                       }
                                       store.push_pull("w", filled(Dtype::f32, extents({100}), 1));
                                     }
                                   },
                                   {.deadline = 1, .progress = 60});
    const double took =
        std::chrono::duration<double>(dist::Communicator::Clock::now() - silenced).count();
    CHECK(took < 1);
    const std::string lost =
        "rank " + std::to_string(victim) + " (" + dist::host_name() + ") has been silent for 0.8 s";
    CAPTURE(thrown[0], thrown[2]);
    CHECK_THAT(thrown[0], ContainsSubstring("rank 0 (" + dist::host_name() + "), step "));
    CHECK_THAT(thrown[0], ContainsSubstring("push_pull of key \"w\""));
    CHECK_THAT(thrown[0], ContainsSubstring(lost));
    if (victim == 1) {
      CHECK_THAT(thrown[2], ContainsSubstring("), step 3, serving 2 workers"));
      CHECK_THAT(thrown[2], ContainsSubstring(lost));
    }
  }
}

TEST_CASE("a worker that ends early, or does not arrive, is named to those who wait for it") {
  const auto ended = run_stores(2, with(1, 64), [&](Store& store) {
    store.init("w", filled(Dtype::f32, extents({3}), 0));
    if (store.worker() == 1) return;
    store.push("w", filled(Dtype::f32, extents({3}), 1));
    const Failure f = failure([&] { store.pull("w"); });
    CHECK(f.code == Error::peer);
    CHECK_THAT(f.text, ContainsSubstring("rank 1 (" + dist::host_name() +
                                         ") has ended without a push for it"));
    store.barrier();  // of those who are left
  });
  for (const std::string& text : ended) CHECK(text == "");
  const auto late = run_stores(2, with(1, 64),
                               [&](Store& store) {
                                 store.init("w", filled(Dtype::f32, extents({3}), 0));
                                 if (store.worker() == 1)
                                   std::this_thread::sleep_for(std::chrono::milliseconds(900));
                                 store.push_pull("w", filled(Dtype::f32, extents({3}), 1));
                               },
                               {.deadline = 20, .progress = 0.3});
  CHECK_THAT(late[2],
             ContainsSubstring("rank 1 (" + dist::host_name() + ") is alive, but has not arrived"));
  CHECK_THAT(late[0],
             ContainsSubstring("rank 0 (" + dist::host_name() + ") waits in pull of key \"w\""));
}
