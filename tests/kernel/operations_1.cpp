// SPDX-License-Identifier: Apache-2.0
// The first half of the table of operations.
#include "kernel/operations.hpp"

namespace tests {
void append_part_1(std::vector<Operation>& list) {
  append<0>(list, std::make_integer_sequence<int, part_size>{});
}
}  // namespace tests
