// SPDX-License-Identifier: Apache-2.0
// Tensors for tests: made from a formula or from numbers in a range, read back as doubles.
#pragma once
#include <tenon/tenon.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace tests {
using namespace tenon;

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

inline Extents extents(std::initializer_list<Index> list) {
  Extents e;
  for (Index i : list) e.extent[e.rank++] = i;
  return e;
}

/// f(0), f(1), ... in row-major order, rounded to the dtype.
template <class F>
AnyTensor made(Dtype dtype, const Extents& e, F f) {
  AnyTensor t = AnyTensor::empty(Dtype::f64, e);
  {
    auto to = t.write<double>();
    for (Index i = 0; i < to.size(); ++i) to[i] = static_cast<double>(f(i));
  }
  return t.to(dtype);
}
inline AnyTensor of(Dtype dtype, const Extents& e, const std::vector<double>& v) {
  return made(dtype, e, [&](Index i) { return v.at(static_cast<std::size_t>(i)); });
}

/// Numbers in (low, high) that look random and do not change: a Weyl sequence hashed by `seed`.
inline AnyTensor spread(Dtype dtype, const Extents& e, unsigned seed, double low = -2,
                        double high = 2) {
  return made(dtype, e, [=](Index i) {
    std::uint64_t x =
        (static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u + seed * 0xd1b54a32d192ed03u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return low + (high - low) * ((static_cast<double>(x >> 11) + 0.5) * 0x1p-53);
  });
}
/// The same, typed; extents for what the Shape leaves open.
template <class T, class S>
Tensor<T, S> spread(unsigned seed, std::initializer_list<Index> list, double low = -2,
                    double high = 2) {
  return Tensor<T, S>(spread(dtype_of<T>, extents(list), seed, low, high));
}
template <class T, Index... E>
Tensor<T, Shape<E...>> spread(unsigned seed, double low = -2, double high = 2) {
  return spread<T, Shape<E...>>(seed, {E...}, low, high);
}

/// All elements in row-major order.
inline std::vector<double> values(const AnyTensor& t) {
  const AnyTensor d = t.to(Dtype::f64).to_contiguous();
  const double* p = d.data<double>();
  return {p, p + d.size()};
}
template <class X>
  requires(detail::is_expression<X> || detail::is_tensor<X>)
std::vector<double> values(const X& x) {
  if constexpr (detail::is_expression<X>) return values(x.value());
  else return values(x.any());
}

/// The largest |a - b| / max(1, |b|); NaN equals NaN, an infinity itself; infinite where sizes
/// differ.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return infinity;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double d = std::fabs(a[i] - b[i]) / std::max(1.0, std::fabs(b[i]));
    if (!(d <= worst)) worst = std::isnan(d) ? infinity : d;
  }
  return worst;
}
inline double distance(const AnyTensor& a, const AnyTensor& b) {
  if (!(a.extents() == b.extents())) return infinity;
  return distance(values(a), values(b));
}
inline bool same_bits(const AnyTensor& a, const AnyTensor& b) {
  if (!(a.extents() == b.extents()) || a.dtype() != b.dtype()) return false;
  const AnyTensor x = a.to_contiguous(), y = b.to_contiguous();
  return std::memcmp(x.raw(), y.raw(), static_cast<std::size_t>(x.size()) * size_of(x.dtype())) ==
         0;
}

/// While it lives, groups run operation by operation.
struct WithoutKernels {
  WithoutKernels() { use_compiled_kernels(false); }
  ~WithoutKernels() { use_compiled_kernels(true); }
  WithoutKernels(const WithoutKernels&) = delete;
  WithoutKernels& operator=(const WithoutKernels&) = delete;
};

/// x seen with two of its axes exchanged.
inline AnyTensor swapped(const AnyTensor& x, int a, int b) {
  Extents e = x.extents();
  Index strides[max_rank] = {};
  for (int i = 0; i < e.rank; ++i) strides[i] = x.stride(i);
  std::swap(e.extent[a], e.extent[b]);
  std::swap(strides[a], strides[b]);
  return x.view(e, strides, 0);
}
/// The same elements through a view: memory with every axis twice as long and reversed underneath.
inline AnyTensor strided(const AnyTensor& x) {
  const Extents e = x.extents();
  Extents wide = e;
  for (int i = 0; i < e.rank; ++i) wide.extent[i] *= 2;
  AnyTensor big = AnyTensor::empty(x.dtype(), wide);
  Index dense[max_rank], strides[max_rank], offset = 0;
  contiguous_strides(wide, dense);
  for (int i = 0; i < e.rank; ++i) {
    strides[i] = -2 * dense[i];
    offset += (wide.extent[i] - 1) * dense[i];
  }
  const AnyTensor from = x.to_contiguous();
  const Index bytes = static_cast<Index>(size_of(x.dtype()));
  if (big.size() == 0) return x;
  std::memset(big.raw_writable(), 0, static_cast<std::size_t>(big.size() * bytes));
  for (Index k = 0; k < from.size(); ++k) {
    Index rest = k, at = offset;
    for (int i = e.rank - 1; i >= 0; --i) {
      at += rest % e.extent[i] * strides[i];
      rest /= e.extent[i];
    }
    std::memcpy(static_cast<char*>(big.raw_writable()) + at * bytes,
                static_cast<const char*>(from.raw()) + k * bytes, static_cast<std::size_t>(bytes));
  }
  return big.view(e, strides, offset);
}

/// The element of x, broadcast to extents e, at row-major position k of e.
inline double element(const std::vector<double>& x, const Extents& own, const Extents& e, Index k) {
  Index at = 0, step = 1;
  for (int i = e.rank - 1, j = own.rank - 1; i >= 0 && j >= 0; --i, --j) {
    const Index place = k % e.extent[i];
    k /= e.extent[i];
    at += own.extent[j] == 1 ? 0 : place * step;
    step *= own.extent[j];
  }
  return x.at(static_cast<std::size_t>(at));
}

}  // namespace tests
