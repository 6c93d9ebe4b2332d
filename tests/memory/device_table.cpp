// SPDX-License-Identifier: Apache-2.0
// The table of a device: what a program without one says, and faults that are reported once.
#include <tenon/memory/device_table.hpp>

#include "support/catch.hpp"

using namespace tenon;

namespace {
abi::DeviceFault found{};
const char* copy(int, void* to, const void* from, std::size_t bytes) {
  __builtin_memcpy(to, from, bytes);
  return nullptr;
}
const char* clear(int, void* to, std::size_t bytes) {
  __builtin_memset(to, 0, bytes);
  return nullptr;
}
const char* trouble = nullptr;

/// A table with what synchronize needs.
struct WithTable {
  abi::DeviceTable table{};
  const abi::DeviceTable* before = abi::device_table;
  WithTable() {
    table.name = "test", table.count = [] { return 1; };
    table.download = copy, table.clear = clear;
    table.synchronise = [](int) { return trouble; };
    table.fault = [](int) { return &found; };
    table.launch = [](int, const abi::Launch&) { return "too many blocks"; };
    abi::device_table = &table;
  }
  ~WithTable() { abi::device_table = before; }
};
struct WithoutTable {
  const abi::DeviceTable* before = std::exchange(abi::device_table, nullptr);
  ~WithoutTable() { abi::device_table = before; }
};
}  // namespace

TEST_CASE("without a file built by nvcc there is no device, and an error says so") {
  const WithoutTable without;
  CHECK(cuda_device_count() == 0);
  CHECK_NOTHROW(synchronize(cpu));
  CHECK_THROWS_MATCHES(
      synchronize(cuda(0)), Error,
      Message("tenon::cuda(0): no file of this program was built by nvcc; there are 0 devices"));
}

TEST_CASE("a device that is not there, and one that failed") {
  const WithTable with;
  CHECK_THROWS_MATCHES(synchronize(cuda(1)), Error, Message("tenon::cuda(1): there are 1 devices"));
  trouble = "an illegal memory access was encountered";
  CHECK_THROWS_MATCHES(synchronize(cuda(0)), Error,
                       Message("tenon::cuda: an illegal memory access was encountered"));
  trouble = nullptr;
  CHECK_NOTHROW(synchronize(cuda(0)));
}

TEST_CASE("a fault is an error of its code, once") {
  const WithTable with;
  found = {7, 2, 5, static_cast<std::int32_t>(Error::index), 1};
  try {
    synchronize(cuda(0));
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Error::index);
    CHECK_THAT(e.what(),
               StartsWith("tenon::take: index 7 at position 2 is out of range for an extent of 5"));
  }
  CHECK_NOTHROW(synchronize(cuda(0)));
}

TEST_CASE("a launch of nothing and one that fails") {
  const WithTable with;
  const int argument = 0;
  abi::DeviceKernel kernel;
  CHECK_THROWS_MATCHES(
      detail::launch(cuda(0), kernel, "exp", &argument, sizeof argument, 1, 32), Error,
      Message(
          "tenon::exp: no kernel for cuda(0): a file with this statement must be built by nvcc"));
  kernel.device = &argument;
  CHECK_THROWS_MATCHES(detail::launch(cuda(0), kernel, "exp", &argument, sizeof argument, 1, 32),
                       Error, Message("tenon::cuda: too many blocks"));
}
