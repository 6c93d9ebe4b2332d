// SPDX-License-Identifier: Apache-2.0
// Every function that a graph knows: traced, run on other batches and numbers of rows with the bits
// of the call itself, forward and backward, and saved and loaded.
#include <tenon/graph/functions.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

#include <tenon/graph/load.hpp>
#include <tenon/registry/table.hpp>

using namespace tests;

namespace {

struct In {
  Tensor<float, Shape<dyn, 4>> x;
  Tensor<std::int64_t, Shape<dyn>> index;
};
In input(Index rows, unsigned seed) {
  In in;
  in.x = Tensor<float, Shape<dyn, 4>>(spread(Dtype::f32, extents({rows, 4}), seed));
  in.index = Tensor<std::int64_t, Shape<dyn>>(
      made(Dtype::i64, extents({rows}), [=](Index i) { return (i + seed) % rows % 4; }));
  return in;
}

using Function = AnyTensor (*)(const In&);
struct Case {
  const char* name;
  Function f;
};

// What has a gradient with respect to x.
const Case smooth[] = {
    {"slice", [](const In& in) { return AnyTensor(in.x(slice(1, tenon::open), slice(0, 3, 2))); }},
    {"slice, backwards",
     [](const In& in) {
       return slice(in.x, 0, {tenon::open, tenon::open, -1});
     }},
    {"a row", [](const In& in) { return AnyTensor(in.x(-1)); }},
    {"flip", [](const In& in) { return AnyTensor(flip(in.x, axis<-1>)); }},
    {"place",
     [](const In& in) {
       Selection s = Selection::everything(extents({in.x.extent(0) + 2, 4}));
       s.first[0] = 1, s.count[0] -= 2;
       return place(in.x, extents({in.x.extent(0) + 2, 4}), s);
     }},
    {"permute", [](const In& in) { return AnyTensor(permute(in.x, axis<1, 0>)); }},
    {"reshape", [](const In& in) { return AnyTensor(reshape<Shape<2, dyn>>(in.x, -1)); }},
    {"unsqueeze", [](const In& in) { return AnyTensor(unsqueeze(in.x, axis<1>)); }},
    {"squeeze", [](const In& in) { return squeeze(unsqueeze(in.x, -1), -1); }},
    {"broadcast_to",
     [](const In& in) {
       return broadcast_to(in.x, extents({3, in.x.extent(0), 4}));
     }},
    {"concatenate", [](const In& in) { return AnyTensor(concatenate(axis<0>, in.x, in.x)); }},
    {"stack", [](const In& in) { return AnyTensor(stack(axis<1>, in.x, in.x, in.x)); }},
    {"split",
     [](const In& in) {
       auto [a, b] = split<2>(in.x, axis<-1>);
       return AnyTensor(Tensor(a * b));
     }},
    {"rows one by one, added where they belong",
     [](const In& in) {
       return AnyTensor(Tensor(in.x(0) * in.x(1) + in.x(0) * in.x(slice(0, 1), slice(0, 4))));
     }},
    {"take", [](const In& in) { return AnyTensor(take(in.x, in.index)); }},
    {"scatter_rows", [](const In& in) { return scatter_rows(in.x, in.index, in.x.extent(0) + 4); }},
    {"cast", [](const In& in) { return AnyTensor(cast<double>(in.x)); }},
    {"cast to half and back",
     [](const In& in) { return AnyTensor(Tensor(cast<float>(cast<bf16>(in.x)) * in.x)); }},
    {"clone", [](const In& in) { return AnyTensor(Tensor(in.x.clone() * in.x)); }},
    {"where",
     [](const In& in) {
       Tensor mask = in.x > 0;
       return AnyTensor(Tensor(where(mask, in.x, in.x * 2)));
     }},
};

const Case others[] = {
    {"transposed copy",
     [](const In& in) { return AnyTensor(permute(in.x, axis<1, 0>).to_contiguous()); }},
    {"zeros", [](const In& in) { return AnyTensor(zeros<double>(Shape<dyn, 2>(in.x.extent(0)))); }},
    {"ones", [](const In& in) { return AnyTensor(Tensor(in.x + ones_like(in.x))); }},
    {"full", [](const In&) { return AnyTensor(full<std::int32_t>(Shape<3>{}, 7)); }},
    {"arange", [](const In& in) { return AnyTensor(arange(double(in.x.extent(0)))); }},
    {"linspace", [](const In& in) { return AnyTensor(linspace(-1, 2, in.x.extent(0))); }},
    {"eye", [](const In& in) { return AnyTensor(eye(Shape<dyn, 3>(in.x.extent(0)))); }},
    {"one_hot", [](const In& in) { return AnyTensor(one_hot<5>(in.index)); }},
    {"argmax", [](const In& in) { return AnyTensor(argmax(in.x, axis<0>)); }},
    {"argmin, keepdims", [](const In& in) { return AnyTensor(argmin(in.x, axis<1>, keepdims)); }},
    {"argmax of all", [](const In& in) { return AnyTensor(argmax(in.x)); }},
    {"comparison", [](const In& in) { return AnyTensor(Tensor(in.x > 0.5f)); }},
    {"comparison of integers",
     [](const In& in) { return AnyTensor(Tensor(in.index == argmax(in.x, axis<1>))); }},
    {"cast to integers", [](const In& in) { return AnyTensor(cast<std::int32_t>(in.x)); }},
    {"cast from integers", [](const In& in) { return AnyTensor(cast<float>(in.index)); }},
    {"cast from bool",
     [](const In& in) {
       return AnyTensor(Tensor(mean(cast<float>(Tensor(argmax(in.x, axis<1>) == in.index)))));
     }},
};

AnyTensor gradient_of(Function f, const In& in) {
  Tape tape;
  const AnyTensor y = f(in), x = in.x;
  AnyTensor g;
  tape.gradient(y, std::span(&x, 1), std::span(&g, 1),
                AnyTensor(cast(y, compute_dtype(y.dtype()))));
  return g;
}
struct Call {
  Function f;
  bool backward;
  AnyTensor operator()(const In& in) const { return backward ? gradient_of(f, in) : f(in); }
};

void check(const Case& c, bool backward) {
  CAPTURE(c.name, backward);
  const TemporaryFolder folder;
  const std::string path = folder / "f.json";
  const Call call{c.f, backward};
  In first = input(4, 1);
  auto traced = trace(call, first);
  graph::save_graph(path, traced, first);
  graph::Loaded loaded = graph::load_graph(path, {});
  for (Index rows : {4, 7, 2, 11}) {
    CAPTURE(rows);
    const In in = input(rows, static_cast<unsigned>(rows) + 1);
    const AnyTensor want = call(in), leaves[] = {in.x, in.index};
    CHECK(same_bits(traced(in), want));
    const AnyTensor got = loaded(leaves)[0];
    CHECK(got.dtype() == want.dtype());
    CHECK(distance(got, want) <= 1e-6);
  }
}

}  // namespace

