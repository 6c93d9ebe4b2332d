// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes of any layout against plain loops; totals; thread counts; gradients that
// nobody reaches.
#include <tenon/kernel/group_run.hpp>

#include <tenon/core/parallel.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {

struct Reduction {
  const char* name;
  const OpInfo *f32, *f64;
  double (*row)(const std::vector<double>& x, double extra);
};

double sum_row(const std::vector<double>& x, double) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}
double mean_row(const std::vector<double>& x, double) {
  return sum_row(x, 0) / static_cast<double>(x.size());
}
double max_row(const std::vector<double>& x, double) {
  double m = -infinity;
  for (double v : x) m = std::isnan(v) || std::isnan(m) ? not_a_number : std::max(m, v);
  return m;
}
double min_row(const std::vector<double>& x, double) {
  double m = infinity;
  for (double v : x) m = std::isnan(v) || std::isnan(m) ? not_a_number : std::min(m, v);
  return m;
}
double logsumexp_row(const std::vector<double>& x, double) {
  double m = max_row(x, 0), s = 0;
  if (std::isnan(m) || std::isinf(m)) return m;
  for (double v : x) s += std::exp(v - m);
  return m + std::log(s);
}
double pick_row(const std::vector<double>& x, double extra) {
  return x.at(static_cast<std::size_t>(extra));
}

template <class R>
Reduction reduction(double (*row)(const std::vector<double>&, double)) {
  return {R::name, &op_info<R, float>, &op_info<R, double>, row};
}
const std::vector<Reduction>& reductions() {
  static const std::vector<Reduction> all = {reduction<op::Sum>(sum_row),
                                             reduction<op::Mean>(mean_row),
                                             reduction<op::Max>(max_row),
                                             reduction<op::Min>(min_row),
                                             reduction<op::LogSumExp>(logsumexp_row),
                                             reduction<op::Pick>(pick_row)};
  return all;
}

/// R over the axes (bits from the front), with the second operand that it needs.
AnyTensor run(const Reduction& r, Dtype compute, const AnyTensor& x, std::uint32_t axes, bool keep,
              const AnyTensor& label = {}) {
  const auto& pick = [&](const Reduction& which) -> const OpInfo& {
    return compute == Dtype::f64 ? *which.f64 : *which.f32;
  };
  GroupCall how;
  how.axes = axes, how.keepdims = keep;
  AnyTensor in[2] = {x, label};
  const OpInfo& op = pick(r);
  if (op.arity == 2 && !label.defined()) {
    const OpInfo& peak =
        compute == Dtype::f64 ? op_info<op::Peak, double> : op_info<op::Peak, float>;
    in[1] = kernel::evaluate(*peak.single, in, 1, nullptr, how, compute, Context{});
  }
  if (op.arity == 2 && !keep) how.dropped_leaves = 2;
  return kernel::evaluate(*op.single, in, op.arity, nullptr, how, compute, Context{});
}

/// The rows of x over the axes, in row-major order of what is left.
std::vector<std::vector<double>> rows_of(const AnyTensor& x, std::uint32_t axes, Extents& rest,
                                         bool keep) {
  const Extents e = x.extents();
  rest = kernel::detail::reduced_extents(e, axes, keep);
  std::vector<std::vector<double>> rows(static_cast<std::size_t>(rest.size()));
  const std::vector<double> v = values(x);
  for (Index k = 0; k < e.size(); ++k) {
    Index place[max_rank] = {}, left = k, at = 0;
    for (int i = e.rank - 1; i >= 0; --i) place[i] = left % e.extent[i], left /= e.extent[i];
    for (int i = 0; i < e.rank; ++i)
      if (!(axes >> i & 1)) at = at * e.extent[i] + place[i];
    rows[static_cast<std::size_t>(at)].push_back(v[static_cast<std::size_t>(k)]);
  }
  return rows;
}

