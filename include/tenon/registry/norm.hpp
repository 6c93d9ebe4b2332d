// SPDX-License-Identifier: Apache-2.0
// Normalisation and attention by name.
#pragma once
#include <tenon/registry/contract.hpp>
#include <tenon/registry/reduce.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

/// The last axes named by normalized_shape. Errors: they differ -> Error::shape.
inline std::uint32_t normalised_axes(const Arguments& a) {
  const std::vector<Index> shape = a.list("normalized_shape");
  const Extents e = a[0].extents();
  const int n = static_cast<int>(shape.size()), first = e.rank - n;
  bool fits = n > 0 && first >= 0;
  for (int i = 0; fits && i < n; ++i)
    fits = e.extent[first + i] == shape[static_cast<std::size_t>(i)];
  if (!fits)
    a.wrong("normalized_shape does not name the last axes of " + to_string(e), Error::shape);
  return ((1u << n) - 1) << first;
}
inline Results layer_norm(const Arguments& a) {
  a.takes(1, 3);
  Value y = normalise(a[0], normalised_axes(a), a.number("epsilon", 1e-5));
  if (a.size() > 1) y = y * Value(a[1]);
  if (a.size() > 2) y = y + Value(a[2]);
  return {y};
}
inline Results rms_norm(const Arguments& a) {
  a.takes(1, 2);
  const Value x(a[0]);
  const Value y = x * rsqrt(mean(square(x), normalised_axes(a), true) + a.number("epsilon", 1e-5));
  return {a.size() == 2 ? y * Value(a[1]) : y};
}
/// [channels] so that it broadcasts along axis 1 of a tensor of this rank.
inline Value by_channel(const Arguments& a, const Value& x, int i) {
  const Value v(a[i]);
  if (v.rank() != 1 || v.t.extent(0) != x.t.extent(1))
    a.wrong("tensor " + std::to_string(i) + " " + to_string(v.extents()) +
                " does not fit the channels of " + to_string(x.extents()),
            Error::shape);
  Extents e;
  e.rank = x.rank() - 1;
  std::fill_n(e.extent, e.rank, Index{1});
  e.extent[0] = v.t.extent(0);
  return reshape(v, e);
}
inline void need_channels(const Arguments& a) {
  if (a[0].rank() < 2)
    a.wrong("takes [n, channels, ...], not " + to_string(a[0].extents()), Error::shape);
}
/// x, weight, bias, running mean, running variance; in training also the new running statistics.
inline Results batch_norm(const Arguments& a) {
  a.takes(5);
  need_channels(a);
  const Value x(a[0]), weight = by_channel(a, x, 1), bias = by_channel(a, x, 2);
  const double epsilon = a.number("epsilon", 1e-5), momentum = a.number("momentum", 0.1);
  if (!a.flag("training", false)) {
    const Value m = by_channel(a, x, 3), v = by_channel(a, x, 4);
    return {(x - m) * rsqrt(v + epsilon) * weight + bias};
  }
  const std::uint32_t axes = all_axes(x) & ~2u;
  const double n =
      static_cast<double>(x.t.size()) / static_cast<double>(std::max<Index>(x.t.extent(1), 1));
  const Value y = normalise(x, axes, epsilon) * weight + bias;
  Value m, v;
  {
    Paused none;
    m = mean(x, axes, true);
    v = sum(square(x - m), axes) / std::max(n - 1, 1.0);
    m = reshape(m, v.extents());
    m = Value(a[3]) * (1 - momentum) + m * momentum;
    v = Value(a[4]) * (1 - momentum) + v * momentum;
  }
  return {y, m, v};
}
inline Results grouped_norm(const Arguments& a, Index groups) {
  need_channels(a);
  const Value x(a[0]);
  const Extents e = x.extents();
  if (groups < 1 || groups > std::max<Index>(e.extent[1], 1) || e.extent[1] % groups)
    a.wrong(std::to_string(e.extent[1]) + " channels are not " + std::to_string(groups) + " groups",
            Error::shape);
  const Index n = e.extent[0] * groups;
  const Value y = reshape(
      normalise(reshape(x, Extents{2, {n, n ? x.t.size() / n : 0}}), 2u, a.number("epsilon", 1e-5)),
      e);
  return {y * by_channel(a, x, 1) + by_channel(a, x, 2)};
}
inline Results group_norm(const Arguments& a) {
  a.takes(3);
  return grouped_norm(a, a.integer("groups"));
}
inline Results instance_norm(const Arguments& a) {
  a.takes(3);
  need_channels(a);
  return grouped_norm(a, a[0].extent(1));
}
/// x / (k + alpha mean of x^2 over `size` neighbouring channels)^beta, zeros beyond the ends.
inline Results local_response_norm(const Arguments& a) {
  a.takes(1);
  need_channels(a);
  const Value x(a[0]), s = square(x);
  const Index size = a.integer("size"), n = x.t.extent(1), before = size / 2;
  if (size < 1) a.wrong("size must be 1 or more");
  Value total;
  for (Index k = std::max<Index>(0, before - n); k < std::min(size, before + n + 1); ++k) {
    const Value moved = take_along(s, 1, n, [=](Index c) {
      return c + k - before >= 0 && c + k - before < n ? c + k - before : -1;
    });
    total = total.t.defined() ? total + moved : moved;
  }
  const Value d = a.number("k", 1) + (a.number("alpha", 1e-4) / static_cast<double>(size)) * total;
  return {x / pow(d, a.number("beta", 0.75))};
}
inline Results normalize(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const std::uint32_t axes = 1u << a.axis("axis", x.rank(), 1);
  return {x / maximum(norm_of(x, a.number("p", 2), axes, true), a.number("epsilon", 1e-12))};
}

