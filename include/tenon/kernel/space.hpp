// SPDX-License-Identifier: Apache-2.0
// The iteration space of a group: its axes sorted into rows and along the row, and merged where the
// strides of every operand allow.
#pragma once
#include <tenon/kernel/statement.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::kernel {

/// One operand seen from the merged axes. Strides count elements.
struct Operand {
  // No initialisers: a Space holds many of these, and most stay unused.
  char* base;
  const Record* record;
  Dtype dtype;
  bool direct;   ///< kernels reach it by a base, a row distance and a step of 0 or 1
  bool reduced;  ///< it is constant along an axis whose extent is not 1
  Index outer[max_rank], inner[max_rank];

  Index step() const { return inner[0]; }
};

/// At most: leaves, their gradients, result, dy.
inline constexpr int max_operands = 2 * max_leaves + 3;

struct Space {
  int outer_rank = 0, inner_rank = 0;
  Index outer_extent[max_rank] = {}, inner_extent[max_rank] = {};
  Index rows = 1, n = 1;
  int operands = 0;
  Operand operand[max_operands];

  /// Adds an operand whose own axes are aligned with the last axes of the space; `skip` are axes of
  /// the space that it does not have although later ones exist (reduced without keepdims).
  int add(const Extents& space, std::uint32_t skip, const Extents& e, const Index* strides) {
    Operand& o = operand[operands];
    o = Operand{nullptr, nullptr, Dtype::f32, true, false, {}, {}};
    int from = e.rank - 1;
    for (int i = space.rank - 1; i >= 0; --i) {
      if ((skip >> i & 1) || from < 0) {
        o.outer[i] = 0;
        o.reduced |= space.extent[i] != 1;
        continue;
      }
      o.outer[i] = e.extent[from] == 1 ? 0 : strides[from];
      o.reduced |= e.extent[from] == 1 && space.extent[i] != 1;
      --from;
    }
    return operands++;
  }

  /// Sorts the axes: those in `along` go along the row. Without any, the last ones that merge do.
  void arrange(const Extents& e, std::uint32_t along) {
    Index extent[max_rank], stride[max_operands][max_rank];
    int count = 0, split = 0;
    for (int part = 0; part < 2; ++part) {
      if (part) split = count;
      int first = count;
      for (int i = 0; i < e.rank; ++i) {
        if ((along >> i & 1) != static_cast<unsigned>(part)) continue;
        rows *= part ? 1 : e.extent[i];
        n *= part ? e.extent[i] : 1;
        if (e.extent[i] == 1) continue;
        bool merge = count > first;
        for (int o = 0; merge && o < operands; ++o)
          merge = stride[o][count - 1] == operand[o].outer[i] * e.extent[i];
        if (merge) extent[count - 1] *= e.extent[i];
        else extent[count++] = e.extent[i];
        for (int o = 0; o < operands; ++o) stride[o][count - 1] = operand[o].outer[i];
      }
    }
    if (!along) {  // element-wise: the last merged axis is the row
      split = count > 0 ? count - 1 : 0;
      n = count > 0 ? extent[count - 1] : 1;
      if (rows > 0) rows /= n;
    }
    outer_rank = split, inner_rank = count - split;
    for (int i = 0; i < split; ++i) outer_extent[i] = extent[i];
    for (int i = split; i < count; ++i) inner_extent[i - split] = extent[i];
    for (int o = 0; o < operands; ++o) {
      for (int i = 0; i < max_rank; ++i) operand[o].outer[i] = operand[o].inner[i] = 0;
      for (int i = 0; i < split; ++i) operand[o].outer[i] = stride[o][i];
      for (int i = split; i < count; ++i) operand[o].inner[i - split] = stride[o][i];
      operand[o].direct = inner_rank <= 1 && (operand[o].inner[0] == 0 || operand[o].inner[0] == 1);
    }
  }

  /// The element offset of row r of an operand.
  Index row_offset(const Operand& o, Index r) const {
    Index offset = 0;
    for (int i = outer_rank - 1; i >= 0; --i) {
      offset += r % outer_extent[i] * o.outer[i];
      r /= outer_extent[i];
    }
    return offset;
  }
  /// Rows per run: within one, an operand's rows are at one distance.
  Index run_rows() const { return outer_rank ? outer_extent[outer_rank - 1] : 1; }
  Index row_distance(const Operand& o) const { return outer_rank ? o.outer[outer_rank - 1] : 0; }
};

