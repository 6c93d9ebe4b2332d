// SPDX-License-Identifier: Apache-2.0
// The kernels that every program with a device has (memory/device_kernels.hpp), as bodies over a
// team: copies, numbers from nothing, sums over any axes.
#pragma once
#include <tenon/core/convert.hpp>
#include <tenon/core/random.hpp>
#include <tenon/memory/device_kernels.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

using abi::Element;

/// Element i of memory of a type known at run time: as a double, which holds every floating value
/// exactly, or as an integer.
TENON_FN double load_floating(const void* p, Dtype type, std::int64_t i) {
  if (type == Dtype::f32) return static_cast<double>(static_cast<const float*>(p)[i]);
  if (type == Dtype::f64) return static_cast<const double*>(p)[i];
  const std::uint16_t b = static_cast<const std::uint16_t*>(p)[i];
  return static_cast<double>(static_cast<float>(type == Dtype::bf16 ? float(bf16::from_bits(b))
                                                                    : float(f16::from_bits(b))));
}
TENON_FN std::int64_t load_integer(const void* p, Dtype type, std::int64_t i) {
  if (type == Dtype::i64) return static_cast<const std::int64_t*>(p)[i];
  if (type == Dtype::i32) return static_cast<const std::int32_t*>(p)[i];
  return static_cast<const std::uint8_t*>(p)[i];
}
TENON_FN bool floating(Dtype type) {
  return type == Dtype::f32 || type == Dtype::f64 || type == Dtype::bf16 || type == Dtype::f16;
}
template <class V>
TENON_FN void store_element(void* p, Dtype type, std::int64_t i, V x) {
  using tenon::detail::convert_one;
  if (type == Dtype::f32) static_cast<float*>(p)[i] = convert_one<float>(x);
  else if (type == Dtype::f64) static_cast<double*>(p)[i] = convert_one<double>(x);
  else if (type == Dtype::i64) static_cast<std::int64_t*>(p)[i] = convert_one<std::int64_t>(x);
  else if (type == Dtype::i32) static_cast<std::int32_t*>(p)[i] = convert_one<std::int32_t>(x);
  else if (type == Dtype::u8) static_cast<std::uint8_t*>(p)[i] = convert_one<std::uint8_t>(x);
  else if (type == Dtype::boolean) static_cast<bool*>(p)[i] = convert_one<bool>(x);
  else if (type == Dtype::bf16) static_cast<std::uint16_t*>(p)[i] = convert_one<bf16>(x).bits;
  else static_cast<std::uint16_t*>(p)[i] = convert_one<f16>(x).bits;
}

/// The offsets of element i of merged axes, for two layouts.
struct Places {
  std::int64_t source, target;
};
TENON_FN Places places_of(std::int64_t i, int rank, const abi::Divisor* extent,
                          const std::int64_t* source, const std::int64_t* target) {
  Places p{0, 0};
  for (int k = rank - 1; k > 0; --k) {
    const std::int64_t rest = extent[k].quotient(i), at = i - rest * extent[k].divisor;
    p.source += at * source[k];
    if (target) p.target += at * target[k];
    i = rest;
  }
  if (rank > 0) {
    p.source += i * source[0];
    if (target) p.target += i * target[0];
  }
  return p;
}

}  // namespace detail

/// One lane an element.
struct EachBody {
  template <class A>
  static TENON_FN int lanes(const A&) {
    return 1;
  }
};

struct CopyBody : EachBody {
  using Arguments = abi::DeviceCopy;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    const Dtype from = static_cast<Dtype>(a.from), to = static_cast<Dtype>(a.to);
    for (std::int64_t i = team.index(); i < a.count; i += team.count()) {
      const detail::Places p =
          detail::places_of(i, a.rank, a.extent, a.source_stride, a.target_stride);
      if (detail::floating(from)) {
        double x = detail::load_floating(a.source, from, p.source);
        if (a.factor != 1) x *= a.factor;
        if (a.add) x += detail::load_floating(a.target, to, p.target);
        detail::store_element(a.target, to, p.target, x);
      } else {
        detail::store_element(a.target, to, p.target,
                              detail::load_integer(a.source, from, p.source));
      }
    }
  }
};

struct RampBody : EachBody {
  using Arguments = abi::DeviceRamp;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.count; i += team.count())
      detail::store_element(a.target, static_cast<Dtype>(a.to), i,
                            a.start + static_cast<double>(i) * a.step);
  }
};

/// Four numbers of float from a block, two of double: the bits of fill_uniform.
struct UniformBody : EachBody {
  using Arguments = abi::DeviceUniform;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    const RandomKey key{a.seed, a.position, a.shard, a.call};
    const bool wide = static_cast<Dtype>(a.to) == Dtype::f64;
    const int each = wide ? 2 : 4;
    const std::int64_t first = a.first / each,
                       blocks = (a.first + a.count + each - 1) / each - first;
    for (std::int64_t b = team.index(); b < blocks; b += team.count()) {
      const Words w = key.words(static_cast<std::uint64_t>(first + b));
      for (int k = 0; k < each; ++k) {
        const std::int64_t i = (first + b) * each + k - a.first;
        if (i < 0 || i >= a.count) continue;
        if (wide) static_cast<double*>(a.target)[i] = unit(w, k);
        else
          static_cast<float*>(a.target)[i] =
              static_cast<float>(static_cast<double>(w[k] >> 8) * 0x1p-24);
      }
    }
  }
  static TENON_FN double unit(const Words& w, int k) {
    return tenon::detail::unit_53(w[2 * k], w[2 * k + 1]);
  }
};

