// SPDX-License-Identifier: Apache-2.0
// The workloads in libtorch's C++ interface, as its own tutorials write them. Not linked with tenon.
#include <torch/torch.h>

#include <functional>
#include <string>

namespace {

using torch::Tensor;
using torch::autograd::variable_list;

// Work without a graph, or the gradients of its inputs.
template <class F>
std::function<void()> forward(F f) {
  return [f] {
    torch::NoGradGuard guard;
    Tensor y = f();
  };
}
template <class F>
std::function<void()> both(F f, variable_list inputs, Tensor seed) {
  return [f, inputs, seed] { variable_list g = torch::autograd::grad({f()}, inputs, {seed}); };
}
Tensor leaf(Tensor t, bool wanted) { return t.set_requires_grad(wanted); }

struct Net : torch::nn::Module {
  torch::nn::Linear fc1{nullptr}, fc2{nullptr}, fc3{nullptr};
  Net() {
    fc1 = register_module("fc1", torch::nn::Linear(784, 256));
    fc2 = register_module("fc2", torch::nn::Linear(256, 128));
    fc3 = register_module("fc3", torch::nn::Linear(128, 10));
  }
  Tensor forward(Tensor x) { return fc3(torch::relu(fc2(torch::relu(fc1(x))))); }
};

std::function<void()> train_step(long batch) {
  auto net = std::make_shared<Net>();
  auto sgd = std::make_shared<torch::optim::SGD>(net->parameters(),
                                                 torch::optim::SGDOptions(0.05).momentum(0.9));
  Tensor x = torch::rand({batch, 784}), label = torch::randint(0, 10, {batch}, torch::kLong);
  return [=] {
    sgd->zero_grad();
    Tensor loss = torch::nn::functional::cross_entropy(net->forward(x), label);
    loss.backward();
    sgd->step();
    volatile float value = loss.item<float>();
    (void)value;
  };
}

std::function<void()> chain(long n, bool gradients) {
  variable_list v;
  for (int i = 0; i < 5; ++i) v.push_back(leaf(torch::rand({n}), gradients));
  auto f = [a = v[0], x = v[1], b = v[2], c = v[3], d = v[4]] {
    return torch::tanh(a * x + b) * torch::sigmoid(c) + d;
  };
  return gradients ? both(f, v, torch::ones({n})) : forward(f);
}

std::function<void()> softmax(long rows, long n, bool gradients) {
  Tensor x = leaf(torch::randn({rows, n}), gradients);
  auto f = [x] { return torch::softmax(x, -1); };
  return gradients ? both(f, {x}, torch::rand({rows, n})) : forward(f);
}
std::function<void()> layer_norm(long rows, long n, bool gradients) {
  Tensor x = leaf(torch::randn({rows, n}), gradients), w = leaf(torch::ones({n}), gradients),
         b = leaf(torch::zeros({n}), gradients);
  auto f = [=] { return torch::layer_norm(x, {n}, w, b); };
  return gradients ? both(f, {x, w, b}, torch::rand({rows, n})) : forward(f);
}
std::function<void()> cross_entropy(long rows, long n, bool gradients) {
  Tensor x = leaf(torch::randn({rows, n}), gradients),
         label = torch::randint(0, n, {rows}, torch::kLong);
  auto f = [=] { return torch::nn::functional::cross_entropy(x, label); };
  return gradients ? both(f, {x}, torch::ones({})) : forward(f);
}

std::function<void()> nodes(long count, long n) {
  Tensor x = leaf(torch::rand({n}), true);
  auto f = [=] {
    Tensor h = x;
    for (long i = 0; i < count; ++i) h = torch::tanh(h);
    return h;
  };
  return both(f, {x}, torch::ones({n}));
}
std::function<void()> matmul(long m, long n, long k) {
  Tensor a = torch::rand({m, k}), b = torch::rand({k, n});
  return forward([=] { return torch::matmul(a, b); });
}

}  // namespace

extern "C" const char* tenon_peer_name() { return "libtorch " TORCH_VERSION; }

extern "C" std::function<void()>* tenon_peer_make(const char* workload, const long* size,
                                                  int sizes) {
  // With OMP_NUM_THREADS=1 it is 1 already, and setting it starts a thread in this program.
  if (at::get_num_threads() != 1) at::set_num_threads(1);
  const std::string name = workload;
  std::function<void()> run;
  if (name == "train_step" && sizes == 1) run = train_step(size[0]);
  if (name == "chain" && sizes == 2) run = chain(size[0], size[1] != 0);
  if (name == "softmax" && sizes == 3) run = softmax(size[0], size[1], size[2] != 0);
  if (name == "layer_norm" && sizes == 3) run = layer_norm(size[0], size[1], size[2] != 0);
  if (name == "cross_entropy" && sizes == 3) run = cross_entropy(size[0], size[1], size[2] != 0);
  if (name == "nodes" && sizes == 2) run = nodes(size[0], size[1]);
  if (name == "matmul" && sizes == 3) run = matmul(size[0], size[1], size[2]);
  return run ? new std::function<void()>(run) : nullptr;
}
