// SPDX-License-Identifier: Apache-2.0
// Every operation through the door, against its own formula on one number at a time.
#include <tenon/kernel/evaluate.hpp>

#include "kernel/operations.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace evaluate_test {

namespace {

enum class Layout { dense, transposed, strided };

AnyTensor laid_out(const AnyTensor& x, Layout how) {
  if (how == Layout::strided) return strided(x);
  if (how == Layout::transposed && x.rank() > 1)
    return swapped(swapped(x, 0, x.rank() - 1).to_contiguous(), 0, x.rank() - 1);
  return x;
}

AnyTensor run(const OpInfo& op, const std::vector<AnyTensor>& in, Dtype dtype) {
  return kernel::evaluate(*op.single, in.data(), static_cast<int>(in.size()), nullptr, GroupCall{},
                          dtype, Context{});
}

std::vector<double> expected(const Operation& op, const std::vector<AnyTensor>& in, Extents& e) {
  e = Extents{};
  std::vector<std::vector<double>> x;
  for (const AnyTensor& t : in) {
    e = broadcast(e, t.extents()).extents;
    x.push_back(values(t));
  }
  std::vector<double> y;
  for (Index k = 0; k < e.size(); ++k) {
    double v[3] = {};
    for (std::size_t i = 0; i < in.size(); ++i) v[i] = element(x[i], in[i].extents(), e, k);
    y.push_back(op.forward(v));
  }
  return y;
}

/// The largest error over what the operation promises; at most 1 where it keeps its word.
double excess(const Operation& op, Dtype compute, const std::vector<double>& y,
              const std::vector<double>& want) {
  if (y.size() != want.size()) return infinity;
  const double unit = compute == Dtype::f64 ? 0x1p-52 : 0x1p-23,
               least = compute == Dtype::f64 ? 1e-300 : 0x1p-126;
  double worst = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] == want[i] || (std::isnan(y[i]) && std::isnan(want[i]))) continue;
    // In double the reference is itself a rounded function: 16 units for both.
    const double ulp = compute == Dtype::f64 ? 16 : op.ulp + 1;
    const double bound = ulp * unit * std::max(std::fabs(want[i]), least) +
                         (compute == Dtype::f64 ? op.absolute * 0x1p-28 : op.absolute);
    const double e = std::fabs(y[i] - want[i]) / bound;
    worst = e <= worst ? worst : (std::isnan(e) ? infinity : e);
  }
  return worst;
}

// Operands of one call: of ranks 0 to 8, with extents 0 and 1, broadcast both ways.
const std::vector<std::vector<Extents>>& shapes() {
  static const std::vector<std::vector<Extents>> all = {
      {extents({}), extents({}), extents({})},
      {extents({17}), extents({}), extents({1})},
      {extents({0}), extents({1}), extents({})},
      {extents({3, 1}), extents({1, 37}), extents({37})},
      {extents({5, 16}), extents({5, 16}), extents({5, 1})},
      {extents({2, 0, 3}), extents({3}), extents({1, 1, 1})},
      {extents({2, 3, 4}), extents({3, 1}), extents({2, 1, 4})},
      {extents({2, 1, 3, 5}), extents({4, 1, 5}), extents({2, 4, 3, 1})},
      {extents({2, 1, 2, 3, 2}), extents({2, 3, 1}), extents({1, 2, 1, 1, 2})},
      {extents({1, 2, 1, 2, 1, 3}), extents({2, 1, 2, 3, 1}), extents({3})},
      {extents({2, 1, 2, 1, 1, 2, 3}), extents({2, 1, 2, 3}), extents({2, 1, 1, 1, 1, 1, 1})},
      {extents({2, 1, 2, 1, 2, 1, 2, 3}), extents({2, 1, 2, 1, 2, 1, 1}),
       extents({1, 1, 1, 1, 1, 1, 1, 1})},
  };
  return all;
}

}  // namespace

TEST_CASE(
    "an operation on tensors of any rank, extents and strides is its formula on each element") {
  const Dtype compute = GENERATE(Dtype::f32, Dtype::f64);
  for (const Operation& op : operations()) {
    const OpInfo& info = compute == Dtype::f64 ? *op.f64 : *op.f32;
    for (const auto& shape : shapes())
      for (Layout how : {Layout::dense, Layout::transposed, Layout::strided}) {
        std::vector<AnyTensor> in;
        for (int i = 0; i < op.arity; ++i)
          in.push_back(
              laid_out(spread(compute, shape[static_cast<std::size_t>(i)],
                              static_cast<unsigned>(i + 1), op.range[i].low, op.range[i].high),
                       how));
        Extents e;
        const std::vector<double> want = expected(op, in, e);
        const AnyTensor y = run(info, in, compute);
        CAPTURE(op.name, name_of(compute), to_string(e), static_cast<int>(how));
        REQUIRE(y.extents() == e);
        REQUIRE(excess(op, compute, values(y), want) <= 1);
      }
  }
}

