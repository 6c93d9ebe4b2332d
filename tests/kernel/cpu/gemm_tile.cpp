// SPDX-License-Identifier: Apache-2.0
#include <tenon/kernel/cpu/gemm_tile.hpp>

#include "support/catch.hpp"

#include <tuple>
#include <vector>

using namespace tenon;
using kernel::GemmPath;
using kernel::detail::chosen_kernels;
using kernel::detail::gemm_path;

namespace gemm_tile_test {

namespace {
using Types = std::tuple<float, double>;
constexpr GemmPath paths[] = {GemmPath::portable, GemmPath::avx2, GemmPath::avx512};
}  // namespace

TEMPLATE_LIST_TEST_CASE("gemm_tile: transposing a block moves every element, rows not there are 0",
                        "[kernel][gemm]", Types) {
  for (GemmPath path : paths) {
    gemm_path() = path;
    const auto& kernels = chosen_kernels<TestType>();
    const Index lanes = kernels.lanes, stride = lanes + 3;
    std::vector<TestType> from(static_cast<std::size_t>(lanes * stride));
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<TestType>(i + 1);
    for (Index rows = 0; rows <= lanes; ++rows) {
      for (bool add : {false, true}) {
        std::vector<TestType> to(from.size(), TestType(7));
        kernels.transpose(from.data(), stride, rows, to.data(), stride, add);
        bool right = true;
        for (Index j = 0; j < lanes; ++j) {
          for (Index i = 0; i < stride; ++i) {
            TestType want = i < rows ? from[static_cast<std::size_t>(i * stride + j)] : 0;
            if (add || i >= lanes) want += 7;
            right = right && to[static_cast<std::size_t>(j * stride + i)] == want;
          }
        }
        CAPTURE(static_cast<int>(path), rows, add);
        CHECK(right);
      }
    }
  }
  gemm_path() = GemmPath::automatic;
}

TEST_CASE("gemm_tile: a path the processor lacks is taken as the best it has", "[kernel][gemm]") {
  gemm_path() = GemmPath::automatic;
  const GemmPath best = kernel::detail::chosen_gemm_path();
  for (GemmPath path : paths) {
    gemm_path() = path;
    CHECK(kernel::detail::chosen_gemm_path() == (path <= best ? path : best));
  }
  gemm_path() = GemmPath::automatic;
}

}  // namespace gemm_tile_test
