// SPDX-License-Identifier: Apache-2.0
// The inner loops of the matrix product, written once for every register size and compiled for
// AVX-512, AVX2 and registers of 16 bytes, whatever flags the file is built with.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/config.hpp>

// nvcc's front end does not know the pragma, but hands it on to the host compiler.
#if defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

namespace tenon::inline TENON_ISA::kernel {

/// Which inner loops a product runs on.
enum class GemmPath : int { automatic, portable, avx2, avx512 };

namespace detail {

/// The inner loops for one instruction set.
template <class T>
struct GemmKernels {
  /// c[rows, width] (+)= a[rows, k] b[k, width].
  using Tile = void (*)(Index k, const T* a, Index row_stride, Index col_stride, const T* b,
                        Index ldb, T* c, Index ldc, bool add);
  Index lanes;      ///< elements of a register
  Index width;      ///< columns of a wide tile
  Index rows;       ///< rows of the highest tile: 4, 8 or 12
  Tile tile[3][2];  ///< [rows / 4 - 1][width == lanes ? 0 : 1]
  /// to[k, width] = from[k, width], `stride` parts rows of `from`; lanes divide width.
  void (*copy)(Index k, const T* from, Index stride, T* to, Index width);
  /// to[j, i] (+)= from[i, j] for lanes x lanes elements, `rows` of them there, the others zeros.
  void (*transpose)(const T* from, Index from_stride, Index rows, T* to, Index to_stride, bool add);
  /// sums[lane] = sum of a[q] x[q] over the q < k of that lane; lanes divide k.
  void (*dot)(Index k, const T* a, const T* x, T* sums);
  /// y[i] += sum of a[q, i] x[q] over 1 or 8 rows; lanes divide n.
  void (*axpy)(Index n, const T* a, Index stride, const T* x, T* y);
  void (*axpy8)(Index n, const T* a, Index stride, const T* x, T* y);
};

/// A register, and the same at any address. clang forgets the alignment of a typedef in a template,
/// never that of a struct; so `v` is named where it is used, and no reference is bound to it.
template <class T, int Bytes>
struct Register {
  typedef T type __attribute__((vector_size(Bytes)));
  struct __attribute__((packed, may_alias)) Loose {
    type v;
  };
};

/// The text of the inner loops. It has no instruction set of its own: its functions vanish into
/// those below, and compilers choose instructions after that. No register is passed by value, for
/// the same reason.
template <class T, int Bytes>
struct GemmText {
  static constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
  static constexpr int part = 16 / static_cast<int>(sizeof(T));  // lanes that shuffles work within
  using V = typename Register<T, Bytes>::type;
  using Loose = typename Register<T, Bytes>::Loose;

  static TENON_INLINE const Loose& at(const T* p) { return *reinterpret_cast<const Loose*>(p); }
  static TENON_INLINE Loose& at(T* p) { return *reinterpret_cast<Loose*>(p); }

  // Rows in groups of four, so that addresses need a register a group.
  template <int Rows, int Width>
  static TENON_INLINE void tile(Index k, const T* a, Index row_stride, Index col_stride, const T* b,
                                Index ldb, T* c, Index ldc, bool add) {
    V sum[Rows][Width] = {};
    const T* row[Rows / 4];
    for (int g = 0; g < Rows / 4; ++g) row[g] = a + 4 * g * row_stride;
    for (; k > 0; --k) {
      V x[Width];
#pragma GCC unroll 4
      for (int j = 0; j < Width; ++j) x[j] = at(b + j * lanes).v;
#pragma GCC unroll 12
      for (int i = 0; i < Rows; ++i) {
        T factor = row[i / 4][i % 4 * row_stride];
#pragma GCC unroll 4
        for (int j = 0; j < Width; ++j) sum[i][j] += factor * x[j];
      }
#pragma GCC unroll 4
      for (int g = 0; g < Rows / 4; ++g) row[g] += col_stride;
      b += ldb;
    }
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < Width; ++j) {
        T* to = c + i * ldc + j * lanes;
        at(to).v = add ? at(to).v + sum[i][j] : sum[i][j];
      }
    }
  }

  static TENON_INLINE void copy(Index k, const T* from, Index stride, T* to, Index width) {
    for (; k > 0; --k, from += stride, to += width) {
      for (Index j = 0; j < width; j += lanes) at(to + j).v = at(from + j).v;
    }
  }

