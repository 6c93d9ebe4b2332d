// SPDX-License-Identifier: Apache-2.0
// The second half of the table of operations.
#include "kernel/operations.hpp"

namespace tests {
void append_part_2(std::vector<Operation>& list) {
  append<part_size>(list,
                    std::make_integer_sequence<int, tenon::op::Elementwise::size - part_size>{});
}
}  // namespace tests
