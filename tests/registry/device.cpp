// SPDX-License-Identifier: Apache-2.0
// Operations by name on tensors of a device: the processor's results and gradients, to the bit
// where they are computed on the host, and back on the device.
#include "support/fake_device.hpp"

#include <tenon/registry/device.hpp>

#include "registry/help.hpp"

using namespace tests;

namespace {
struct Case {
  const char* op;
  std::vector<AnyTensor> in;
  AttributeMap attributes{};
  double tolerance = 0;  // 0: the same bits
  int gradients = 1;     // of the first so many operands
};
AnyTensor wave(std::initializer_list<Index> e, int phase, Dtype d = Dtype::f64) {
  const Extents x = extents(e);
  Numbers n;
  for (Index i = 0; i < x.size(); ++i) n.push_back(1.7 * std::sin(double(i * 7 + phase)));
  return tensor(e, n, d);
}
std::vector<AnyTensor> moved(const std::vector<AnyTensor>& in, Device d) {
  std::vector<AnyTensor> out;
  for (const AnyTensor& t : in) out.push_back(t.to(d));
  return out;
}
struct Got {
  std::vector<AnyTensor> results, gradients;
};
Got run(const Case& c, const std::vector<AnyTensor>& in) {
  Tape tape;
  Got g;
  g.results = registry::call(c.op, in, c.attributes);
  if (c.gradients == 0) return g;
  const AnyTensor loss = one("sum", {one("square", {g.results[0]})});
  g.gradients.resize(static_cast<std::size_t>(c.gradients));
  tape.gradient(loss, std::span<const AnyTensor>(in).first(g.gradients.size()), g.gradients);
  return g;
}
bool agree(const AnyTensor& there, const AnyTensor& here, double tolerance) {
  if (!(there.device() == cuda(1)) || !(here.device() == cpu)) return false;
  const AnyTensor t = there.to(cpu);
  if (t.dtype() != here.dtype() || !(t.extents() == here.extents())) return false;
  return near(numbers(t), numbers(here), tolerance);
}
}  // namespace

TEST_CASE("registry: on a device every area gives what it gives on the processor") {
  const AnyTensor x = wave({3, 4}, 1), y = wave({3, 4}, 2), f = wave({3, 4}, 3, Dtype::f32),
                  w = wave({4, 2}, 5), index = tensor({3}, {2, 0, 2}, Dtype::i64),
                  label = tensor({3}, {1, 3, 0}, Dtype::i64),
                  image = wave({1, 2, 5, 5}, 4, Dtype::f32);
  const std::vector<Case> cases{
      {"add", {x, y}, {}, 0, 2},
      {"tanh", {f}},
      {"where", {one("greater", {x, y}), x, y}, {}, 0, 0},
      {"hypot", {x, y}, {}, 0, 2},
      {"sum", {x}, {{"axis", 0}}},
      {"softmax", {f}, {{"axis", 0}}},
      {"max", {x}, {{"axis", 1}}},
      {"quantile", {x}, {{"axis", 1}, {"q", 0.25}}},
      {"cumprod", {x}, {{"axis", 1}}},
      {"linear", {x, wave({2, 4}, 6), wave({2}, 7)}, {}, 0, 3},
      {"einsum", {x, w}, {{"equation", "ij,jk->ik"}}, 0, 2},
      {"concat", {x, y}, {{"axis", 1}}, 0, 2},
      {"flip", {x}, {{"axis", 0}}},
      {"roll", {x}, {{"axis", 0}, {"shift", 1}}},
      {"tril", {x}},
      {"index_select", {x, index}, {{"axis", 0}}},
      {"one_hot", {label}, {{"classes", 4}}, 0, 0},
      {"layer_norm", {x}, {{"normalized_shape", std::vector<Index>{4}}}},
      {"mse_loss", {x, y}, {}, 0, 2},
      {"cross_entropy", {x, label}},
      {"matmul", {x, w}, {}, 1e-13, 2},
      {"matmul", {f, wave({4}, 8, Dtype::f32)}, {}, 1e-6, 2},
      {"transpose", {x}},
      {"reshape", {x}, {{"shape", std::vector<Index>{2, -1}}}},
      {"permute", {image}, {{"axes", std::vector<Index>{3, 0, 2, 1}}}, 1e-7},
      {"sort", {x}, {{"axis", 0}}},
      {"sort", {f}, {{"axis", 1}, {"descending", true}}},
      {"sort", {tensor({2, 3}, {3, 1, 3, 2, 2, -9}, Dtype::i32)}, {{"axis", 1}}, 0, 0},
      {"sort", {tensor({2, 3}, {3, 1, 3, 2, 2, -9}, Dtype::bf16)}, {{"axis", 1}}, 0, 0},
      {"argsort", {wave({2, 3, 4}, 1)}, {{"axis", 1}}, 0, 0},
      {"topk", {wave({2, 6, 3}, 1)}, {{"axis", 1}, {"k", 2}}},
      {"topk", {x}, {{"axis", 1}, {"k", 3}, {"largest", false}}},
      {"topk", {tensor({0, 3}, {})}, {{"axis", 1}, {"k", 1}}, 0, 0},
      {"cumsum", {x}, {{"axis", 1}}, 1e-14},
      {"cumsum", {f}, {{"axis", 0}}, 1e-6},
      {"cumsum", {tensor({4}, {1, 2, 3, 4}, Dtype::i32)}, {{"axis", 0}}, 0, 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.op);
    Got here, there;
    try {
      here = run(c, c.in), there = run(c, moved(c.in, cuda(1)));
    } catch (const Error& e) {
      FAIL_CHECK(c.op << ": " << e.what());
      continue;
    }
    REQUIRE(here.results.size() == there.results.size());
    for (std::size_t i = 0; i < here.results.size(); ++i)
      CHECK(agree(there.results[i], here.results[i], c.tolerance));
    for (std::size_t i = 0; i < here.gradients.size(); ++i)
      CHECK(agree(there.gradients[i], here.gradients[i], c.tolerance));
  }
}