  // Of the pair (x, y) cut into units, the even ones or the odd ones, within every `span` elements.
  static constexpr int pick(int i, int odd, int unit, int span) {
    int half = span / unit / 2, u = i % span / unit;
    return (u < half ? 0 : lanes) + i / span * span + (2 * (u % half) + odd) * unit + i % unit;
  }
  template <int Odd, int Unit, int Span>
  static TENON_INLINE void choose(V& to, const V& x, const V& y) {
    constexpr auto p = [](int i) { return pick(i, Odd, Unit, Span); };
    if constexpr (lanes == 2) {
      to = __builtin_shufflevector(x, y, p(0), p(1));
    } else if constexpr (lanes == 4) {
      to = __builtin_shufflevector(x, y, p(0), p(1), p(2), p(3));
    } else if constexpr (lanes == 8) {
      to = __builtin_shufflevector(x, y, p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7));
    } else {
      to = __builtin_shufflevector(x, y, p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7), p(8), p(9),
                                   p(10), p(11), p(12), p(13), p(14), p(15));
    }
  }
  // One step of a transposition: n registers at distance `step`.
  template <int Unit, int Span, int N, int Step>
  static TENON_INLINE void deal(V* r) {
    V t[N];
#pragma GCC unroll 8
    for (int i = 0; i < N / 2; ++i) {
      choose<0, Unit, Span>(t[i], r[2 * i * Step], r[(2 * i + 1) * Step]);
      choose<1, Unit, Span>(t[i + N / 2], r[2 * i * Step], r[(2 * i + 1) * Step]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) r[i * Step] = t[i];
  }
  static TENON_INLINE void transpose(const T* from, Index from_stride, Index rows, T* to,
                                     Index to_stride, bool add) {
    constexpr int parts = lanes / part;
    V r[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) r[i] = i < rows ? at(from + i * from_stride).v : V{};
#pragma GCC unroll 4
    for (int g = 0; g < parts; ++g) {
      deal<1, part, part, 1>(r + g * part);
      if constexpr (part == 4) deal<1, part, part, 1>(r + g * part);
    }
    if constexpr (parts > 1) {
#pragma GCC unroll 4
      for (int e = 0; e < part; ++e) {
        deal<part, lanes, parts, part>(r + e);
        if constexpr (parts == 4) deal<part, lanes, parts, part>(r + e);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      T* out = to + i * to_stride;
      at(out).v = add ? at(out).v + r[i] : r[i];
    }
  }

  static TENON_INLINE void dot(Index k, const T* a, const T* x, T* sums) {
    V sum[4] = {};
    Index q = 0;
    for (; q + 4 * lanes <= k; q += 4 * lanes) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[i] += at(a + q + i * lanes).v * at(x + q + i * lanes).v;
    }
    for (; q < k; q += lanes) sum[0] += at(a + q).v * at(x + q).v;
    at(sums).v = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

  template <int Rows>
  static TENON_INLINE void axpy(Index n, const T* a, Index stride, const T* x, T* y) {
    for (Index i = 0; i < n; i += lanes) {
      V sum = at(y + i).v;
#pragma GCC unroll 8
      for (int q = 0; q < Rows; ++q) sum += x[q] * at(a + q * stride + i).v;
      at(y + i).v = sum;
    }
  }
};

#if defined(__x86_64__) || defined(__i386__)
/// run<F> is F compiled for the instruction set; A is deduced from the pointer it is stored in.
struct InAvx512 {
  template <auto F, class... A>
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))) static void run(A... a) {
    F(a...);
  }
};
struct InAvx2 {
  template <auto F, class... A>
  __attribute__((target("avx2,fma"))) static void run(A... a) {
    F(a...);
  }
};
#endif
struct InAny {
  template <auto F, class... A>
  static void run(A... a) {
    F(a...);
  }
};

/// The inner loops of an instruction set. Sums fill its registers: 12 x 2 of 32, 4 x 3 or
/// 4 x 2 of 16.
template <class In, class T, int Bytes, int Width>
constexpr GemmKernels<T> gemm_kernels() {
  using Text = GemmText<T, Bytes>;
  GemmKernels<T> all{};
  all.lanes = Text::lanes;
  all.width = Width * Text::lanes;
  all.rows = 4;
  all.tile[0][0] = In::template run<&Text::template tile<4, 1>>;
  all.tile[0][1] = In::template run<&Text::template tile<4, Width>>;
  if constexpr (Bytes == 64) {
    all.rows = 12;
    all.tile[1][0] = In::template run<&Text::template tile<8, 1>>;
    all.tile[1][1] = In::template run<&Text::template tile<8, Width>>;
    all.tile[2][0] = In::template run<&Text::template tile<12, 1>>;
    all.tile[2][1] = In::template run<&Text::template tile<12, Width>>;
  }
  all.copy = In::template run<&Text::copy>;
  all.transpose = In::template run<&Text::transpose>;
  all.dot = In::template run<&Text::dot>;
  all.axpy = In::template run<&Text::template axpy<1>>;
  all.axpy8 = In::template run<&Text::template axpy<8>>;
  return all;
}

/// For tests: the path of all products from now on; one the processor lacks is taken as automatic.
inline Atomic<GemmPath>& gemm_path() {
  static Atomic<GemmPath> path{GemmPath::automatic};
  return path;
}

/// The path that is taken: the best one of the processor unless gemm_path() asks for a lower one.
inline GemmPath chosen_gemm_path() {
  GemmPath wanted = gemm_path().load(Order::relaxed);
#if defined(__x86_64__) || defined(__i386__)
  static const GemmPath best = [] {
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    return avx2 && avx512 ? GemmPath::avx512 : avx2 ? GemmPath::avx2 : GemmPath::portable;
  }();
  return wanted == GemmPath::automatic || wanted > best ? best : wanted;
#else
  (void)wanted;
  return GemmPath::portable;
#endif
}

template <class T>
const GemmKernels<T>& chosen_kernels() {
  static constexpr GemmKernels<T> portable = gemm_kernels<InAny, T, 16, 2>();
#if defined(__x86_64__) || defined(__i386__)
  static constexpr GemmKernels<T> avx2 = gemm_kernels<InAvx2, T, 32, 3>();
  static constexpr GemmKernels<T> avx512 = gemm_kernels<InAvx512, T, 64, 2>();
  GemmPath path = chosen_gemm_path();
  return path == GemmPath::avx512 ? avx512 : path == GemmPath::avx2 ? avx2 : portable;
#else
  return portable;
#endif
}

}  // namespace detail
}  // namespace tenon::inline TENON_ISA::kernel

#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
