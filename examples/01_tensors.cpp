// SPDX-License-Identifier: Apache-2.0
// Tensors: making them, looking at parts, computing, reading and writing memory of others, and what
// errors say.
// What the program prints stands behind `//` where it is short.
#include <tenon/eigen.hpp>
#include <tenon/tenon.hpp>

#include <cstdio>
using namespace tenon;

// A shape mixes extents known at compile time with extents known at run time (dyn).
using Rows = Tensor<float, Shape<dyn, 3>>;

void creation() {
  auto a = tensor<float>({{1, 2, 3}, {4, 5, 6}});  // Tensor<float, Shape<2, 3>>
  auto z = zeros<double>(Shape<2, 2>{});
  Rows n =
      normal(Rng{1}, Shape<dyn, 3>{4});  // 4 is the dyn extent; the same seed, the same numbers
  std::printf("a has %d axes, n is %s\n", a.rank, to_string(n.extents()).c_str());  // [4, 3]
  print(a);
  print(concatenate(axis<0>, z, eye<double>(Shape<2, 2>{})));
}

void views() {
  Tensor x = reshape<Shape<3, 4>>(arange<float>(12));
  print(x(1));                         // [4. 5. 6. 7.]
  print(x(every, slice(0, open, 2)));  // every second column; a slice's extent is dyn
  x(0, 3) = 30;                        // assigning to x(...) writes into x
  x(slice<1, 3>(), 0) *= 10;           // this slice's extent is static
  auto row = x(2);                     // a view with a name is a value
  row = row + 1;                       // so this changes row, not x
  Tensor before = x;                   // copies share their elements until one is written
  x(1) = 0;
  std::printf("%g %g %g\n", x(0, 3).item(), x(1, 0).item(), before(1, 0).item());  // 30 0 40
  print(transpose(x));
}

void expressions() {
  auto x = tensor<float>({{1, 2, 3}, {4, 5, 6}});
  auto bias = tensor<float>({10, 20, 30});
  // Nothing is computed until a value is asked for; temporaries become one kernel.
  Tensor y = tanh(x / 6) * 2 + bias;  // the bias is broadcast along the rows
  print(y);
  Tensor centred = x - mean(x, axis<-1>, keepdims);  // a reduction over rows joins them
  print(centred);
  // A function of several statements as one kernel: inside fuse, names cost nothing.
  Tensor normed = fuse(
      [](auto v) {
        auto d = v - mean(v, axis<-1>, keepdims);
        return d * rsqrt(mean(d * d, axis<-1>, keepdims) + 1e-5f);
      },
      x);
  print(normed);
  std::printf("sum %g, largest %g at %lld\n", sum(x).item(), max(x).item(),
              static_cast<long long>(argmax(x).item()));  // sum 21, largest 6 at 5
  print(relu(matmul(x, transpose(x)) - 20));              // a product with what follows it
  print(where(x > 3, x, 0));
}

void memory_of_others() {
  std::vector<float> in = {1, 2, 3, 4, 5, 6}, out(6);
  // Read in place: no copy, never written through; `in` must outlive x.
  auto x = from_span(std::span(in), Shape<2, 3>{});
  into(std::span(out)) = x * x;            // computed, then copied to out
  std::printf("%g %g\n", out[0], out[5]);  // 1 36
  {
    auto w = x.write();  // x gets memory of its own first; `in` stays as it is
    w(0, 0) = 100;
  }
  std::printf("%g %g\n", x(0, 0).item(), in[0]);  // 100 1
  std::printf("%g\n", as_eigen(x).row(0).sum());  // 105: an Eigen::Map
  Eigen::Matrix2d m{{1, 2}, {3, 4}};              // column-major
  print(view_of_eigen(m));                        // read in place, whatever the storage order
}

void errors() {
  Rows x = ones(Shape<dyn, 3>{4}), y = ones(Shape<dyn, 3>{5});
  // x + zeros(Shape<4>{}) would not compile: the static extents 3 and 4 do not broadcast.
  try {
    auto sum = x + y;  // run-time extents are checked where the expression is written
  } catch (const Error& e) {
    std::printf("code %d: %s\n", static_cast<int>(e.code()), e.what());
  }
}

int main() {
  creation();
  views();
  expressions();
  memory_of_others();
  errors();
}