TEST_CASE("registry: sort, topk and cumsum are the device's own, of every rank") {
  const int before = fake::on(1).waits;
  const AnyTensor x = wave({2, 5, 3}, 1).to(cuda(1));
  for (int axis : {0, 1, 2}) {
    registry::call("sort", {{x}}, {{"axis", axis}});
    registry::call("topk", {{x}}, {{"axis", axis}, {"k", 1}});
    registry::call("cumsum", {{x}}, {{"axis", axis}});
  }
  CHECK(fake::on(1).waits == before);  // nothing went to the host
}

TEST_CASE("registry: NaN is largest on a device as on the processor") {
  const AnyTensor x = tensor({2, 4}, {3, not_a_number, 3, 1, not_a_number, 2, -1, 2});
  for (bool descending : {false, true}) {
    const AttributeMap a{{"axis", 1}, {"descending", descending}};
    CHECK(near(numbers(one("sort", {x.to(cuda(0))}, a).to(cpu)), result("sort", {x}, a)));
    CHECK(numbers(one("argsort", {x.to(cuda(0))}, a).to(cpu)) == result("argsort", {x}, a));
  }
}

TEST_CASE("registry: operands on two places are an error; single numbers may lie on the host") {
  const AnyTensor x = wave({3}, 1), y = wave({3}, 2);
  CHECK(failing("add", {x.to(cuda(0)), y.to(cuda(1))}).text ==
        "tenon::add: operands lie on cuda(0) and cuda(1)");
  CHECK(failing("add", {y, x.to(cuda(0))}).text ==
        "tenon::add: operands lie on cuda(0) and, [3], on the host; to(cuda(0)) copies it");
  const AnyTensor z = one("multiply", {x.to(cuda(0)), tensor({}, {2})});
  CHECK(z.device() == cuda(0));
  CHECK(numbers(z.to(cpu)) == result("multiply", {x, tensor({}, {2})}));
  CHECK(failing("tanh", {tensor({1}, {1}, Dtype::i64).to(cuda(0))}).code == Error::dtype);
}
