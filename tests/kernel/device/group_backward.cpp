// SPDX-License-Identifier: Apache-2.0
// Fused groups on a device against the processor's, forward and backward: any shapes, layouts and
// dtypes, as run-time data over few structures.
#include <tenon/kernel/device/group_backward.hpp>

#include "support/any_device.hpp"

using namespace tests;

namespace {
using expr::word;
template <class Op>
constexpr int op_number = op::number<Op>;
template <class R>
constexpr int fold = expr::reduction_number<R>;

// tanh(x r + c + s) sigmoid(x): an operand used twice, a number.
using Chain =
    expr::Group<3, 1, 0, word(op_number<op::Multiply>, 0, 1), word(op_number<op::Add>, 4, 2),
                word(op_number<op::Add>, 5, 3), word(op_number<op::Tanh>, 6),
                word(op_number<op::Sigmoid>, 0), word(op_number<op::Multiply>, 7, 8)>;
// x + r: gradients that are dy itself, or its sums.
using Bias = expr::Group<2, 0, 0, word(op_number<op::Add>, 0, 1)>;
using Softmax = expr::Group<1, 0, 0, word(fold<op::Peak>, 0), word(op_number<op::Subtract>, 0, 1),
                            word(op_number<op::Exp>, 2), word(fold<op::Sum>, 3),
                            word(op_number<op::Divide>, 3, 4)>;
using Norm = expr::Group<3, 1, 0, word(fold<op::Mean>, 0), word(op_number<op::Subtract>, 0, 4),
                         word(op_number<op::Multiply>, 5, 5), word(fold<op::Mean>, 6),
                         word(op_number<op::Add>, 7, 3), word(op_number<op::Rsqrt>, 8),
                         word(op_number<op::Multiply>, 5, 9), word(op_number<op::Multiply>, 10, 1),
                         word(op_number<op::Add>, 11, 2)>;
// -log softmax(x)[label], a row leaf.
using Entropy =
    expr::Group<2, 0, 2, word(fold<op::Peak>, 0), word(op_number<op::Subtract>, 0, 2),
                word(op_number<op::Exp>, 3), word(fold<op::Sum>, 4), word(op_number<op::Log>, 5),
                word(fold<op::Pick>, 3, 1), word(op_number<op::Subtract>, 6, 7)>;
using SumOf = expr::Group<2, 0, 0, word(op_number<op::Multiply>, 0, 1), word(fold<op::Sum>, 2)>;
using MeanOf = expr::Group<1, 0, 0, word(fold<op::Mean>, 0)>;
using MaxOf = expr::Group<1, 0, 0, word(fold<op::Max>, 0)>;
using Whole =
    expr::Group<2, 0, 0, word(op_number<op::Multiply>, 0, 1), word(op_number<op::Add>, 2, 0)>;
using IsLess = expr::Group<2, 0, 0, word(op_number<op::Less>, 0, 1)>;

template <class G>
const StatementInfo* info(Dtype compute) {
  return compute == Dtype::f64 ? &detail::InfoOf<G, double>::info : &detail::InfoOf<G, float>::info;
}
const Dtype both[] = {Dtype::f32, Dtype::f64};
// Columns beside the limits of a load, a warp, a block of threads and an item; some rows of each.
const Index columns[] = {1, 2, 3, 4, 5, 31, 33, 64, 127, 128, 1000, 4097};
const Index row_counts[] = {0, 1, 2, 7, 64, 300};

GroupCall along(std::uint32_t axes, bool keepdims = true, Total total = Total::none) {
  GroupCall how;
  how.axes = axes, how.keepdims = keepdims, how.total = total;
  return how;
}
}  // namespace

