// SPDX-License-Identifier: Apache-2.0
// An MLP on Fashion-MNIST: data, model, loss, optimizer, training loop, checkpoint. Without the
// data set (Debian: dataset-fashion-mnist) it trains on the handwritten digits of examples/data.
#include <tenon/data.hpp>
#include <tenon/tenon.hpp>
#include <tenon/train.hpp>

#include <sys/stat.h>
#include <unistd.h>

// Reading options need not be fast; unoptimised it compiles in half the time.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O0")
#endif
#include <CLI/CLI.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC reset_options
#endif
#include <chrono>
#include <cinttypes>
#include <cstdio>
using namespace tenon;

struct Net {
  nn::Linear<784, 256> fc1;
  nn::Linear<256, 128> fc2;
  nn::Linear<128, 100> fc3;
  nn::Linear<100, 10> fc4;
  nn::Dropout drop{.p = 0};

  auto operator()(const auto& x) const {
    return fc4(drop(relu(fc3(drop(relu(fc2(drop(relu(fc1(x))))))))));
  }
};

struct Sample {
  Tensor<float, Shape<dyn, 784>> x;        // pixels / 255
  Tensor<std::int64_t, Shape<dyn>> label;  // 0 .. 9
};

// Mean cross entropy of a batch, in nats.
auto loss(const Net& net, const Sample& batch) {
  return nn::cross_entropy(net(batch.x), batch.label);
}

struct Options {
  int epochs = 5, threads = 0;
  std::int64_t steps = 0, samples = 0, batch = 64;
  float lr = 0.05f, dropout = 0;
  std::uint64_t seed = 1;
  std::string data, checkpoint = "fashion_mnist.safetensors", resume;
};

// What would otherwise be found out after the training.
void check(const Options& o) {
  if (o.epochs < 0 || o.steps < 0 || o.samples < 0 || o.threads < 0)
    fail(Error::value, "--epochs, --steps, --samples and --threads must not be negative");
  if (!(o.lr >= 0 && o.lr <= 1e6f)) fail(Error::value, "--lr must be a number from 0 to 1e6");
  if (!(o.dropout >= 0 && o.dropout < 1)) fail(Error::value, "--dropout must lie in [0, 1)");
  const std::size_t slash = o.checkpoint.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : o.checkpoint.substr(0, slash + 1);
  struct stat info;
  if (slash + 1 == o.checkpoint.size() || access(folder.c_str(), W_OK) != 0 ||
      (stat(o.checkpoint.c_str(), &info) == 0 && !S_ISREG(info.st_mode)))
    fail(Error::file, "--checkpoint " + o.checkpoint + " cannot be written");
}

data::ImageSet load(const Options& options) {
  const std::string installed = "/usr/share/datasets/fashion-mnist";
  struct stat info;
  if (!options.data.empty()) return data::load_fashion_mnist(options.data);
  if (stat(installed.c_str(), &info) == 0) return data::load_fashion_mnist(installed);
  std::printf("Fashion-MNIST is not installed: training on handwritten digits\n");
  const std::string here = __FILE__;
  return data::load_digits(here.substr(0, here.find_last_of('/') + 1) + "data/digits.csv.gz");
}

AnyTensor first_rows(const AnyTensor& t, std::int64_t n) {
  return n > 0 && n < t.extent(0) ? detail::rows_of(t, 0, n).to_contiguous() : t;
}

double accuracy(const Net& net, const data::ImageSet& set) {
  Evaluation evaluation;
  data::Batches batches(set.test_images, set.test_labels, 1000, 0, {.shuffle = false});
  std::int64_t right = 0, all = 0;
  for (const auto& [x, label] : batches.epoch(0)) {
    Tensor logits = net(Tensor<float, Shape<dyn, 784>>(x));
    const float* p = logits.data();
    const std::int64_t* truth = label.data<std::int64_t>();
    for (Index i = 0; i < label.size(); ++i)
      right += std::max_element(p + 10 * i, p + 10 * (i + 1)) - (p + 10 * i) == truth[i];
    all += label.size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

void run(const Options& options) {
  check(options);
  if (options.threads > 0) set_num_threads(options.threads);
  const auto start = std::chrono::steady_clock::now();
  const data::ImageSet set = load(options);
  if (set.train_images.size() == 0 || set.test_images.size() == 0)
    fail(Error::value, "the data set has no training or no test images");
  data::Batches batches(first_rows(set.train_images, options.samples),
                        first_rows(set.train_labels, options.samples), options.batch, options.seed);
  const std::int64_t per_epoch = batches.steps_per_epoch(),
                     last = options.steps > 0 ? options.steps : options.epochs * per_epoch;

  auto net = nn::init<Net>(Rng{options.seed});
  net.drop.p = options.dropout;
  auto optimizer = optim::make(optim::Sgd{.lr = options.lr, .momentum = 0.9f}, net);
  seed_random(options.seed);
  train::Position at;
  if (!options.resume.empty()) at = train::load_checkpoint(options.resume, net, optimizer);

  train::Progress progress;
  double test = 0, sum = 0;
  std::int64_t counted = 0;
  while (at.step < last) {
    const std::int64_t epoch = at.step / per_epoch, step = at.step % per_epoch;
    const data::Batch batch = batches.at(epoch, step);
    sum += train_step(net, optimizer, loss, Sample{batch.x, batch.label}).loss, ++counted,
        ++at.step;
    const std::string name = "epoch " + std::to_string(epoch + 1);
    progress.show(name, step + 1, per_epoch, sum / static_cast<double>(counted));
    if (step + 1 < per_epoch && at.step < last) continue;
    progress.clear();
    test = accuracy(net, set);
    std::printf("%s  loss %.4f  test accuracy %.4f\n", name.c_str(),
                sum / static_cast<double>(counted), test);
    std::fflush(stdout);
    sum = 0, counted = 0;
  }
  if (counted == 0 && test == 0) test = accuracy(net, set);
  train::save_checkpoint(options.checkpoint, net, optimizer, at);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("weights %016" PRIx64 "\n", train::hash_parameters(net));
  std::printf("test accuracy %.4f after %.4g epochs, %.1f s\n", test,
              static_cast<double>(at.step) / static_cast<double>(per_epoch), seconds);
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Trains an MLP 784-256-128-100-10 on Fashion-MNIST."};
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
  try {
    app.parse(argc, argv);
    run(o);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
