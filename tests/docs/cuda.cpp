// SPDX-License-Identifier: Apache-2.0
// The code of docs/cuda.md and of the recipe for a device kernel, over the fake device.
#include "support/fake_device.hpp"

#include <tenon/tenon.hpp>

#include "support/catch.hpp"
using namespace tenon;

namespace device_docs {

struct Net {
  nn::Linear<20, 16> fc1;
  nn::Linear<16, 3> fc2;
  auto operator()(const auto& x) const { return fc2(relu(fc1(x))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 20>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }

// example-begin training
double train(const Sample& batch, int steps) {
  const Device device = cuda_or_cpu();  // cuda(0), or a line on stderr and the processor
  auto net = to(nn::init<Net>(Rng{1}), device);
  auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);  // its state lies beside the weights
  const Sample there = to(batch, device);
  Scalar last;
  for (int i = 0; i < steps; ++i) last = train_step(net, optimizer, loss, there).loss;
  return last;  // here the host waits for the first time
}
// example-end training

// example-begin kernel
// y = x where keep is not 0, else 0.
struct KeepArguments {  // plain data: it is passed by value
  const float *x, *keep;
  float* y;
  std::int64_t count;
};
struct KeepBody {
  using Arguments = KeepArguments;
  static TENON_FN int lanes(const Arguments&) { return 1; }  // threads that share a piece of work
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.count; i += team.count())
      a.y[i] = a.keep[i] != 0 ? a.x[i] : 0;
  }
};
inline abi::DeviceKernel keep_kernel;  // filled where the file is built by nvcc, or by a test

AnyTensor keep(const AnyTensor& x, const AnyTensor& mask) {
  AnyTensor y = AnyTensor::empty(Dtype::f32, x.extents(), x.device());
  const KeepArguments a{static_cast<const float*>(x.get()->data),
                        static_cast<const float*>(mask.get()->data),
                        static_cast<float*>(y.get()->data), x.size()};
  detail::launch_each(x.device(), keep_kernel, "keep", a, a.count);
  return y;
}
// example-end kernel

TEST_CASE("docs/cuda.md: the program trains", "[docs][cuda]") {
  Rng rng(5);
  const Sample s{normal(rng, Shape<dyn, 20>{30}), randint(rng, 0, 3, Shape<dyn>{30})};
  CHECK(train(s, 30) < 0.7 * train(s, 1));
}

TEST_CASE("docs/recipes.md: a device kernel", "[docs][cuda]") {
  kernel::fill_kernel<KeepBody, KeepArguments>(keep_kernel);
  Rng rng(6);
  const auto x = normal(rng, Shape<dyn>{1000}), m = normal(rng, Shape<dyn>{1000});
  const Tensor<float, Shape<dyn>> mask = maximum(m, 0.f);
  const AnyTensor y = keep(x.any().to(cuda(0)), mask.any().to(cuda(0))).to(cpu);
  for (Index i = 0; i < 1000; ++i)
    REQUIRE(y.data<float>()[i] == (m.data()[i] > 0 ? x.data()[i] : 0));
}

}  // namespace device_docs
