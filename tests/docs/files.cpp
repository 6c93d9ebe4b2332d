// SPDX-License-Identifier: Apache-2.0
// The code of the pages on files, data and training, between example-begin and example-end.
#include <tenon/tenon.hpp>

#include <tenon/data.hpp>
#include <tenon/io.hpp>
#include <tenon/train.hpp>

#include <cstdio>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;

namespace files_test {

namespace {
struct Net {
  nn::Linear<4, 2> fc;
  auto operator()(const auto& x) const { return fc(x); }
};
struct Sample {
  Tensor<float, Shape<dyn, 4>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
}  // namespace

TEST_CASE("docs: files") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "weights.safetensors";
  // example-begin safetensors
  Tensor<float, Shape<2, 2>> w = ones(Shape<2, 2>{});
  const io::NamedTensor tensors[] = {{"layer.weight", w}};
  io::save_safetensors(path, tensors, {{"made by", "docs"}});

  io::SafetensorsFile file(path);  // the header is read and checked here
  Tensor<float, Shape<2, 2>> back = file.tensor("layer.weight");
  // example-end safetensors
  CHECK(to_string(back) == to_string(w));
  CHECK(file.metadata().at("made by") == "docs");
}

TEST_CASE("docs: batches and checkpoints") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run.safetensors";
  AnyTensor images = full(Dtype::u8, {2, {10, 4}}, 51), labels = zeros(Dtype::u8, {1, {10}});
  Index rows = 0;
  // example-begin batches
  data::Batches batches(images, labels, 4, Rng{1});  // 4 rows a batch, shuffled from the seed
  for (const auto& [x, label] : batches.epoch(0)) {
    Tensor<float, Shape<dyn, 4>> pixels = x;           // u8 became f32, times 1 / 255
    Tensor<std::int64_t, Shape<dyn>> classes = label;  // integers became i64
    rows += pixels.extent(0);
  }
  data::Batch third = batches.at(0, 2);  // any batch alone: epoch 0, step 2
  // example-end batches
  CHECK(rows == 10);
  CHECK(third.x.extent(0) == 2);

  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  // example-begin checkpoint
  train::Position at;
  at.step = 137;
  train::save_checkpoint(path, net, optimizer,
                         at);  // the old file stays until the new one is whole

  at = train::load_checkpoint(path, net, optimizer);
  std::printf("weights %016llx\n", static_cast<unsigned long long>(train::hash_parameters(net)));
  // example-end checkpoint
  CHECK(at.step == 137);
}

TEST_CASE("docs: a run that signals may end") {
  const tests::TemporaryFolder folder;
  const std::string path = folder / "run.safetensors";
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, net);
  const Sample batch{normal(Rng{2}, Shape<dyn, 4>{10}), randint(Rng{3}, 0, 2, Shape<dyn>{10})};
  train::Position at;
  const std::int64_t last = 5;
  // example-begin signals
  train::Signals signals;
  train::StopCheckpoint checkpoint(signals, path, net, optimizer, at);
  while (at.step < last && !signals.caught()) {
    auto g = batch_gradient(loss, net, batch);
    auto change = checkpoint.change();  // until the end of the step the state is between two
    update(optimizer, net, g), ++at.step;
  }
  checkpoint.save();
  // example-end signals
  CHECK(train::load_checkpoint(path, net, optimizer).step == 5);
}

}  // namespace files_test
