// SPDX-License-Identifier: Apache-2.0
// remat: the gradients that there are without it, from less memory.
#include <tenon/tape/remat.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {

struct Block {
  Tensor<float, Shape<16, 16>> weight;
  Tensor<float, Shape<16>> bias;
  nn::Dropout drop{.p = 0.3f};
  auto operator()(const auto& x) const {
    return drop(tanh(matmul(sin(x), weight) + bias)) + softmax(x, axis<-1>);
  }
};
Block block(unsigned i) { return {spread<float, 16, 16>(i), spread<float, 16>(i + 1)}; }

std::vector<AnyTensor> parameters(const Block& b) { return {b.weight.any(), b.bias.any()}; }

// Value and gradients of sum(f()) by wrt, at a fixed random position.
template <class F>
std::vector<AnyTensor> run(const F& f, const std::vector<AnyTensor>& wrt) {
  ambient().position = 77, ambient().call = 3;
  Tape tape;
  Tensor y = f();
  Tensor loss = sum(y);
  std::vector<AnyTensor> out(wrt.size() + 1);
  tape.gradient(loss.any(), wrt, std::span<AnyTensor>(out).first(wrt.size()));
  out.back() = y.any();
  return out;
}
bool all_same(const std::vector<AnyTensor>& a, const std::vector<AnyTensor>& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
  return same;
}

struct Deep {
  std::vector<Block> blocks;
  auto operator()(const auto& x) const {
    Tensor h = x;
    for (const Block& b : blocks) h = b(h);
    return h;
  }
};

struct Branch {
  Tensor<double, Shape<3>> weight;
  std::vector<Branch> below;
  Tensor<double, Shape<3>> operator()(const Tensor<double, Shape<3>>& x) const {
    Tensor y = x * weight;
    for (const Branch& b : below) y = y + b(y);
    return y;
  }
};
struct Outer {
  Block a, b;
  auto operator()(const auto& x) const { return remat(b)(remat(a)(x)); }
};
struct Counter {
  Tensor<double, Shape<3>> gain;
  State<Tensor<double, Shape<3>>> seen;
  auto operator()(const auto& x) const {
    Tensor y = x * gain * seen.value;
    seen.set(seen.value + 1);
    return y;
  }
};
struct Changing {
  State<Tensor<double, Shape<>>> unused;
  static int& calls() {
    static int n = 0;
    return n;
  }
  auto operator()(const Tensor<double, Shape<dyn>>& x) const {
    return concatenate(axis<0>, x,
                       Tensor<double, Shape<dyn>>(zeros<double>(Shape<dyn>{calls()++}))) *
           2;
  }
};

}  // namespace

TEST_CASE("with remat values and gradients have the same bits, dropout included") {
  const Block b = block(1);
  const auto x = spread<float, 8, 16>(4);
  auto wrt = parameters(b);
  wrt.push_back(x.any());
  const auto plain = run([&] { return b(x); }, wrt), again = run([&] { return remat(b)(x); }, wrt);
  CHECK(all_same(plain, again));
  const auto other = [&] {
    Tape tape;
    return tape.gradient(Tensor(sum(remat(b)(x))), x);
  }();
  CHECK_FALSE(same_bits(other.any(), plain[2]));  // another call has another mask
}

TEST_CASE("remat leaves the random position where f leaves it, forward and after backward") {
  const Block b = block(1);
  const auto x = spread<float, 8, 16>(4);
  Tape tape;
  ambient().call = 10;
  Tensor loss = sum(remat(b)(x));
  CHECK(ambient().call == 11);
  ambient().call = 20;
  ++ambient().position;
  const auto position = ambient().position;
  (void)tape.gradient(loss, x);
  CHECK(ambient().call == 20);
  CHECK(ambient().position == position);
  CHECK_FALSE(is_training());
  CHECK(Context::current().serial == 0);
}

TEST_CASE("functions, lambdas and expressions as arguments; without a tape remat(f) is f") {
  const auto x = spread<float, 8, 16>(4);
  const auto w = spread<float, 16>(5);
  const auto f = [](const auto& x, const auto& w, float scale) { return exp(x * w) * scale; };
  CHECK(same_bits(Tensor(remat(f)(x, w, 2.f)).any(), Tensor(f(x, w, 2.f)).any()));
  const std::vector<AnyTensor> wrt{x.any(), w.any()};
  const auto plain = run([&] { return f(Tensor(x * 2), w, 0.5f); }, wrt);
  CHECK(all_same(plain, run([&] { return remat(f)(x * 2, w, 0.5f); }, wrt)));
  // A struct and a number of its tensors as an argument.
  const Block b = block(1);
  const auto call = [](const Block& b, const auto& x) { return b(x); };
  CHECK(all_same(run([&] { return b(x); }, parameters(b)),
                 run([&] { return remat(call)(b, x); }, parameters(b))));
}