/// Sums shared by lanes.
struct FoldBody {
  using Arguments = abi::DeviceFold;
  struct State {
    double sum;
  };
  struct Join {
    static TENON_FN void join(State& s, const State& t) { s.sum += t.sum; }
    template <class F>
    static TENON_FN void fetch(State& to, const State& s, const F& from) {
      to.sum = from(s.sum);
    }
  };
  struct Lane {
    const Arguments& a;
    std::int64_t source;
    TENON_FN void operator()(int lane, State& s) const {
      if (static_cast<Dtype>(a.type) == Dtype::f64) add<double>(lane, s);
      else add<float>(lane, s);
    }
    // 64 elements at a time in their own type, these in double.
    template <class T>
    TENON_FN void add(int lane, State& s) const {
      const T* x = static_cast<const T*>(a.source) + source;
      const std::int64_t stride = a.sum_source[0] * a.lanes;
      for (std::int64_t k = lane; k < a.summed;) {
        T part = T(0);
        const std::int64_t left = (a.summed - k + a.lanes - 1) / a.lanes, n = left < 64 ? left : 64;
        if (a.sum_rank == 1) {
          const T* p = x + k * a.sum_source[0];
          for (std::int64_t q = 0; q < n; ++q) part = part + p[q * stride];
        } else {
          for (std::int64_t q = 0; q < n; ++q)
            part = part + x[detail::places_of(k + q * a.lanes, a.sum_rank, a.sum_extent,
                                              a.sum_source, nullptr)
                                .source];
        }
        s.sum += static_cast<double>(part);
        k += n * a.lanes;
      }
    }
  };
  struct Leave {
    const Arguments& a;
    std::int64_t target;
    double sum;
    TENON_FN void operator()(int lane) const {
      if (lane != 0) return;
      const Dtype type = static_cast<Dtype>(a.type);
      const double before = a.add ? detail::load_floating(a.target, type, target) : 0;
      detail::store_element(a.target, type, target, before + sum);
    }
  };
  static TENON_FN int lanes(const Arguments& a) { return a.lanes; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.kept; i += team.count()) {
      const detail::Places p =
          detail::places_of(i, a.kept_rank, a.kept_extent, a.kept_source, a.kept_target);
      State s{0};
      team.template reduce<Join>(Lane{a, p.source}, s);
      team.each(Leave{a, p.target, s.sum});
    }
  }
};

/// One block adds all.
struct TotalBody {
  using Arguments = abi::DeviceTotal;
  struct State {
    double sum;
    std::int64_t whole;
  };
  struct Join {
    static TENON_FN void join(State& s, const State& t) {
      s.sum += t.sum;
      s.whole = static_cast<std::int64_t>(static_cast<std::uint64_t>(s.whole) +
                                          static_cast<std::uint64_t>(t.whole));
    }
    template <class F>
    static TENON_FN void fetch(State& to, const State& s, const F& from) {
      to.sum = from(s.sum), to.whole = from(s.whole);
    }
  };
  struct Lane {
    const Arguments& a;
    TENON_FN void operator()(int lane, State& s) const {
      const Dtype from = static_cast<Dtype>(a.from);
      for (std::int64_t i = lane; i < a.count; i += 256) {
        if (detail::floating(from)) s.sum += detail::load_floating(a.source, from, i);
        else Join::join(s, State{0, detail::load_integer(a.source, from, i)});
      }
    }
  };
  struct Leave {
    const Arguments& a;
    State s;
    TENON_FN void operator()(int lane) const {
      if (lane != 0) return;
      const Dtype to = static_cast<Dtype>(a.to);
      if (detail::floating(static_cast<Dtype>(a.from)))
        detail::store_element(a.target, to, 0, s.sum * a.scale);
      else detail::store_element(a.target, to, 0, s.whole);
    }
  };
  static TENON_FN int lanes(const Arguments&) { return 256; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    State s{0, 0};
    team.template reduce<Join>(Lane{a}, s);
    team.each(Leave{a, s});
  }
};

/// Lanes share a block of 4,096.
struct SquaresBody {
  using Arguments = abi::DeviceSquares;
  struct Lane {
    const Arguments& a;
    std::int64_t block;
    TENON_FN void operator()(int lane, FoldBody::State& s) const {
      const std::int64_t end = (block + 1) * 4096 < a.count ? (block + 1) * 4096 : a.count;
      for (std::int64_t i = block * 4096 + lane; i < end; i += 256) {
        const double x = detail::load_floating(a.source, static_cast<Dtype>(a.type), i);
        s.sum += x * x;
      }
    }
  };
  struct Leave {
    double* target;
    double sum;
    TENON_FN void operator()(int lane) const {
      if (lane == 0) *target = sum;
    }
  };
  static TENON_FN int lanes(const Arguments&) { return 256; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t b = team.index(); b * 4096 < a.count; b += team.count()) {
      FoldBody::State s{0};
      team.template reduce<FoldBody::Join>(Lane{a, b}, s);
      team.each(Leave{a.target + b, s.sum});
    }
  }
};

struct CombineBody : EachBody {
  using Arguments = abi::DeviceCombine;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.count; i += team.count()) {
      if (static_cast<Dtype>(a.type) == Dtype::f64) one<double>(a, i);
      else one<float>(a, i);
    }
  }
  template <class T>
  static TENON_FN void one(const Arguments& a, std::int64_t i) {
    T* y = static_cast<T*>(a.y);
    y[i] = static_cast<T>(a.a) * y[i] + static_cast<T>(a.b) * static_cast<const T*>(a.x)[i];
  }
};

}  // namespace tenon::kernel