TEST_CASE("device: rows of any number and length are those of the processor", "[device]") {
  if (!have_device()) return;
  for (Dtype t : both)
    for (Index n : columns)
      for (Index rows : row_counts) {
        if (rows * n > 80000) continue;
        const Layout layout = layouts[(rows + n) % 4];
        const Extents e = extents({rows, n});
        CAPTURE(name_of(t), rows, n, static_cast<int>(layout));
        const Operand x = operand(t, e, 1, layout), row = operand(t, extents({n}), 2),
                      column = operand(t, extents({rows, 1}), 3), one = operand(t, extents({}), 4);
        check_call({info<Chain>(t), {x, row, column}, {0.25}, {}, t}, rows * n);
        check_call({info<Chain>(t), {x, one, row}, {0.25}, {}, t}, rows * n);
        check_call({info<Chain>(t), {row, x, one}, {0.25}, {}, t}, rows * n);
        check_call({info<Bias>(t), {x, row}, {}, {}, t}, rows * n);
        check_call({info<Bias>(t), {column, row}, {}, {}, t}, rows * n);
        check_call({info<Softmax>(t), {x}, {}, along(2), t}, n);
        check_call({info<Softmax>(t), {x}, {}, along(1), t}, rows);
        check_call({info<Norm>(t), {x, row, row}, {1e-2}, along(2), t}, rows * n);
        check_call({info<SumOf>(t), {x, row}, {}, along(2, n % 2), t}, rows * n);
        check_call({info<SumOf>(t), {x, row}, {}, along(2, n % 2, Total::sum), t}, rows * n);
        check_call({info<MeanOf>(t), {x}, {}, along(1), t}, rows * n);
        if (rows) check_call({info<MeanOf>(t), {x}, {}, along(2, false, Total::mean_rows), t}, n);
      }
}

TEST_CASE("device: any rank, axes and layout", "[device]") {
  if (!have_device()) return;
  const Dtype t = GENERATE(Dtype::f32, Dtype::f64);
  for (const Extents& e :
       {extents({}), extents({1}), extents({0}), extents({3}), extents({3, 0, 2}),
        extents({2, 3, 5}), extents({4, 1, 3}), extents({2, 3, 1, 4}), extents({2, 2, 3, 1, 2}),
        extents({2, 1, 2, 2, 1, 3}), extents({1, 2, 1, 2, 3, 1, 2}),
        extents({2, 1, 3, 1, 2, 1, 2, 2})})
    for (Layout layout : layouts) {
      if (e.rank == 8 && layout == Layout::reversed && t == Dtype::f64) continue;
      CAPTURE(name_of(t), to_string(e), static_cast<int>(layout));
      const Operand x = operand(t, e, 5, layout);
      Extents part = e;  // 1 on every other axis
      for (int i = 0; i < e.rank; i += 2) part.extent[i] = 1;
      Extents last;
      if (e.rank) last = extents({e.extent[e.rank - 1]});
      const Operand some = operand(t, part, 6, layout), row = operand(t, last, 7);
      check_call({info<Chain>(t), {x, some, row}, {0.5}, {}, t}, e.size());
      check_call({info<Whole>(t), {some, x}, {}, {}, t}, e.size());
      for (std::uint32_t axes = 1; axes<1u << e.rank; axes += e.rank> 5 ? 11 : 1) {
        CAPTURE(axes);
        check_call({info<Softmax>(t), {x}, {}, along(axes), t}, e.size());
        check_call({info<SumOf>(t), {x, some}, {}, along(axes, axes % 2), t}, e.size());
        check_call({info<SumOf>(t), {x, some}, {}, along(axes, axes % 2, Total::sum), t}, e.size());
        if (axes % 3 == 0)
          check_call({info<Norm>(t), {x, some, row}, {0.1}, along(axes), t}, e.size());
        if (e.size()) check_call({info<MaxOf>(t), {x}, {}, along(axes, axes % 2), t}, e.size());
      }
    }
}

TEST_CASE("device: long sums, and many rows that add to one place", "[device]") {
  if (!have_device()) return;
  for (Dtype t : both) {
    const Operand x = operand(t, extents({3, 70001}), 8), row = operand(t, extents({70001}), 9);
    check_call({info<SumOf>(t), {x, row}, {}, along(3, false), t}, 210003);
    check_call({info<SumOf>(t), {x, row}, {}, along(3, false, Total::mean_all), t}, 210003);
    check_call({info<Chain>(t), {x, row, row}, {0}, {}, t}, 210003);
    const Operand tall = operand(t, extents({9000, 5}), 8), five = operand(t, extents({5}), 9);
    check_call({info<Chain>(t), {tall, five, five}, {0}, {}, t}, 45000);
    check_call({info<Softmax>(t), {tall}, {}, along(2), t}, 5);
    check_call({info<Norm>(t), {tall, five, five}, {0.1}, along(2), t}, 45000);
    check_call({info<SumOf>(t), {tall, five}, {}, along(2, true), t}, 45000);
  }
}