TEST_CASE("long rows and many rows give what short ones give") {
  for (const Operation& op : operations())
    for (const auto& shape :
         {std::vector<Extents>{extents({3, 5000}), extents({3, 1}), extents({5000})},
          std::vector<Extents>{extents({20000}), extents({20000}), extents({1})},
          std::vector<Extents>{extents({5000, 3}), extents({3}), extents({5000, 1})}}) {
      std::vector<AnyTensor> in;
      for (int i = 0; i < op.arity; ++i)
        in.push_back(spread(Dtype::f32, shape[static_cast<std::size_t>(i)], 7, op.range[i].low,
                            op.range[i].high));
      Extents e;
      const std::vector<double> want = expected(op, in, e);
      CAPTURE(op.name, to_string(e));
      REQUIRE(excess(op, Dtype::f32, values(run(*op.f32, in, Dtype::f32)), want) <= 1);
    }
}

TEST_CASE("NaN, infinities and zeros go through an operation as through its formula") {
  const Dtype compute = GENERATE(Dtype::f32, Dtype::f64);
  const std::vector<double> special = {not_a_number, infinity, -infinity, 0.0, -0.0, 1, -1, 0.5, 3};
  const Index n = static_cast<Index>(special.size());
  for (const Operation& op : operations()) {
    std::vector<AnyTensor> in = {of(compute, extents({n, 1, 1}), special),
                                 of(compute, extents({n, 1}), special),
                                 of(compute, extents({n}), special)};
    in.resize(static_cast<std::size_t>(op.arity));
    Extents e;
    const std::vector<double> want = expected(op, in, e);
    const std::vector<double> y =
        values(run(compute == Dtype::f64 ? *op.f64 : *op.f32, in, compute));
    CAPTURE(op.name, name_of(compute));
    CHECK(excess(op, compute, y, want) <= 1);
  }
}

TEST_CASE("operations that take integers compute in them exactly") {
  const Dtype compute = GENERATE(Dtype::i32, Dtype::i64);
  for (const Operation& op : operations()) {
    if (!op.i32) continue;
    std::vector<AnyTensor> in;
    for (int i = 0; i < op.arity; ++i)
      in.push_back(spread(compute, extents({7, 11}), static_cast<unsigned>(i), 1, 9));
    Extents e;
    std::vector<double> want = expected(op, in, e);
    for (double& v : want) v = std::trunc(v);
    CAPTURE(op.name, name_of(compute));
    CHECK(values(run(compute == Dtype::i64 ? *op.i64 : *op.i32, in, compute)) == want);
  }
}

TEST_CASE(
    "whatever dtype an operand is stored in, it is read in the compute type and the result rounded "
    "once") {
  const Operation& op = operations()[op::number<op::Add>];
  for (Dtype a : {Dtype::bf16, Dtype::f16, Dtype::f32, Dtype::f64, Dtype::i64, Dtype::i32,
                  Dtype::u8, Dtype::boolean})
    for (Dtype out : {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::f64}) {
      const std::vector<AnyTensor> in = {spread(a, extents({3, 19}), 5, 0, 7),
                                         spread(Dtype::f32, extents({19}), 6)};
      Extents e;
      const std::vector<AnyTensor> read = {in[0].to(Dtype::f32), in[1]};
      const AnyTensor want = of(Dtype::f32, extents({3, 19}), expected(op, read, e)).to(out);
      CAPTURE(name_of(a), name_of(out));
      const AnyTensor y = run(*op.f32, in, out);
      CHECK(y.dtype() == out);
      CHECK(same_bits(y, want));
    }
}

TEST_CASE("the door names the operation when an operand has no value or does not fit") {
  const Operation& op = operations()[op::number<op::Add>];
  CHECK_THROWS_WITH(run(*op.f32, {AnyTensor{}, spread(Dtype::f32, extents({2}), 1)}, Dtype::f32),
                    ContainsSubstring("add: the tensor was never given a value"));
  CHECK_THROWS_WITH(
      run(*op.f32, {spread(Dtype::f32, extents({4, 3}), 1), spread(Dtype::f32, extents({5, 1}), 1)},
          Dtype::f32),
      ContainsSubstring("add: operands do not broadcast on axis 0: [4, 3] and [5, 1] (4 vs 5)"));
}

TEST_CASE("a result has an id of its own and shares no memory with its operands") {
  const AnyTensor x = spread(Dtype::f32, extents({4}), 1);
  const AnyTensor y = run(*operations()[op::number<op::Abs>].f32, {x}, Dtype::f32);
  CHECK(y.id() != x.id());
  CHECK(y.raw() != x.raw());
}

}  // namespace evaluate_test
