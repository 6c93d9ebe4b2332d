// SPDX-License-Identifier: Apache-2.0
// The program of 03 on several ranks: processes under mpirun, or threads with --loopback. For a
// fixed number of shards the weights are the same, to the bit, on any number of ranks.
//   mpirun -n 4 build/examples/04_data_parallel --shards 8 --threads 1
// With --device cuda rank r computes on device r, counted round: 04_data_parallel_cuda.
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>
#include <tenon/train.hpp>
#include <tenon/train/traced_loss.hpp>
#ifdef TENON_WITH_MPI
#include <tenon/mpi.hpp>
#else
#include <tenon/dist.hpp>
#endif

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <thread>

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

auto loss(const Net& net, const Sample& batch) {
  return nn::cross_entropy(net(batch.x), batch.label);
}

struct Options : fashion::Options {
  int shards = 0, loopback = 0;
  std::int64_t bucket = 512 * 1024;
  bool trace = false;
  dist::Timeouts timeouts;
};

// What one rank does; without a communicator, a process alone. Only rank 0 prints and writes.
// Returns the program's exit code.
int run(const Options& options, dist::Communicator* communicator, const train::Signals& signals) {
  const bool first = !communicator || communicator->rank() == 0;
  if (first) check_checkpoint(options);
  const auto start = std::chrono::steady_clock::now();
  const data::ImageSet set = load(options, !first);
  data::Batches batches = batches_of(set, options);
  const std::int64_t per_epoch = batches.steps_per_epoch(),
                     last = options.steps > 0 ? options.steps : options.epochs * per_epoch;

  const Device device = fashion::device_of(options, communicator ? communicator->rank() : 0);
  auto net = to(nn::init<Net>(Rng{options.seed}), device);
  net.drop.p = options.dropout;
  auto optimizer = optim::make(optim::Sgd{.lr = options.lr, .momentum = 0.9f}, net);
  seed_random(options.seed);
  train::Position at;
  if (!options.resume.empty()) at = train::load_checkpoint(options.resume, net, optimizer);

  // From here on batch_gradient, and so train_step, is what all ranks do together.
  std::optional<dist::DataParallel> ranks;
  if (communicator)
    ranks.emplace(*communicator, net,
                  dist::DataParallelOptions{
                      static_cast<std::size_t>(options.bucket),
                      {{"--seed", std::to_string(options.seed)},
                       {"--batch", std::to_string(options.batch)},
                       {"--lr", std::to_string(options.lr)},
                       {"--dropout", std::to_string(options.dropout)},
                       {"number of training images", std::to_string(batches.rows())},
                       {"first step", std::to_string(at.step)},
                       {"last step", std::to_string(last)},
                       {"momentum", std::to_string(train::hash_parameters(optimizer.state[0]))}}});

  std::optional<TracedLoss<Net, Sample>> traced;  // forward and backward as a graph
  train::Progress progress;
  double test = 0, sum = 0;
  std::int64_t counted = 0;
  std::optional<train::StopCheckpoint> checkpoint;
  if (first) checkpoint.emplace(signals, options.checkpoint, net, optimizer, at);
  bool stop = false;
  while (at.step < last && !stop) {
    if (ranks && signals.caught()) ranks->ask_to_stop();
    const std::int64_t epoch = at.step / per_epoch, step = at.step % per_epoch;
    const data::Batch batch = batches.at(epoch, step);
    const Sample sample{batch.x.to(device), batch.label.to(device)};
    if (options.trace && !traced) traced.emplace(trace_loss(loss, net, sample));
    auto g = traced ? batch_gradient(*traced, net, sample) : batch_gradient(loss, net, sample);
    {
      std::optional<train::StopCheckpoint::Change> change;
      if (checkpoint) change.emplace(*checkpoint);
      update(optimizer, net, g), ++at.step;
    }
    sum += g.loss, ++counted;
    stop = ranks ? ranks->stop() : signals.caught() != 0;  // all ranks after the same step
    const bool epoch_ends = step + 1 == per_epoch || at.step == last;
    if (!first) continue;
    const std::string name = "epoch " + std::to_string(epoch + 1);
    progress.show(name, step + 1, per_epoch, sum / static_cast<double>(counted));
    if (!epoch_ends) continue;
    progress.clear();
    test = fashion::accuracy(net, set, device);
    std::printf("%s  loss %.4f  test accuracy %.4f\n", name.c_str(),
                sum / static_cast<double>(counted), test);
    std::fflush(stdout);
    checkpoint->save_and_go_on();  // a lost run goes on from here
    sum = 0, counted = 0;
  }
  if (first) checkpoint->save();
  if (communicator) communicator->finish();
  if (stop) {
    progress.clear();
    if (first)
      std::printf("stopped by %s after step %lld\n", signals.name(),
                  static_cast<long long>(at.step));
    return signals.exit_code();
  }
  if (!first) return 0;
  if (counted == 0 && test == 0) test = fashion::accuracy(net, set, device);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("weights %016" PRIx64 "\n", train::hash_parameters(net));
  std::printf("test accuracy %.4f after %.4g epochs, %.1f s\n", test,
              static_cast<double>(at.step) / static_cast<double>(per_epoch), seconds);
  return 0;
}