void check(const Reduction& r, Dtype compute, const AnyTensor& x, std::uint32_t axes, bool keep) {
  Extents rest;
  const auto rows = rows_of(x, axes, rest, keep);
  if (std::string(r.name) == "pick" && (rows.empty() || rows[0].empty())) return;
  std::vector<double> want, labels;
  std::size_t longest = 1;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    labels.push_back(rows[i].empty() ? 0 : static_cast<double>((7 * i + 3) % rows[i].size()));
    want.push_back(r.row(rows[i], labels[i]));
    longest = std::max(longest, rows[i].size());
  }
  const AnyTensor label =
      std::string(r.name) == "pick" ? of(Dtype::i64, rest, labels) : AnyTensor{};
  const AnyTensor y = run(r, compute, x, axes, keep, label);
  CAPTURE(r.name, name_of(compute), to_string(x.extents()), axes, keep);
  REQUIRE(y.extents() == rest);
  // A sum of n numbers below 2 in size, in some order: n units.
  const double unit = compute == Dtype::f64 ? 0x1p-52 : 0x1p-23;
  REQUIRE(distance(values(y), want) <=
          4 * unit * static_cast<double>(longest) / std::sqrt(static_cast<double>(longest)));
}

}  // namespace

TEST_CASE("a reduction over any axes, kept or dropped, is a loop over them") {
  const Dtype compute = GENERATE(Dtype::f32, Dtype::f64);
  for (const Reduction& r : reductions())
    for (const Extents& e : {extents({6}), extents({3, 5}), extents({4, 1, 3}),
                             extents({2, 3, 4, 5}), extents({2, 1, 3, 1, 2, 1, 2, 2})})
      for (std::uint32_t axes = 1; axes < 1u << e.rank; axes += e.rank == 8 ? 7 : 1)
        for (bool keep : {false, true}) {
          const AnyTensor x = spread(compute, e, axes);
          check(r, compute, x, axes, keep);
          check(r, compute, strided(x), axes, keep);
          if (e.rank > 1) check(r, compute, swapped(x, 0, e.rank - 1), axes, keep);
        }
}

TEST_CASE("rows of any length are reduced alike") {
  const Dtype compute = GENERATE(Dtype::f32, Dtype::f64);
  const Index length = GENERATE(0, 1, 7, 8, 15, 16, 17, 1000, 5000);
  for (const Reduction& r : reductions())
    for (Index rows : {0, 1, 3}) {
      check(r, compute, spread(compute, extents({rows, length}), 1), 2, false);
      check(r, compute, spread(compute, extents({length, rows}), 1), 1, true);
      check(r, compute, spread(compute, extents({rows, length, 2}), 1), 6, false);
    }
}

TEST_CASE("NaN and infinities in a row come out as the formula says") {
  for (const Reduction& r : reductions())
    for (double special : {not_a_number, infinity, -infinity})
      for (Index place : {0, 7, 16, 18}) {
        const AnyTensor x = made(Dtype::f32, extents({2, 19}), [&](Index i) {
          return i == place ? special : 0.25 * static_cast<double>(i % 5);
        });
        check(r, Dtype::f32, x, 2, false);
      }
  for (const Reduction& r : reductions())
    for (double all : {infinity, -infinity})
      check(r, Dtype::f32, made(Dtype::f32, extents({2, 19}), [&](Index) { return all; }), 2,
            false);
}

TEST_CASE("pick names the label that is out of range") {
  const AnyTensor x = spread(Dtype::f32, extents({3, 4}), 1);
  for (double bad : {4.0, -1.0})
    CHECK_THROWS_WITH(
        run(reductions()[5], Dtype::f32, x, 2, false, of(Dtype::i64, extents({3}), {0, bad, 1})),
        ContainsSubstring("position 1 is out of range for 4 classes"));
}

TEST_CASE("the total of all rows is what their results add up to") {
  const Index n = GENERATE(1, 17, 5000);
  const auto x = spread<float, Shape<3, dyn>>(1, {3, n});
  const auto rows = [&](auto f) {
    double s = 0;
    for (double v : values(f)) s += v;
    return s;
  };
  const double unit = 1e-4;  // f32 sums of thousands
  CHECK(std::fabs(sum(x).item() - rows(x)) <= unit);
  CHECK(std::fabs(mean(x).item() - rows(x) / static_cast<double>(3 * n)) <= unit);
  CHECK(std::fabs(sum(max(x, axis<-1>)).item() - rows(max(x, axis<-1>))) <= unit);
  CHECK(std::fabs(mean(max(x, axis<-1>)).item() - rows(max(x, axis<-1>)) / 3) <= unit);
  CHECK(std::fabs(sum(mean(x, axis<-1>)).item() - rows(mean(x, axis<-1>))) <= unit);
  CHECK(std::fabs(sum(square(mean(x, axis<-1>))).item() - rows(square(mean(x, axis<-1>)))) <= unit);
  CHECK(std::fabs(sum(square(x)).item() - rows(square(x))) <=
        unit * static_cast<double>(n) / 100 + unit);
}