namespace detail {

/// e with the axes put back, extent 1 each. The axes are counted in a space of `rank` axes, which
/// end where those of e end.
inline Extents with_axes(const Extents& e, std::uint32_t axes, int rank) {
  Extents full;
  full.rank = std::min(e.rank + __builtin_popcount(axes), rank);
  axes >>= rank - full.rank;
  for (int axis = full.rank - 1, from = e.rank - 1; axis >= 0; --axis)
    full.extent[axis] = axes >> axis & 1 || from < 0 ? 1 : e.extent[from--];
  return full;
}

/// The rank of the iteration space: that of the longest leaf, reduced axes included.
inline int group_rank(const StatementInfo& info, const AnyTensor* leaf, const GroupCall& how) {
  const int reduced = __builtin_popcount(how.axes ? how.axes : how.from_end);
  int rank = 0;
  for (int i = info.product ? 1 : 0; i < info.leaves; ++i)
    rank = std::max(rank, leaf[i].rank() + (how.dropped_leaves >> i & 1 ? reduced : 0));
  return rank;
}

/// The iteration space of a group: all leaves broadcast together.
inline Extents group_extents(const StatementInfo& info, const AnyTensor* leaf,
                             const GroupCall& how) {
  Extents e;
  const int rank = how.dropped_leaves ? group_rank(info, leaf, how) : 0;
  for (int i = 0; i < info.leaves; ++i) {
    Extents own = leaf[i].extents();
    if (how.dropped_leaves >> i & 1) own = with_axes(own, how.axes, rank);
    Broadcast b = broadcast(e, own);
    if (!b.mismatch.ok()) fail_broadcast(info.name, e, own, b.mismatch);
    e = b.extents;
  }
  return e;
}

/// The result's extents: reduced axes are dropped, or kept with extent 1.
inline __attribute__((noinline)) Extents reduced_extents(const Extents& e, std::uint32_t axes,
                                                         bool keepdims) {
  Extents r;
  for (int i = 0; i < e.rank; ++i) {
    bool gone = axes >> i & 1;
    if (gone && !keepdims) continue;
    r.extent[r.rank++] = gone ? 1 : e.extent[i];
  }
  return r;
}

}  // namespace detail

enum class Transfer { gather, scatter, add };

namespace detail {
template <class T>
void add_strided(T* place, Index step, const T* from, Index count) {
  if (step == 1)
    for (Index k = 0; k < count; ++k) place[k] += from[k];
  else
    for (Index k = 0; k < count; ++k) place[k * step] += from[k];
}
/// place[k * step] += from[k], f32 or f64.
inline __attribute__((noinline)) void add_to(Dtype dtype, void* place, Index step, const void* from,
                                             Index count) {
  if (dtype == Dtype::f64)
    add_strided(static_cast<double*>(place), step, static_cast<const double*>(from), count);
  else add_strided(static_cast<float*>(place), step, static_cast<const float*>(from), count);
}
}  // namespace detail

/// Copies rows [row, row + rows) x columns [col, col + cols) between an operand and a dense matrix
/// of dtype `dense`: from the operand, to it, or added to it (f32 and f64; places that coincide add
/// up).
inline void transfer(const Space& s, const Operand& o, Transfer way, Dtype dense, void* matrix,
                     Index row, Index rows, Index col, Index cols) {
  const Index dense_bytes = static_cast<Index>(size_of(dense)),
              bytes = static_cast<Index>(size_of(o.dtype));
  char* m = static_cast<char*>(matrix);
  auto move = [&](char* place, Index step, Index count) {
    if (way == Transfer::gather) convert(o.dtype, place, step, dense, m, 1, count);
    else if (way == Transfer::scatter) convert(dense, m, 1, o.dtype, place, step, count);
    else detail::add_to(dense, place, step, m, count);
    m += count * dense_bytes;
  };
  const Index run = std::max<Index>(s.run_rows(), 1);
  if (cols == 1 && s.inner_rank <= 1 && row % run + rows <= run) {  // a column within one run
    move(o.base + (s.row_offset(o, row) + col * o.inner[0]) * bytes, s.row_distance(o), rows);
    return;
  }
  for (Index r = row; r < row + rows; ++r) {
    char* base = o.base + s.row_offset(o, r) * bytes;
    if (s.inner_rank <= 1 || s.n == 0) {  // without elements: one result a row at most
      move(base + col * o.inner[0] * bytes, o.inner[0], cols);
      continue;
    }
    const Index last = s.inner_extent[s.inner_rank - 1];
    for (Index j = col; j < col + cols;) {
      Index rest = j / last, offset = j % last * o.inner[s.inner_rank - 1];
      for (int i = s.inner_rank - 2; i >= 0; --i) {
        offset += rest % s.inner_extent[i] * o.inner[i];
        rest /= s.inner_extent[i];
      }
      Index count = std::min(last - j % last, col + cols - j);
      move(base + offset * bytes, o.inner[s.inner_rank - 1], count);
      j += count;
    }
  }
}

}  // namespace tenon::kernel
