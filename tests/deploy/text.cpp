// SPDX-License-Identifier: Apache-2.0
// Formulas as C: parentheses, names for what is used twice, numbers to the bit.
#include <tenon/deploy/text.hpp>

#include <tenon/op/list.hpp>

#include <bit>
#include <cstdlib>

#include "support/catch.hpp"

using namespace tenon;
using deploy::Text;

namespace {
std::string written(const Text& t, bool f64 = false) {
  std::set<std::string> helpers;
  deploy::Formulas f("m_", f64, helpers);
  f.announce(t);
  std::string last = f.write(t), all;
  for (const std::string& l : f.lines()) all += l + " ";
  for (const std::string& h : helpers) all += h + " ";
  return all + last;
}
}  // namespace

TEST_CASE("text: operations write their own formulas") {
  const Text x = Text::name("x[i]"), y = Text::name("y");
  CHECK(written(y - (y - y)) == "y - (y - y)");
  CHECK(written(-(y * Text(2.5))) == "-(y * 2.5f)");
  CHECK(written(y / Text(-1)) == "y / (-1.0f)");
  CHECK(written(op::Sigmoid::forward(y)) == "1.0f / (1.0f + expf(-y))");
  CHECK(written(op::Relu::forward(x)) == "const float t0 = x[i]; (t0 < 0.0f) ? 0.0f : t0");
  CHECK(written(op::Softplus::forward(y), true) == "max64 m_max(y, 0.0) + log1p(exp(-fabs(y)))");
  const Text e = exp(y);
  CHECK(written(e * e) == "const float t0 = expf(y); t0 * t0");
}

TEST_CASE("text: long formulas are cut into named parts") {
  Text sum = Text::name("start");
  for (int i = 0; i < 40; ++i) sum = sum + Text::name("value" + std::to_string(i));
  const std::string all = written(sum);
  CHECK(all.find("const float t1 = ") != std::string::npos);
  CHECK(all.find("value39") != std::string::npos);
}

TEST_CASE("text: literals are the same numbers, to the bit") {
  std::uint32_t state = 12345;
  int wrong = 0;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525u + 1013904223u;
    const float x = std::bit_cast<float>(state);
    if (x - x != 0) continue;
    const std::string text = deploy::literal(static_cast<double>(x), false);
    wrong += std::bit_cast<std::uint32_t>(std::strtof(text.c_str(), nullptr)) != state;
    wrong += text.back() != 'f' || text.find_first_of(".e") == std::string::npos;
    const double d = static_cast<double>(x) / 3;
    wrong += std::strtod(deploy::literal(d, true).c_str(), nullptr) != d;
  }
  CHECK(wrong == 0);
  CHECK(deploy::literal(-0.0, false) == "-0.0f");
  CHECK(deploy::literal(1, true) == "1.0");
  CHECK(deploy::literal(-std::numeric_limits<double>::infinity(), false) == "-INFINITY");
  CHECK(deploy::literal(std::numeric_limits<double>::quiet_NaN(), true) == "NAN");
}