// The communicator comes first: the others hear from this rank while it reads its data.
int run_rank(const Options& options, dist::Transport& transport, const train::Signals& signals) {
  try {
    dist::Communicator communicator(transport, options.timeouts);
    try {
      return run(options, &communicator, signals);
    } catch (const std::exception& error) {
      communicator.abandon(error.what());
      throw;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: rank %d: %s\n", transport.rank(), error.what());
    return 3;
  }
}

int run_all(Options& o) {
  check(o);
  if (o.shards < 0) fail(Error::value, "--shards must not be negative");
  if (o.bucket < 1) fail(Error::value, "--bucket must be positive");
  if (o.threads > 0) set_num_threads(o.threads);
  train::Signals signals;
#ifdef TENON_WITH_MPI
  if (dist::under_mpirun()) {
    if (o.loopback > 0) fail(Error::value, "--loopback is not for mpirun");
    dist::MpiTransport transport(0.8 * o.timeouts.deadline);
    set_shards(o.shards > 0 ? o.shards : transport.size());
    const int code = run_rank(o, transport, signals);
    if (code == 3) dist::end_process(code);
    return code;
  }
#endif
  set_shards(o.shards > 0 ? o.shards : std::max(o.loopback, 1));
  if (o.loopback == 0) return run(o, nullptr, signals);
  dist::Loopback loopback(o.loopback);
  std::vector<int> codes(static_cast<std::size_t>(o.loopback));
  std::vector<std::thread> threads;
  for (int r = 0; r < o.loopback; ++r)
    threads.emplace_back(
        [&, r] { codes[static_cast<std::size_t>(r)] = run_rank(o, loopback.rank(r), signals); });
  for (std::thread& t : threads) t.join();
  return *std::max_element(codes.begin(), codes.end());
}

int main(int argc, char** argv) {
  Options o;
  fashion::CommandLine line("Trains the MLP of 03_fashion_mnist on several ranks.", o);
  line.option("--shards", o.shards,
              "virtual shards of a batch, on which alone the result depends (the ranks)");
  line.flag("--trace", o.trace, "replay the gradient of the first step as a graph");
  line.option("--bucket", o.bucket, "bytes of gradient that travel together (524288)");
  line.option("--loopback", o.loopback, "ranks that are threads of this process");
  line.option("--deadline", o.timeouts.deadline,
              "seconds until a rank that died has ended all others (30)");
  line.option("--progress-limit", o.timeouts.progress,
              "seconds that a living rank may let others wait (600)");
  return line.run(argc, argv, [&] { return run_all(o); });
}
