// SPDX-License-Identifier: Apache-2.0
// Exported functions, compiled by g++, against the library: every element-wise operation, rows,
// products, extents; and what cannot be exported.
#include <tenon/deploy/cpp.hpp>

#include <tenon/registry/table.hpp>

#include "deploy/compiled.hpp"

using namespace tests;

namespace {

struct Abc {
  AnyTensor a, b, c;
};

template <int... K>
std::vector<std::vector<op::Range>> ranges(std::integer_sequence<int, K...>) {
  return {std::vector<op::Range>(std::begin(op::At<K>::range), std::end(op::At<K>::range))...};
}
/// Numbers from a range, then what lies outside of every one, for one operand.
AnyTensor sample(const op::Range& r, unsigned seed, bool special) {
  std::vector<double> x = values(spread(Dtype::f32, extents({61}), seed, r.low, r.high));
  if (special) x.insert(x.end(), {0.0, -0.0, 1.0, -0.5, infinity, -infinity, not_a_number});
  else x.insert(x.end(), {r.low, r.high, r.low, r.high, r.high, r.low, r.low});
  return of(Dtype::f32, extents({68}), x);
}

struct Net {
  nn::Linear<3, 2> fc;
  auto operator()(const auto& x) const { return tanh(fc(x)); }
};
struct F32 {
  Tensor<float, Shape<dyn, 4, 5>> x;
};
struct Matrices {
  Tensor<float, Shape<9, 7>> b;
  Tensor<float, Shape<7, 9>> c;
  Tensor<double, Shape<2, 9, 3>> batch;
};
struct Rows7 {
  Tensor<float, Shape<dyn, 7>> a;
};
struct Three {
  Tensor<float, Shape<dyn, 3>> first;
  Tensor<float, Shape<dyn, 3>> again;
  Tensor<float, Shape<dyn>> sums;
  Tensor<float, Shape<dyn, 3>> given;
};
struct Rows3 {
  Tensor<float, Shape<dyn, 3>> x;
};
struct F64 {
  Tensor<double, Shape<dyn, 6>> x;
};
struct Pixels {
  Tensor<std::uint8_t, Shape<dyn, 6>> pixel;
  Tensor<bool, Shape<dyn, 6>> keep;
};

void add_reductions(Compiled& all, Index rows) {
  const F32 in{spread<float, Shape<dyn, 4, 5>>(3, {rows, 4, 5})};
  const std::string r = std::to_string(rows);
  auto put = [&](const char* name, auto f) { all.add(name + r, f, in); };
  put("sum_last", [](const F32& b) { return Tensor(sum(b.x, axis<-1>)); });
  put("sum_middle", [](const F32& b) { return Tensor(sum(b.x, axis<1>, keepdims)); });
  put("mean_first_rows", [](const F32& b) { return Tensor(mean(b.x, axis<0>)); });
  put("mean_all", [](const F32& b) { return Tensor(mean(b.x)); });
  put("max_middle", [](const F32& b) { return Tensor(max(b.x, axis<1>)); });
  put("min_last", [](const F32& b) { return Tensor(min(b.x, axis<2>)); });
  put("logsumexp_middle", [](const F32& b) { return Tensor(logsumexp(b.x * 30, axis<1>)); });
  put("softmax_last", [](const F32& b) { return Tensor(softmax(b.x * 40, axis<-1>)); });
  put("softmax_middle", [](const F32& b) { return Tensor(softmax(b.x, axis<1>)); });
  put("log_softmax_last", [](const F32& b) { return Tensor(log_softmax(b.x, axis<-1>)); });
  put("spread_out", [](const F32& b) {
    return Tensor(b.x - mean(b.x, axis<1>, keepdims) * sum(b.x, axis<2>, keepdims));
  });
  put("reshaped", [](const F32& b) {
    return Tensor(softmax(reshape(Tensor(tanh(b.x)), Shape<dyn, 2, 10>{b.x.extent(0)}), axis<-1>));
  });
}

}  // namespace

