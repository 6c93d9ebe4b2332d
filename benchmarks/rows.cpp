// SPDX-License-Identifier: Apache-2.0
// Groups that reduce rows: kernels that tenon derives against kernels written by hand for one function.
#include "support/bench.hpp"
#include "support/by_hand.hpp"
#include "support/data.hpp"

using namespace tenon;

namespace {

using Matrix = Tensor<float, Shape<dyn, dyn>>;
using Vector = Tensor<float, Shape<dyn>>;
namespace hand = bench::by_hand;

struct Arrays {
  Index rows, n;
  AnyTensor x, dy, w, b, label;
  std::vector<float> y, dx, dw, db, kept;
  Arrays(Index r, Index width)
      : rows(r),
        n(width),
        x(bench::numbers({r, width}, 1, 3)),
        dy(bench::numbers({r, width}, 2)),
        w(bench::numbers({width}, 3)),
        b(bench::numbers({width}, 4)),
        label(bench::labels(r, width)),
        y(static_cast<std::size_t>(r * width)),
        dx(y),
        dw(static_cast<std::size_t>(width)),
        db(dw),
        kept(static_cast<std::size_t>(2 * r)) {}
  static const float* in(const AnyTensor& t) { return static_cast<const float*>(t.raw()); }
};

bench::Contest softmax_rows(Index rows, Index n, bool gradients) {
  auto v = std::make_shared<Arrays>(rows, n);
  Matrix x = v->x;
  auto f = [=] { return softmax(x, axis<-1>); };
  bench::Contest c;
  c.tenon = gradients ? bench::with_gradients(f, std::array{v->x}, v->dy) : bench::value_of(f);
  c.peer = peer::make("softmax", {rows, n, gradients});
  c.hand = [=] {
    hand::softmax(v->in(v->x), v->y.data(), rows, n);
    if (gradients) hand::softmax_backward(v->y.data(), v->in(v->dy), v->dx.data(), rows, n);
  };
  return c;
}

bench::Contest layer_norm_rows(Index rows, Index n, bool gradients) {
  auto v = std::make_shared<Arrays>(rows, n);
  Matrix x = v->x;
  Vector w = v->w, b = v->b;
  auto f = [=] { return nn::layer_norm(x, w, b); };
  bench::Contest c;
  c.tenon = gradients ? bench::with_gradients(f, std::array{v->x, v->w, v->b}, v->dy)
                      : bench::value_of(f);
  c.peer = peer::make("layer_norm", {rows, n, gradients});
  c.hand = [=] {
    hand::layer_norm(v->in(v->x), v->in(v->w), v->in(v->b), v->y.data(), v->kept.data(), rows, n);
    if (gradients)
      hand::layer_norm_backward(v->in(v->x), v->in(v->w), v->in(v->dy), v->kept.data(),
                                v->dx.data(), v->dw.data(), v->db.data(), rows, n);
  };
  return c;
}

bench::Contest cross_entropy_rows(Index rows, Index n, bool gradients) {
  auto v = std::make_shared<Arrays>(rows, n);
  Matrix x = v->x;
  Tensor<std::int64_t, Shape<dyn>> label = v->label;
  auto f = [=] { return nn::cross_entropy(x, label); };
  bench::Contest c;
  c.tenon =
      gradients ? bench::with_gradients(f, std::array{v->x}, AnyTensor{}) : bench::value_of(f);
  c.peer = peer::make("cross_entropy", {rows, n, gradients});
  c.hand = [=] {
    const auto* l = static_cast<const std::int64_t*>(v->label.raw());
    benchmark::DoNotOptimize(hand::cross_entropy(v->in(v->x), l, v->kept.data(), rows, n));
    if (gradients)
      hand::cross_entropy_backward(v->in(v->x), l, v->kept.data(), 1, v->dx.data(), rows, n);
  };
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    const std::pair<const char*, bench::Contest (*)(Index, Index, bool)> groups[] = {
        {"softmax", softmax_rows},
        {"layer norm", layer_norm_rows},
        {"cross entropy", cross_entropy_rows}};
    for (auto [name, make] : groups)
      for (Index n : {10, 128, 1000, 4096})
        for (bool gradients : {false, true})
          bench::add(std::string(name) + (gradients ? " f+b, rows of " : " forward, rows of ") +
                         std::to_string(n),
                     [make = make, n, gradients] { return make(65536 / n, n, gradients); });
  });
}
