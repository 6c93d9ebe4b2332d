// SPDX-License-Identifier: Apache-2.0
// Published trajectories of optimizers, from tests/vectors/data.
#pragma once
#include <tenon/io/safetensors.hpp>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/tensors.hpp"

namespace tests {

struct Trajectory {
  std::string name;
  nlohmann::json attributes;
  AnyTensor start, gradients, weights;  ///< [n...], [steps, n...], [steps, n...], f64
  int steps;
  double tolerance;  ///< for f32, of the largest weight

  float number(const char* key, float otherwise = 0) const {
    return attributes.contains(key) ? attributes.at(key).get<float>() : otherwise;
  }
  bool flag(const char* key) const {
    return attributes.contains(key) && attributes.at(key).get<bool>();
  }
  Index count() const { return start.size(); }
  AnyTensor gradient(int step) const {
    const auto all = values(gradients);
    return made(Dtype::f64, extents({count()}), [&](Index i) {
      return all.at(static_cast<std::size_t>((step - 1) * count() + i));
    });
  }
  /// The largest difference, relative to the largest weight where that is above 1.
  double distance(const std::vector<std::vector<double>>& got) const {
    const auto want = values(weights);
    double largest = 1, worst = 0;
    for (double x : want) largest = std::max(largest, std::fabs(x));
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::size_t n = static_cast<std::size_t>(count());
      worst = std::max(worst, std::fabs(got.at(i / n).at(i % n) - want[i]));
    }
    return worst / largest;
  }
};

inline std::vector<Trajectory> trajectories(const std::string& op) {
  const std::string folder = std::string(TESTS_SOURCE_DIR) + "/tests/vectors/data/optimizers";
  std::ifstream text(folder + ".json");
  const nlohmann::json all = nlohmann::json::parse(text);
  io::SafetensorsFile file(folder + ".safetensors");
  std::vector<Trajectory> out;
  for (const auto& c : all.at("cases")) {
    if (c.at("op") != op) continue;
    Trajectory t{c.at("name"),
                 c.at("attrs"),
                 file.tensor(c.at("inputs").at(0)),
                 file.tensor(c.at("inputs").at(1)),
                 file.tensor(c.at("outputs").at(0)),
                 0,
                 c.at("tol").at("f32")};
    t.steps = static_cast<int>(t.gradients.extent(0));
    t.start = t.start.to_contiguous();
    const Index n = t.start.size(), stride = 1;
    t.start = t.start.view(Extents{1, {n}}, &stride, 0);
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace tests
