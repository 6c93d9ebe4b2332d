// SPDX-License-Identifier: Apache-2.0
// What the programs on Fashion-MNIST share and which is not their subject: options, the data set,
// the accuracy on its test images.
#pragma once
#include <tenon/cuda.hpp>
#include <tenon/data.hpp>
#include <tenon/tenon.hpp>

#include <sys/stat.h>
#include <unistd.h>

// Reading options need not be fast; unoptimised it compiles in half the time.
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#pragma GCC optimize("O0")
#endif
#include <CLI/CLI.hpp>
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#pragma GCC reset_options
#endif
#include <algorithm>
#include <cstdio>
#include <string>

namespace fashion {
using namespace tenon;

struct Options {
  int epochs = 5, threads = 0;
  std::int64_t steps = 0, samples = 0, batch = 64;
  float lr = 0.05f, dropout = 0;
  std::uint64_t seed = 1;
  std::string data, checkpoint = "fashion_mnist.safetensors", resume, device = "cpu";
};

inline void check(const Options& o) {
  if (o.epochs < 0 || o.steps < 0 || o.samples < 0 || o.threads < 0)
    fail(Error::value, "--epochs, --steps, --samples and --threads must not be negative");
  if (!(o.lr >= 0 && o.lr <= 1e6f)) fail(Error::value, "--lr must be a number from 0 to 1e6");
  if (!(o.dropout >= 0 && o.dropout < 1)) fail(Error::value, "--dropout must lie in [0, 1)");
}
// What would otherwise be found out after the training.
inline void check_checkpoint(const Options& o) {
  const std::size_t slash = o.checkpoint.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : o.checkpoint.substr(0, slash + 1);
  struct stat info;
  if (slash + 1 == o.checkpoint.size() || access(folder.c_str(), W_OK) != 0 ||
      (stat(o.checkpoint.c_str(), &info) == 0 && !S_ISREG(info.st_mode)))
    fail(Error::file, "--checkpoint " + o.checkpoint + " cannot be written");
}

// Without the data set (Debian: dataset-fashion-mnist): the handwritten digits of examples/data.
inline data::ImageSet load(const Options& options, bool quiet = false) {
  const std::string installed = "/usr/share/datasets/fashion-mnist";
  struct stat info;
  if (!options.data.empty()) return data::load_fashion_mnist(options.data);
  if (stat(installed.c_str(), &info) == 0) return data::load_fashion_mnist(installed);
  if (!quiet) std::printf("Fashion-MNIST is not installed: training on handwritten digits\n");
  const std::string here = __FILE__;
  return data::load_digits(here.substr(0, here.find_last_of('/') + 1) + "data/digits.csv.gz");
}

// Where the program runs: without a CUDA device it says so and runs on the processor.
// Ranks take the devices in turn; where there is none the first rank says so for all.
inline Device device_of(const Options& o, int rank = 0) {
  const int count = cuda_device_count();
  if (o.device != "cuda" || (count == 0 && rank > 0)) return cpu;
  return cuda_or_cpu(count ? rank % count : 0);
}

inline AnyTensor first_rows(const AnyTensor& t, std::int64_t n) {
  return n > 0 && n < t.extent(0) ? detail::rows_of(t, 0, n).to_contiguous() : t;
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

// The batches that a run sees: the first --samples images in an order from the seed.
inline data::Batches batches_of(const data::ImageSet& set, const Options& o) {
  if (set.train_images.size() == 0 || set.test_images.size() == 0)
    fail(Error::value, "the data set has no training or no test images");
  return {first_rows(set.train_images, o.samples), first_rows(set.train_labels, o.samples), o.batch,
          o.seed};
}

inline void add_options(CLI::App& app, Options& o) {
  app.add_option("--epochs", o.epochs, "passes over the training images (5)");
  app.add_option("--steps", o.steps, "end after that many steps in all, whatever the epoch");
  app.add_option("--samples", o.samples, "use the first N training images only");
  app.add_option("--batch", o.batch, "images a step (64)");
  app.add_option("--lr", o.lr, "learning rate (0.05)");
  app.add_option("--dropout", o.dropout, "dropout probability behind each hidden layer (0)");
  app.add_option("--seed", o.seed, "seed of weights, order and dropout (1)")
      ->check(CLI::NonNegativeNumber);  // -1 would become 2^64 - 1
  app.add_option("--threads", o.threads, "threads of one operation (all cores)");
  app.add_option("--data", o.data, "folder with the four idx files, plain or .gz");
  app.add_option("--checkpoint", o.checkpoint,
                 "file written at the end (fashion_mnist.safetensors)");
  app.add_option("--resume", o.resume, "checkpoint to go on from");
  app.add_option("--device", o.device, "cpu or cuda (cpu)")->check(CLI::IsMember({"cpu", "cuda"}));
}

}  // namespace fashion
