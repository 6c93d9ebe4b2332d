// SPDX-License-Identifier: Apache-2.0
// Images as columns of windows and back, and pixels as channels.
#pragma once
#include <tenon/registry/arguments.hpp>
#include <tenon/registry/gather.hpp>

namespace tenon::inline TENON_ISA::registry::detail {

using Results = std::vector<AnyTensor>;

/// [n, c f f, h, w] to [n, c, h f, w f], or back.
template <bool Back>
Results pixels(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  const Index f = a.integer("factor");
  if (e.rank != 4 || f < 1 || f > 32768 || (Back ? e[2] % f || e[3] % f : e[1] % (f * f) != 0))
    a.wrong(to_string(e) + " does not fit factor " + std::to_string(f), Error::shape);
  const Index n = e[0], h = Back ? e[2] / f : e[2], w = Back ? e[3] / f : e[3],
              c = Back ? e[1] : e[1] / (f * f);
  const int there[] = {0, 1, 4, 2, 5, 3, 6, 7}, back[] = {0, 1, 3, 5, 2, 4, 6, 7};
  if (Back) {
    const Value x = permute(reshape(Value(a[0]), Extents{6, {n, c, h, f, w, f}}).t, back);
    return {reshape(x, Extents{4, {n, c * f * f, h, w}})};
  }
  const Value x = permute(reshape(Value(a[0]), Extents{6, {n, c, f, f, h, w}}).t, there);
  return {reshape(x, Extents{4, {n, c, h * f, w * f}})};
}
/// Windows of an image as columns: positions in [n, c, h, w] for [n, c kh kw, windows]; -1 in the
/// padding.
struct Windows {
  Index kh, kw, dilation, padding, stride, h, w, rows, cols;
  Windows(const Arguments& a, Index height, Index width)
      : dilation(a.integer("dilation", 1)),
        padding(a.integer("padding", 0)),
        stride(a.integer("stride", 1)),
        h(height),
        w(width) {
    constexpr Index limit = 1 << 20;
    const std::vector<Index> k = a.list("kernel");
    if (k.size() != 2 || k[0] < 1 || k[1] < 1 || dilation < 1 || stride < 1 || k[0] > limit ||
        k[1] > limit || dilation > limit || padding < 0)
      a.wrong("kernel, dilation, padding or stride out of range");
    kh = k[0], kw = k[1];
    rows = (h + 2 * padding - dilation * (kh - 1) - 1) / stride + 1;
    cols = (w + 2 * padding - dilation * (kw - 1) - 1) / stride + 1;
    if (h + 2 * padding < dilation * (kh - 1) + 1 || w + 2 * padding < dilation * (kw - 1) + 1)
      a.wrong("the kernel is larger than the padded image", Error::shape);
  }
  AnyTensor map(Index n, Index c) const {
    const Extents to{3, {n, c * kh * kw, rows * cols}};
    return position_map(to, [&](const Index* at) -> Index {
      const Index x = at[1] % kw, y = at[1] / kw % kh, channel = at[1] / (kw * kh);
      const Index row = at[2] / cols * stride + y * dilation - padding,
                  col = at[2] % cols * stride + x * dilation - padding;
      if (row < 0 || row >= h || col < 0 || col >= w) return -1;
      return ((at[0] * c + channel) * h + row) * w + col;
    });
  }
};
inline Results unfold(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  if (e.rank != 4) a.wrong("takes an image [n, c, h, w], not " + to_string(e), Error::shape);
  return {take_at(a[0], Windows(a, e[2], e[3]).map(e[0], e[1]))};
}
inline Results fold(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  const std::vector<Index> out = a.list("output");
  if (e.rank != 3 || out.size() != 2)
    a.wrong("takes columns [n, c kh kw, windows] and output [h, w]", Error::shape);
  const Windows w(a, out[0], out[1]);
  const Index c = e[1] / (w.kh * w.kw);
  if (e[1] % (w.kh * w.kw) || e[2] != w.rows * w.cols)
    a.wrong(to_string(e) + " does not fit " + std::to_string(w.rows * w.cols) + " windows",
            Error::shape);
  return {add_at(a[0], w.map(e[0], c), Extents{4, {e[0], c, out[0], out[1]}})};
}
}  // namespace tenon::inline TENON_ISA::registry::detail
