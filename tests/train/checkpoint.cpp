// SPDX-License-Identifier: Apache-2.0
// Checkpoints: what is saved comes back to the bit, and a file that does not fit changes nothing.
#include <tenon/train/checkpoint.hpp>

#include <tenon/nn/all.hpp>

#include "support/files.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace checkpoint_test {

namespace {
struct Net {
  nn::Linear<6, 8> first;
  std::vector<nn::Linear<8, 8>> blocks = std::vector<nn::Linear<8, 8>>(2);
  std::array<nn::LayerNorm<8>, 1> norms;
  std::optional<nn::Linear<8, 8>> extra = nn::Linear<8, 8>{};
  nn::Dropout drop{.p = 0.25f};
  nn::Linear<8, 3> last;
  State<Tensor<float, Shape<2>>> running;
  template <class X>
  auto operator()(X&& x) const {
    Tensor h = relu(first(x));
    for (const auto& b : blocks) h = relu(b(h));
    return last(drop(norms[0](h)));
  }
};
struct Sample {
  Tensor<float, Shape<dyn, 6>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
Sample sample(unsigned seed) {
  return {Tensor<float, Shape<dyn, 6>>(spread(Dtype::f32, extents({10, 6}), seed)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({10}), [](Index i) { return i % 3; }))};
}
Net fresh(std::uint64_t seed) {
  Net net = nn::init<Net>(Rng{seed});
  net.running.value = Tensor<float, Shape<2>>(of(Dtype::f32, extents({2}), {0.5, 3}));
  return net;
}
const optim::Adam adam{.lr = 0.01f};
using Adams = optim::Optimizer<optim::Adam, Net>;

void advance(Net& net, Adams& optimizer, int from, int to) {
  for (int i = from; i < to; ++i)
    train_step(net, optimizer, loss, sample(static_cast<unsigned>(i)));
}

/// A file made from another one with its tensors and metadata changed.
using Tensors = std::vector<io::NamedTensor>;
using Metadata = std::map<std::string, std::string>;
template <class F>
void altered(const std::string& from, const std::string& to, F&& change) {
  io::SafetensorsFile file(from);
  Tensors tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.tensor(name)});
  Metadata metadata = file.metadata();
  change(tensors, metadata);
  io::save_safetensors(to, tensors, metadata);
}
AnyTensor& named(Tensors& tensors, const std::string& name) {
  for (auto& t : tensors)
    if (t.name == name) return t.tensor;
  throw std::runtime_error("no " + name);
}
void remove(Tensors& tensors, const std::string& name) {
  std::erase_if(tensors, [&](const auto& t) { return t.name == name; });
}
}  // namespace

TEST_CASE(
    "a run that is saved, loaded into another model and gone on with has the bits of one that was "
    "not") {
  const TemporaryFolder folder;
  Net net = fresh(1);
  auto optimizer = optim::make(adam, net);
  seed_random(11);
  advance(net, optimizer, 0, 3);
  train::save_checkpoint(folder / "a", net, optimizer, {3});
  advance(net, optimizer, 3, 7);
  const std::uint64_t whole = train::hash_parameters(net);

  Net other = fresh(2);
  auto later = optim::make(adam, other);
  other.running.value = Tensor<float, Shape<2>>(of(Dtype::f32, extents({2}), {9, 9}));
  seed_random(99);
  CHECK(train::load_checkpoint(folder / "a", other, later).step == 3);
  CHECK(later.steps == 3);
  CHECK(ambient().seed == 11);
  CHECK(ambient().position == 3);
  CHECK(values(other.running.value) == std::vector<double>{0.5, 3});
  advance(other, later, 3, 7);
  CHECK(train::hash_parameters(other) == whole);
  CHECK(train::hash_parameters(later.state[1]) == train::hash_parameters(optimizer.state[1]));
}

TEST_CASE("saving what was loaded gives the same file, and an old one is replaced as a whole") {
  const TemporaryFolder folder;
  Net net = fresh(1);
  auto optimizer = optim::make(adam, net);
  seed_random(~std::uint64_t{0});
  advance(net, optimizer, 0, 2);
  put(folder / "b", "an older file");
  train::save_checkpoint(folder / "a", net, optimizer, {2});
  Net other = fresh(2);
  auto later = optim::make(adam, other);
  const auto at = train::load_checkpoint(folder / "a", other, later);
  CHECK(ambient().seed == ~std::uint64_t{0});
  train::save_checkpoint(folder / "b", other, later, at);
  CHECK(get(folder / "a") == get(folder / "b"));
  CHECK(folder.entries() == 2);
  seed_random(0);
}