TEST_CASE("remat of a function that returns its argument, and of one that does not use it") {
  const auto x = spread<double, 3>(1), y = spread<double, 3>(2);
  {
    Tape tape;
    Tensor z = remat([](const auto& x) { return x; })(x);
    CHECK(z.id() != x.id());
    CHECK(values(tape.gradient(Tensor(sum(z * y)), x)) == values(y));
  }
  Tape tape;
  Tensor z = remat([](const auto& x, const auto&) { return x * x; })(x, y);
  CHECK(values(tape.gradient(Tensor(sum(z)), y, AfterGradient::keep)) == std::vector<double>(3, 0));
  Tensor constant = remat([](const auto& x) { return stop_gradient(x); })(x);
  CHECK(values(tape.gradient(Tensor(sum(constant + z)), x)) == values(2 * x));
}

TEST_CASE("a tensor passed twice, and used inside and outside, gets the sum of its gradients") {
  const auto x = spread<double, 3>(1);
  Tape tape;
  Tensor y = remat([](const auto& a, const auto& b) { return a * a * b; })(x, x);
  CHECK(distance(values(tape.gradient(Tensor(sum(y * x)), x)), values(4 * x * x * x)) <= 1e-14);
}

TEST_CASE("more parameters than a statement has operands") {
  Deep deep;
  std::vector<AnyTensor> wrt;
  for (unsigned i = 0; i < 20; ++i) {
    deep.blocks.push_back(block(3 * i));
    for (const AnyTensor& t : parameters(deep.blocks.back())) wrt.push_back(t);
  }
  const auto x = spread<float, 8, 16>(4);
  wrt.push_back(x.any());
  CHECK(all_same(run([&] { return deep(x); }, wrt), run([&] { return remat(deep)(x); }, wrt)));
  // Some of them only, and used outside as well.
  const std::vector<AnyTensor> some{deep.blocks[7].bias.any(), x.any()};
  const auto plain = run([&] { return deep(x) * deep.blocks[7].bias; }, some),
             again = run([&] { return remat(deep)(x) * deep.blocks[7].bias; }, some);
  CHECK(distance(plain[0], again[0]) <= 1e-5);
  CHECK(same_bits(plain[1], again[1]));
}

TEST_CASE("a struct that holds its own kind") {
  const Branch b{spread<double, 3>(1), {{spread<double, 3>(2), {}}, {spread<double, 3>(3), {}}}};
  const auto x = spread<double, 3>(4);
  const std::vector<AnyTensor> wrt{x.any(), b.weight.any(), b.below[1].weight.any()};
  CHECK(all_same(run([&] { return b(x); }, wrt), run([&] { return remat(b)(x); }, wrt)));
}

TEST_CASE("a sink hears of every gradient of a wide node once") {
  struct Sink final : GradientSink {
    std::vector<int> heard;
    void final(int index, const AnyTensor&) override { heard.push_back(index); }
  } sink;
  Deep deep;
  std::vector<AnyTensor> wrt;
  std::vector<int> all;
  for (unsigned i = 0; i < 15; ++i) {
    deep.blocks.push_back(block(3 * i));
    for (const AnyTensor& t : parameters(deep.blocks.back()))
      all.push_back(static_cast<int>(wrt.size())), wrt.push_back(t);
  }
  const auto x = spread<float, 8, 16>(4);
  Tape tape;
  Tensor loss = sum(remat(deep)(x) * deep.blocks[3].bias);
  std::vector<AnyTensor> g(wrt.size());
  tape.gradient(loss.any(), wrt, g, {}, AfterGradient::end, &sink);
  std::sort(sink.heard.begin(), sink.heard.end());
  CHECK(sink.heard == all);
}

TEST_CASE("remat inside remat") {
  const Outer o{block(1), block(5)};
  const auto x = spread<float, 8, 16>(4);
  std::vector<AnyTensor> wrt{x.any(), o.a.weight.any(), o.a.bias.any(), o.b.weight.any(),
                             o.b.bias.any()};
  const auto plain = run([&] { return o.b(Tensor(o.a(x))); }, wrt);
  CHECK(all_same(plain, run([&] { return o(x); }, wrt)));
  CHECK(all_same(plain, run([&] { return remat(o)(x); }, wrt)));
}