TEST_CASE(
    "deploy: every element-wise operation, rows, products and models agree with the library") {
  Compiled all;
  const auto range = ranges(std::make_integer_sequence<int, op::Elementwise::size>{});
  int exported = 0;
  for (int k = 0; k < op::Elementwise::size; ++k) {
    const OpInfo* o = registry::elementwise(k, Dtype::f32);
    REQUIRE(o != nullptr);
    const auto& r = range[static_cast<std::size_t>(k)];
    const bool special = o->arity == 1;
    const Abc in{sample(r[0], 1, special), sample(r[o->arity > 1 ? 1u : 0u], 2, special),
                 sample(r[o->arity > 2 ? 2u : 0u], 3, special)};
    auto f = [o](const Abc& x) {
      const AnyTensor operand[] = {x.a, x.b, x.c};
      return kernel::evaluate(*o->single, operand, o->arity, nullptr, GroupCall{},
                              o->boolean ? Dtype::boolean : Dtype::f32, Context{});
    };
    all.add(std::string("op_") + o->name, f, in);
    ++exported;
  }
  CHECK(exported == op::Elementwise::size);
  for (Index rows : {1, 3}) {
    add_reductions(all, rows);
    const std::string r = std::to_string(rows);
    const Matrices m{spread<float, 9, 7>(6), spread<float, 7, 9>(7), spread<double, 2, 9, 3>(2)};
    const Rows7 seven{spread<float, Shape<dyn, 7>>(5, {rows, 7})};
    all.add(
        "products" + r,
        [](const Matrices& w, const Rows7& x) {
          Tensor left = matmul(x.a, transpose(w.b)) + 1;
          Tensor both = matmul(transpose(left), matmul(x.a, w.c));
          return Tensor(relu(both) * 0.5f);
        },
        seven, m);
    all.add(
        "used_both_ways" + r,
        [](const Matrices& w, const Rows7& x) {
          return Tensor(matmul(matmul(x.a, transpose(w.b)), w.b) - x.a);
        },
        seven, m);
    const F64 wide{spread<double, Shape<dyn, 6>>(8, {rows, 6})};
    all.add(
        "wide" + r,
        [](const F64& x) { return Tensor(exp(x.x) / sum(maximum(x.x, 0.5), axis<-1>, keepdims)); },
        wide);
    all.add(
        "batched" + r,
        [](const Matrices& w, const F64& x) {
          Tensor y = reshape(x.x, Shape<dyn, 2, 1, 3>{x.x.extent(0)});
          return Tensor(matmul(y, transpose(w.batch)));
        },
        wide, m);
    const Rows3 few{spread<float, Shape<dyn, 3>>(9, {rows, 3})};
    all.add(
        "several" + r,
        [](const Rows3& x) {
          Tensor y = x.x * 2;
          return Three{y, y, sum(y, axis<-1>), x.x};
        },
        few);
    all.add(
        "numbers" + r,
        [](const Rows3& x) { return kernel::filled(Dtype::f32, x.x.any().extents(), 0.1); }, few);
    const AnyTensor odd = made(Dtype::boolean, extents({rows, 6}), [](Index i) { return i % 2; });
    const Pixels pixels{
        Tensor<std::uint8_t, Shape<dyn, 6>>(spread(Dtype::u8, extents({rows, 6}), 4, 0, 255)),
        Tensor<bool, Shape<dyn, 6>>(odd)};
    const Tensor<float, Shape<6>> scale = spread<float, 6>(5);
    all.add(
        "pixels" + r,
        [](const Tensor<float, Shape<6>>& s, const Pixels& x) {
          return Tensor(where(x.keep, x.pixel * s, s / 2));
        },
        pixels, scale);
  }
  all.compile();
  for (const Exported& e : all.functions()) {
    CAPTURE(e.name);
    const bool wide = e.want[0].dtype() == Dtype::f64;
    CHECK(all.difference(e) < (wide ? 1e-14 : 3e-6));
  }
}

TEST_CASE("deploy: parameters are embedded as they are, and the file says how to use it") {
  auto net = nn::init<Net>(Rng{1});
  const Tensor<float, Shape<dyn, 3>> x = spread<float, Shape<dyn, 3>>(1, {4, 3});
  Evaluation evaluation;
  const auto f = trace(
      [](const Net& n, const Tensor<float, Shape<dyn, 3>>& in) { return Tensor(n(in)); }, net, x);
  const TemporaryFolder folder;
  deploy::cpp(folder / "net.cpp", f, {.name = "net", .rows = 2}, net);
  const std::string text = get(folder / "net.cpp");
  for (const char* words : {"int net(const float* in, float* out);", "in: float [2, 3], row-major",
                            "fc.weight [2, 3], transposed", "static const float net_fc_bias[2]",
                            "enum { net_rows = 2 };", "g++ -std=c++11"})
    CHECK_THAT(text, ContainsSubstring(words));
  // As C, too.
  put(folder / "net.c", text);
  for (const char* standard : {"c99", "c11"})
    CHECK(runs(std::string("gcc -std=") + standard + " -Wall -Wextra -Wpedantic -Werror -c " +
               folder / "net.c -o " + folder / "net.o"));
  Net other = net;
  other.fc.weight = other.fc.weight * 2;
  deploy::cpp(folder / "net.cpp", f, {.name = "net", .rows = 2}, other);
  CHECK(get(folder / "net.cpp") != text);
  CHECK(folder.entries() == 3);
}

TEST_CASE("deploy: what cannot be exported is an error that names it") {
  auto net = nn::init<Net>(Rng{1});
  using Input = Tensor<float, Shape<dyn, 3>>;
  const Input x = spread<float, Shape<dyn, 3>>(1, {4, 3});
  const TemporaryFolder folder;
  auto refuses = [&](auto f, int code, const char* words, deploy::Options options = {}) {
    const auto traced = trace(f, net, x);
    const Failure e = failure([&] { deploy::cpp(folder / "net.cpp", traced, options, net); });
    CHECK(e.code == code);
    CHECK_THAT(e.text, ContainsSubstring(words));
    CHECK(folder.entries() == 0);
  };
  auto plain = [](const Net& n, const Input& in) { return Tensor(n.fc(in)); };
  refuses(
      [](const Net& n, const Input& in) {
        Tape tape;
        return Tensor(nn::Dropout{.p = 0.5f}(n.fc(in)));
      },
      Error::unsupported, "uniform draws random numbers");
  refuses(
      [](const Net& n, const Input& in) {
        Tape tape;
        Tensor loss = mean(square(n.fc(in)));
        return tape.gradient(loss, n);
      },
      Error::unsupported, "computes a gradient");
  refuses(
      [](Net& n, const Input& in) {
        n.fc.bias = n.fc.bias + 1;
        return Tensor(n.fc(in));
      },
      Error::unsupported, "the function changes argument 0.fc.bias");
  refuses(plain, Error::value, "the name \"2d\" is no identifier", {.name = "2d"});
  refuses(plain, Error::value, "rows is 0", {.rows = 0});
  const auto traced = trace(plain, net, x);
  const AnyTensor wrong[] = {AnyTensor(zeros(Dtype::f32, extents({9}))), net.fc.bias.any()};
  CHECK_THROWS_WITH(deploy::cpp_text(traced.graph(), wrong),
                    ContainsSubstring("argument 0.fc.weight is f32"));
}
