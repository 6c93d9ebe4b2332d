// SPDX-License-Identifier: Apache-2.0
// Derivatives: the tape, the gradient of a struct, value_and_grad, second derivatives, checking a
// gradient, and a training loop by hand. What the program prints stands behind `//` where it is
// short.
#include <tenon/tenon.hpp>

#include <cstdio>
using namespace tenon;

void tape() {
  auto x = tensor<float>({1, 2, 3});
  Tape tape;  // records what this thread computes from now on
  auto loss = sum(x * x * x);
  print(tape.gradient(loss, x));  // [ 3. 12. 27.]; gradient ends the tape
}

// A model is a struct of tensors; its gradient is the same struct.
struct Line {
  Tensor<float, Shape<>> slope, offset;  // rank 0: one number
  auto operator()(const auto& x) const { return x * slope + offset; }
};

void gradient_of_a_struct() {
  Line line{tensor(2.0f), tensor(1.0f)};
  auto x = tensor<float>({0, 1, 2, 3}), y = tensor<float>({1, 2, 3, 4});
  Tape tape;
  auto loss = mean(square(line(x) - y));
  Line g = tape.gradient(loss, line);
  std::printf("loss %g, d/dslope %g, d/doffset %g\n", loss.item(), g.slope.item(),
              g.offset.item());  // loss 3.5, d/dslope 7, d/doffset 3

  // The same as a function: no tape in sight.
  auto [value, gradient] = value_and_grad([](const Line& l, const auto& in, const auto& target) {
    return mean(square(l(in) - target));
  })(line, x, y);
  std::printf("loss %g, d/dslope %g\n", value.item(), gradient.slope.item());
}

// Tapes nest: the inner gradient is itself recorded by the outer tape.
void second_derivative() {
  auto x = tensor(0.5);
  Tape outer;
  Tensor<double, Shape<>> slope;
  {
    Tape inner;
    auto y = sin(x) * x;
    slope = inner.gradient(y, x);  // sin x + x cos x
  }
  auto curvature = outer.gradient(slope, x);                           // 2 cos x - x sin x
  std::printf("f' %.6f, f'' %.6f\n", slope.item(), curvature.item());  // 0.918217, 1.515452
}

// The gradient of a layer norm, compared with central differences.
void check() {
  auto normed = [](const auto& x) {
    return fuse(
        [](auto v) {
          auto d = v - mean(v, axis<-1>, keepdims);
          return d * rsqrt(mean(d * d, axis<-1>, keepdims) + 1e-5);
        },
        x);
  };
  auto x = normal<double>(Rng{7}, Shape<3, 5>{});
  std::printf("worst error below 1e-7: %s\n", gradcheck(normed, x) < 1e-7 ? "yes" : "no");  // yes
}

// Training by hand: a network of one hidden layer learns sin.
struct Net {
  nn::Linear<1, 32> hidden;
  nn::Linear<32, 1> out;
  auto operator()(const auto& x) const { return out(tanh(hidden(x))); }
};

void train() {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
  auto x = uniform(Rng{4}, Shape<256, 1>{}, -3, 3);
  Tensor y = sin(x);
  for (int step = 0; step <= 300; ++step) {
    Tape tape;
    auto loss = nn::mse_loss(net(x), y);
    optimizer.step(net, tape.gradient(loss, net));  // the tape has ended: written in place
    if (step % 100 == 0) std::printf("step %3d  loss %.5f\n", step, loss.item());
  }
  Paused nothing_is_recorded;  // outside of a tape nothing is recorded anyway
  std::printf("sin(1) is about %.2f\n", net(full(Shape<1, 1>{}, 1)).item());
}

int main() {
  tape();
  gradient_of_a_struct();
  second_derivative();
  check();
  train();
}
