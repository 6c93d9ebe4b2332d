// SPDX-License-Identifier: Apache-2.0
// Matrix products on a device: any operands, batches, epilogues and gradients; one call each.
#include <tenon/kernel/device/product.hpp>

#include <tenon/kernel/epilogue.hpp>

#include "support/any_device.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace {
using expr::word;
using Alone = expr::Group<1, 0, 0>;
// relu(a b + r).
using Layer = expr::Group<2, 0, 0, word(op::number<op::Add>, 0, 1), word(op::number<op::Relu>, 2)>;
// sigmoid(a b) * a b: its backward needs the product.
using Gated =
    expr::Group<1, 0, 0, word(op::number<op::Sigmoid>, 0), word(op::number<op::Multiply>, 1, 0)>;
template <class G>
const StatementInfo* product_of(Dtype t) {
  return t == Dtype::f64 ? &detail::InfoOf<G, double, kernel::Products>::info
                         : &detail::InfoOf<G, float, kernel::Products>::info;
}
/// The last two axes exchanged where asked for.
Extents matrix(Extents batch, Index rows, Index cols, bool transposed) {
  batch.extent[batch.rank++] = transposed ? cols : rows;
  batch.extent[batch.rank++] = transposed ? rows : cols;
  return batch;
}
}  // namespace

TEST_CASE("device: products of any extents, transposed or not, in any layout", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (auto [m, n, k] : {std::array<Index, 3>{5, 7, 3},
                           {1, 7, 3},
                           {5, 1, 3},
                           {5, 7, 1},
                           {5, 7, 0},
                           {0, 7, 3},
                           {5, 0, 3},
                           {1, 1, 1},
                           {33, 17, 64}})
      for (int way = 0; way < 4; ++way)
        for (Layout layout : layouts) {
          GroupCall how;
          how.transpose_a = way & 1, how.transpose_b = way >> 1;
          CAPTURE(name_of(t), m, n, k, way, static_cast<int>(layout));
          const Operand a = operand(t, matrix({}, m, k, way & 1), 1, layout),
                        b = operand(t, matrix({}, k, n, way >> 1), 2, layout),
                        row = operand(t, extents({n}), 3);
          check_call({product_of<Alone>(t), {a, b}, {}, how, t}, 8 * k);
          if (way % 3 == 0)
            check_call({product_of<Layer>(t), {row, a, b}, {}, how, t}, 8 * (k + m));
          if (layout == Layout::dense)
            check_call({product_of<Gated>(t), {a, b}, {}, how, t}, 64 * (k + m));
        }
}

TEST_CASE("device: products of batches, broadcast or not", "[device]") {
  if (!have_device()) return;
  const std::pair<Extents, Extents> batches[] = {
      {extents({3}), extents({3})},         {extents({3}), extents({})},
      {extents({}), extents({3})},          {extents({1}), extents({3})},
      {extents({3}), extents({1})},         {extents({2, 3}), extents({3})},
      {extents({2, 1}), extents({1, 3})},   {extents({2, 3}), extents({2, 1})},
      {extents({2, 3}), extents({})},       {extents({0}), extents({0})},
      {extents({2, 1, 3}), extents({4, 1})}};
  for (const auto& [left, right] : batches)
    for (int way = 0; way < 4; ++way)
      for (Layout layout : {Layout::dense, Layout::reversed}) {
        GroupCall how;
        how.transpose_a = way & 1, how.transpose_b = way >> 1;
        CAPTURE(to_string(left), to_string(right), way);
        const Dtype t = Dtype::f32;
        const Operand a = operand(t, matrix(left, 4, 5, way & 1), 1, layout),
                      b = operand(t, matrix(right, 5, 6, way >> 1), 2, layout);
        check_call({product_of<Alone>(t), {a, b}, {}, how, t}, 500);
        check_call({product_of<Layer>(t), {operand(t, extents({6}), 3), a, b}, {}, how, t}, 500);
      }
}

TEST_CASE("device: a product with its epilogue counts as on the processor", "[device]") {
  if (!have_device()) return;
  const Call c{product_of<Layer>(Dtype::f32),
               {operand(Dtype::f32, extents({6}), 3), operand(Dtype::f32, extents({4, 5}), 1),
                operand(Dtype::f32, extents({5, 6}), 2)}};
  const auto here = counted([&] { c.on(cpu); }), there = counted([&] { c.on(cuda(0)); });
  CHECK(there.forward == here.forward);
  CHECK(there.backward == here.backward);
  CHECK(there.products == here.products);
  CHECK(there.single == 0);
}

TEST_CASE("device: storage types are multiplied in f32", "[device]") {
  if (!have_device()) return;
  for (Dtype from : {Dtype::bf16, Dtype::f16})
    check_call({product_of<Layer>(Dtype::f32),
                {operand(from, extents({6}), 3), operand(from, extents({4, 5}), 1),
                 operand(from, extents({5, 6}), 2)},
                {},
                {},
                Dtype::f32,
                false},
               500);
}