TEST_CASE("names are paths: lists by number, slots of the optimizer before them") {
  const TemporaryFolder folder;
  const Net net = fresh(1);
  train::save_checkpoint(folder / "a", net, optim::make(adam, net), {});
  io::SafetensorsFile file(folder / "a");
  for (const char* name : {"model.first.weight", "model.blocks.0.weight", "model.blocks.1.bias",
                           "model.norms.0.weight", "model.extra.bias", "model.running",
                           "optimizer.m.blocks.0.weight", "optimizer.v.last.bias"})
    CHECK(file.contains(name));
  CHECK_FALSE(file.contains("optimizer.m.running"));
  train::save_model(folder / "b", net);
  io::SafetensorsFile plain(folder / "b");
  CHECK(plain.contains("blocks.0.weight"));
  CHECK(plain.contains("running"));
  CHECK(plain.names().size() == 13);
}

TEST_CASE("a model without values takes them from a file, if its types fit") {
  const TemporaryFolder folder;
  const Net net = fresh(1);
  train::save_model(folder / "a", net);
  Net empty;
  train::load_model(folder / "a", empty);
  CHECK(train::hash_parameters(empty) == train::hash_parameters(net));
  CHECK(same_bits(empty.running.value, net.running.value));

  struct Narrow {
    nn::Linear<6, 7> first;
  };
  Narrow narrow;
  const Failure f = failure([&] { train::load_model(folder / "a", narrow); });
  CHECK(f.code == Error::format);
  CHECK_THAT(f.text, ContainsSubstring(folder / "a") && ContainsSubstring("first.weight") &&
                         ContainsSubstring("[8, 6]") && ContainsSubstring("[7, 6]"));
  CHECK_FALSE(narrow.first.weight.defined());
  struct Wide {
    nn::Linear<6, 8, double> first;
  } wide;
  CHECK(failure([&] { train::load_model(folder / "a", wide); }).code == Error::format);
  CHECK_FALSE(wide.first.weight.defined());
}

TEST_CASE("a file that does not fit is named with its tensor, and nothing changes") {
  const TemporaryFolder folder;
  const std::string good = folder / "good", bad = folder / "bad";
  Net net = fresh(1);
  auto optimizer = optim::make(adam, net);
  seed_random(5);
  advance(net, optimizer, 0, 2);
  train::save_checkpoint(good, net, optimizer, {2});
  Net mine = fresh(2);
  auto own = optim::make(adam, mine);
  seed_random(6);
  advance(mine, own, 0, 1);
  const auto model_before = train::hash_parameters(mine),
             state_before = train::hash_parameters(own.state[0]);
  const auto fails = [&](const std::string& words, auto&& change) {
    CAPTURE(words);
    altered(good, bad, change);
    const Failure f = failure([&] { train::load_checkpoint(bad, mine, own); });
    CHECK(f.code == Error::format);
    CHECK_THAT(f.text, ContainsSubstring(bad) && ContainsSubstring(words));
    CHECK(train::hash_parameters(mine) == model_before);
    CHECK(train::hash_parameters(own.state[0]) == state_before);
    CHECK(own.steps == 1);
    CHECK(ambient().seed == 6);
    CHECK(ambient().position == 1);
  };
  fails("tensor model.blocks.1.weight is missing",
        [](Tensors& t, Metadata&) { remove(t, "model.blocks.1.weight"); });
  fails("tensor optimizer.v.last.bias is missing",
        [](Tensors& t, Metadata&) { remove(t, "optimizer.v.last.bias"); });
  fails("tensor model.last.bias holds f64, the model's is f32", [](Tensors& t, Metadata&) {
    AnyTensor& x = named(t, "model.last.bias");
    x = x.to(Dtype::f64);
  });
  fails("axis 0: [4] and [3] (4 vs 3)", [](Tensors& t, Metadata&) {
    named(t, "model.last.bias") = spread(Dtype::f32, extents({4}), 1);
  });
  fails("tensor model.last.bias is [3, 1], the model's is [3]", [](Tensors& t, Metadata&) {
    named(t, "model.last.bias") = spread(Dtype::f32, extents({3, 1}), 1);
  });
  fails("tensors, this model with its optimizer has", [](Tensors& t, Metadata&) {
    t.push_back({"model.blocks.2.weight", spread(Dtype::f32, extents({8, 8}), 1)});
  });
  for (const char* text : {"", "-1", "1e3", "12x", "99999999999999999999", "9223372036854775808"})
    fails("optimizer.steps is", [=](Tensors&, Metadata& m) { m["optimizer.steps"] = text; });
  fails("position.step is",
        [](Tensors&, Metadata& m) { m["position.step"] = "9223372036854775808"; });
  fails("the metadata has no random.seed", [](Tensors&, Metadata& m) { m.erase("random.seed"); });
  fails("format", [](Tensors&, Metadata& m) { m["format"] = "tenon checkpoint 2"; });
  fails("format", [](Tensors&, Metadata& m) { m.clear(); });

  const std::string bytes = get(good);
  const auto refused = [&](const std::string& text, Error::Code code) {
    put(bad, text);
    const Failure f = failure([&] { train::load_checkpoint(bad, mine, own); });
    CHECK(f.code == code);
    CHECK_THAT(f.text, ContainsSubstring(bad));
    CHECK(train::hash_parameters(mine) == model_before);
    CHECK(own.steps == 1);
    Net plain = mine;
    CHECK(failure([&] { train::load_model(bad, plain); }).code == code);
    CHECK(train::hash_parameters(plain) == model_before);
  };
  for (std::size_t n : {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{100},
                        bytes.size() / 2, bytes.size() - 1})
    refused(bytes.substr(0, n), Error::format);
  refused("this is not a checkpoint, nor JSON, but long enough for a header", Error::format);
  CHECK(failure([&] { train::load_checkpoint(folder / "none", mine, own); }).code == Error::file);
}

