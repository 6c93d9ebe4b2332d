// SPDX-License-Identifier: Apache-2.0
// expect: integers have no mean
#include <tenon/tenon.hpp>

namespace state_of_integers {
using namespace tenon;
#ifdef EXPECT_ERROR
struct Layer {
  State<Tensor<int, Shape<2>>> seen;
};
#else
struct Layer {
  State<Tensor<int, Shape<2>>, Join::sum> seen;
};
#endif
Layer layer;
}  // namespace state_of_integers