/// softmax(q k^T scale + mask) v.   q: [..., t, d]   k: [..., s, d]   v: [..., s, e]
inline Value attention(const char* name, const Value& q, const Value& k, const Value& v,
                       double scale, bool causal, const Value& mask) {
  Value scores = product(name, q, transpose_last(k)) * scale;
  constexpr double never = -std::numeric_limits<double>::infinity();
  const int r = scores.rank();
  if (causal) {
    const Extents e{2, {scores.t.extent(r - 2), scores.t.extent(r - 1)}};
    const AnyTensor seen = position_map(e, [](const Index* at) { return Index{at[1] <= at[0]}; });
    scores = where(seen, scores, never);
  }
  if (mask.t.defined())
    scores = is_floating(mask.dtype()) ? scores + mask : where(mask, scores, never);
  return product(name, softmax(scores, 1u << (r - 1)), v);
}
/// q, k, v and a mask: bool (true takes part) or added to the scores. grouped: k and v have fewer
/// heads.
inline Results scaled_dot_product_attention(const Arguments& a) {
  a.takes(3, 4);
  Value q(a[0]), k(a[1]), v(a[2]);
  for (int i = 0; i < 3; ++i)
    if (a[i].rank() < 2)
      a.wrong("takes [..., time, dim], not " + to_string(a[i].extents()), Error::shape);
  if (a.flag("grouped", false)) {
    if (q.rank() < 3 || k.rank() != q.rank() || k.t.extent(-3) == 0 ||
        q.t.extent(-3) % k.t.extent(-3))
      a.wrong("heads of " + to_string(q.extents()) + " are no multiple of those of " +
                  to_string(k.extents()),
              Error::shape);
    const Index times = q.t.extent(-3) / k.t.extent(-3);
    auto spread = [&](const Value& x) {
      return take_along(x, x.rank() - 3, x.t.extent(-3) * times,
                        [=](Index h) { return h / times; });
    };
    k = spread(k), v = spread(v);
  }
  a.text("mask", "");
  const double scale = a.number("scale", 1 / std::sqrt(static_cast<double>(q.t.extent(-1))));
  return {attention(a.name(), q, k, v, scale, a.flag("causal", false),
                    a.size() == 4 ? Value(a[3]) : Value())};
}
/// x: [batch, time, dim]   in: [3 dim, dim], [3 dim] for q, k, v   out: [dim, dim], [dim]
inline Results multi_head_attention(const Arguments& a) {
  a.takes(5);
  need_rank(a, 0, 3);
  const Value x(a[0]);
  const Index b = x.t.extent(0), t = x.t.extent(1), d = x.t.extent(2), heads = a.integer("heads");
  if (heads < 1 || d % heads)
    a.wrong(std::to_string(d) + " is no multiple of " + std::to_string(heads) + " heads",
            Error::shape);
  const Value all = linear(a.name(), x, a[1], a[2]);
  auto part = [&](Index i) {
    return swap_axes(reshape(slice(all, 2, i * d, d), Extents{4, {b, t, heads, d / heads}}), 1, 2);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(d / heads));
  const Value y =
      attention(a.name(), part(0), part(1), part(2), scale, a.flag("causal", false), {});
  return {linear(a.name(), reshape(swap_axes(y, 1, 2), Extents{3, {b, t, d}}), a[3], a[4])};
}

inline constexpr Operation norm_table[] = {
    {"layer_norm", layer_norm},
    {"rms_norm", rms_norm},
    {"batch_norm", batch_norm},
    {"group_norm", group_norm},
    {"instance_norm", instance_norm},
    {"local_response_norm", local_response_norm},
    {"normalize", normalize},
    {"scaled_dot_product_attention", scaled_dot_product_attention},
    {"multi_head_attention", multi_head_attention}};

}  // namespace detail

template <class>
std::span<const Operation> norm_operations() {
  return detail::norm_table;
}

}  // namespace tenon::inline TENON_ISA::registry
