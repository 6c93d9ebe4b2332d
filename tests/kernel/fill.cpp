// SPDX-License-Identifier: Apache-2.0
// Tensors of one number, and random leaves, made again from their attributes.
#include <tenon/kernel/fill.hpp>
#include <tenon/kernel/generated.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

TEST_CASE("filled: one number everywhere, rounded to the dtype; a tracer can make it again") {
  static std::vector<AnyTensor> made_again, told;
  made_again.clear(), told.clear();
  Tracer tracer{[](Tracer&, const Statement& s) {
                  told.push_back(*s.result);
                  made_again.push_back(
                      s.info->function_forward(s.operand, *s.attributes, s.result->extents()));
                },
                nullptr, nullptr};
  seed_random(4);
  ambient().tracer = &tracer;
  for (Dtype d : {Dtype::f32, Dtype::f64, Dtype::i32})
    for (const Extents& e : {extents({}), extents({3, 5}), extents({0, 2})}) {
      const AnyTensor t = kernel::filled(d, e, 3);
      CHECK(values(t) == std::vector<double>(static_cast<std::size_t>(e.size()), 3));
    }
  kernel::uniform_leaf(Dtype::f32, extents({4, 7}));
  kernel::uniform_leaf(Dtype::f64, extents({4, 7}));
  ambient().tracer = nullptr;
  REQUIRE(told.size() == 11);
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(told[i].id() != made_again[i].id());
    CHECK(same_bits(told[i].to_contiguous(), made_again[i].to_contiguous()));
  }
  CHECK_FALSE(same_bits(told[9].to_contiguous(),
                        kernel::uniform_leaf(Dtype::f32, extents({4, 7})).to_contiguous()));
}