TEST_CASE("a checkpoint of another rule is refused in both directions") {
  const TemporaryFolder folder;
  Net net = fresh(1);
  auto with = optim::make(adam, net);
  auto without = optim::make(optim::Sgd{}, net);
  train::save_checkpoint(folder / "adam", net, with, {});
  train::save_checkpoint(folder / "sgd", net, without, {});
  CHECK(failure([&] { train::load_checkpoint(folder / "sgd", net, with); }).code == Error::format);
  CHECK(failure([&] { train::load_checkpoint(folder / "adam", net, without); }).code ==
        Error::format);
}

TEST_CASE(
    "a parameter without a value is named and the old file stays; a State without one is left "
    "out") {
  const TemporaryFolder folder;
  put(folder / "a", "old");
  Net net = fresh(1);
  net.running.value = {};
  auto optimizer = optim::make(adam, net);
  train::save_checkpoint(folder / "b", net, optimizer, {});
  CHECK_FALSE(io::SafetensorsFile(folder / "b").contains("model.running"));
  CHECK_NOTHROW(train::load_checkpoint(folder / "b", net, optimizer));
  CHECK_FALSE(net.running.value.defined());
  net.blocks[1].bias = {};
  const Failure f = failure([&] { train::save_checkpoint(folder / "a", net, optimizer, {}); });
  CHECK(f.code == Error::uninitialised);
  CHECK_THAT(f.text, ContainsSubstring("model.blocks.1.bias"));
  CHECK(get(folder / "a") == "old");
  CHECK(failure([&] { train::save_model(folder / "a", net); }).code == Error::uninitialised);
  CHECK(get(folder / "a") == "old");
  CHECK(folder.entries() == 2);
}

TEST_CASE("the hash of parameters is FNV-1a of their bytes in order") {
  struct Two {
    Tensor<float, Shape<2>> a;
    Tensor<double, Shape<1>> b;
  };
  const float a[] = {1.5f, -2};
  const double b = 0.1;
  Two two;
  two.a = Tensor<float, Shape<2>>(of(Dtype::f32, extents({2}), {1.5, -2}));
  two.b = Tensor<double, Shape<1>>(of(Dtype::f64, extents({1}), {0.1}));
  unsigned char bytes[16];
  std::memcpy(bytes, a, 8), std::memcpy(bytes + 8, &b, 8);
  std::uint64_t hash = 14695981039346656037u;
  for (unsigned char c : bytes) hash = (hash ^ c) * 1099511628211u;
  CHECK(train::hash_parameters(two) == hash);
  two.a.write()[0] = std::nextafter(1.5f, 2.0f);
  CHECK(train::hash_parameters(two) != hash);
}

}  // namespace checkpoint_test
