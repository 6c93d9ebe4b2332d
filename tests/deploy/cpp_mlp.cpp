// SPDX-License-Identifier: Apache-2.0
// The MLP of examples/03_fashion_mnist.cpp, exported and compiled: the same classes on all test
// images, and a small program.
#include <tenon/data.hpp>
#include <tenon/deploy/cpp.hpp>

#include <sys/stat.h>

#include "deploy/compiled.hpp"

using namespace tests;

namespace cpp_mlp_test {

namespace {

struct Net {
  nn::Linear<784, 256> fc1;
  nn::Linear<256, 128> fc2;
  nn::Linear<128, 100> fc3;
  nn::Linear<100, 10> fc4;
  nn::Dropout drop{.p = 0.1f};
  auto operator()(const auto& x) const {
    return fc4(drop(relu(fc3(drop(relu(fc2(drop(relu(fc1(x))))))))));
  }
};
using Images = Tensor<float, Shape<dyn, 784>>;
struct Sample {
  Images x;
  Tensor<std::int64_t, Shape<dyn>> label;
};

data::ImageSet load() {
  const std::string installed = "/usr/share/datasets/fashion-mnist";
  struct stat info;
  return stat(installed.c_str(), &info) == 0
             ? data::load_fashion_mnist(installed)
             : data::load_digits(TESTS_SOURCE_DIR "/examples/data/digits.csv.gz");
}
/// Bytes of the sections of an object whose names begin so.
long section(const std::string& list, const std::string& name) {
  long bytes = 0;
  for (std::size_t at = 0; (at = list.find("\n" + name, at)) != std::string::npos; ++at)
    bytes += std::strtol(list.c_str() + list.find(' ', at + 1), nullptr, 10);
  return bytes;
}
long most(const float* p) { return std::max_element(p, p + 10) - p; }

}  // namespace

TEST_CASE("deploy: a trained MLP gives the library's classes in 30 KB of code") {
  const data::ImageSet set = load();
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.05f, .momentum = 0.9f}, net);
  seed_random(1);
  data::Batches batches(set.train_images, set.train_labels, 64, 1);
  for (std::int64_t step = 0; step < std::min<std::int64_t>(60, batches.steps_per_epoch());
       ++step) {
    const data::Batch b = batches.at(0, step);
    auto g = batch_gradient(
        [](const Net& n, const Sample& s) { return nn::cross_entropy(n(s.x), s.label); }, net,
        Sample{b.x, b.label});
    update(optimizer, net, g);
  }

  Evaluation evaluation;
  data::Batches test(set.test_images, set.test_labels, 1000, 0, {.shuffle = false});
  const auto forward = trace([](const Net& n, const Images& x) { return Tensor(n(x)); }, net,
                             Images(test.at(0, 0).x));
  const TemporaryFolder folder;
  deploy::cpp(folder / "mlp.cpp", forward, {.name = "mlp", .rows = 1}, net);

  REQUIRE(runs("g++ -c" + strict + folder / "mlp.cpp -o " + folder / "mlp.o"));
  REQUIRE(runs("g++ -shared -fPIC" + strict + folder / "mlp.cpp -o " + folder / "mlp.so"));
  REQUIRE(runs("size -A " + folder / "mlp.o > " + folder / "size"));
  const std::string list = get(folder / "size");
  const long weights = 4 * (784 * 256 + 256 + 256 * 128 + 128 + 128 * 100 + 100 + 100 * 10 + 10);
  const long constant = section(list, ".rodata"),
             code = section(list, ".text") + section(list, ".eh_frame");
  CAPTURE(list);
  CHECK(code > 0);
  CHECK(constant >= weights);
  CHECK(code + constant - weights <= 30 * 1024);

  void* library = ::dlopen((folder / "mlp.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto mlp = reinterpret_cast<int (*)(const float*, float*)>(::dlsym(library, "mlp"));
  REQUIRE(mlp != nullptr);
  int images = 0, right = 0, other = 0;
  float worst = 0;
  for (const data::Batch& b : test.epoch(0)) {
    const Images x = b.x;
    const Tensor logits = net(x);
    for (Index i = 0; i < x.extent(0); ++i, ++images) {
      float out[10];
      REQUIRE(mlp(x.data() + 784 * i, out) == 0);
      const float* want = logits.data() + 10 * i;
      for (int k = 0; k < 10; ++k) worst = std::max(worst, std::abs(out[k] - want[k]));
      other += most(out) != most(want);
      right += most(out) == b.label.data<std::int64_t>()[i];
    }
  }
  CAPTURE(images, worst);
  CHECK(images == set.test_images.extent(0));
  CHECK(other == 0);
  CHECK(worst <= 1e-5f);
  CHECK(2 * right > images);  // it has learnt something
  float out[10];
  CHECK(mlp(nullptr, out) == 1);
  ::dlclose(library);
}

}  // namespace cpp_mlp_test
