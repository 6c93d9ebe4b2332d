// SPDX-License-Identifier: Apache-2.0
// One batch of 64 shuffled images of 784 bytes as floats, out of 60,000.
#include "support/bench.hpp"
#include "support/data.hpp"
#include "support/limits.hpp"

#include <tenon/data/batches.hpp>

using namespace tenon;

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    bench::add("batch of 64 images", [] {
      constexpr Index rows = 60000, width = 784, batch = 64;
      AnyTensor images = AnyTensor::empty(Dtype::u8, Extents{2, {rows, width}});
      {
        auto m = images.write<std::uint8_t>();
        for (Index i = 0; i < rows * width; ++i) m[i] = static_cast<std::uint8_t>(i * 31 % 251);
      }
      auto batches = std::make_shared<data::Batches>(images, bench::labels(rows, 10), batch, 1);
      auto step = std::make_shared<Index>(0);
      auto out = std::make_shared<std::vector<float>>(static_cast<std::size_t>(batch * width));
      batches->at(0, 0);
      bench::Contest c;
      c.tenon = [=] {
        data::Batch b = batches->at(0, *step = (*step + 1) % batches->steps_per_epoch());
        benchmark::DoNotOptimize(b);
      };
      // Rows in an order as random: what one would write without a library.
      c.hand = [=, row = Index(1)]() mutable {
        const auto* p = static_cast<const std::uint8_t*>(images.raw());
        for (Index i = 0; i < batch; ++i) {
          row = (row * 7919 + 104729) % rows;
          const std::uint8_t* from = p + row * width;
          float* to = out->data() + i * width;
          for (Index k = 0; k < width; ++k) to[k] = static_cast<float>(from[k]) / 255;
        }
        benchmark::DoNotOptimize(out->data());
      };
      return c;
    });
  });
}
