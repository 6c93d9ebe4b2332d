// SPDX-License-Identifier: Apache-2.0
// What leaves a device for a file: saved graphs, exported source, checkpoints after a signal. All
// are those of the same model on the processor.
#include "support/fake_device.hpp"

#include <tenon/deploy/cpp.hpp>
#include <tenon/train/saved_graph.hpp>
#include <tenon/train/stop_checkpoint.hpp>

#include <sys/wait.h>

#include "support/files.hpp"
#include "support/model.hpp"

using namespace tests;

namespace {
using Adam = optim::Optimizer<optim::Adam, Net>;
}  // namespace

TEST_CASE("a step saved from a device goes on training on the processor, fed from anywhere") {
  TemporaryFolder folder;
  const std::string path = folder / "step.json";
  Net net = to(nn::init<Net>(Rng{3}), cuda(0));
  Adam optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
  seed_random(5);
  Batch b = to(batch(6, 1), cuda(0));
  auto traced = trace(training_step<optim::Adam>, net, optimizer, b);
  for (int i = 0; i < 3; ++i) traced(net, optimizer, b);
  graph::save_graph(path, traced, net, optimizer, b);
  graph::Loaded loaded = graph::load_graph(path);
  CHECK(same_bits(loaded.tensor("argument 0.fc1.weight"), net.fc1.weight.any().to(cpu)));
  for (Index rows : {6, 1, 17}) {
    const Batch next = to(batch(rows, 4), cuda(0));
    const std::uint64_t position = ambient().position;
    const double want = training_step(net, optimizer, next);
    ambient().position = position;
    const AnyTensor in[] = {next.x.any(), next.label.any()};
    const AnyTensor got = loaded(in)[0];
    CHECK(got.device() == cuda(0));
    CHECK(std::abs(values(got.to(cpu))[0] - want) < 1e-5);
  }
  CHECK(distance(loaded.tensor("argument 0.fc2.weight"), net.fc2.weight.any().to(cpu)) < 1e-4);
}

TEST_CASE("the source of a model on a device is that of the model on the processor") {
  Evaluation evaluation;
  struct In {
    Tensor<float, Shape<dyn, 12>> x;
  };
  auto forward = [](const Net& n, const In& in) { return Tensor(n(in.x)); };
  const Net net = nn::init<Net>(Rng{3});
  auto text = [&](Device d) {
    const Net there = to(net, d);
    TemporaryFolder folder;
    deploy::cpp(folder / "net.cpp", trace(forward, there, to(In{batch(3, 1).x}, d)),
                {.name = "net", .rows = 2}, there);
    return io::read_file(folder / "net.cpp");
  };
  const std::string want = text(cpu);
  CHECK(want.size() > 1000);
  CHECK(text(cuda(1)) == want);
}

TEST_CASE("checkpoints of a model on a device: by the loop, and by the thread after a signal") {
  TemporaryFolder folder;
  const std::string path = folder / "run.safetensors";
  Net net = to(nn::init<Net>(Rng{3}), cuda(0));
  Adam optimizer = optim::make(optim::Adam{}, net);
  for (bool in_time : {true, false}) {
    CAPTURE(in_time);
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      if (!std::freopen("/dev/null", "w", stdout)) _exit(9);
      train::Position at;
      train::Signals signals;
      train::StopCheckpoint checkpoint(signals, path, net, optimizer, at, 0.1);
      {
        auto change = checkpoint.change();
        optimizer.step(net, net), ++at.step;
      }
      raise(SIGTERM);
      if (!in_time) std::this_thread::sleep_for(std::chrono::seconds(20));  // a long gradient
      checkpoint.save();
      _exit(signals.exit_code());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 143);
    Net again = to(nn::init<Net>(Rng{8}), cuda(1)), moved = to(net, cuda(0));
    Adam other = optim::make(optim::Adam{}, again), own = optimizer;
    own.step(moved, moved);
    CHECK(train::load_checkpoint(path, again, other).step == 1);
    CHECK(again.fc1.weight.any().device() == cuda(1));
    CHECK(same_parameters(to(again, cpu), to(moved, cpu)));
    CHECK(same_parameters(to(other.state[1], cpu), to(own.state[1], cpu)));
  }
}
