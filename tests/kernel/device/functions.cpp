// SPDX-License-Identifier: Apache-2.0
// What does not fuse, on a device: lookups, casts, rearrangements, random leaves; and what is
// refused.
#include <tenon/kernel/device/functions.hpp>

#include <tenon/function/all.hpp>
#include <tenon/nn/all.hpp>

#include "support/any_device.hpp"

using namespace tests;

namespace {
using Arguments = std::vector<AnyTensor>;
using Function = AnyTensor (*)(const Arguments&);

std::vector<AnyTensor> run(Function f, const Arguments& x, Device d) {
  Arguments in, wrt;
  for (const AnyTensor& t : x) {
    in.push_back(t.to(d));
    if (is_floating(t.dtype())) wrt.push_back(in.back());
  }
  std::vector<AnyTensor> out(1 + wrt.size());
  Tape tape;
  out[0] = f(in);
  if (!is_floating(out[0].dtype())) return {out[0]};
  const AnyTensor seed = spread(out[0].dtype(), out[0].extents(), 7, 0.5, 1.5).to(d);
  tape.gradient(out[0], wrt, std::span<AnyTensor>(out).subspan(1), seed);
  return out;
}
void same(Function f, const Arguments& x, double bound = 0) {
  const auto here = run(f, x, cpu), there = run(f, x, cuda(0));
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(i, to_string(here[i].extents()));
    REQUIRE(there[i].extents() == here[i].extents());
    CHECK(apart(there[i], here[i]) <= bound);
  }
}
AnyTensor indices(const Extents& e, Index rows, Dtype t = Dtype::i64) {
  return made(t, e, [=](Index i) { return (i * i + 3 * i) % rows; });
}
}  // namespace

TEST_CASE("device: rows of a table, and their gradients", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (Index width : {0, 1, 3, 64, 100})
      for (Index count : {0, 1, 5, 200}) {
        CAPTURE(name_of(t), width, count);
        const AnyTensor table = spread(t, extents({11, width}), 1);
        for (Dtype i : {Dtype::i64, Dtype::i32, Dtype::u8})
          same([](const Arguments& x) { return take(x[0], x[1]); },
               {table, indices(extents({count}), 11, i)}, rounding(t, count));
        same([](const Arguments& x) { return scatter_rows(x[0], x[1], 11); },
             {spread(t, extents({count, width}), 2), indices(extents({count}), 11)},
             rounding(t, count));
      }
  same([](const Arguments& x) { return take(x[0], x[1]); },
       {spread(Dtype::f32, extents({5, 2, 3}), 1), indices(extents({2, 4}), 5)}, 1e-6);
  for (Dtype t : {Dtype::boolean, Dtype::u8, Dtype::i32, Dtype::i64, Dtype::bf16, Dtype::f16}) {
    const AnyTensor table = made(t, extents({7, 3}), [](Index i) { return i % 5; }),
                    at = indices(extents({9}), 7);
    CHECK(alike(take(table.to(cuda(0)), at.to(cuda(0))), take(table, at)));
  }
}

TEST_CASE("device: where the largest and the smallest lie", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64, Dtype::i64, Dtype::i32, Dtype::u8, Dtype::f16}) {
    const AnyTensor x = made(t, extents({4, 6, 5}), [](Index i) { return i * 7 % 13; }),
                    there = x.to(cuda(0));
    for (int axis = 0; axis < 3; ++axis)
      for (bool keep : {false, true}) {
        CHECK(alike(argmax(there, axis, keep), argmax(x, axis, keep)));
        CHECK(alike(argmin(there, axis, keep), argmin(x, axis, keep)));
      }
  }
  const AnyTensor odd = of(Dtype::f32, extents({2, 4}),
                           {1, not_a_number, 3, not_a_number, -infinity, infinity, infinity, 0});
  CHECK(alike(argmax(odd.to(cuda(0)), 1), argmax(odd, 1)));
  CHECK(alike(argmin(odd.to(cuda(0)), 1), argmin(odd, 1)));
}

