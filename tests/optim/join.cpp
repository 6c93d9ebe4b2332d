// SPDX-License-Identifier: Apache-2.0
// State members over a step: written in training only, joined over shards, saved, cloned, and never
// differentiated.
#include <tenon/optim/join.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include "support/files.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace {

// Subtracts a running mean of its inputs, and counts them.
struct Centre {
  Tensor<double, Shape<3>> gain;
  State<Tensor<double, Shape<3>>> mean;
  State<Tensor<std::int64_t, Shape<>>, Join::sum> rows;
  State<Tensor<double, Shape<>>, Join::first> first;

  auto operator()(const Tensor<double, Shape<dyn, 3>>& x) const {
    mean.set(mean.value * 0.75 + tenon::mean(x, axis<0>) * 0.25);
    rows.set(rows.value + tensor(static_cast<std::int64_t>(x.extent(0))));
    first.set(sum(x));
    return (x - stop_gradient(mean.value)) * gain;
  }
};
struct Net {
  std::array<Centre, 1> layers;
  int width = 3;
};
struct Points {
  Tensor<double, Shape<dyn, 3>> x;
};
Centre centre() {
  return {spread<double, 3>(1), {spread<double, 3>(2)}, {tensor(std::int64_t{100})}, {tensor(0.0)}};
}
Points points(Index n) {
  return {Tensor<double, Shape<dyn, 3>>(spread(Dtype::f64, extents({n, 3}), 7))};
}
auto loss(const Net& net, const Points& p) { return mean(square(net.layers[0](p.x))); }

struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
std::vector<double> state(const Net& net) {
  std::vector<double> all;
  each_state(net, [&](std::string, const auto& s) {
    for (double v : values(s.value)) all.push_back(v);
  });
  return all;
}
// What the layer must leave, from the numbers themselves.
std::vector<double> expected(Index rows, int shards, const std::vector<double>& before) {
  const auto x = values(points(rows).x);
  std::vector<double> out(5);
  for (int v = 0; v < shards; ++v) {
    const Index begin = v * rows / shards, end = (v + 1) * rows / shards;
    for (std::size_t j = 0; j < 3; ++j) {
      double own = 0;
      for (Index i = begin; i < end; ++i) own += x[static_cast<std::size_t>(3 * i) + j];
      if (begin == end) continue;
      const double shard = 0.75 * before[j] + 0.25 * own / static_cast<double>(end - begin);
      out[j] += shard * static_cast<double>(end - begin) / static_cast<double>(rows);
      if (begin == 0) out[4] += own;
    }
  }
  out[3] = before[3] + static_cast<double>(rows);
  return out;
}

}  // namespace

TEST_CASE(
    "State is written in training mode only, from a const call, and kept out of the gradient") {
  const Net net{{centre()}};
  const auto before = state(net);
  (void)loss(net, points(4)).item();
  CHECK(state(net) == before);
  {
    Tape tape;
    Evaluation scope;
    (void)Tensor(loss(net, points(4)));
  }
  CHECK(state(net) == before);
  Tape tape;
  Tensor l = loss(net, points(4));
  CHECK(distance(state(net), expected(4, 1, before)) <= 1e-15);
  const Net g = tape.gradient(l, net);
  CHECK(state(g) == state(net));
  int parameters = 0;
  each_parameter(g, [&](std::string path, const auto&) {
    CHECK(path == "layers.0.gain");
    ++parameters;
  });
  CHECK(parameters == 1);
}

TEST_CASE("what is stored is a constant: nothing flows through it in the tape that wrote it") {
  const Net net{{centre()}};
  const Points p = points(4);
  Tape tape;
  Tensor first = loss(net, p);
  Tensor second = sum(net.layers[0].mean.value * first);
  const AnyTensor wrt[] = {p.x.any()};
  AnyTensor with, without;
  tape.gradient(second.any(), wrt, std::span<AnyTensor>(&with, 1), {}, AfterGradient::keep);
  const AnyTensor scale = Tensor(sum(net.layers[0].mean.value)).any();
  tape.gradient(first.any(), wrt, std::span<AnyTensor>(&without, 1), scale);
  CHECK(distance(with, without) <= 1e-14);
}

TEST_CASE(
    "shards start from the step's State and are joined: mean by weight, sum of changes, first") {
  for (int shards : {1, 2, 3, 5, 8}) {
    CAPTURE(shards);
    const WithShards scope(shards);
    const Net net{{centre()}};
    const auto before = state(net);
    const auto g = batch_gradient(loss, net, points(7));
    CHECK(distance(state(net), expected(7, shards, before)) <= 1e-14);
    CHECK(state(g.model) == state(net));
    // The second step goes on from there.
    const auto between = state(net);
    (void)batch_gradient(loss, net, points(7));
    CHECK(distance(state(net), expected(7, shards, between)) <= 1e-14);
  }
}

