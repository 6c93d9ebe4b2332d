// SPDX-License-Identifier: Apache-2.0
// The compiled backward kernel of every differentiable operation against its derivative on one
// number, and what the tape keeps for it.
#include <tenon/kernel/op_info.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {

struct Compiled {
  const char* name;
  int arity;
  const op::Range* range;
  const StatementInfo* info;
  unsigned reads;
  void (*gradient)(const double* x, double dy, double* g);
};

// The group that is one operation.
template <class Op>
using Alone = std::conditional_t<
    Op::arity == 1, expr::Group<1, 0, 0, expr::word(op::number<Op>, 0)>,
    std::conditional_t<Op::arity == 2, expr::Group<2, 0, 0, expr::word(op::number<Op>, 0, 1)>,
                       expr::Group<3, 0, 0, expr::word(op::number<Op>, 0, 1, 2)>>>;

template <class Op>
void gradient_of_one(const double* x, double dy, double* g) {
  if constexpr (Op::arity == 1) {
    g[0] = Op::backward(x[0], Op::forward(x[0]), dy);
  } else if constexpr (Op::arity == 2) {
    auto d = Op::backward(x[0], x[1], Op::forward(x[0], x[1]), dy);
    g[0] = d.first, g[1] = d.second;
  } else {
    auto d = Op::backward(x[0], x[1], x[2], Op::forward(x[0], x[1], x[2]), dy);
    g[0] = d.first, g[1] = d.second, g[2] = d.third;
  }
}
template <class Op>
void append(std::vector<Compiled>& list) {
  if constexpr (Op::differentiable)
    list.push_back({Op::name, Op::arity, Op::range, &tenon::detail::InfoOf<Alone<Op>, double>::info,
                    op::backward_reads<Op>, gradient_of_one<Op>});
}
const std::vector<Compiled>& compiled() {
  static const std::vector<Compiled> list = [] {
    std::vector<Compiled> l;
    [&]<int... I>(std::integer_sequence<int, I...>) { (append<op::At<I>>(l), ...); }
    (std::make_integer_sequence<int, op::Elementwise::size>{});
    return l;
  }();
  return list;
}

}  // namespace

TEST_CASE(
    "a compiled backward kernel is the operation's derivative at each element, summed where "
    "broadcast") {
  const Extents e = extents({3, 21});
  const Extents own[3][3] = {
      {e, e, e}, {e, extents({21}), extents({3, 1})}, {extents({3, 1}), e, extents({})}};
  for (const Compiled& op : compiled())
    for (const auto& shape : own) {
      if (op.arity == 1 && !(shape[0] == e)) continue;
      std::vector<AnyTensor> in, g(3);
      for (int i = 0; i < op.arity; ++i)
        in.push_back(spread(Dtype::f64, shape[i], static_cast<unsigned>(i), op.range[i].low,
                            op.range[i].high));
      Extents space;
      for (const AnyTensor& t : in) space = broadcast(space, t.extents()).extents;
      const AnyTensor dy = spread(Dtype::f64, space, 9);
      std::vector<std::vector<double>> want(3), x;
      for (const AnyTensor& t : in) x.push_back(values(t));
      for (std::size_t i = 0; i < in.size(); ++i)
        want[i].assign(static_cast<std::size_t>(in[i].size()), 0);
      for (Index k = 0; k < space.size(); ++k) {
        double v[3] = {}, d[3] = {};
        for (std::size_t i = 0; i < in.size(); ++i) v[i] = element(x[i], in[i].extents(), space, k);
        op.gradient(v, values(dy)[static_cast<std::size_t>(k)], d);
        for (std::size_t i = 0; i < in.size(); ++i) {
          std::vector<double> numbers(static_cast<std::size_t>(in[i].size()));
          for (std::size_t q = 0; q < numbers.size(); ++q) numbers[q] = static_cast<double>(q);
          want[i][static_cast<std::size_t>(element(numbers, in[i].extents(), space, k))] += d[i];
        }
      }
      Tape tape;
      const AnyTensor y = kernel::evaluate(*op.info, in.data(), op.arity, nullptr, GroupCall{},
                                           Dtype::f64, Context::current());
      const Index before = kernel::counters().backward;
      tape.gradient(y, std::span<const AnyTensor>(in), std::span<AnyTensor>(g.data(), in.size()),
                    dy);
      CHECK(kernel::counters().backward == before + 1);
      for (std::size_t i = 0; i < in.size(); ++i) {
        CAPTURE(op.name, to_string(in[i].extents()), i);
        const std::vector<double> got = values(g[i]);
        double worst = 0;
        for (std::size_t q = 0; q < got.size(); ++q)
          worst = std::max(worst, std::fabs(got[q] - want[i][q]) /
                                      (1e-12 * std::max(1.0, std::fabs(want[i][q]))));
        CHECK(worst <= 1);
      }
    }
}

TEST_CASE("a statement keeps the operands that its derivative names and no others") {
  for (const Compiled& op : compiled()) {
    const bool result = op.reads & scalar::Probe::y;
    std::uint32_t named = op.reads & ((1u << op.arity) - 1);
    // Without the result itself backward recomputes it, from all operands.
    if (result) named = (1u << op.arity) - 1;
    CAPTURE(op.name);
    CHECK(op.info->reads == named);
  }
}
