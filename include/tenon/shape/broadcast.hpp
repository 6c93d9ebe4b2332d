// SPDX-License-Identifier: Apache-2.0
// Which extents fit each other: NumPy's rule, with `dyn` for what only run time knows.
#pragma once
#include <tenon/core/error.hpp>
#include <tenon/shape/shape.hpp>

#include <string>

namespace tenon::inline TENON_ISA {

/// "[2, 3]"
TENON_COLD inline std::string to_string(const Extents& e) {
  std::string text = "[";
  for (int i = 0; i < e.rank; ++i) text += (i ? ", " : "") + std::to_string(e.extent[i]);
  return text + "]";
}

TENON_COLD inline void append_text(ErrorText& to, const Extents& e) {
  to.add("[", 1);
  for (int i = 0; i < e.rank; ++i) {
    if (i) to.add(", ", 2);
    to.add(static_cast<long long>(e.extent[i]));
  }
  to.add("]", 1);
}

/// What does not fit: the axis of the result and both extents; ok() when all do.
struct Mismatch {
  int axis = -1;
  Index left = 0, right = 0;
  constexpr bool ok() const { return axis < 0; }
};

struct Broadcast {
  Extents extents;
  Mismatch mismatch;
};

/// The common extents of a and b, aligned at their last axes. An extent 1 stretches. Where both may
/// be `dyn` (typed == true) only a static 1 stretches: dyn against n gives n and is checked at run
/// time.
constexpr __attribute__((noinline)) Broadcast broadcast(const Extents& a, const Extents& b) {
  Broadcast out;
  out.extents.rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 0; i < out.extents.rank; ++i) {
    int ia = i - (out.extents.rank - a.rank), ib = i - (out.extents.rank - b.rank);
    Index ea = ia < 0 ? 1 : a.extent[ia], eb = ib < 0 ? 1 : b.extent[ib];
    Index e = ea;
    if (ea == 1 && ia < 0) e = eb;
    else if (ea == eb) e = ea;
    else if (ea == 1) e = eb;
    else if (eb == 1) e = ea;
    else if (ea == dyn) e = eb;
    else if (eb == dyn) e = ea;
    else if (out.mismatch.ok()) out.mismatch = {i, ea, eb};
    out.extents.extent[i] = e;
  }
  return out;
}

[[noreturn]] TENON_COLD inline void fail_broadcast(const char* name, const Extents& a,
                                                   const Extents& b, Mismatch m) {
  fail(Error::shape, {name, ": operands do not broadcast on axis ", m.axis, ": ", a, " and ", b,
                      " (", m.left, " vs ", m.right, ")"});
}

/// The axis counted from the front; throws Error::index when there is none.
inline int normalize_axis(const char* name, int axis, int rank) {
  int a = axis < 0 ? axis + rank : axis;
  if (a < 0 || a >= rank)
    fail(Error::index, {name, ": axis ", axis, " is out of range for a tensor of rank ", rank});
  return a;
}

/// Row-major strides of a contiguous tensor, in elements.
constexpr void contiguous_strides(const Extents& e, Index* strides) {
  Index step = 1;
  for (int i = e.rank - 1; i >= 0; --i) {
    strides[i] = step;
    step *= e.extent[i];
  }
}

}  // namespace tenon
