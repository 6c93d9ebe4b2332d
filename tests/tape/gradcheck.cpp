// SPDX-License-Identifier: Apache-2.0
// gradcheck itself: right functions pass, wrong ones are named, f32 is refused.
#include <tenon/tape/gradcheck.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("the worst error of a right gradient is far below the limit, first and second") {
  const auto x = spread<double, 2, 3>(1);
  const auto f = [](const auto& x) { return tanh(x) * x; };
  CHECK(gradcheck(f, x) < 1e-8);
  CHECK(gradcheck_second(f, x) < 1e-8);
}

TEST_CASE("a wrong derivative is named with argument and element") {
  const auto x = spread<double, 2, 3>(1), y = spread<double, 2, 3>(2);
  const auto f = [](const auto& x, const auto& y) { return x + y * stop_gradient(y); };
  CHECK_THROWS_WITH(gradcheck(f, x, y),
                    ContainsSubstring("first derivative by argument 1 at [0, 0]"));
  const auto g = [](const auto& x) {
    return square(x) * stop_gradient(x) + x * stop_gradient(square(x)) * 1;
  };
  CHECK_THROWS_WITH(gradcheck_second(g, x), ContainsSubstring("second derivative by argument 0"));
}

TEST_CASE("central differences need f64") {
  CHECK_THROWS_WITH(gradcheck([](const auto& x) { return x * x; }, spread<float, 2>(1)),
                    ContainsSubstring("need f64"));
}