TEST_CASE("a loss that weighs its shards weighs their State") {
  struct Weighed {
    Tensor<double, Shape<>> loss, weight;
  };
  const WithShards scope(2);
  const auto weighed = [](const Net& net, const Points& p) {
    return Weighed{mean(square(net.layers[0](p.x))), tensor(p.x.any().extent(0) == 2 ? 3.0 : 1.0)};
  };
  const Net net{{centre()}};
  const auto before = state(net), x = values(points(5).x);
  (void)batch_gradient(weighed, net, points(5));
  for (std::size_t j = 0; j < 3; ++j) {
    const double a = (x[j] + x[3 + j]) / 2, b = (x[6 + j] + x[9 + j] + x[12 + j]) / 3;
    CHECK(state(net)[j] == Approx(0.75 * before[j] + 0.25 * (3 * a + b) / 4).epsilon(1e-14));
  }
}

TEST_CASE("State that no shard writes keeps its very bits, and a step that throws changes none") {
  const WithShards scope(3);
  const Net net{{centre()}};
  const auto id = net.layers[0].mean.value.id();
  const auto quiet = [](const Net& net, const Points& p) {
    Evaluation mode;
    return Tensor(loss(net, p));
  };
  (void)batch_gradient(quiet, net, points(7));
  CHECK(net.layers[0].mean.value.id() == id);
  const auto throws = [](const Net& net, const Points& p) {
    Tensor l = loss(net, p);
    if (ambient().shard == 2) fail(Error::value, {"planted"});
    return l;
  };
  CHECK_THROWS_WITH(batch_gradient(throws, net, points(7)), ContainsSubstring("planted"));
  CHECK(net.layers[0].mean.value.id() == id);
}

TEST_CASE("State of arguments that are not differentiated is not written") {
  const auto with_teacher = [](const Net& net, const Points& p, const Net& teacher) {
    return loss(net, p) + loss(teacher, p);
  };
  for (int shards : {1, 3}) {
    const WithShards scope(shards);
    const Net net{{centre()}}, teacher{{centre()}};
    const auto before = state(teacher);
    (void)batch_gradient(with_teacher, net, points(6), teacher);
    CHECK(state(teacher) == before);
    CHECK(state(net) != before);
  }
}

TEST_CASE("remat in shards: the same gradient and State as without") {
  const auto once = [](const Net& net, const Points& p) {
    Tensor y = net.layers[0](p.x);  // a statement of its own, as remat makes it
    return mean(square(y));
  };
  const auto again = [](const Net& net, const Points& p) {
    return mean(square(remat(net.layers[0])(p.x)));
  };
  for (int shards : {1, 3}) {
    const WithShards scope(shards);
    const Net a{{centre()}}, b{{centre()}};
    const auto plain = batch_gradient(once, a, points(7)),
               other = batch_gradient(again, b, points(7));
    CHECK(same_bits(plain.model.layers[0].gain.any(), other.model.layers[0].gain.any()));
    CHECK(state(a) == state(b));
  }
}

TEST_CASE("value_and_grad and vjp write the caller's State") {
  const Net a{{centre()}}, b{{centre()}};
  const auto before = state(a);
  (void)value_and_grad(loss)(a, points(4));
  CHECK(distance(state(a), expected(4, 1, before)) <= 1e-15);
  (void)vjp([](const Net& n) { return loss(n, points(4)); }, b);
  CHECK(state(b) == state(a));
}

TEST_CASE("State is cloned, and saved and loaded with the model and its optimizer") {
  const Net net{{centre()}};
  const Net copy = clone(net);
  const auto before = state(net);
  (void)batch_gradient(loss, net, points(4));
  CHECK(state(copy) == before);
  CHECK(state(net) != before);

  const TemporaryFolder folder;
  Net other{{centre()}};
  const auto optimizer = optim::make(optim::Sgd{}, net);
  train::save_checkpoint(folder / "a", net, optimizer, {});
  auto later = optim::make(optim::Sgd{}, other);
  (void)train::load_checkpoint(folder / "a", other, later);
  CHECK(state(other) == state(net));
  train::save_model(folder / "b", net);
  io::SafetensorsFile file(folder / "b");
  for (const char* name : {"layers.0.gain", "layers.0.mean", "layers.0.rows", "layers.0.first"})
    CHECK(file.contains(name));
  Net empty;
  train::load_model(folder / "b", empty);
  CHECK(state(empty) == state(net));
}
