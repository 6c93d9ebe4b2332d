// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/convert.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace tenon;

namespace {
template <class To, class From>
std::vector<To> converted(const std::vector<From>& x) {
  std::vector<To> y(x.size());
  convert(dtype_of<From>, x.data(), 1, dtype_of<To>, y.data(), 1, static_cast<Index>(x.size()));
  return y;
}

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t i64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t i64_min = std::numeric_limits<std::int64_t>::min();
}  // namespace

TEST_CASE("convert: floating to integer truncates, saturates, and makes 0 of NaN", "[core]") {
  std::vector<double> x{1.9,  -1.9, -0.5,  255.9, 256,  -1,           3e9,
                        -3e9, 1e19, -1e19, inf,   -inf, not_a_number, 0x1p63};
  using V64 = std::vector<std::int64_t>;
  CHECK(converted<std::int64_t>(x) == V64{1, -1, 0, 255, 256, -1, 3000000000, -3000000000, i64_max,
                                          i64_min, i64_max, i64_min, 0, i64_max});
  constexpr std::int32_t top = 2147483647, bottom = -top - 1;
  CHECK(converted<std::int32_t>(x) == std::vector<std::int32_t>{1, -1, 0, 255, 256, -1, top, bottom,
                                                                top, bottom, top, bottom, 0, top});
  CHECK(converted<std::uint8_t>(x) ==
        std::vector<std::uint8_t>{1, 0, 0, 255, 255, 0, 255, 0, 255, 0, 255, 0, 0, 255});
  CHECK(converted<std::int32_t>(std::vector<double>{2147483647.9, -2147483648.9}) ==
        std::vector<std::int32_t>{top, bottom});
}

TEST_CASE("convert: integers convert modulo 2^bits, and to bool by being other than 0", "[core]") {
  std::vector<std::int64_t> x{0, 1, -1, 256, 257, (std::int64_t{1} << 32) + 5, i64_min};
  CHECK(converted<std::int32_t>(x) == std::vector<std::int32_t>{0, 1, -1, 256, 257, 5, 0});
  CHECK(converted<std::uint8_t>(x) == std::vector<std::uint8_t>{0, 1, 255, 0, 1, 5, 0});
  std::vector<std::uint8_t> truth(7, 9), zero_or_one{0, 1, 1, 1, 1, 1, 1};
  convert(Dtype::i64, x.data(), 1, Dtype::boolean, truth.data(), 1, 7);
  CHECK(truth == zero_or_one);
  std::vector<double> y{0.0, -0.0, 1e-320, not_a_number};
  convert(Dtype::f64, y.data(), 1, Dtype::boolean, truth.data(), 1, 4);
  CHECK(std::vector<std::uint8_t>(truth.begin(), truth.begin() + 4) ==
        std::vector<std::uint8_t>{0, 0, 1, 1});
  std::vector<std::uint8_t> odd{0, 1, 2, 255};  // a bool from a foreign source may hold any byte
  std::vector<float> z(4);
  convert(Dtype::boolean, odd.data(), 1, Dtype::f32, z.data(), 1, 4);
  CHECK(z == std::vector<float>{0, 1, 1, 1});
}

TEST_CASE("convert: the result is rounded once, whatever lies between", "[core]") {
  // Each lies just above the middle of two neighbours, by less than float or double can show on the
  // way.
  CHECK(converted<float>(std::vector<std::int64_t>{
            (std::int64_t{1} << 60) + (std::int64_t{1} << 36) + 1})[0] == 0x1p60f + 0x1p37f);
  CHECK(converted<bf16>(
            std::vector<std::int64_t>{(std::int64_t{1} << 60) + (std::int64_t{1} << 52) + 1,
                                      -(std::int64_t{1} << 60) - (std::int64_t{1} << 52) - 1})[1]
            .bits == (0x8000u | bf16(0x1p60f + 0x1p53f).bits));
  CHECK(converted<bf16>(std::vector<double>{1 + 0x1p-8 + 0x1p-40})[0].bits ==
        bf16(1 + 0x1p-7f).bits);
  CHECK(converted<f16>(std::vector<double>{1 + 0x1p-11 + 0x1p-40})[0].bits ==
        f16(1 + 0x1p-10f).bits);
  CHECK(converted<f16>(std::vector<double>{1 + 0x1p-11 - 0x1p-40})[0].bits == f16(1.0f).bits);
  CHECK(converted<f16>(std::vector<std::int64_t>{2049, 65519, 65520})[1].bits == 0x7bff);
  CHECK(converted<bf16>(std::vector<double>{inf, -inf, 1e300, not_a_number})[2].bits == 0x7f80);
  CHECK(std::isnan(static_cast<float>(converted<bf16>(std::vector<double>{not_a_number})[0])));
  CHECK(std::isnan(static_cast<float>(converted<f16>(std::vector<double>{not_a_number})[0])));
}

TEST_CASE("convert: i64 to i64 and i32 to f64 are exact", "[core]") {
  std::vector<std::int64_t> x{i64_max, i64_min, (std::int64_t{1} << 53) + 1};
  CHECK(converted<std::int64_t>(x) == x);
  std::vector<std::int32_t> y{2147483647, -2147483647, 16777217};
  CHECK(converted<double>(y) == std::vector<double>{2147483647, -2147483647, 16777217});
}

TEST_CASE("convert: any pair, length, stride and alignment equals the cast of each element",
          "[core]") {
  constexpr int room = 1400;
  for (int f = 0; f < dtype_count; ++f) {
    for (int t = 0; t < dtype_count; ++t) {
      Dtype from = static_cast<Dtype>(f), to = static_cast<Dtype>(t);
      std::vector<double> value(room);
      for (int i = 0; i < room; ++i)
        value[static_cast<std::size_t>(i)] = from == Dtype::boolean ? i % 2 : i % 100;
      for (Index n : {0, 1, 255, 256, 257, 600}) {
        for (Index stride : {-1, 0, 1, 2}) {
          std::vector<char> source(room * 8 + 1), target(room * 8 + 1);
          convert(Dtype::f64, value.data(), 1, from, source.data() + 1, 1, room);  // odd address
          Index start = stride < 0 ? 700 : 0;
          const char* s = source.data() + 1 + start * static_cast<Index>(size_of(from));
          convert(from, s, stride, to, target.data() + 1, 2, n);
          std::vector<double> result(static_cast<std::size_t>(n) * 2 + 1);
          convert(to, target.data() + 1, 1, Dtype::f64, result.data(), 1, 2 * n);
          int wrong = 0;
          for (Index i = 0; i < n; ++i) {
            double x = value[static_cast<std::size_t>(start + i * stride)];
            wrong +=
                result[static_cast<std::size_t>(2 * i)] != (to == Dtype::boolean ? (x != 0) : x);
            wrong +=
                result[static_cast<std::size_t>(2 * i + 1)] != 0;  // what lies between is untouched
          }
          INFO(name_of(from) << " to " << name_of(to) << ", n " << n << ", stride " << stride);
          CHECK(wrong == 0);
        }
      }
    }
  }
}
