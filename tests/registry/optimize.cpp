// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/optimize.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("optimize: three steps computed by hand") {
  const AnyTensor w = tensor({1}, {1}), g = tensor({3, 1}, {1, 2, -1});
  CHECK(near(result("sgd", {w, g}, {{"lr", 0.1}}), {0.9, 0.7, 0.8}));
  CHECK(near(result("sgd", {w, g}, {{"lr", 0.1}, {"momentum", 0.5}}), {0.9, 0.65, 0.625}));
  // Adam's first step is lr in the direction of the gradient, whatever its size.
  CHECK(near({result("adam", {w, g}, {{"lr", 0.1}, {"eps", 0.0}})[0]}, {0.9}));
  CHECK(near(result("clip_grad_norm", {tensor({2}, {3, 4})}, {{"max_norm", 1}, {"epsilon", 0}}),
             {0.6, 0.8}));
  CHECK(near(result("clip_grad_norm", {tensor({2}, {0.3, 0.4})}, {{"max_norm", 1}}), {0.3, 0.4}));
  CHECK(failing("sgd", {w, tensor({3, 2}, Numbers(6, 1))}, {{"lr", 0.1}}).code == Error::shape);
  CHECK(failing("sgd", {w, g}).code == Error::value);
  CHECK(failing("adam", {w, g}, {{"lr", 0.1}, {"betas", std::vector<double>{0.9}}}).code ==
        Error::value);
}
