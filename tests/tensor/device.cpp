// SPDX-License-Identifier: Apache-2.0
// Tensors and models on devices: there and back, views, writes, text, what the host may not do.
#include <tenon/tensor/device.hpp>

#include <tenon/nn/all.hpp>

#include "support/any_device.hpp"

using namespace tests;

namespace {
const Dtype every_dtype[] = {Dtype::f32, Dtype::f64,     Dtype::i64,  Dtype::i32,
                             Dtype::u8,  Dtype::boolean, Dtype::bf16, Dtype::f16};
struct Parts {
  nn::Linear<6, 4> first;
  std::vector<nn::Linear<4, 4>> more = std::vector<nn::Linear<4, 4>>(2);
  std::optional<nn::LayerNorm<4>> norm = nn::LayerNorm<4>{};
  State<Tensor<float, Shape<2>>> running;
  int width = 4;
};
}  // namespace

TEST_CASE("device: there and back keeps every bit", "[device]") {
  if (!have_device()) return;
  for (Dtype t : every_dtype)
    for (const Extents& e : {extents({}), extents({0}), extents({1}), extents({3, 0}),
                             extents({7, 33}), extents({2, 1, 3, 1, 2, 1, 2, 2})})
      for (Layout layout : layouts) {
        const Operand x = operand(t, e, 1, layout, 0, 50);
        const AnyTensor here = x.on(cpu), there = x.on(cuda(0));
        CHECK(there.device() == cuda(0));
        CHECK(alike(there, here));
        CHECK(alike(here.to(cuda(0)), here));
        CHECK(alike(there.to_contiguous(), here));
        CHECK(there.to(cuda(0)).id() == there.id());
        if (cuda_device_count() > 1) {
          CHECK(same_bits(there.to(cuda(1)).to(cpu), here));
          CHECK(alike(there.to(cuda(1)).to(cuda(0)), here));
        }
      }
}

TEST_CASE("device: casts between all dtypes are the processor's", "[device]") {
  if (!have_device()) return;
  const double inf = infinity;
  const AnyTensor odd = of(Dtype::f64, extents({12}),
                           {0, -0.0, 1.5, -2.5, 3e9, -3e9, 1e300, 5e-324, 65519.99,
                            1 + 0x1p-8 + 0x1p-40, inf, not_a_number});
  for (Dtype from : every_dtype)
    for (Dtype to : every_dtype) {
      CAPTURE(name_of(from), name_of(to));
      for (Layout layout : layouts) {
        const Operand x = operand(from, extents({5, 9}), 1, layout, -100, 100);
        CHECK(alike(x.on(cuda(0)).to(to), x.on(cpu).to(to)));
      }
      if (!is_floating(from)) continue;
      const AnyTensor x = odd.to(from);
      const AnyTensor a = x.to(cuda(0)).to(to), b = x.to(to);
      if (is_floating(to)) CHECK(apart(a, b) == 0);
      else CHECK(alike(a, b));
    }
}

TEST_CASE("device: whoever writes first detaches; a view that is assigned writes into its tensor",
          "[device]") {
  if (!have_device()) return;
  using Matrix = Tensor<float, Shape<dyn, 5>>;
  const Matrix start(spread(Dtype::f32, extents({6, 5}), 1));
  const Tensor<float, Shape<5>> row(spread(Dtype::f32, extents({5}), 2));
  auto change = [&](Matrix x, const Tensor<float, Shape<5>>& r) {
    const Matrix kept = x, copy = x.clone();
    x(2) = r;
    x(slice(tenon::open, tenon::open, -2), every) = x(slice(1, 4), every) * 2.f;
    x(0, slice(1, 3)) = 7.f;
    CHECK(same_bits(kept.any().to(cpu), start.any()));
    CHECK(same_bits(copy.any().to(cpu), start.any()));
    return x;
  };
  const Matrix here = change(start, row);
  CHECK(alike(change(start.to(cuda(0)), row.to(cuda(0))).any(), here.any()));
  CHECK(alike(change(start.to(cuda(0)), row).any(), here.any()));
}

