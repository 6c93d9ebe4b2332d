// SPDX-License-Identifier: Apache-2.0
// Eigen matrices and tensors: each reads the other's memory in place. Not part of tenon.hpp: who
// does not include it does not pay for Eigen.
#pragma once
#include <tenon/tensor/tensor.hpp>

#include <Eigen/Core>

namespace tenon::inline TENON_ISA {

namespace detail {

constexpr int eigen_extent(Index e) { return e == dyn ? Eigen::Dynamic : static_cast<int>(e); }
constexpr Index from_eigen_extent(int e) { return e == Eigen::Dynamic ? dyn : Index{e}; }

// Matrices are row-major except columns, which Eigen allows no other way.
template <class T, class S>
struct EigenType;
template <class T, Index M, Index N>
struct EigenType<T, Shape<M, N>> {
  static constexpr int order = N == 1 && M != 1 ? Eigen::ColMajor : Eigen::RowMajor;
  using type = Eigen::Matrix<T, eigen_extent(M), eigen_extent(N), order>;
};
template <class T, Index N>
struct EigenType<T, Shape<N>> {
  using type = Eigen::Matrix<T, eigen_extent(N), 1>;
};
using EigenStride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

template <class M, class P>
auto eigen_map(P* data, const Extents& e, const Index* strides) {
  using Map = Eigen::Map<M, Eigen::Unaligned, EigenStride>;
  const Index rows = e.extent[0], columns = e.rank == 2 ? e.extent[1] : 1;
  const Index down = strides[0], right = e.rank == 2 ? strides[1] : e.extent[0] * strides[0];
  constexpr bool row_major = std::remove_const_t<M>::IsRowMajor;
  return Map(data, rows, columns, row_major ? EigenStride(down, right) : EigenStride(right, down));
}

}  // namespace detail

/// The tensor's elements as an Eigen matrix (rank 2) or column (rank 1), read in place at its
/// strides. The map is valid while the tensor lives and is not written.
template <class T, class S>
auto as_eigen(const Tensor<T, S>& x) {
  static_assert(S::rank == 1 || S::rank == 2, "tenon: as_eigen needs a tensor of rank 1 or 2");
  using M = typename detail::EigenType<T, S>::type;
  return detail::eigen_map<const M>(x.data(), x.extents(), x.any().get()->strides);
}
template <class T, class S>
void as_eigen(Tensor<T, S>&&) = delete;

/// Writable elements as an Eigen matrix, for as long as the object lives: auto m = write_eigen(x);
/// m->row(0) *= 2; x detaches first; while m lives, copying x copies its data.
template <class T, class S>
class EigenWriter {
  static_assert(S::rank == 1 || S::rank == 2, "tenon: write_eigen needs a tensor of rank 1 or 2");
  using M = typename detail::EigenType<T, S>::type;

 public:
  explicit EigenWriter(Tensor<T, S>& x)
      : writer_(x.write()),
        map_(detail::eigen_map<M>(writer_.data(), x.extents(), x.any().get()->strides)) {}
  auto& operator*() { return map_; }
  auto* operator->() { return &map_; }

 private:
  Writer<T> writer_;
  Eigen::Map<M, Eigen::Unaligned, detail::EigenStride> map_;
};
template <class T, class S>
EigenWriter<T, S> write_eigen(Tensor<T, S>& x) {
  return EigenWriter<T, S>(x);
}

namespace detail {
template <class D>
using ShapeOfEigen = std::conditional_t<
    D::ColsAtCompileTime == 1, Shape<from_eigen_extent(D::RowsAtCompileTime)>,
    Shape<from_eigen_extent(D::RowsAtCompileTime), from_eigen_extent(D::ColsAtCompileTime)>>;

// A tensor over a matrix's memory.
template <class D>
Tensor<typename D::Scalar, ShapeOfEigen<D>> over_eigen(const D& m, void (*release)(void*),
                                                       void* context) {
  using S = ShapeOfEigen<D>;
  const Index inner = m.innerStride(), outer = m.outerStride();
  const Index rows = m.rows(), columns = m.cols();
  const Index down = D::IsRowMajor ? outer : inner, right = D::IsRowMajor ? inner : outer;
  Extents flat, e;
  flat.rank = 1;
  flat.extent[0] = rows && columns ? (rows - 1) * down + (columns - 1) * right + 1 : 0;
  e.rank = S::rank;
  e.extent[0] = rows, e.extent[1] = S::rank == 2 ? columns : 0;
  const Index strides[] = {down, right};
  return Tensor<typename D::Scalar, S>(
      AnyTensor::adopt(dtype_of<typename D::Scalar>, flat, m.data(), release, context)
          .view(e, strides, 0));
}
}  // namespace detail

/// An Eigen matrix, block or map read in place, whichever its storage order: no copy; the tensor's
/// strides are the matrix's. It must outlive every tensor that reads it. A column gives rank 1.
template <class D>
auto view_of_eigen(const Eigen::DenseBase<D>& m) {
  static_assert(bool(D::Flags & Eigen::DirectAccessBit),
                "tenon: view_of_eigen needs a matrix, block or map");
  return detail::over_eigen(m.derived(), nullptr, nullptr);
}
template <class D>
void view_of_eigen(Eigen::PlainObjectBase<D>&&) = delete;
/// A matrix moved in: no copy, freed with the last tensor.
template <class T, int R, int C, int O, int MR, int MC>
auto from_eigen(Eigen::Matrix<T, R, C, O, MR, MC>&& m) {
  using M = Eigen::Matrix<T, R, C, O, MR, MC>;
  auto* own = new M(std::move(m));
  return detail::over_eigen(
      *own, [](void* p) { delete static_cast<M*>(p); }, own);
}
/// Any Eigen expression, evaluated into a new contiguous tensor.
template <class D>
auto from_eigen(const Eigen::DenseBase<D>& m) {
  using S = detail::ShapeOfEigen<D>;
  using T = typename D::Scalar;
  Extents e;
  e.rank = S::rank;
  e.extent[0] = m.rows(), e.extent[1] = S::rank == 2 ? m.cols() : 0;
  Tensor<T, S> x(AnyTensor::empty(dtype_of<T>, e));
  *write_eigen(x) = m.derived().matrix();
  return x;
}

}  // namespace tenon
