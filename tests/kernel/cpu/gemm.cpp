// SPDX-License-Identifier: Apache-2.0
#include <tenon/kernel/cpu/gemm.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

using namespace tenon;
using kernel::GemmEpilogue;
using kernel::GemmPath;
using kernel::MatrixView;

namespace gemm_test {

namespace {
constexpr GemmPath paths[] = {GemmPath::portable, GemmPath::avx2, GemmPath::avx512};

struct OnPath {
  explicit OnPath(GemmPath path) { kernel::detail::gemm_path() = path; }
  ~OnPath() { kernel::detail::gemm_path() = GemmPath::automatic; }
};

std::size_t size(Index n) { return static_cast<std::size_t>(n); }

// Where an operand's elements lie.
enum Layout { rows_dense, columns_dense, apart, backwards };
constexpr Layout layouts[] = {rows_dense, columns_dense, apart, backwards};

// An operand that ends with its last element, so that a sanitizer sees every read beyond it.
template <class T>
struct Operand {
  std::vector<T> data;
  MatrixView<T> view;

  Operand(Index rows, Index cols, Layout layout, unsigned seed)
      : data(size(rows * cols * (layout == apart ? 3 : 1))) {
    for (T& x : data) {
      seed = seed * 1664525u + 1013904223u;
      x = static_cast<T>(static_cast<int>(seed >> 8) % 4001 - 2000) / T(1024);
    }
    view = {data.data(), cols, 1};
    if (layout == columns_dense) view = {data.data(), 1, rows};
    if (layout == apart) view = {data.data(), 3 * cols, 3};
    if (layout == backwards && !data.empty()) view = {data.data() + rows * cols - 1, -cols, -1};
  }
  T at(Index i, Index j) const { return view.data[i * view.row_stride + j * view.col_stride]; }
};

// u k / (1 - u k) with the roundings of k products, k additions, the joining of blocks and of C.
template <class T>
long double bound(Index k) {
  long double u = std::numeric_limits<T>::epsilon() / 2;
  long double n = u * static_cast<long double>(k + k / 512 + 3);
  return n / (1 - n);
}

// The largest error in units of the bound; infinity if something beside C was written.
template <class T>
double error(Index m, Index n, Index k, const Operand<T>& a, const Operand<T>& b, bool accumulate,
             int threads = 1) {
  const Index ldc = n + 3;
  std::vector<T> c(size(m * ldc));
  for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<T>(i % 13) - T(6);
  const std::vector<T> before = c;
  kernel::gemm<T>(m, n, k, a.view, b.view, c.data(), ldc, accumulate, nullptr, threads);
  long double worst = 0;
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < ldc; ++j) {
      const T was = before[size(i * ldc + j)], got = c[size(i * ldc + j)];
      if (j >= n) {
        if (got != was) return std::numeric_limits<double>::infinity();
        continue;
      }
      long double sum = accumulate ? was : 0, magnitude = std::fabs(sum);
      for (Index q = 0; q < k; ++q) {
        long double product = static_cast<long double>(a.at(i, q)) * b.at(q, j);
        sum += product;
        magnitude += std::fabs(product);
      }
      long double off = std::fabs(static_cast<long double>(got) - sum);
      if (!(off <= bound<T>(k) * magnitude)) {
        worst = std::fmax(worst, off / (bound<T>(k) * magnitude));
        if (std::isnan(off)) return std::numeric_limits<double>::infinity();
      }
    }
  }
  return static_cast<double>(worst);
}

struct Sizes {
  Index m, n, k;
};

template <class T>
std::vector<T> product(Sizes e, const Operand<T>& a, const Operand<T>& b, int threads) {
  std::vector<T> c(size(e.m * e.n));
  kernel::gemm<T>(e.m, e.n, e.k, a.view, b.view, c.data(), e.n, false, nullptr, threads);
  return c;
}
template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

using Types = std::tuple<float, double>;
}  // namespace

