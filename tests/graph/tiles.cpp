// SPDX-License-Identifier: Apache-2.0
// Operations over tiles: any tail, inputs of any reach, results in the memory of inputs that later
// steps read.
#include <tenon/graph/tiles.hpp>

#include <tenon/kernel/generated.hpp>
#include <tenon/kernel/interpret.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {

const StatementInfo &add = *op_info<op::Add, float>.single,
                    &multiply = *op_info<op::Multiply, float>.single,
                    &less = *op_info<op::Less, float>.single;

AnyTensor alone(const StatementInfo& op, const AnyTensor& a, const AnyTensor& b) {
  const AnyTensor in[] = {a, b};
  return kernel::evaluate(op, in, 2, nullptr, GroupCall{}, Dtype::f32, Context{});
}

}  // namespace

TEST_CASE(
    "tiles: p = a b, q = p + c, r = q < 0.5, for tails, broadcasts, views and random inputs") {
  graph::Tiles t(Dtype::f32, 3);
  const int ab[] = {0, 1}, p = t.apply(multiply, ab);
  const int pc[] = {p, 2}, q = t.apply(add, pc);
  const int half = t.fill(0.5), qh[] = {q, half}, r = t.apply(less, qh);
  t.settle({q, r, half});
  for (Index rows : {1, 3, 40})
    for (Index n : {1, 15, 16, 17, 100, 511, 512, 513, 1030, 2049}) {
      CAPTURE(rows, n);
      const AnyTensor a = spread(Dtype::f32, extents({rows, n}), 1);
      for (const AnyTensor& b :
           {spread(Dtype::f16, extents({rows, n}), 2), spread(Dtype::f32, extents({n}), 3),
            spread(Dtype::f32, extents({rows, 1}), 4), spread(Dtype::f32, extents({}), 5),
            strided(spread(Dtype::f16, extents({rows, n}), 6))})
        for (const AnyTensor& c : {kernel::uniform_leaf(Dtype::f32, extents({rows, n})), strided(a),
                                   kernel::uniform_leaf(Dtype::f32, extents({n}))}) {
          const AnyTensor in[] = {a, b, c};
          AnyTensor out[3];
          t.run(t, in, out, extents({rows, n}));
          const AnyTensor sum = alone(add, alone(multiply, a, b), c),
                          number = kernel::filled(Dtype::f32, extents({rows, n}), 0.5);
          CHECK(same_bits(out[0], sum));
          CHECK(same_bits(out[1], alone(less, sum, number)));
          CHECK(same_bits(out[2], number));
        }
    }
}

TEST_CASE("tiles: a result may lie where an input lies that later steps read") {
  graph::Tiles t(Dtype::f32, 2);
  const int ab[] = {0, 1}, p = t.apply(multiply, ab);
  const int pa[] = {p, 0}, q = t.apply(add, pa);
  t.settle({p, q});
  for (Index n : {5, 512, 3000}) {
    const AnyTensor a = spread(Dtype::f32, extents({n}), 1),
                    b = spread(Dtype::f32, extents({n}), 2), product = alone(multiply, a, b),
                    sum = alone(add, product, a);
    for (int place : {0, 1}) {
      const AnyTensor in[] = {a.clone(), b};
      AnyTensor out[2];
      out[place] = in[0];
      out[place].detach();
      t.run(t, in, out, extents({n}));
      CHECK(same_bits(out[0], product));
      CHECK(same_bits(out[1], sum));
    }
  }
}

TEST_CASE("tiles: an input that does not broadcast is an error") {
  graph::Tiles t(Dtype::f32, 1);
  const int twice[] = {0, 0};
  t.settle({t.apply(add, twice)});
  AnyTensor out;
  const AnyTensor x = spread(Dtype::f32, extents({4}), 1);
  CHECK_THROWS_WITH(t.run(t, &x, &out, extents({5})),
                    ContainsSubstring("[4] does not broadcast to [5]"));
}