TEST_CASE("device: rows are sorted, equal keys in their order and NaN last, and summed up",
          "[device]") {
  if (!have_device()) return;
  const abi::DeviceTable& table = *abi::device_table;
  for (Dtype t : {Dtype::f32, Dtype::f64, Dtype::i64, Dtype::i32})
    for (Index rows : {1, 3, 40})
      for (Index n : {0, 1, 2, 33, 1000}) {
        CAPTURE(name_of(t), rows, n);
        AnyTensor x = made(t, extents({rows, n}), [&](Index i) {
          if (is_floating(t) && i % 11 == 5) return i % 2 ? not_a_number : -infinity;
          return static_cast<double>((i * i * 7919 + i) % 101) - 50;
        });
        const std::vector<double> v = values(x);
        const AnyTensor there = x.to(cuda(0)), sorted = AnyTensor::empty(t, x.extents(), cuda(0)),
                        order = AnyTensor::empty(Dtype::i64, x.extents(), cuda(0));
        const auto type = static_cast<std::uint8_t>(t);
        for (bool descending : {false, true}) {
          REQUIRE_FALSE(table.sort(0, {there.get()->data, sorted.get()->data, order.get()->data,
                                       type, rows, n, descending}));
          std::vector<double> want, from;
          for (Index r = 0; r < rows; ++r) {
            std::vector<Index> at(static_cast<std::size_t>(n));
            for (Index i = 0; i < n; ++i) at[static_cast<std::size_t>(i)] = i;
            auto key = [&](Index i) { return v[static_cast<std::size_t>(r * n + i)]; };
            std::stable_sort(at.begin(), at.end(), [&](Index a, Index b) {
              const double p = key(descending ? b : a), q = key(descending ? a : b);
              return std::isnan(q) ? !std::isnan(p) : p < q;
            });
            for (Index i : at) want.push_back(key(i)), from.push_back(static_cast<double>(i));
          }
          CHECK(distance(values(sorted.to(cpu)), want) == 0);
          CHECK(values(order.to(cpu)) == from);
        }
        x = made(t, extents({rows, n}), [](Index i) { return (i * i * 31) % 17 - 8; });
        const AnyTensor source = x.to(cuda(0)), sums = AnyTensor::empty(t, x.extents(), cuda(0));
        REQUIRE_FALSE(table.scan(0, {source.get()->data, sums.get()->data, type, rows, n}));
        std::vector<double> want = values(x);  // small whole numbers: exact in every type
        for (Index i = 0; i < rows * n; ++i)
          if (i % n) want[static_cast<std::size_t>(i)] += want[static_cast<std::size_t>(i - 1)];
        CHECK(values(sums.to(cpu)) == want);
      }
}

TEST_CASE("device: rearrangements and their gradients move every bit", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64}) {
    const AnyTensor x = spread(t, extents({4, 6, 5}), 1), y = spread(t, extents({4, 2, 5}), 2);
    same([](const Arguments& a) { return slice(a[0], 1, Slice{4, tenon::open, -2}); }, {x});
    same([](const Arguments& a) { return slice(a[0], 0, Slice{1, 3}); }, {x});
    same([](const Arguments& a) { return select(a[0], 2, -1); }, {x});
    same([](const Arguments& a) { return flip(a[0], 1); }, {x});
    same([](const Arguments& a) { return permute(a[0], std::array{2, 0, 1}); }, {x});
    same([](const Arguments& a) { return swapaxes(a[0], 0, 2); }, {x});
    same([](const Arguments& a) { return reshape(swapaxes(a[0], 0, 2), extents({10, 12})); }, {x});
    same([](const Arguments& a) { return squeeze(unsqueeze(a[0], 1), 1); }, {x});
    same([](const Arguments& a) { return concatenate(a, 1); },
         {x, y, spread(t, extents({4, 1, 5}), 4)});
    same([](const Arguments& a) { return stack(a, 0); }, {y, spread(t, extents({4, 2, 5}), 4)});
    same(
        [](const Arguments& a) {
          return broadcast_to(a[0], extents({3, 4, 5}));
        },
        {spread(t, extents({4, 1}), 3)}, rounding(t, 15));
    same([](const Arguments& a) { return split(a[0], std::array<Index, 2>{2, 4}, 1)[1]; }, {x});
    same([](const Arguments& a) { return cast(cast(a[0], Dtype::f64), Dtype::f32); }, {x}, 1e-7);
  }
}

