// SPDX-License-Identifier: Apache-2.0
// What counts as a parameter, under which name and in which order; clones.
#include <tenon/tensor/model.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
struct Layer {
  Tensor<float, Shape<2, 3>> weight;
  Tensor<float, Shape<3>> bias;
  float rate = 0.5f;
};
struct Net {
  Layer first;
  std::vector<Layer> blocks;
  std::array<Tensor<double, Shape<>>, 2> scales;
  std::optional<Layer> head;
  Tensor<std::int64_t, Shape<4>> table;
  State<Tensor<float, Shape<3>>> running;
  int width = 3;
};
Layer layer() { return {spread<float, 2, 3>(1), spread<float, 3>(2), 0.25f}; }
Net net() {
  return {layer(),
          {layer(), layer()},
          {spread<double>(1), spread<double>(2)},
          std::nullopt,
          {},
          {spread<float, 3>(5)},
          7};
}
std::vector<std::string> names(const Net& n) {
  std::vector<std::string> list;
  each_parameter(n, [&](std::string path, const auto&) { list.push_back(path); });
  return list;
}
}  // namespace

TEST_CASE(
    "parameters come in order of declaration under dotted paths; integers, states and settings are "
    "none") {
  Net n = net();
  CHECK(names(n) == std::vector<std::string>{"first.weight", "first.bias", "blocks.0.weight",
                                             "blocks.0.bias", "blocks.1.weight", "blocks.1.bias",
                                             "scales.0", "scales.1"});
  n.head = layer();
  CHECK(names(n).back() == "head.bias");
  std::vector<std::string> states;
  each_state(n, [&](std::string path, const auto&) { states.push_back(path); });
  CHECK(states == std::vector<std::string>{"running"});
}

TEST_CASE(
    "a clone has ids of its own, the same settings, and shares memory until one side is written") {
  Net a = net();
  Net b = clone(a);
  CHECK(b.width == 7);
  CHECK(b.first.rate == 0.25f);
  CHECK(a.first.weight.id() != b.first.weight.id());
  CHECK(a.running.value.id() != b.running.value.id());
  CHECK(a.first.weight.any().raw() == b.first.weight.any().raw());
  b.first.weight.write()(0, 0) = 100;
  CHECK(values(a.first.weight)[0] != 100);
}

namespace {
struct Branch {  // a struct that holds its own kind
  Tensor<float, Shape<2>> weight;
  std::vector<Branch> below;
};
struct Trunk {
  std::optional<Branch> branch;
  std::array<State<Tensor<float, Shape<2>>, Join::first>, 2> seen;
};
}  // namespace

TEST_CASE("whether a type holds State is known at compile time, of recursive structs too") {
  static_assert(!detail::holds_state<Branch>());
  static_assert(detail::holds_state<Trunk>());
  static_assert(detail::holds_state<std::vector<Net>>());
  static_assert(!detail::holds_state<Layer>());
  const Branch b{spread<float, 2>(1), {{spread<float, 2>(2), {}}, {spread<float, 2>(3), {}}}};
  int count = 0;
  each_parameter(b, [&](std::string, const auto&) { ++count; });
  CHECK(count == 3);
}

TEST_CASE("State is set in training mode, to a constant with an id of its own") {
  const State<Tensor<float, Shape<3>>> s{spread<float, 3>(1)};
  const auto x = spread<float, 3>(2);
  s.set(x);
  CHECK_FALSE(same_bits(s.value.any(), x.any()));
  const Training scope;
  s.set(x);
  CHECK(same_bits(s.value.any(), x.any()));
  CHECK(s.value.id() != x.id());
}
