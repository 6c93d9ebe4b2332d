// SPDX-License-Identifier: Apache-2.0
// The half that g++ builds: tensors and models go to the other half and come back. Ends with 0 where
// all is as it must be; without a device on the processor.
#include "exchange.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace exchange;

static int wrong = 0;
static void check(bool good, const char* what) {
  if (good) return;
  std::printf("wrong: %s\n", what);
  ++wrong;
}
static bool close(const AnyTensor& a, const AnyTensor& b) {
  const AnyTensor x = a.to(cpu).to(Dtype::f64).to_contiguous(),
                  y = b.to(cpu).to(Dtype::f64).to_contiguous();
  if (!(x.extents() == y.extents())) return false;
  for (Index i = 0; i < x.size(); ++i)
    if (!(std::fabs(x.data<double>()[i] - y.data<double>()[i]) < 1e-4)) return false;
  return true;
}

int main() {
  const Device d = cuda_or_cpu();
  if (d == cpu && std::getenv("TENON_REQUIRE_DEVICE")) {
    std::puts("TENON_REQUIRE_DEVICE is set, but there is no CUDA device");
    return 1;
  }
  Rng rng(1);
  const Sample s{normal(rng, Shape<dyn, 8>{32}), randint(rng, 0, 3, Shape<dyn>{32})};
  const Sample moved = to(s, d);

  // What the other half has kernels for is seen here, with or without a device.
  using Sigmoid = expr::Group<1, 0, 0, expr::word(op::number<op::Sigmoid>, 0)>;
  check(kernel::device_group<Sigmoid, float, false>.forward.device, "a group's slot is empty");
  check(kernel::device_group<Sigmoid, float, false>.backward.device, "a backward slot is empty");
  check(kernel::device_update<optim::Sgd, float>.device, "an optimizer's slot is empty");
  check(abi::device_kernels.copy.device, "the slots of every program are empty");
  check(close(plain_there(moved.x).any(), Tensor(sigmoid(s.x)).any()), "sigmoid");

  // A tensor made here, a statement that only the other half has.
  check(close(only_there(moved.x).any(), only_there(s.x).any()), "a statement of the other half");

  // A model made there, used and trained here and there by turns: as on the processor throughout.
  Net net = made_there(d), same = made_there(cpu);
  check(net.last.weight.device() == d, "the device of a model that was made there");
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  auto other = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, same);
  for (int round = 0; round < 3; ++round) {
    train_step(net, optimizer, loss, moved);
    trained_there(net, optimizer, moved, 2);
    for (int i = 0; i < 3; ++i) train_step(same, other, loss, s);
  }
  check(close(net.hidden.weight.any(), same.hidden.weight.any()), "training by turns");
  check(close(optimizer.state[0].last.weight.any(), other.state[0].last.weight.any()),
        "the optimizer's state");

  // A statement that only this half has.
  try {
    const Tensor<float, Shape<dyn, 8>> y = sigmoid(moved.x) - moved.x;
    check(d == cpu, "a statement without a kernel ran on a device");
    check(close(y.any(), Tensor(sigmoid(s.x) - s.x).any()), "a statement of this half");
  } catch (const Error& e) {
    check(e.code() == Error::device, "the code of the error");
    check(std::string(e.what()) ==
              "tenon::cuda: the statement of sigmoid, subtract has no kernel for a device: its "
              "file must "
              "be built by nvcc and include tenon/cuda.hpp",
          e.what());
  }
  std::printf("exchange on %s: %d wrong\n", d == cpu ? "the processor" : "cuda(0)", wrong);
  return wrong;
}
