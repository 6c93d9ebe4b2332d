// SPDX-License-Identifier: Apache-2.0
// Random numbers that exist as a key only: who reads them sees the draw of that key.
#include <tenon/kernel/generated.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
template <class T>
void check_draw(Dtype dtype) {
  seed_random(42);
  ambient().position = 3, ambient().shard = 2;
  kernel::uniform_leaf(dtype, extents({1}));
  const std::int64_t live = memory::statistics().live;
  const AnyTensor u = kernel::uniform_leaf(dtype, extents({300, 1000}));
  CHECK(memory::statistics().live - live < 1024);
  std::vector<T> want(300 * 1000);
  fill_uniform(RandomKey{42, 3, 2, 1}, 0, 300 * 1000, want.data(), T(0), T(1));
  const AnyTensor made = u.to_contiguous();
  CHECK(std::memcmp(made.raw(), want.data(), want.size() * sizeof(T)) == 0);
  CHECK(same_bits(u.to_contiguous(), made));
  CHECK(same_bits(u.clone().to_contiguous(), made));
  T piece[7];
  tenon::detail::generate(*u.get(), 12345, 7, piece);
  CHECK(std::memcmp(piece, want.data() + 12345, sizeof piece) == 0);
  for (T x : want)
    if (!(x >= 0 && x < 1)) FAIL("outside [0, 1)");
  seed_random(0);
}
}  // namespace

TEST_CASE("a generated leaf takes no memory and is the draw of seed, position, shard and call") {
  check_draw<float>(Dtype::f32);
  check_draw<double>(Dtype::f64);
}

TEST_CASE("each leaf takes the next call number, and the position goes on after 2^24 of them") {
  seed_random(1);
  const AnyTensor a = kernel::uniform_leaf(Dtype::f32, extents({64})),
                  b = kernel::uniform_leaf(Dtype::f32, extents({64}));
  CHECK(ambient().call == 2);
  CHECK_FALSE(same_bits(a.to_contiguous(), b.to_contiguous()));
  ambient().call = (1u << 24) - 1;
  const AnyTensor last = kernel::uniform_leaf(Dtype::f32, extents({64}));
  CHECK(ambient().call == 0);
  CHECK(ambient().position == 1);
  CHECK_FALSE(same_bits(last.to_contiguous(),
                        kernel::uniform_leaf(Dtype::f32, extents({64})).to_contiguous()));
  seed_random(1);
  CHECK(ambient().position == 0);
  CHECK(same_bits(kernel::uniform_leaf(Dtype::f32, extents({64})).to_contiguous(),
                  a.to_contiguous()));
  seed_random(0);
}

TEST_CASE("the host is told that the numbers are not made; views and writes make them") {
  seed_random(1);
  AnyTensor u = kernel::uniform_leaf(Dtype::f32, extents({4, 6}));
  const AnyTensor full = u.to_contiguous();
  const Failure f = failure([&] { u.data<float>(); });
  CHECK(f.code == Error::tape);
  CHECK_THAT(f.text, ContainsSubstring("random numbers not yet made"));
  const Index strides[] = {1, 6};
  CHECK(same_bits(u.view(extents({6, 4}), strides, 0).to_contiguous(),
                  swapped(full, 0, 1).to_contiguous()));
  CHECK(same_bits(u.to(Dtype::f64), full.to(Dtype::f64)));
  u.write<float>()[0] = 5;
  auto want = values(full);
  want[0] = 5;
  CHECK(values(u) == want);
  seed_random(0);
}

TEST_CASE("a statement that computes in another type than a leaf's reads the same numbers") {
  const AnyTensor x = spread(Dtype::f32, extents({5000}), 1);
  for (Dtype d : {Dtype::f64, Dtype::f32}) {
    const AnyTensor u = kernel::uniform_leaf(d, extents({5000})), there = u.to_contiguous();
    const AnyTensor in[] = {u, x}, want[] = {there, x};
    const StatementInfo& add = *op_info<op::Add, float>.single;
    CHECK(same_bits(kernel::evaluate(add, in, 2, nullptr, GroupCall{}, Dtype::f32, Context{}),
                    kernel::evaluate(add, want, 2, nullptr, GroupCall{}, Dtype::f32, Context{})));
  }
}