TEST_CASE("device: cross entropy, one loss a row or their mean", "[device]") {
  if (!have_device()) return;
  for (Dtype t : both)
    for (Index n : {1, 3, 10, 33, 1000})
      for (Index rows : {1, 2, 7, 300}) {
        Operand label;
        label.e = extents({rows}), label.strides[0] = 1;
        label.base = made(rows % 2 ? Dtype::i64 : Dtype::i32, extents({rows}),
                          [&](Index i) { return (i * i + 1) % n; });
        GroupCall how = along(2, false, rows % 2 ? Total::mean_rows : Total::none);
        how.dropped_leaves = 2;
        CAPTURE(name_of(t), rows, n);
        check_call({info<Entropy>(t), {operand(t, extents({rows, n}), 3), label}, {}, how, t}, n);
      }
}

TEST_CASE("device: NaN, infinities and ties", "[device]") {
  if (!have_device()) return;
  for (Dtype t : both) {
    const AnyTensor x = of(
        t, extents({4, 5}),
        {1,        3, 3, 2,         3, not_a_number, 1,         2,         3,         4,
         infinity, 0, 1, -infinity, 2, -infinity,    -infinity, -infinity, -infinity, -infinity});
    Operand o;
    o.base = x, o.e = x.extents(), o.strides[0] = 5, o.strides[1] = 1;
    for (std::uint32_t axes : {1u, 2u, 3u}) {
      check_call({info<MaxOf>(t), {o}, {}, along(axes, false), t}, 5);
      check_call({info<Softmax>(t), {o}, {}, along(axes), t}, 5);
      check_call({info<MeanOf>(t), {o}, {}, along(axes, false), t}, 5);
    }
    // Forward only: where tanh has reached 1, its slope is 0 or a rounding of it.
    check_call({info<Chain>(t), {o, o, operand(t, extents({5}), 1)}, {0}, {}, t, false}, 20);
    Call less{info<IsLess>(t), {o, operand(t, extents({4, 1}), 2)}, {}, {}, Dtype::boolean, false};
    CHECK(alike(less.on(cuda(0))[0], less.on(cpu)[0]));
  }
}

TEST_CASE("device: leaves of storage types, results of any dtype", "[device]") {
  if (!have_device()) return;
  const Extents e = extents({7, 33});
  for (Dtype from : {Dtype::bf16, Dtype::f16, Dtype::f32, Dtype::i32, Dtype::u8})
    for (Layout layout : layouts)
      for (Dtype to : {Dtype::bf16, Dtype::f16, Dtype::f32, Dtype::f64}) {
        CAPTURE(name_of(from), name_of(to), static_cast<int>(layout));
        const Call c{info<Chain>(Dtype::f32),
                     {operand(from, e, 1, layout), operand(Dtype::f32, extents({33}), 2),
                      operand(Dtype::bf16, extents({7, 1}), 3)},
                     {0.5},
                     {},
                     to};
        const auto here = c.on(cpu), there = c.on(cuda(0));
        // One rounding to 8 or 11 bits may fall to either side.
        const double own = to == Dtype::bf16 ? 0x1p-7 : to == Dtype::f16 ? 0x1p-10 : 0;
        for (std::size_t i = 0; i < here.size(); ++i)
          CHECK(apart(there[i], here[i]) <= own + rounding(Dtype::f32, e.size()) +
                                                (here[i].dtype() == Dtype::bf16 ? 0x1p-7 : 0));
      }
}

TEST_CASE("device: integers compute in their own type", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::i64, Dtype::i32})
    for (Index n : {0, 1, 5, 64, 1000}) {
      const Operand x = operand(t, extents({7, n}), 1, layouts[n % 4], -90, 90),
                    row = operand(t, extents({n}), 2, Layout::dense, -90, 90);
      auto same = [&](const StatementInfo* i, std::vector<Operand> in, GroupCall how, Dtype to) {
        const Call c{i, std::move(in), {}, how, to, false};
        CHECK(alike(c.on(cuda(0))[0], c.on(cpu)[0]));
      };
      const bool wide = t == Dtype::i64;
      same(wide ? &detail::InfoOf<Whole, std::int64_t>::info
                : &detail::InfoOf<Whole, std::int32_t>::info,
           {x, row}, {}, t);
      for (std::uint32_t axes : {1u, 2u, 3u})
        for (Total total : {Total::none, Total::sum})
          same(wide ? &detail::InfoOf<SumOf, std::int64_t>::info
                    : &detail::InfoOf<SumOf, std::int32_t>::info,
               {x, row}, along(axes, false, total), t);
      same(wide ? &detail::InfoOf<IsLess, std::int64_t>::info
                : &detail::InfoOf<IsLess, std::int32_t>::info,
           {x, row}, {}, Dtype::boolean);
    }
}