TEST_CASE("a tape keeps the arguments only: less memory at the peak") {
  Deep deep;
  std::vector<AnyTensor> wrt;
  for (unsigned i = 0; i < 8; ++i) {
    deep.blocks.push_back(block(3 * i));
    for (const AnyTensor& t : parameters(deep.blocks.back())) wrt.push_back(t);
  }
  const auto x = spread<float, 1024, 16>(4);
  const auto peak = [&](bool again) {
    memory::reset_peak();
    const auto before = memory::statistics().live;
    (void)run(
        [&] {
          Tensor h = x;
          for (int i = 0; i < 4; ++i) {
            const Deep part{{deep.blocks[static_cast<std::size_t>(2 * i)],
                             deep.blocks[static_cast<std::size_t>(2 * i + 1)]}};
            if (again) h = remat(part)(h);
            else h = part(h);
          }
          return h;
        },
        wrt);
    return memory::statistics().peak - before;
  };
  const auto plain = peak(false), less = peak(true);
  CAPTURE(plain, less);
  CHECK(less < plain * 7 / 10);
}

TEST_CASE("what the node holds is freed by the walk, by the tape's end, and when f throws") {
  const Block b = block(1);
  const auto x = spread<float, 512, 16>(4);
  const auto step = [&](int how) {
    Tape tape;
    Tensor y = remat(b)(x);
    if (how == 1) (void)tape.gradient(Tensor(sum(y)), x);
    if (how == 2)
      CHECK_THROWS_AS(remat([](const auto& x) {
                        (void)x(0, 99);
                        return x;
                      })(x),
                      Error);
  };
  for (int how : {0, 1, 2}) step(how);
  const auto live = memory::statistics().live;
  for (int how : {0, 1, 2, 1, 2}) step(how);
  CHECK(memory::statistics().live == live);
}

TEST_CASE("second derivatives go through remat") {
  const auto x = spread<double, 5>(1), w = spread<double, 5>(2);
  const auto f = [](const auto& x, const auto& w) { return tanh(x * w) * x; };
  CHECK_NOTHROW(gradcheck([&](const auto& x, const auto& w) { return remat(f)(x, w); }, x, w));
  CHECK_NOTHROW(
      gradcheck_second([&](const auto& x, const auto& w) { return exp(remat(f)(x, w)); }, x, w));
  CHECK_NOTHROW(gradcheck_second(
      [&](const auto& x) {
        return remat(
            [](const auto& x) { return remat([](const auto& x) { return sin(x); })(x) * x; })(x);
      },
      x));
}

TEST_CASE("the mode of the first run holds in the second") {
  const auto x = spread<float, 64, 16>(4);
  const Block b = block(1);
  const auto wrt = parameters(b);
  const auto evaluated = [&](auto f) {
    return run(
        [&] {
          Evaluation scope;
          return Tensor(f());
        },
        wrt);
  };
  CHECK(all_same(evaluated([&] { return b(x); }), evaluated([&] { return remat(b)(x); })));
}

TEST_CASE("State: the first run writes it once, the second reads what the first read") {
  const auto make = [] { return Counter{spread<double, 3>(1), {spread<double, 3>(2)}}; };
  const auto x = spread<double, 3>(3);
  const Counter a = make(), b = make();
  const auto before = values(a.seen.value);
  const auto plain = run([&] { return a(x); }, {a.gain.any()}),
             again = run([&] { return remat(b)(x); }, {b.gain.any()});
  CHECK(all_same(plain, again));
  CHECK(values(a.seen.value) == values(Tensor(b.seen.value)));
  CHECK(values(b.seen.value)[0] == before[0] + 1);
  // Nor does a second walk over a tape that is kept see what the first one would have written.
  Tape tape;
  Tensor loss = sum(remat(b)(x));
  const auto first = tape.gradient(loss, b.gain, AfterGradient::keep),
             second = tape.gradient(loss, b.gain, AfterGradient::keep);
  CHECK(same_bits(first.any(), second.any()));
}

TEST_CASE("a function that gives other extents when it is run again is an error") {
  const Tensor<double, Shape<dyn>> x(spread<double, 3>(1));
  Tape tape;
  Tensor loss = sum(remat(Changing{})(x));
  try {
    (void)tape.gradient(loss, x);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Error::tape);
    CHECK_THAT(e.what(), ContainsSubstring("remat: the function gave [4] when it was run again and "
                                           "[3] at first"));
  }
}