TEST_CASE("functions: traced, the bits of the call for any number of rows; saved and loaded") {
  for (const Case& c : smooth) check(c, false), check(c, true);
  for (const Case& c : others) check(c, false);
}

TEST_CASE("functions: files whose numbers were changed give an error or a result, never a crash") {
  const TemporaryFolder folder;
  const std::string path = folder / "f.json";
  In first = input(4, 1);
  const AnyTensor leaves[] = {first.x, first.index};
  std::uint64_t state = 88172645463325252u;
  auto random = [&](std::uint64_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % n;
  };
  int refused = 0, ran = 0;
  auto damage = [&](const Case& c, bool backward) {
    graph::save_graph(path, trace(Call{c.f, backward}, first), first);
    const std::string good = get(path);
    for (int i = 0; i < 40; ++i) {
      std::string text = good;
      for (std::uint64_t k = 0, n = 1 + random(2); k < n; ++k) {
        std::size_t at = random(text.size());
        while (at < text.size() && !(text[at] >= '0' && text[at] <= '9')) ++at;
        if (at == text.size()) continue;
        const char* to[] = {"0", "1", "2", "3", "7", "-1", "-2", "99", "1099511627776"};
        text.replace(at, 1, to[random(std::size(to))]);
      }
      put(path, text);
      try {
        graph::Loaded l = graph::load_graph(path, {}, 1 << 20);
        l(leaves), l(leaves);
        ++ran;
      } catch (const Error&) {
        ++refused;
      }
    }
  };
  for (const Case& c : smooth) damage(c, false), damage(c, true);
  for (const Case& c : others) damage(c, false);
  CHECK(refused > 500);
  CHECK(ran > 100);
}

TEST_CASE("functions: a batch of one row may be traced too") {
  const In one = input(1, 1), more = input(6, 2);
  auto f = [](const In& in) { return slice(in.x, 0, {tenon::open, tenon::open, -1}); };
  auto traced = trace(f, one);
  CHECK(same_bits(traced(more), f(more)));
  CHECK(same_bits(traced(one), f(one)));
}

TEST_CASE("functions: one that files cannot name is an error of save_graph that names it") {
  static constexpr StatementInfo strange = kernel::detail::made_info(
      "strange",
      [](const AnyTensor* x, const Attributes&, const Extents&) { return x[0].clone(); });
  auto f = [](const In& in) {
    const AnyTensor y = in.x.any().clone();
    record_function(strange, Context{}, {in.x.any()}, Attributes{}, y);
    return y;
  };
  In in = input(4, 1);
  auto traced = trace(f, in);
  CHECK(same_bits(traced(in), in.x.any()));
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(graph::save_graph(folder / "f.json", traced, in),
                    ContainsSubstring("save_graph: strange has no place in a file"));
}

TEST_CASE("functions: names in the table differ, and each can run again") {
  for (const graph::FunctionEntry& a : graph::functions()) {
    CHECK(a.info->function_forward != nullptr);
    int alike = 0;
    for (const graph::FunctionEntry& b : graph::functions())
      alike += std::string(a.info->name) == b.info->name;
    CHECK(alike == 1);
  }
}
