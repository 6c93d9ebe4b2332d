// SPDX-License-Identifier: Apache-2.0
// Members of aggregates: their number, order, names and addresses.
#include <tenon/core/reflect.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace tenon;

namespace {
struct None {};
struct One {
  int only;
};
struct Inner {
  float a_1, B2;
};
struct Many {
  Inner inner;
  std::vector<int> list;
  std::string text;
  const char* pointer;
  bool flag;
  double m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, last_one;
};
template <class A>
std::vector<std::string> names(A& a) {
  std::vector<std::string> list;
  each_member(a, [&](std::string_view name, auto&) { list.emplace_back(name); });
  return list;
}
}  // namespace

TEST_CASE("members are counted, nested ones as one") {
  CHECK(member_count<None> == 0);
  CHECK(member_count<One> == 1);
  CHECK(member_count<Inner> == 2);
  CHECK(member_count<Many> == 16);
}

TEST_CASE("members come in order with the names they were declared with") {
  Inner inner{1, 2};
  CHECK(names(inner) == std::vector<std::string>{"a_1", "B2"});
  Many many{};
  CHECK(names(many) == std::vector<std::string>{"inner", "list", "text", "pointer", "flag", "m6",
                                                "m7", "m8", "m9", "m10", "m11", "m12", "m13", "m14",
                                                "m15", "last_one"});
  None none;
  CHECK(names(none).empty());
}

TEST_CASE("members are references into the object, const where it is") {
  One one{1};
  each_member(one, [](std::string_view, int& x) { x = 5; });
  CHECK(one.only == 5);
  const One fixed{3};
  each_member(fixed, [&](std::string_view, auto& x) { CHECK(&x == &fixed.only); });
}
