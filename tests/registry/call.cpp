// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/call.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("registry: an unknown operation, an empty handle and a foreign attribute are errors") {
  CHECK(failing("no_such_thing", {}).code == Error::unsupported);
  CHECK(failing("no_such_thing", {}).text ==
        "tenon::registry: no operation is called \"no_such_thing\"");
  CHECK(failing("exp", {AnyTensor{}}).code == Error::uninitialised);
  CHECK(failing("exp", {tensor({1}, {1})}, {{"axis", 0}}).text ==
        "tenon::exp: takes no attribute \"axis\"");
  CHECK(failing("add", {tensor({1}, {1})}).text == "tenon::add: takes 2 tensors, not 1");
  CHECK(failing("sum", {tensor({1}, {1})}, {{"axis", "last"}}).code == Error::value);
  CHECK(registry::find("softmax") != nullptr);
  CHECK(registry::find("") == nullptr);
}
TEST_CASE(
    "registry: dtypes: floats stay, integers where the operation takes them, a mixture is an "
    "error") {
  for (Dtype d :
       {Dtype::f32, Dtype::f64, Dtype::i64, Dtype::i32, Dtype::u8, Dtype::bf16, Dtype::f16}) {
    CAPTURE(name_of(d));
    const AnyTensor x = tensor({3}, {1, 2, 3}, d), y = one("add", {x, x});
    CHECK(y.dtype() == d);
    CHECK(numbers(y) == Numbers{2, 4, 6});
    const AnyTensor less = one("less", {x, tensor({}, {2}, d)});
    CHECK(less.dtype() == Dtype::boolean);
    CHECK(numbers(less) == Numbers{1, 0, 0});
    const bool floating = is_floating(d);
    CHECK(failing("tanh", {x}).code == (floating ? 0 : int(Error::dtype)));
    CHECK(failing("softmax", {x}).code == (floating ? 0 : int(Error::dtype)));
    CHECK(failing("mean", {x}).code == (floating ? 0 : int(Error::dtype)));
    CHECK(failing("matmul", {x, x}).code == (floating ? 0 : int(Error::dtype)));
    CHECK(result("sum", {x}) == Numbers{6});
    CHECK(result("max", {x}, {{"axis", 0}}) == Numbers{3});
  }
  const AnyTensor f = tensor({2}, {1, 2}, Dtype::f32), g = tensor({2}, {1, 2});
  CHECK(failing("add", {f, g}).text == "tenon::add: operands of dtype f32 and f64");
  CHECK(failing("add", {f, g.to(Dtype::i64)}).code == Error::dtype);
  CHECK(one("multiply", {f, g.to(Dtype::u8)}).dtype() == Dtype::f32);
  CHECK(one("multiply", {g.to(Dtype::u8), g}).dtype() == Dtype::f64);
  CHECK(one("tanh", {f}).dtype() == Dtype::f32);
}
TEST_CASE("registry: ranks 0 to 8 and extents 0 and 1, against closed forms") {
  for (int rank = 0; rank <= max_rank; ++rank)
    for (Index n : {Index{0}, Index{1}, Index{2}}) {
      Extents e;
      e.rank = rank;
      std::fill_n(e.extent, rank, n);
      AnyTensor x = AnyTensor::empty(Dtype::f64, e);
      for (Index i = 0; i < x.size(); ++i)
        static_cast<double*>(x.raw_writable())[i] = static_cast<double>(i % 3);
      CAPTURE(rank, n);
      double sum = 0;
      for (double v : numbers(x)) sum += v;
      CHECK(result("sum", {x}) == Numbers{sum});
      CHECK(one("sum", {x}).rank() == 0);
      CHECK(one("sum", {x}, {{"keepdim", true}}).rank() == rank);
      CHECK(one("exp", {x}).extents() == e);
      CHECK(numbers(one("subtract", {x, x})) == Numbers(static_cast<std::size_t>(x.size()), 0));
      CHECK(numbers(one("add", {x, tensor({}, {0})})) == numbers(x));
      if (rank == 0) continue;
      CHECK(one("softmax", {x}).extents() == e);
      CHECK(one("cumsum", {x}, {{"axis", 0}}).extents() == e);
      CHECK(one("sum", {x}, {{"axis", -1}}).rank() == rank - 1);
      const Index flat = x.size();
      CHECK(numbers(one("reshape", {x}, {{"shape", std::vector<Index>{flat}}})) == numbers(x));
      if (rank > 1) CHECK(numbers(one("transpose", {one("transpose", {x})})) == numbers(x));
    }
}
TEST_CASE("registry: shapes broadcast at run time, and those that do not are named") {
  const AnyTensor a = tensor({2, 1, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({2, 1}, {10, 20});
  CHECK(result("add", {a, b}) == Numbers{11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26});
  CHECK(failing("add", {a, tensor({2}, {1, 2})}).text ==
        "tenon::add: operands do not broadcast on axis 2: [2, 1, 3] and [2] (3 vs 2)");
  CHECK(failing("where", {b, a, tensor({2}, {1, 2})}).code == Error::shape);
  CHECK(near(gradient("add", {a, b}, 1), differences("add", {a, b}, 1), 1e-7));
  CHECK(near(gradient("multiply", {a, b}, 0), differences("multiply", {a, b}, 0), 1e-7));
}
TEST_CASE("registry: a view gives what its dense copy gives, value and gradient") {
  const AnyTensor x = tensor({3, 4}, {1, -2, 3, 0.5, 2, 4, -1, 0.25, 1.5, 3, -3, 2});
  const AnyTensor v = transposed_copy(x);
  REQUIRE(!v.contiguous());
  REQUIRE(numbers(v) == numbers(x));
  const std::pair<const char*, AttributeMap> calls[] = {
      {"tanh", {}},
      {"sum", {{"axis", 0}}},
      {"logsumexp", {{"axis", 1}}},
      {"softmax", {{"axis", 0}}},
      {"log_softmax", {}},
      {"max", {{"axis", 1}}},
      {"cumprod", {{"axis", 0}}},
      {"sort", {{"axis", 0}}},
      {"var", {{"axis", 1}}},
      {"norm", {{"axis", 0}}},
      {"prod", {{"axis", 1}}},
      {"flip", {{"axis", 1}}},
      {"layer_norm", {{"normalized_shape", std::vector<Index>{4}}}}};
  for (const auto& [op, attributes] : calls) {
    CAPTURE(op);
    CHECK(near(result(op, {v}, attributes), result(op, {x}, attributes), 1e-14));
    CHECK(near(gradient(op, {v}, 0, attributes), gradient(op, {x}, 0, attributes), 1e-13));
    CHECK(near(gradient(op, {v}, 0, attributes), differences(op, {x}, 0, attributes), 1e-6));
  }
  const AnyTensor w = tensor({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(near(result("matmul", {v, transposed_copy(w)}), result("matmul", {x, w})));
  CHECK(near(gradient("matmul", {v, w}, 1), gradient("matmul", {x, w}, 1)));
}
TEST_CASE("registry: NaN and infinities pass as IEEE 754 and the reductions' rules say") {
  const AnyTensor x = tensor({2, 3}, {not_a_number, 1, 2, inf, -inf, 1});
  CHECK(near(result("add", {x, tensor({}, {1})}), {not_a_number, 2, 3, inf, -inf, 2}));
  CHECK(near(result("amax", {x}, {{"axis", 1}}), {not_a_number, inf}));
  CHECK(near(result("amin", {x}, {{"axis", 1}}), {not_a_number, -inf}));
  CHECK(near(result("sum", {x}, {{"axis", 1}}), {not_a_number, not_a_number}));
  CHECK(near(result("nansum", {x}, {{"axis", 1}}), {3, not_a_number}));
  CHECK(near(result("argmax", {x}, {{"axis", 1}}), {0, 0}));
  CHECK(near(result("argmin", {x}, {{"axis", 1}}), {0, 1}));
  CHECK(near(result("isnan", {x}), {1, 0, 0, 0, 0, 0}));
  CHECK(near(result("isinf", {x}), {0, 0, 0, 1, 1, 0}));
  CHECK(near(result("relu", {x}), {not_a_number, 1, 2, inf, 0, 1}));
  CHECK(near(result("logsumexp", {tensor({2}, {-inf, -inf})}), {-inf}));
  CHECK(near(result("logsumexp", {tensor({2}, {-inf, 3})}), {3}));
  CHECK(near(result("softmax", {tensor({3}, {-inf, 0, 0})}), {0, 0.5, 0.5}));
}
