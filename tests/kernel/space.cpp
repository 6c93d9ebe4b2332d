// SPDX-License-Identifier: Apache-2.0
// Axes of an iteration space: merged where strides allow, sorted into rows and along the row.
#include <tenon/kernel/space.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;
using kernel::Space;

namespace {
Space arranged(const Extents& e, std::uint32_t along, std::initializer_list<AnyTensor> list) {
  Space s;
  for (const AnyTensor& t : list) {
    Index strides[max_rank] = {};
    for (int i = 0; i < t.rank(); ++i) strides[i] = t.stride(i);
    s.add(e, 0, t.extents(), strides);
  }
  s.arrange(e, along);
  return s;
}
}  // namespace

TEST_CASE("contiguous operands of equal extents are one long row") {
  const Extents e = extents({2, 3, 4});
  const AnyTensor x = spread(Dtype::f32, e, 1);
  const Space s = arranged(e, 0, {x, x});
  CHECK(s.rows == 1);
  CHECK(s.n == 24);
  CHECK(s.operand[0].direct);
}

TEST_CASE("an operand with one row less splits them; a transposed one is not reached directly") {
  const Extents e = extents({2, 3, 4});
  const AnyTensor x = spread(Dtype::f32, e, 1), b = spread(Dtype::f32, extents({4}), 1);
  const Space s = arranged(e, 0, {x, b});
  CHECK(s.rows == 6);
  CHECK(s.n == 4);
  CHECK(s.operand[1].reduced);
  CHECK_FALSE(s.operand[0].reduced);
  const AnyTensor t = swapped(spread(Dtype::f32, extents({4, 3, 2}), 1), 0, 2);
  CHECK_FALSE(arranged(e, 0, {x, t}).operand[1].direct);
}

TEST_CASE(
    "an operand is summed over an axis of extent 0 too: its gradient is zero, not untouched") {
  const AnyTensor x = spread(Dtype::f32, extents({3, 0}), 1),
                  c = spread(Dtype::f32, extents({3, 1}), 1);
  CHECK(arranged(extents({3, 0}), 0, {x, c}).operand[1].reduced);
}

TEST_CASE("reduced axes go along the row, wherever they are") {
  const Extents e = extents({2, 3, 4});
  const AnyTensor x = spread(Dtype::f32, e, 1);
  const Space s = arranged(e, 1, {x});
  CHECK(s.n == 2);
  CHECK(s.rows == 12);
  CHECK(s.operand[0].inner[0] == 12);
}
