// SPDX-License-Identifier: Apache-2.0
// Errors carry a stable code and the library's name.
#include <tenon/core/error.hpp>

#include <type_traits>

#include "support/catch.hpp"
using tenon::Error;

TEST_CASE("error: fail throws the code it was given, and a text that begins with the library",
          "[core]") {
  auto code = GENERATE(Error::shape, Error::dtype, Error::format, Error::unsupported);
  try {
    tenon::fail(code, "matmul: inner extents differ: a [32, 784], b [512, 10] (784 vs 512)");
  } catch (const Error& error) {
    CHECK(error.code() == code);
    CHECK(std::string(error.what()) ==
          "tenon::matmul: inner extents differ: a [32, 784], b [512, 10] (784 vs 512)");
  }
}

TEST_CASE("error: the numbers of codes never change", "[core]") {
  CHECK(Error::shape == 1);
  CHECK(Error::dtype == 2);
  CHECK(Error::index == 3);
  CHECK(Error::value == 4);
  CHECK(Error::uninitialised == 5);
  CHECK(Error::tape == 6);
  CHECK(Error::memory == 7);
  CHECK(Error::file == 8);
  CHECK(Error::format == 9);
  CHECK(Error::device == 10);
  CHECK(Error::trace == 11);
  CHECK(Error::unsupported == 12);
}

TEST_CASE("error: who catches std::exception or std::runtime_error catches it", "[core]") {
  CHECK_THROWS_AS(tenon::fail(Error::file, "read: x"), std::runtime_error);
  CHECK_THROWS_WITH(tenon::fail(Error::file, "read: x"), "tenon::read: x");
  STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<Error>);
}