TEST_CASE("device: random leaves have the processor's bits", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (const Extents& e : {extents({}), extents({0}), extents({1}), extents({5}), extents({3, 7}),
                             extents({2, 3, 1001})})
      for (std::uint32_t shard : {0u, 1u, 6u}) {
        seed_random(9);
        ambient().shard = shard;
        const AnyTensor u = kernel::uniform_leaf(t, e);
        CHECK(alike(kernel::detail::generate_on(cuda(0), *u.get()), u.to_contiguous()));
        ambient().shard = 0;
      }
  const Tensor<float, Shape<dyn, 33>> x(spread(Dtype::f32, extents({7, 33}), 1));
  auto dropped = [](const auto& in) {
    seed_random(5);
    Tape tape;
    const nn::Dropout drop{.p = 0.4f};
    const Tensor<float, Shape<dyn, 33>> y = drop(in);
    const Tensor<float, Shape<>> total = sum(y);
    return std::pair(y, tape.gradient(total, in));
  };
  const auto here = dropped(x), there = dropped(x.to(cuda(0)));
  CHECK(alike(there.first.any(), here.first.any()));
  CHECK(alike(there.second.any(), here.second.any()));
}

TEST_CASE("device: an index out of range is reported when the host waits, once", "[device]") {
  if (!have_device()) return;
  const AnyTensor table = spread(Dtype::f32, extents({4, 3}), 1).to(cuda(0));
  for (Index bad : {4, -1}) {
    const AnyTensor at = made(Dtype::i64, extents({3}), [=](Index i) { return i == 2 ? bad : i; });
    const AnyTensor y = take(table, at.to(cuda(0)));
    CHECK_THROWS_MATCHES(
        y.to(cpu), Error,
        Message("tenon::take: index " + std::to_string(bad) +
                " at position 2 is out of range for an extent of 4 (found on cuda(0) and reported "
                "when the host waited for it)"));
    CHECK_NOTHROW(y.to(cpu));
    scatter_rows(spread(Dtype::f32, extents({3, 2}), 1).to(cuda(0)), at.to(cuda(0)), 4);
    CHECK_THROWS_WITH(synchronize(cuda(0)), StartsWith("tenon::scatter_rows: index"));
    CHECK_NOTHROW(synchronize(cuda(0)));
  }
  const Tensor<float, Shape<dyn, 3>> x(table);
  const Tensor<std::int64_t, Shape<dyn>> label(
      made(Dtype::i64, extents({4}), [](Index i) { return i; }));
  const Tensor<float, Shape<>> loss = nn::cross_entropy(x, label.to(cuda(0)));
  try {
    loss.item();
    FAIL("the label 3 of 3 classes was not found");
  } catch (const Error& e) {
    CHECK(e.code() == Error::index);
    CHECK_THAT(e.what(),
               StartsWith("tenon::pick: index 3 at position 3 is out of range for an extent of 3"));
  }
  CHECK_NOTHROW(x.any().to(cpu));
}