TEST_CASE("device: item and text bring the elements to the host", "[device]") {
  if (!have_device()) return;
  const Tensor<float, Shape<2, 3>> x(spread(Dtype::f32, extents({2, 3}), 1));
  CHECK(to_string(x.to(cuda(0)).any()) == to_string(x.any()));
  CHECK(Tensor(sum(x.to(cuda(0)))).item() == Approx(Tensor(sum(x)).item()));
  CHECK(Tensor<std::int64_t, Shape<>>(of(Dtype::i64, {}, {41})).to(cuda(0)).item() == 41);
}

TEST_CASE("device: the host cannot reach the elements, and says what does", "[device]") {
  if (!have_device()) return;
  auto x = spread<float, Shape<3, 2>>(1, {3, 2}).to(cuda(0));
  const std::string rest =
      ": the tensor [3, 2] lies on cuda(0), which the host cannot read or write; to(cpu) copies it";
  CHECK_THROWS_MATCHES(x.any().data<float>(), Error, Message("tenon::data" + rest));
  CHECK_THROWS_MATCHES(x.write(), Error, Message("tenon::write" + rest));
  CHECK_THROWS_MATCHES(x.span(), Error, Message("tenon::data" + rest));
  try {
    x.any().raw();
    FAIL("raw() gave device memory");
  } catch (const Error& e) {
    CHECK(e.code() == Error::device);
  }
  CHECK_THROWS_WITH(x.to(cuda(200)), ContainsSubstring("cuda(200): there are "));
}

TEST_CASE("device: a model moves with its type", "[device]") {
  if (!have_device()) return;
  Parts net;
  net = nn::init<Parts>(Rng{1});
  net.running.value = Tensor<float, Shape<2>>(of(Dtype::f32, extents({2}), {0.5, 3}));
  const Parts there = to(net, cuda(0)), again = to(there, cuda(0)), back = to(there, cpu);
  CHECK(there.width == 4);
  CHECK(alike(there.running.value.any(), net.running.value.any()));
  int count = 0;
  std::vector<AnyTensor> own;
  each_parameter(net, [&](const char*, auto& p) { own.push_back(p.any()); });
  each_parameter(there, [&](const char*, auto& p) {
    CHECK(alike(p.any(), own[static_cast<std::size_t>(count++)]));
  });
  CHECK(count == 8);
  CHECK(again.first.weight.id() == there.first.weight.id());
  CHECK(same_bits(back.norm->weight.any(), net.norm->weight.any()));
  CHECK(cuda_or_cpu() == cuda(0));
  CHECK(cuda_or_cpu(200) == cpu);
  CHECK(cuda_or_cpu(-1) == cpu);
}

#if !defined(__CUDACC__)
TEST_CASE("device: no memory is an error, after what was kept has been given back", "[device]") {
  auto& state = fake::on(0);
  const Extents e = extents({100000});
  { const AnyTensor warm = AnyTensor::empty(Dtype::f32, e, cuda(0)); }
  const std::size_t room = state.room;
  state.room = 0;
  CHECK_NOTHROW(AnyTensor::empty(Dtype::f32, e, cuda(0)));  // the one that was kept
  CHECK(state.pool->statistics().cached > 0);
  try {
    AnyTensor::empty(Dtype::f64, extents({1000000}), cuda(0));
    FAIL("there was memory");
  } catch (const Error& error) {
    CHECK(error.code() == Error::memory);
    CHECK(error.what() ==
          std::string("tenon::memory: 8000000 bytes could not be allocated on cuda(0)"));
  }
  CHECK(state.pool->statistics().cached == 0);
  state.room = room;
  CHECK_NOTHROW(AnyTensor::empty(Dtype::f64, extents({1000000}), cuda(0)));
}

TEST_CASE("device: a launch that fails is an error", "[device]") {
  const AnyTensor x = spread(Dtype::f32, extents({4}), 1).to(cuda(0));
  fake::on(0).failure = "out of resources";
  CHECK_THROWS_MATCHES(x.to(Dtype::f64), Error, Message("tenon::cuda: out of resources"));
  CHECK(same_bits(x.to(Dtype::f64).to(cpu), x.to(cpu).to(Dtype::f64)));
}
#endif
