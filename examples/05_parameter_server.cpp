// SPDX-License-Identifier: Apache-2.0
// The program of 03 with workers that compute gradients and servers that keep and move the weights:
// processes under mpirun, or threads with --loopback. The last --servers ranks are servers.
//   mpirun -n 3 build/examples/05_parameter_server --servers 1 --mode sync --threads 1
// With --device cuda worker w computes on device w, counted round; servers stay on the processor.
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>
#include <tenon/train.hpp>
#ifdef TENON_WITH_MPI
#include <tenon/mpi.hpp>
#else
#include <tenon/dist.hpp>
#endif

#include <chrono>
#include <cinttypes>
#include <cstdio>
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
  int servers = 1, loopback = 0, staleness = -1;
  std::int64_t split = 256 * 1024;
  std::string mode = "sync";
  dist::Timeouts timeouts;

  bool synchronous() const { return mode == "sync"; }
  dist::StoreOptions store() const {
    return {servers,
            synchronous(),
            false,
            staleness,
            static_cast<std::size_t>(split),
            {{"--seed", std::to_string(seed)},
             {"--batch", std::to_string(batch)},
             {"--lr", std::to_string(lr)},
             {"--dropout", std::to_string(dropout)},
             {"--samples", std::to_string(samples)},
             {"--epochs", std::to_string(epochs)},
             {"--steps", std::to_string(steps)},
             {"--resume", resume}}};
  }
};

// What one worker does. Only worker 0 prints and writes. Returns the program's exit code.
int run(const Options& options, dist::Communicator& communicator, const train::Signals& signals) {
  const bool first = communicator.rank() == 0, synchronous = options.synchronous();
  if (first) check_checkpoint(options);
  const auto start = std::chrono::steady_clock::now();
  const data::ImageSet set = load(options, !first);
  data::Batches batches = batches_of(set, options);
  const std::int64_t per_epoch = batches.steps_per_epoch(),
                     last = options.steps > 0 ? options.steps : options.epochs * per_epoch;

  const Device device = fashion::device_of(options, communicator.rank());
  auto net = to(nn::init<Net>(Rng{options.seed}), device);
  net.drop.p = options.dropout;
  auto optimizer = optim::make(optim::Sgd{.lr = options.lr, .momentum = 0.9f}, net);
  seed_random(options.seed);
  train::Position at;
  if (!options.resume.empty()) at = train::load_checkpoint(options.resume, net, optimizer);

  // From here on `update` is made by the servers. Synchronous workers share every batch, and
  // batch_gradient computes a worker's part; asynchronous ones take batches in turn.
  dist::Store store(communicator, options.store());
  dist::ServerTraining training(store, net, optimizer);
  const std::int64_t stride = synchronous ? 1 : store.workers();
  if (!synchronous) {
    at.step += store.worker();
    ambient().seed += static_cast<std::uint64_t>(store.worker()) << 32;  // other dropout
  }

  train::Progress progress;
  double test = 0, sum = 0;
  std::int64_t counted = 0;
  const auto save = [&](std::int64_t step) {
    training.fetch(net, optimizer);
    train::save_checkpoint(options.checkpoint, net, optimizer, {step});
  };
  while (at.step < last && !training.stop()) {
    if (signals.caught()) training.ask_to_stop();
    const std::int64_t epoch = at.step / per_epoch, step = at.step % per_epoch;
    const data::Batch batch = batches.at(epoch, step);
    const Sample sample{batch.x.to(device), batch.label.to(device)};
    sum += train_step(net, optimizer, loss, sample).loss, ++counted;
    at.step += stride;
    if (!first) continue;
    const std::string name = "epoch " + std::to_string(epoch + 1);
    progress.show(name, step + 1, per_epoch, sum / static_cast<double>(counted));
    if ((step + stride < per_epoch && at.step < last) || training.stop()) continue;
    progress.clear();
    test = fashion::accuracy(net, set, device);
    std::printf("%s  loss %.4f  test accuracy %.4f\n", name.c_str(),
                sum / static_cast<double>(counted), test);
    std::fflush(stdout);
    save(at.step);  // a lost run goes on from here
    sum = 0, counted = 0;
  }
  const bool stopped = training.stop();
  if (!synchronous && !stopped) store.barrier();  // all updates have been made
  if (first) save(synchronous ? at.step : stopped ? optimizer.steps : last);
  if (!synchronous && first && !stopped) test = fashion::accuracy(net, set, device);
  store.finish();
  communicator.finish();
  if (stopped) {
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
              static_cast<double>(last) / static_cast<double>(per_epoch), seconds);
  return 0;
}

// The communicator comes first: the others hear from this rank while it reads its data.
int run_rank(const Options& options, dist::Transport& transport, const train::Signals& signals) {
  try {
    dist::Communicator communicator(transport, options.timeouts);
    try {
      if (communicator.rank() < communicator.size() - options.servers)
        return run(options, communicator, signals);
      dist::serve(communicator, options.store());
      communicator.finish();
      return signals.caught() ? signals.exit_code() : 0;
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
  if (o.servers < 1) fail(Error::value, "--servers must be positive");
  if (o.split < 1) fail(Error::value, "--split must be positive");
  if (o.threads > 0) set_num_threads(o.threads);
  train::Signals signals;
  const auto cut = [&](int ranks) {
    if (ranks <= o.servers)
      fail(Error::value, "--servers " + std::to_string(o.servers) + " of " + std::to_string(ranks) +
                             " ranks leave no worker");
    if (o.synchronous()) set_shards(ranks - o.servers);
  };
#ifdef TENON_WITH_MPI
  if (dist::under_mpirun()) {
    if (o.loopback > 0) fail(Error::value, "--loopback is not for mpirun");
    dist::MpiTransport transport(0.8 * o.timeouts.deadline);
    cut(transport.size());
    const int code = run_rank(o, transport, signals);
    if (code == 3) dist::end_process(code);
    return code;
  }
#endif
  const int ranks = o.loopback > 0 ? o.loopback : o.servers + 1;
  dist::Loopback loopback(ranks);
  cut(ranks);
  std::vector<int> codes(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back(
        [&, r] { codes[static_cast<std::size_t>(r)] = run_rank(o, loopback.rank(r), signals); });
  for (std::thread& t : threads) t.join();
  for (const int code : codes)
    if (code == 3) return code;
  return codes[0];
}

int main(int argc, char** argv) {
  Options o;
  fashion::CommandLine line("Trains the MLP of 03_fashion_mnist with a parameter server.", o);
  line.option("--servers", o.servers, "ranks that are servers, the last ones (1)");
  line.option("--mode", o.mode, "sync: every update joins all workers; async: each its own",
              {"sync", "async"});
  line.option("--staleness", o.staleness,
              "async: updates that a worker may be ahead of another (any)");
  line.option("--split", o.split, "bytes from which a tensor is spread over servers (262144)");
  line.option("--loopback", o.loopback,
              "ranks that are threads of this process (one worker and the servers)");
  line.option("--deadline", o.timeouts.deadline,
              "seconds until a rank that died has ended all others (30)");
  line.option("--progress-limit", o.timeouts.progress,
              "seconds that a living rank may let others wait (600)");
  return line.run(argc, argv, [&] { return run_all(o); });
}
