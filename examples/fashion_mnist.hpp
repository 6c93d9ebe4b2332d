// SPDX-License-Identifier: Apache-2.0
// What the programs on Fashion-MNIST share and which is not their subject: options, the data set,
// the accuracy on its test images. What is no template is compiled once, in fashion_mnist.cpp.
#pragma once
#include <tenon/cuda.hpp>
#include <tenon/data.hpp>
#include <tenon/tenon.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fashion {
using namespace tenon;

struct Options {
  int epochs = 5, threads = 0;
  std::int64_t steps = 0, samples = 0, batch = 64;
  float lr = 0.05f, dropout = 0;
  std::uint64_t seed = 1;
  std::string data, checkpoint = "fashion_mnist.safetensors", resume, device = "cpu";
};

// What --help and errors say, and the options of a program beside those above.
class CommandLine {
 public:
  CommandLine(const char* purpose, Options& o);
  ~CommandLine();
  void option(const char* name, int& value, const char* help);
  void option(const char* name, std::int64_t& value, const char* help);
  void option(const char* name, double& value, const char* help);
  void option(const char* name, std::string& value, const char* help,
              const std::vector<std::string>& choices);
  void flag(const char* name, bool& value, const char* help);
  // The program's exit code: that of run, 0 for --help, and 1 for an error, which is printed.
  int run(int argc, char** argv, const std::function<int()>& run);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

void check(const Options& o);
// What would otherwise be found out after the training.
void check_checkpoint(const Options& o);
// Without the data set (Debian: dataset-fashion-mnist): the handwritten digits of examples/data.
data::ImageSet load(const Options& options, bool quiet = false);
// The batches that a run sees: the first --samples images in an order from the seed.
data::Batches batches_of(const data::ImageSet& set, const Options& o);
// Where the program runs: without a CUDA device it says so and runs on the processor.
// Ranks take the devices in turn; where there is none the first rank says so for all.
inline Device device_of(const Options& o, int rank = 0) {
  const int count = cuda_device_count();
  if (o.device != "cuda" || (count == 0 && rank > 0)) return cpu;
  return cuda_or_cpu(count ? rank % count : 0);
}

// The share of test images whose largest logit is that of their label.
template <class Net>
double accuracy(const Net& net, const data::ImageSet& set, Device device = cpu) {
  Evaluation evaluation;
  data::Batches batches(set.test_images, set.test_labels, 1000, 0, {.shuffle = false});
  std::int64_t right = 0, all = 0;
  for (const data::Batch& batch : batches.epoch(0)) {
    Tensor there = net(Tensor<float, Shape<dyn, 784>>(batch.x.to(device)));
    const auto logits = there.to(cpu);
    const float* p = logits.data();
    const std::int64_t* truth = batch.label.data<std::int64_t>();
    for (Index i = 0; i < batch.label.size(); ++i)
      right += std::max_element(p + 10 * i, p + 10 * (i + 1)) - (p + 10 * i) == truth[i];
    all += batch.label.size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

}  // namespace fashion
