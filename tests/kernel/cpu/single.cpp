// SPDX-License-Identifier: Apache-2.0
// One operation over rows of any length: every element is the operation of its operands', whatever
// is constant along the row, and nothing behind a row is read or written.
#include <tenon/kernel/cpu/single.hpp>
#include <tenon/op/list.hpp>

#include "support/catch.hpp"

#include <vector>

using namespace tenon;

namespace {

// Rows lie at the end of their memory, `gap` elements apart: AddressSanitizer sees what is beyond.
template <class Op, class T>
void check(abi::Count rows, abi::Count n, unsigned constant, abi::Count gap) {
  CAPTURE(Op::name, rows, n, constant, gap);
  std::vector<T> x[3], y(static_cast<std::size_t>(rows * (n + gap) - gap), T(77));
  const void* leaf[3];
  abi::Count row[3], step[3];
  for (int s = 0; s < Op::arity; ++s) {
    step[s] = constant >> s & 1 ? 0 : 1;
    row[s] = step[s] ? n + gap : 1;
    const abi::Count size = step[s] ? rows * (n + gap) - gap : rows;
    for (abi::Count i = 0; i < size; ++i) x[s].push_back(static_cast<T>((i * 7 + s * 3) % 11 + 1));
    leaf[s] = x[s].data();
  }
  abi::Block b;
  b.rows = rows, b.n = n, b.leaf = leaf, b.leaf_row = row, b.constant = constant;
  b.out = y.data(), b.out_row = n + gap;
  kernel::run_single<Op, T>(b);
  bool right = true;
  for (abi::Count r = 0; r < rows; ++r) {
    for (abi::Count i = 0; i < n; ++i) {
      auto at = [&](int s) { return x[s][static_cast<std::size_t>(r * row[s] + i * step[s])]; };
      T expected;
      if constexpr (Op::arity == 1) expected = Op::forward(at(0));
      else if constexpr (Op::arity == 2) expected = Op::forward(at(0), at(1));
      else expected = Op::forward(at(0), at(1), at(2));
      right &= y[static_cast<std::size_t>(r * (n + gap) + i)] == expected;
    }
    for (abi::Count i = n; r + 1 < rows && i < n + gap; ++i)
      right &= y[static_cast<std::size_t>(r * (n + gap) + i)] == T(77);
  }
  CHECK(right);
}
template <class Op, class T>
void check_all() {
  for (abi::Count n : {1, 2, 7, 15, 16, 17, 63, 64, 255, 256, 257, 600})
    for (unsigned constant = 0; constant < 1u << Op::arity; ++constant)
      for (abi::Count gap : {0, 3}) check<Op, T>(3, n, constant, gap);
}

}  // namespace

TEST_CASE("single: rows of any length, constant operands, f32, f64 and integers") {
  check_all<op::Negative, float>();
  check_all<op::Multiply, double>();
  check_all<op::Add, std::int64_t>();
  check_all<op::Where, float>();
}
