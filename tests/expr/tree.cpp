// SPDX-License-Identifier: Apache-2.0
// Lowering: leaves first, then scalars, then operations; a product is leaf 0 wherever it stands.
#include <tenon/expr/tree.hpp>

#include "support/catch.hpp"

using namespace tenon;
using namespace tenon::expr;

namespace tree_test {

namespace {
constexpr Word add = op_word<op::Add>(), mul = op_word<op::Multiply>();
}

TEST_CASE("a postfix list becomes numbered words") {
  constexpr Word w[] = {leaf_word, scalar_word, mul, leaf_word, add};
  constexpr Lowered l = lower(w, 5);
  CHECK(l.leaves == 2);
  CHECK(l.scalars == 1);
  CHECK(l.ops == 2);
  CHECK(l.word[0] == word(op::number<op::Multiply>, 0, 2));
  CHECK(l.word[1] == word(op::number<op::Add>, 3, 1));
}

TEST_CASE("a product is leaf 0, also after other leaves") {
  constexpr Word w[] = {leaf_word, product_word, add};
  constexpr Lowered l = lower(w, 3);
  CHECK(l.word[0] == word(op::number<op::Add>, 1, 0));
}

TEST_CASE("logsumexp is its shift and its sum, and row leaves are marked") {
  constexpr Word w[] = {leaf_word, op_word<op::LogSumExp>(), dropped_leaf_word, add};
  constexpr Lowered l = lower(w, 4);
  CHECK(l.ops == 3);
  CHECK(l.word[0] == word(reduction_number<op::Peak>, 0));
  CHECK(l.word[1] == word(reduction_number<op::LogSumExp>, 0, 2));
  CHECK(l.row_leaves == 2u);
  CHECK(l.dropped_leaves == 2u);
}

}  // namespace tree_test
