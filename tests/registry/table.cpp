// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/table.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE(
    "table: every listed operation has its kernel for f32 and f64, integers those that take them") {
  for (int i = 0; i < op::Elementwise::size; ++i) {
    const OpInfo *f = registry::elementwise(i, Dtype::f32),
                 *d = registry::elementwise(i, Dtype::f64);
    REQUIRE(f);
    REQUIRE(d);
    CHECK(std::string(f->name) == d->name);
    CHECK(f->single->compute == Dtype::f32);
    CHECK(d->single->compute == Dtype::f64);
    if (const OpInfo* n = registry::elementwise(i, Dtype::i64))
      CHECK(n->single->compute == Dtype::i64);
  }
  CHECK(registry::elementwise(op::number<op::Add>, Dtype::i64) != nullptr);
  CHECK(registry::elementwise(op::number<op::Tanh>, Dtype::i64) == nullptr);
  CHECK(std::string(registry::elementwise(op::number<op::Lerp>, Dtype::f64)->name) == "lerp");
  CHECK(registry::reduction<op::Sum>(Dtype::i64) != nullptr);
  CHECK(registry::reduction<op::Mean>(Dtype::i64) == nullptr);
  CHECK(registry::fused(registry::Fused::softmax, Dtype::i64) == nullptr);
}
TEST_CASE("table: softmax, normalisation and linear are one kernel forward and one backward") {
  using registry::Fused;
  for (Fused f : {Fused::softmax, Fused::log_softmax, Fused::normalise, Fused::linear})
    CHECK(registry::fused(f, Dtype::f32)->backward != nullptr);
  const AnyTensor x = tensor({2, 3}, {1, 2, 3, 4, 5, 7});
  kernel::counters() = {};
  one("layer_norm", {x}, {{"normalized_shape", std::vector<Index>{3}}});
  CHECK(kernel::counters().forward == 1);
  kernel::counters() = {};
  one("matmul", {x, one("transpose", {x})});
  CHECK(kernel::counters().products == 1);
}