TEST_CASE("sums of integers and counts are exact in 64 bits") {
  const auto big = Tensor<std::int64_t, Shape<3>>(
      made(Dtype::i64, extents({3}), [](Index i) { return i == 1 ? 1.0 : 0x1p60; }));
  CHECK(sum(big).item() == (std::int64_t{1} << 61) + 1);
  CHECK(values(sum(Tensor<std::uint8_t, Shape<2, 300>>(
                       made(Dtype::u8, extents({2, 300}), [](Index) { return 255; })),
                   axis<-1>)) == std::vector<double>{76500, 76500});
  const auto x = spread<float, 4, 9>(2);
  int positive = 0;
  for (double v : values(x)) positive += v > 0;
  CHECK(sum(x > 0.f).item() == positive);
}

TEST_CASE("the bits of a result do not depend on the number of threads") {
  const int before = num_threads();
  std::vector<AnyTensor> one, two;
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    auto& out = threads == 1 ? one : two;
    for (Index rows : {1, 7, 3000})
      for (Index n : {17, 1000, 40000}) {
        if (rows * n > 4000000) continue;
        const AnyTensor x = spread(Dtype::f32, extents({rows, n}), 3);
        for (const Reduction& r : reductions()) {
          if (std::string(r.name) == "pick") continue;
          out.push_back(run(r, Dtype::f32, x, 2, false));
          out.push_back(run(r, Dtype::f32, x, 1, false));
        }
        const auto t = Tensor<float, Shape<dyn, dyn>>(x);
        out.push_back(Tensor(sum(tanh(t))).any());
        out.push_back(Tensor(mean(square(t))).any());
        Tape tape;
        Tensor y = tanh(t) * t;
        out.push_back(y.any());
        out.emplace_back();
        tape.gradient(y.any(), std::span(&x, 1), std::span(&out.back(), 1), y.any());
      }
  }
  set_num_threads(before);
  REQUIRE(one.size() == two.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits(one[i], two[i]));
  }
}

TEST_CASE(
    "an operand that only steps and comparisons read has gradient zero, whatever its memory held") {
  for (int i = 0; i < 3; ++i) {
    const auto x = spread<float, 3, 40>(1);
    const auto a = spread<float, 3, 40>(2);
    for (int k = 0; k < 8; ++k) {  // memory that the allocator hands out again
      AnyTensor used = AnyTensor::empty(Dtype::f32, extents({3, 40}));
      for (float& v : used.write<float>()) v = 77;
    }
    Tape tape;
    Tensor loss = sum(where(x > 0.f, a, 2 * a) + floor(x));
    CHECK(values(tape.gradient(loss, x)) == std::vector<double>(120, 0));
  }
}

TEST_CASE("a gradient that no operation passes on is zero, wherever its memory comes from") {
  for (Dtype t : {Dtype::f32, Dtype::f64}) {
    const AnyTensor x = spread(t, extents({100}), 1);
    for (int i = 0; i < 2; ++i) {
      { const AnyTensor filled = spread(t, extents({100}), 2); }  // its memory is handed out again
      Tape tape;
      const StatementInfo& info =
          t == Dtype::f64
              ? detail::InfoOf<expr::Group<1, 0, 0, expr::word(op::number<op::Round>, 0)>,
                               double>::info
              : detail::InfoOf<expr::Group<1, 0, 0, expr::word(op::number<op::Round>, 0)>,
                               float>::info;
      const AnyTensor in = i ? strided(x) : x;
      const AnyTensor y =
          kernel::evaluate(info, &in, 1, nullptr, GroupCall{}, t, Context::current());
      AnyTensor g;
      tape.gradient(y, std::span(&in, 1), std::span(&g, 1), spread(t, extents({100}), 3));
      CHECK(values(g) == std::vector<double>(100, 0.0));
    }
  }
}
