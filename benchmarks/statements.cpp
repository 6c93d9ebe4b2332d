// SPDX-License-Identifier: Apache-2.0
// tanh(a * x + b) * sigmoid(c) + d: one fused kernel against a peer's five, and against the loop one would write.
#include <thread>

#include "support/bench.hpp"
#include "support/data.hpp"
#include "support/limits.hpp"

namespace {

using bench::Float;
using namespace tenon;
using Vector = Tensor<float, Shape<dyn>>;

struct Arrays {
  AnyTensor a, x, b, c, d, dy;
  std::array<AnyTensor, 6> out;  // the result and five gradients
  Index n;

  explicit Arrays(Index count) : n(count) {
    AnyTensor* leaf[] = {&a, &x, &b, &c, &d};
    for (int i = 0; i < 5; ++i) *leaf[i] = bench::numbers({n}, i + 1, 2);
    dy = bench::filled({n}, 1);
    for (AnyTensor& t : out) t = bench::filled({n}, 0);
  }
  const float* in(const AnyTensor& t) const { return static_cast<const float*>(t.raw()); }
  float* to(int i) { return static_cast<float*>(out[static_cast<std::size_t>(i)].raw_writable()); }
};

TENON_INLINE Float sigmoid_of(Float x) { return Float(1) / (Float(1) + exp(-x)); }

__attribute__((noinline)) void forward_by_hand(Arrays& v) {
  const float *a = v.in(v.a), *x = v.in(v.x), *b = v.in(v.b), *c = v.in(v.c), *d = v.in(v.d);
  float* y = v.to(0);
  for (Index i = 0; i < v.n; i += Float::size) {
    Float u = multiply_add(Float::load(a + i), Float::load(x + i), Float::load(b + i));
    multiply_add(tanh(u), sigmoid_of(Float::load(c + i)), Float::load(d + i)).store(y + i);
  }
}

__attribute__((noinline)) void backward_by_hand(Arrays& v) {
  const float *a = v.in(v.a), *x = v.in(v.x), *b = v.in(v.b), *c = v.in(v.c), *dy = v.in(v.dy);
  float *da = v.to(1), *dx = v.to(2), *db = v.to(3), *dc = v.to(4), *dd = v.to(5);
  for (Index i = 0; i < v.n; i += Float::size) {
    Float g = Float::load(dy + i), p = Float::load(a + i), q = Float::load(x + i);
    Float t = tanh(multiply_add(p, q, Float::load(b + i))), s = sigmoid_of(Float::load(c + i));
    Float gs = g * s, du = gs * (Float(1) - t * t);
    (du * q).store(da + i);
    (du * p).store(dx + i);
    du.store(db + i);
    (gs * t * (Float(1) - s)).store(dc + i);
    g.store(dd + i);
  }
}

template <class F>
bench::Contest contest(std::shared_ptr<Arrays> v, bool gradients, F f) {
  bench::Contest k;
  const Index n = v->n;
  k.peer = peer::make("chain", {n, gradients});
  if (!gradients) {
    k.tenon = bench::value_of(f);
    k.hand = [v] { forward_by_hand(*v); };
    k.limit = bench::stream<5, 1>(n);
  } else {
    k.tenon = bench::with_gradients(f, std::array{v->a, v->x, v->b, v->c, v->d}, v->dy);
    k.hand = [v] { forward_by_hand(*v), backward_by_hand(*v); };
    k.limit = [one = bench::stream<5, 1>(n), two = bench::stream<5, 5>(n)] { one(), two(); };
  }
  return k;
}
bench::Contest chain(Index n, bool gradients, bool in_fuse) {
  auto v = std::make_shared<Arrays>(n);
  Vector a = v->a, x = v->x, b = v->b, c = v->c, d = v->d;
  const auto chain = [](const auto& p, const auto& q, const auto& r, const auto& s, const auto& t) {
    return tanh(p * q + r) * sigmoid(s) + t;
  };
  if (in_fuse) return contest(v, gradients, [=] { return fuse(chain, a, x, b, c, d); });
  return contest(v, gradients, [=] { return chain(a, x, b, c, d); });
}

// Counts of owners are plain additions until a program starts its first thread; then they are locked.
void start_a_thread() {
  std::thread([] {}).join();
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    const auto add = [](std::string name, Index n, bool in_fuse, bool threads) {
      for (bool gradients : {false, true})
        bench::add(
            name + (gradients ? " forward+backward" : " forward") + (threads ? ", threads" : ""),
            [=] {
              if (threads) start_a_thread();
              return chain(n, gradients, in_fuse);
            });
    };
    for (auto [n, text] :
         {std::pair{Index(1) << 10, "1K"}, {Index(1) << 16, "64K"}, {Index(1) << 20, "1M"}})
      add(std::string("statement ") + text, n, false, false);
    add("statement in fuse 1K", 1 << 10, true, false);
    add("statement 1K", 1 << 10, false, true);
    add("statement in fuse 1K", 1 << 10, true, true);
  });
}