TEMPLATE_LIST_TEST_CASE(
    "gemm: on every path the error stays below the bound of a sum of k products", "[kernel][gemm]",
    Types) {
  const Sizes shapes[] = {
      {1, 1, 1},     {1, 7, 5},     {7, 1, 5},      {2, 3, 4},     {5, 7, 11},    {13, 17, 19},
      {16, 16, 16},  {12, 32, 8},   {24, 33, 100},  {23, 48, 31},  {49, 100, 5},  {63, 65, 67},
      {1, 300, 200}, {300, 1, 203}, {10, 128, 64},  {64, 10, 128}, {37, 600, 40}, {600, 37, 20},
      {3, 97, 1030}, {97, 3, 1030}, {130, 50, 530}, {66, 80, 200}, {140, 90, 17}};
  for (GemmPath path : paths) {
    OnPath on(path);
    for (Sizes e : shapes) {
      for (Layout of_a : layouts) {
        for (Layout of_b : layouts) {
          Operand<TestType> a(e.m, e.k, of_a, 1), b(e.k, e.n, of_b, 2);
          CAPTURE(static_cast<int>(path), e.m, e.n, e.k, of_a, of_b);
          CHECK(error(e.m, e.n, e.k, a, b, (of_a + of_b) % 2 == 1) <= 1);
        }
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gemm: one thread and two give the same bits", "[kernel][gemm]", Types) {
  const Sizes shapes[] = {{64, 256, 784}, {256, 784, 64}, {300, 300, 300}, {40, 1100, 600},
                          {1, 3000, 900}, {2900, 1, 900}, {1100, 40, 530}};
  for (GemmPath path : paths) {
    OnPath on(path);
    for (Sizes e : shapes) {
      for (Layout of_a : {rows_dense, columns_dense}) {
        for (Layout of_b : {rows_dense, columns_dense}) {
          Operand<TestType> a(e.m, e.k, of_a, 3), b(e.k, e.n, of_b, 4);
          CAPTURE(static_cast<int>(path), e.m, e.n, e.k, of_a, of_b);
          CHECK(same_bits(product(e, a, b, 1), product(e, a, b, 2)));
        }
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gemm: no inner axis gives zeros, no rows or columns change nothing",
                        "[kernel][gemm]", Types) {
  using T = TestType;
  std::vector<T> c(6, T(5));
  MatrixView<T> none{nullptr, 1, 1};
  kernel::gemm<T>(0, 3, 2, none, none, c.data(), 3, false, nullptr, 1);
  kernel::gemm<T>(2, 0, 2, none, none, c.data(), 3, false, nullptr, 1);
  kernel::gemm<T>(2, 3, 0, none, none, c.data(), 3, true, nullptr, 1);
  CHECK(c == std::vector<T>(6, T(5)));
  kernel::gemm<T>(2, 2, 0, none, none, c.data(), 3, false, nullptr, 1);
  CHECK(c == std::vector<T>{0, 0, 5, 0, 0, 5});
}

TEMPLATE_LIST_TEST_CASE("gemm: an operand of stride 0 is a repeated row, column or number",
                        "[kernel][gemm]", Types) {
  using T = TestType;
  const Index m = 29, n = 35, k = 18;
  for (GemmPath path : paths) {
    OnPath on(path);
    for (int which = 0; which < 3; ++which) {
      Operand<T> line(1, m * n, rows_dense, 5), other(k, n, rows_dense, 6);
      Operand<T> a(m, k, rows_dense, 7);
      line.view = {line.data.data(), which == 0 ? 1 : 0, which == 1 ? 1 : 0};
      CAPTURE(static_cast<int>(path), which);
      CHECK(error(m, n, k, line, other, false) <= 1);
      CHECK(error(m, n, k, a, line, false) <= 1);
      CHECK(error(1, n, k, line, other, false) <= 1);
      CHECK(error(m, 1, k, a, line, false) <= 1);
      CHECK(error(m, 1, k, line, a, true) <= 1);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gemm: 0 times infinity is NaN and stays in its row or column",
                        "[kernel][gemm]", Types) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity();
  for (GemmPath path : paths) {
    OnPath on(path);
    for (Sizes e : {Sizes{27, 37, 21}, Sizes{1, 37, 21}, Sizes{27, 1, 21}}) {
      for (Layout layout : {rows_dense, columns_dense}) {
        Operand<T> a(e.m, e.k, layout, 8), b(e.k, e.n, layout, 9);
        for (T& x : a.data) x = 1;
        for (T& x : b.data) x = 1;
        const Index row = e.m / 2, col = e.n - 1, q = e.k - 1;
        const_cast<T*>(a.view.data)[row * a.view.row_stride + q * a.view.col_stride] = 0;
        const_cast<T*>(b.view.data)[q * b.view.row_stride + col * b.view.col_stride] = infinity;
        std::vector<T> c = product(e, a, b, 1);
        bool right = true;
        for (Index i = 0; i < e.m; ++i) {
          for (Index j = 0; j < e.n; ++j) {
            T x = c[size(i * e.n + j)], plain = static_cast<T>(i == row ? e.k - 1 : e.k);
            if (j == col) right = right && (i == row ? std::isnan(x) : x == infinity);
            if (j != col) right = right && x == plain;
          }
        }
        CAPTURE(static_cast<int>(path), e.m, e.n, layout);
        CHECK(right);
      }
    }
  }
}

namespace {
struct Visit {
  const float* c;
  Index m, n;
  std::vector<int>* times;
  std::vector<float>* seen;
};
void visit(const void* context, Index row, Index rows, Index col, Index cols) {
  const Visit& v = *static_cast<const Visit*>(context);
  for (Index i = row; i < row + rows; ++i) {
    for (Index j = col; j < col + cols; ++j) {
      v.times->at(size(i * v.n + j)) += 1;
      v.seen->at(size(i * v.n + j)) = v.c[i * v.n + j];
    }
  }
}
}  // namespace

TEST_CASE("gemm: the epilogue meets every element once, when it is final", "[kernel][gemm]") {
  for (GemmPath path : paths) {
    OnPath on(path);
    for (Sizes e : {Sizes{64, 256, 784}, Sizes{100, 1100, 530}, Sizes{1100, 100, 530},
                    Sizes{1, 700, 9}, Sizes{700, 1, 9}, Sizes{5, 3, 0}, Sizes{3, 3, 3}}) {
      for (Layout layout : layouts) {
        Operand<float> a(e.m, e.k, rows_dense, 10), b(e.k, e.n, layout, 11);
        std::vector<float> c(size(e.m * e.n)), seen(c.size());
        std::vector<int> times(c.size());
        Visit context{c.data(), e.m, e.n, &times, &seen};
        GemmEpilogue epilogue{visit, &context};
        kernel::gemm<float>(e.m, e.n, e.k, a.view, b.view, c.data(), e.n, false, &epilogue, 2);
        CAPTURE(static_cast<int>(path), e.m, e.n, e.k, layout);
        CHECK(times == std::vector<int>(c.size(), 1));
        CHECK(seen == c);
      }
    }
  }
}

}  // namespace gemm_test
