// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/loss.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("loss: cross entropy of equal scores is the logarithm of the number of classes") {
  const AnyTensor x = tensor({3, 4}, Numbers(12, 2.5)), label = tensor({3}, {0, 3, 1}, Dtype::i64);
  CHECK(near(result("cross_entropy", {x, label}), {std::log(4.0)}));
  CHECK(near(result("cross_entropy", {x, label}, {{"reduction", "sum"}}), {3 * std::log(4.0)}));
  CHECK(near(result("cross_entropy", {x, label}, {{"reduction", "none"}, {"label_smoothing", 0.3}}),
             Numbers(3, std::log(4.0))));
  CHECK(near(gradient("cross_entropy", {x, label}, 0), differences("cross_entropy", {x, label}, 0),
             1e-6));
  CHECK(failing("cross_entropy", {x, tensor({3}, {0, 4, 1}, Dtype::i64)}).text ==
        "tenon::cross_entropy: label 4 at position 1 is out of range for 4 classes");
  CHECK(failing("cross_entropy", {x, tensor({3}, {0, -1, 1}, Dtype::i64)}).code == Error::index);
  CHECK(failing("cross_entropy", {x, tensor({2}, {0, 1}, Dtype::i64)}).code == Error::shape);
  CHECK(failing("cross_entropy", {x, label}, {{"reduction", "median"}}).code == Error::value);
  CHECK(near(result("cross_entropy", {x, tensor({3}, {0, -100, 1}, Dtype::i64)}), {std::log(4.0)}));
}
TEST_CASE("loss: reductions of the distance to oneself are zero") {
  const AnyTensor x = tensor({2, 2}, {1, -2, 3, 0.5});
  for (const char* op : {"l1_loss", "mse_loss", "huber_loss", "smooth_l1_loss"}) {
    CHECK(result(op, {x, x}) == Numbers{0});
    CHECK(result(op, {x, x}, {{"reduction", "none"}}) == Numbers(4, 0));
  }
  CHECK(near(result("kl_div", {x, x}), {0}));
  CHECK(near(result("cosine_similarity", {x, x}), {1, 1}));
  CHECK(result("mse_loss", {tensor({2}, {1, 2}), tensor({2}, {3, 5})}) == Numbers{6.5});
}
