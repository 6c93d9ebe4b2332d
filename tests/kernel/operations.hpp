// SPDX-License-Identifier: Apache-2.0
// Every operation and reduction as data, so that one runner tests them all. operations_*.cpp
// compile the kernels.
#pragma once
#include <tenon/tenon.hpp>

#include <vector>

namespace tests {

struct Operation {
  const char* name;
  int arity;
  bool differentiable, boolean, floating;
  const tenon::op::Range* range;
  double ulp, absolute;
  const tenon::OpInfo *f32, *f64, *i32,
      *i64;  ///< the last two are null where the operation needs floating point
  double (*forward)(const double* x);  ///< the reference: one number
};

template <class Op>
double forward_of(const double* x) {
  if constexpr (Op::arity == 1) return Op::forward(x[0]);
  else if constexpr (Op::arity == 2) return Op::forward(x[0], x[1]);
  else return Op::forward(x[0], x[1], x[2]);
}
template <class Op>
Operation operation() {
  Operation o{Op::name,
              Op::arity,
              Op::differentiable,
              Op::result == tenon::op::Result::boolean,
              Op::domain == tenon::op::Domain::floating,
              Op::range,
              Op::ulp,
              0,
              &tenon::op_info<Op, float>,
              &tenon::op_info<Op, double>,
              nullptr,
              nullptr,
              forward_of<Op>};
  if constexpr (requires { Op::absolute; }) o.absolute = Op::absolute;
  if constexpr (Op::domain == tenon::op::Domain::any)
    o.i32 = &tenon::op_info<Op, std::int32_t>, o.i64 = &tenon::op_info<Op, std::int64_t>;
  return o;
}
template <int First, int... I>
void append(std::vector<Operation>& list, std::integer_sequence<int, I...>) {
  (list.push_back(operation<tenon::op::At<First + I>>()), ...);
}

inline constexpr int part_size = 28;
void append_part_1(std::vector<Operation>& list);
void append_part_2(std::vector<Operation>& list);

/// The whole of op/list.hpp.
inline const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> list;
    append_part_1(list), append_part_2(list);
    return list;
  }();
  return all;
}

}  // namespace tests