TEST_CASE("device: numbers of the host go along, other tensors of the host do not", "[device]") {
  if (!have_device()) return;
  const Tensor<float, Shape<dyn, 3>> x(spread(Dtype::f32, extents({4, 3}), 1));
  const Tensor<float, Shape<3>> row(spread(Dtype::f32, extents({3}), 2));
  const Tensor<float, Shape<>> number(of(Dtype::f32, {}, {1.5}));
  CHECK(apart(Tensor(x.to(cuda(0)) * number).any(), Tensor(x * number).any()) == 0);
  CHECK(apart(Tensor(number * x.to(cuda(0))).any(), Tensor(number * x).any()) == 0);
  auto slope = [&](const auto& in) {
    Tape tape;
    const Tensor<float, Shape<>> y = sum(in * number);
    return tape.gradient(y, in);
  };
  CHECK(apart(slope(x.to(cuda(0))).any(), slope(x).any()) == 0);
  CHECK_THROWS_MATCHES(
      Tensor(x.to(cuda(0)) * row), Error,
      Message("tenon::multiply: operands lie on cuda(0) and, [3], on the host; to(cuda(0)) "
              "copies it"));
  CHECK_THROWS_WITH(Tensor(x * row.to(cuda(0))), ContainsSubstring("on the host"));
  if (cuda_device_count() < 2) return;
  CHECK_THROWS_MATCHES(Tensor(x.to(cuda(0)) * row.to(cuda(1))), Error,
                       Message("tenon::multiply: operands lie on cuda(0) and cuda(1)"));
  CHECK_THROWS_WITH(Tensor(matmul(x.to(cuda(0)), transpose(x.to(cuda(1))))),
                    ContainsSubstring("cuda(0) and cuda(1)"));
}

TEST_CASE("device: gradients add up over uses and statements", "[device]") {
  if (!have_device()) return;
  const Tensor<double, Shape<dyn, 5>> x(spread(Dtype::f64, extents({7, 5}), 1));
  auto slopes = [](const auto& in) {
    Tape tape;
    const Tensor<double, Shape<dyn, 5>> a = tanh(in) * in, b = softmax(in + a, axis<-1>);
    const Tensor<double, Shape<>> y = sum(a * b + in);
    const auto first = tape.gradient(y, in, AfterGradient::keep), second = tape.gradient(y, in);
    CHECK(same_bits(first.any().to(cpu), second.any().to(cpu)));
    return second;
  };
  CHECK(apart(slopes(x.to(cuda(0))).any(), slopes(x).any()) <= rounding(Dtype::f64, 64));
}

TEST_CASE("device: second derivatives name what has no kernel", "[device]") {
  if (!have_device()) return;
  const Tensor<float, Shape<dyn>> x = spread<float, Shape<dyn>>(1, {5}).to(cuda(0));
  Tape outer;
  auto twice = [&] {
    Tape inner;
    const Tensor<float, Shape<>> y = sum(tanh(x) * x);
    const auto slope = inner.gradient(y, x);
    const Tensor<float, Shape<>> z = sum(slope * slope);
    return outer.gradient(z, x);
  };
  CHECK_THROWS_WITH(twice(), ContainsSubstring("has no kernel for a device: its file must be built "
                                               "by nvcc and include tenon/cuda.hpp"));
}

TEST_CASE("device: a statement without a kernel is an error that names its operations",
          "[device]") {
  if (!have_device()) return;
  using G = expr::Group<1, 0, 0, expr::word(op::number<op::Exp>, 0),
                        expr::word(op::number<op::Sigmoid>, 1)>;
  const StatementInfo& info = detail::InfoOf<G, float>::info;
  abi::DeviceGroupKernels& slot = kernel::device_group<G, float, false>;
  const abi::DeviceGroupKernels kept = std::exchange(slot, {});
  const AnyTensor x = spread(Dtype::f32, extents({5}), 1).to(cuda(0));
  auto run_it = [&] {
    return kernel::evaluate(info, &x, 1, nullptr, GroupCall{}, Dtype::f32, Context{});
  };
  CHECK_THROWS_MATCHES(
      run_it(), Error,
      Message("tenon::cuda: the statement of exp, sigmoid has no kernel for a device: its "
              "file must be built by nvcc and include tenon/cuda.hpp"));
  slot = kept;
  CHECK_NOTHROW(run_it().to(cpu));
}
