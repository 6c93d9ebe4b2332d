// SPDX-License-Identifier: Apache-2.0
// An MLP on Fashion-MNIST: data, model, loss, optimizer, training loop, checkpoint. Without the
// data set (Debian: dataset-fashion-mnist) it trains on the handwritten digits of examples/data.
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>
#include <tenon/train.hpp>

#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "fashion_mnist.hpp"  // options, the data set, the accuracy
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

// Returns the program's exit code.
int run(const fashion::Options& options) {
  check(options);
  check_checkpoint(options);
  if (options.threads > 0) set_num_threads(options.threads);
  const auto start = std::chrono::steady_clock::now();
  const data::ImageSet set = load(options);
  data::Batches batches = batches_of(set, options);
  const std::int64_t per_epoch = batches.steps_per_epoch(),
                     last = options.steps > 0 ? options.steps : options.epochs * per_epoch;

  const Device device = fashion::device_of(options);
  auto net = to(nn::init<Net>(Rng{options.seed}), device);
  net.drop.p = options.dropout;
  auto optimizer = optim::make(optim::Sgd{.lr = options.lr, .momentum = 0.9f}, net);
  seed_random(options.seed);
  train::Position at;
  if (!options.resume.empty()) at = train::load_checkpoint(options.resume, net, optimizer);

  train::Progress progress;
  double test = 0, sum = 0;
  std::int64_t counted = 0;
  train::Signals signals;  // after SIGINT or SIGTERM the step ends, and the run with a checkpoint
  train::StopCheckpoint checkpoint(signals, options.checkpoint, net, optimizer, at);
  while (at.step < last && !signals.caught()) {
    const std::int64_t epoch = at.step / per_epoch, step = at.step % per_epoch;
    const data::Batch batch = batches.at(epoch, step);
    auto g = batch_gradient(loss, net, Sample{batch.x.to(device), batch.label.to(device)});
    {
      auto change = checkpoint.change();
      update(optimizer, net, g), ++at.step;
    }
    sum += g.loss, ++counted;
    const std::string name = "epoch " + std::to_string(epoch + 1);
    progress.show(name, step + 1, per_epoch, sum / static_cast<double>(counted));
    if (step + 1 < per_epoch && at.step < last) continue;
    progress.clear();
    test = fashion::accuracy(net, set, device);
    std::printf("%s  loss %.4f  test accuracy %.4f\n", name.c_str(),
                sum / static_cast<double>(counted), test);
    std::fflush(stdout);
    sum = 0, counted = 0;
  }
  checkpoint.save();
  if (signals.caught()) {
    progress.clear();
    std::printf("stopped by %s after step %lld\n", signals.name(), static_cast<long long>(at.step));
    return signals.exit_code();
  }
  if (counted == 0 && test == 0) test = fashion::accuracy(net, set, device);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("weights %016" PRIx64 "\n", train::hash_parameters(net));
  std::printf("test accuracy %.4f after %.4g epochs, %.1f s\n", test,
              static_cast<double>(at.step) / static_cast<double>(per_epoch), seconds);
  return 0;
}

int main(int argc, char** argv) {
  fashion::Options o;
  fashion::CommandLine line("Trains an MLP 784-256-128-100-10 on Fashion-MNIST.", o);
  return line.run(argc, argv, [&] { return run(o); });
}
