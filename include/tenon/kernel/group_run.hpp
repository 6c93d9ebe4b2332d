// SPDX-License-Identifier: Apache-2.0
// Runs the compiled kernel of a group over any shapes, strides and dtypes: cuts the space into
// blocks by constants, gives them to threads, brings operands that a kernel cannot reach into a
// dense tile first.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/cpu/scratch.hpp>
#include <tenon/kernel/dense.hpp>
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/space.hpp>

#include <algorithm>
#include <cmath>

namespace tenon::inline TENON_ISA::kernel {

/// How often the door was used, for tests and profiles: kernels forward and backward, matrix
/// products, operations run one by one.
struct Counters {
  Index forward = 0, backward = 0, products = 0, single = 0;
};
inline Counters& counters() {
  thread_local constinit Counters c;
  return c;
}

namespace detail {

inline constexpr int partial_blocks = 8, most_blocks = 64;

struct TileScratch;

/// What one group call works on, forward or backward.
struct GroupRun {
  const StatementInfo* info;
  Space space;
  const double* scalar;
  bool backward = false;
  int leaf[max_leaves], gradient[max_leaves];  // operand numbers, -1 for none
  int out = -1, dy = -1, result = -1;
  abi::Leaves adds = 0;        // gradients that are added to what is there
  char* kept = nullptr;        // reductions' numbers by row
  char* row_result = nullptr;  // one result a row, dense: for totals
  Index row_result_step = 1;
  Index cols = 0, item_rows = 0, items_along = 0, runs = 0, items_a_run = 0, items = 0, blocks = 1;
  bool gathers = false;
  bool sums =
      false;  // gradients summed over blocks: partial[block][leaf] holds a block's sum, or null
  char* partial[partial_blocks][max_leaves];

  int size() const { return static_cast<int>(size_of(info->compute)); }

  bool threaded() const {
    const Index threshold = info->cheap ? Threshold::cheap : Threshold::transcendental;
    return space.rows * space.n >= threshold && num_threads() > 1;
  }

  /// Items of about a tile: what is gathered stays in cache, what is added up is added in parts of
  /// a constant size. Otherwise their number decides nothing but speed: one, or enough for threads.
  __attribute__((noinline)) void cut(bool cuttable, bool adds) {
    const Index run_rows = std::max<Index>(space.run_rows(), 1);
    Index most = tile;
    if (!gathers && !adds) {
      const Index parts = threaded() ? most_blocks : 1;
      most = std::max(tile, (space.rows * space.n / parts + tile - 1) / tile * tile);
    }
    bool flat = cuttable || (info->depth == 0 && !info->row_root);
    cols = flat && space.n > 2 * most ? most : std::max<Index>(space.n, 1);
    items_along = space.n == 0 ? 1 : (space.n + cols - 1) / cols;
    item_rows = std::min(run_rows, std::max<Index>(1, most / cols));
    runs = space.rows / run_rows;
    items_a_run = (run_rows + item_rows - 1) / item_rows * items_along;
    items = runs * items_a_run;
  }

  struct Arrays {
    const void* leaf[max_leaves];
    Index leaf_row[max_leaves];
    void* gradient[max_leaves];
    Index gradient_row[max_leaves];
  };
  struct Area {
    Index row, rows, col, cols;
    char* scratch;
    Index scratch_used;
  };
  /// run_forward or run_backward: by a pointer, lest programs without gradients compile both.
  void (GroupRun::*way)(Area&, Arrays&, abi::Block&, Index number) const = &GroupRun::run_forward;

  // Where an operand's part of the area is: in place, or brought into scratch.
  const void* reach(const Operand& o, Area& a, Index& row_distance, bool& constant,
                    bool fill) const {
    if (o.direct) {
      row_distance = space.row_distance(o), constant = o.step() == 0;
      return o.base + (space.row_offset(o, a.row) + a.col * o.step()) * size();
    }
    char* place = a.scratch + a.scratch_used;
    constant = space.inner_rank == 0 || (space.inner_rank == 1 && o.step() == 0);
    Index width = constant ? 1 : a.cols;
    a.scratch_used += (a.rows * width * size() + 63) / 64 * 64;
    row_distance = width;
    if (!fill) return place;
    if (o.record && o.record->generated) generate_area(o, a, place);
    else transfer(space, o, Transfer::gather, info->compute, place, a.row, a.rows, a.col, width);
    return place;
  }
  void generate_area(const Operand& o, const Area& a, char* place) const {
    for (Index r = 0; r < a.rows; ++r)
      tenon::detail::generate(*o.record, (a.row + r) * space.n + a.col, a.cols,
                              place + r * a.cols * size());
  }

  Index scratch_bytes(Index height, Index width) const {
    const Index count = gathers ? 2 * info->leaves + 4 : 0,
                unread = backward && !kept ? height * 2 * info->reductions * size() : 0;
    return count * (height * width * size() + 192) + unread + 128;
  }

  void run_item(Index item, int block) const {
    Index run = item / items_a_run, rest = item % items_a_run;
    Area a;
    const Index run_rows = std::max<Index>(space.run_rows(), 1);
    Index first = rest / items_along * item_rows;
    a.row = run * run_rows + first, a.rows = std::min(item_rows, run_rows - first);
    a.col = rest % items_along * cols, a.cols = std::min(cols, space.n - a.col);
    run_area(a, item, block);
  }

  void run_area(Area& a, Index item, int block) const {
    a.scratch = static_cast<char*>(
        scratch<TileScratch>(static_cast<std::size_t>(scratch_bytes(a.rows, a.cols))));
    a.scratch_used = 0;
    Arrays t;
    abi::Block b;
    b.rows = a.rows, b.n = a.cols, b.scalar = scalar;
    b.leaf = t.leaf, b.leaf_row = t.leaf_row;
    for (int i = 0; i < info->leaves; ++i) {
      bool constant = true;
      if (leaf[i] < 0) t.leaf[i] = a.scratch, t.leaf_row[i] = 0;  // the kernel does not read it
      else t.leaf[i] = reach(space.operand[leaf[i]], a, t.leaf_row[i], constant, true);
      if (constant) b.constant |= 1u << i;
    }
    if (kept) b.kept = kept + a.row * 2 * info->reductions * size();
    (this->*way)(a, t, b, backward ? block : item);
  }

  void run_forward(Area& a, Arrays&, abi::Block& b, Index item) const {
    if (row_result) {
      b.out = row_result + (items_along > 1 ? item : a.row) * size();
      b.out_row = 1;
      info->forward(b);
      return;
    }
    const Operand& o = space.operand[out];
    bool in_place =
        o.direct && (info->row_root || o.step() == 1 || space.n == 1) && o.dtype == info->compute;
    if (in_place) {
      b.out = o.base + (space.row_offset(o, a.row) + a.col * o.step()) * size();
      b.out_row = space.row_distance(o);
      info->forward(b);
      return;
    }
    Index width = info->row_root ? 1 : a.cols;
    b.out = a.scratch + a.scratch_used, b.out_row = width;
    info->forward(b);
    transfer(space, o, Transfer::scatter, info->compute, b.out, a.row, a.rows, a.col, width);
  }

  // A leaf that the kernel does not read lies where another operand does: as a constant along the
  // row it would be moved back at every step.
  void place_unread(Arrays& t, abi::Block& b) const {
    const void* place = b.dy;
    Index row = b.dy_row;
    bool constant = b.dy_constant;
    for (int i = 0; i < info->leaves && constant; ++i)
      if (!(b.constant >> i & 1)) place = t.leaf[i], row = t.leaf_row[i], constant = false;
    for (int i = 0; i < info->leaves && !constant; ++i)
      if (leaf[i] < 0) t.leaf[i] = place, t.leaf_row[i] = row, b.constant &= ~(1u << i);
  }

  void run_backward(Area& a, Arrays& t, abi::Block& b, Index block) const {
    b.dy = reach(space.operand[dy], a, b.dy_row, b.dy_constant, true);
    place_unread(t, b);
    if (result >= 0) {
      bool constant;
      b.y = reach(space.operand[result], a, b.y_row, constant, true);
    }
    if (info->reductions && !kept) {  // reductions whose numbers backward does not read
      b.kept = a.scratch + a.scratch_used;
      Index bytes = a.rows * 2 * info->reductions * size();
      std::memset(b.kept, 0, static_cast<std::size_t>(bytes));
      a.scratch_used += (bytes + 63) / 64 * 64;
    }
    b.gradient = t.gradient, b.gradient_row = t.gradient_row;
    b.written = b.added = b.summed = 0;
    for (int i = 0; i < info->leaves; ++i) {
      if (gradient[i] < 0) continue;
      const Operand o = target(i, block);
      bool constant;
      t.gradient[i] = const_cast<void*>(reach(o, a, t.gradient_row[i], constant, false));
      (o.direct && adds >> i & 1 ? b.added : b.written) |= 1u << i;
      if (constant) b.summed |= 1u << i;
    }
    info->backward(b);
    for (int i = 0; i < info->leaves; ++i) {
      if (gradient[i] < 0 || space.operand[gradient[i]].direct) continue;
      const Index width = b.summed >> i & 1 ? 1 : a.cols;
      transfer(space, target(i, block), adds >> i & 1 ? Transfer::add : Transfer::scatter,
               info->compute, t.gradient[i], a.row, a.rows, a.col, width);
    }
  }
  Operand target(int leaf, Index block) const {
    Operand o = space.operand[gradient[leaf]];
    if (sums && partial[block][leaf]) o.base = partial[block][leaf];
    return o;
  }

  void run_block(Index block) const {
    Index first = items * block / blocks, last = items * (block + 1) / blocks;
    for (Index i = first; i < last; ++i) run_item(i, static_cast<int>(block % partial_blocks));
  }

  __attribute__((noinline)) void run() {
    if (items == 0) return;
    if (blocks == 1 && items == 1) return run_item(0, 0);
    const int threads = threaded() ? num_threads() : 1;
    parallel_for(blocks, threads, [this](Index block) { run_block(block); });
  }
};

// Whether a kernel can make a leaf's random numbers in its own order and type; else they are made
// first.
TENON_COLD inline bool generates_in_order(Dtype compute, const Extents& e, std::uint32_t axes,
                                          const AnyTensor& leaf) {
  if (leaf.dtype() != compute || !(leaf.extents() == e)) return false;
  bool seen = false;
  for (int i = 0; i < e.rank; ++i) {
    bool along = axes >> i & 1;
    if (seen && !along) return false;
    seen |= along;
  }
  return true;
}
TENON_COLD inline const AnyTensor* made_leaves(const StatementInfo& info, const AnyTensor* leaf,
                                               const Extents& e, std::uint32_t axes,
                                               AnyTensor* made) {
  for (int i = 0; i < info.leaves; ++i)
    made[i] = leaf[i].get()->generated && !generates_in_order(info.compute, e, axes, leaf[i])
                  ? leaf[i].to_contiguous()
                  : leaf[i];
  return made;
}
/// The leaves of a group, random ones as tensors where their order asks for it. `made` keeps them
/// alive.
inline const AnyTensor* settled_leaves(const StatementInfo& info, const AnyTensor* leaf,
                                       const Extents& e, std::uint32_t axes, AnyTensor* made) {
  for (int i = 0; i < info.leaves; ++i)
    if (leaf[i].get()->generated && !generates_in_order(info.compute, e, axes, leaf[i]))
      return made_leaves(info, leaf, e, axes, made);
  return leaf;
}

inline int add_operand(Space& s, const Extents& e, std::uint32_t skip, const AnyTensor& t,
                       char* base) {
  Index dense[max_rank];
  const Record& r = *t.get();
  const bool virtual_memory = r.generated || r.valueless;
  if (virtual_memory) contiguous_strides(r.shape(), dense);
  int i = s.add(e, skip, r.shape(), virtual_memory ? dense : r.strides);
  s.operand[i].base = base ? base : static_cast<char*>(r.data);
  s.operand[i].record = &r;
  s.operand[i].dtype = r.dtype;
  return i;
}

inline __attribute__((noinline)) void settle_direct(GroupRun& g) {
  for (int o = 0; o < g.space.operands; ++o) {
    Operand& p = g.space.operand[o];
    if (p.dtype != g.info->compute || (p.record && p.record->generated)) p.direct = false;
    g.gathers |= !p.direct;
  }
}

/// scale * (the sum of the results of all rows). Floating ones are added in double, integers in 64
/// bits.
inline __attribute__((noinline)) void add_rows(Dtype compute, const void* rows, Index count,
                                               double scale, Dtype dtype, void* result) {
  if (!is_floating(compute)) {
    std::int64_t sum = 0;
    for (Index i = 0; i < count; ++i)
      sum += compute == Dtype::i64 ? static_cast<const std::int64_t*>(rows)[i]
                                   : static_cast<const std::int32_t*>(rows)[i];
    convert(Dtype::i64, &sum, 1, dtype, result, 1, 1);
    return;
  }
  double sum = 0;
  for (Index i = 0; i < count; ++i)
    sum += compute == Dtype::f64 ? static_cast<const double*>(rows)[i]
                                 : double(static_cast<const float*>(rows)[i]);
  sum *= scale;
  convert(Dtype::f64, &sum, 1, dtype, result, 1, 1);
}

}  // namespace detail

/// Forward: the value of a group. `result` is written when it is defined and fits, else made.
/// kept: set to the reductions' numbers when `keep`.
inline void run_forward(const StatementInfo& info, const AnyTensor* leaf, const double* scalar,
                        const GroupCall& how, AnyTensor& result, Dtype dtype, bool keep,
                        AnyTensor& kept) {
  using namespace detail;
  ++counters().forward;
  if (how.total == Total::none && forward_dense(info, leaf, scalar, result, dtype)) return;
  if (on_device(leaf, info.leaves)) [[unlikely]]
    return device_calls().forward(info, leaf, scalar, how, result, dtype, keep, kept);
  const Extents e = group_extents(info, leaf, how);
  const std::uint32_t dropped = how.keepdims ? 0 : how.axes;
  GroupRun g;
  g.info = &info, g.scalar = scalar;
  AnyTensor made[max_leaves];
  leaf = settled_leaves(info, leaf, e, how.axes, made);
  for (int i = 0; i < info.leaves; ++i)
    g.leaf[i] =
        add_operand(g.space, e, how.dropped_leaves >> i & 1 ? how.axes : 0, leaf[i], nullptr);
  const Extents shape = info.row_root ? reduced_extents(e, how.axes, how.keepdims) : e;
  if (how.total == Total::none) {
    if (!result.defined()) result = AnyTensor::empty(dtype, shape);
    g.out = add_operand(g.space, e, info.row_root ? dropped : 0, result,
                        static_cast<char*>(result.raw_writable()));
  }
  g.space.arrange(e, how.axes);
  settle_direct(g);
  // The gradient of a sum reads nothing, so a tape changes nothing in how it is added up.
  if (info.sums_rows) keep = false;
  const bool cuttable = how.total != Total::none && info.sums_rows && !info.row_leaves;
  if (cuttable) {
    g.space = Space{};
    for (int i = 0; i < info.leaves; ++i) g.leaf[i] = add_operand(g.space, e, 0, leaf[i], nullptr);
    std::uint32_t all = (1u << e.rank) - 1;
    g.space.arrange(e, e.rank ? all : how.axes);
    settle_direct(g);
  }
  g.cut(cuttable, cuttable);
  g.blocks = std::min<Index>(std::max<Index>(g.items, 1), most_blocks);
  if (keep && info.reductions) {
    kept = AnyTensor::empty(info.compute, Extents{2, {g.space.rows, 2 * info.reductions}});
    g.kept = static_cast<char*>(kept.raw_writable());
  }
  if (how.total == Total::none) return g.run();
  Index count = g.items_along > 1 ? g.items : g.space.rows;
  AnyTensor rows = AnyTensor::empty(info.compute, Extents{1, {count}});
  g.row_result = static_cast<char*>(rows.raw_writable());
  g.run();
  Extents one = how.keepdims ? reduced_extents(e, ~0u, true) : Extents{};
  if (!result.defined()) result = AnyTensor::empty(dtype, one);
  add_rows(info.compute, rows.raw(), count, how.scale, dtype, result.raw_writable());
}

namespace detail {
// Gradients that are dy itself share its elements: nothing is computed, nothing is copied.
inline void pass_through(const StatementInfo& info, BackwardCall& call) {
  const Record& dy = *call.dy.get();
  if (dy.dtype != info.compute || dy.generated || dy.valueless || !dy.contiguous()) return;
  std::uint32_t left = info.passed & call.wanted & ~call.accumulate;
  for (; left; left &= left - 1) {
    const int i = __builtin_ctz(left);
    if (call.gradient[i].defined() || !call.operand[i].get()->alike(dy)) continue;
    call.gradient[i] = call.dy;
    call.wanted &= ~(1u << i);
  }
}
}  // namespace detail

/// Backward: gradients of the leaves that call.wanted names, each contiguous in its leaf's extents.
inline void run_backward(const StatementInfo& info, BackwardCall& call, const GroupCall& how) {
  using namespace detail;
  ++counters().backward;
  if (info.passed && how.total == Total::none) pass_through(info, call);
  if (!call.wanted) return;
  if (how.total == Total::none && backward_dense(info, call)) return;
  if (on_device(call.operand, info.leaves) || on_device(&call.dy, 1)) [[unlikely]]
    return device_calls().backward(info, call, how);
  const AnyTensor* leaf = call.operand;
  const Extents e = group_extents(info, leaf, how);
  const std::uint32_t dropped = how.keepdims ? 0 : how.axes;
  GroupRun g;
  g.info = &info, g.scalar = call.scalar, g.backward = true, g.way = &GroupRun::run_backward;
  AnyTensor made[max_leaves];
  leaf = settled_leaves(info, leaf, e, how.axes, made);
  AnyTensor dy = call.dy;
  if (how.total != Total::none) {  // every row receives the same dy
    double x;
    convert(dy.dtype(), dy.raw(), 1, Dtype::f64, &x, 1, 1);
    x *= how.scale;
    dy = AnyTensor::empty(info.compute, Extents{});
    convert(Dtype::f64, &x, 1, info.compute, dy.raw_writable(), 1, 1);
  }
  std::uint32_t reads = info.reads;
  for (int i = 0; i < info.leaves; ++i) {
    const std::uint32_t skip = how.dropped_leaves >> i & 1 ? how.axes : 0;
    g.leaf[i] = g.gradient[i] = -1;
    if (reads >> i & 1) g.leaf[i] = add_operand(g.space, e, skip, leaf[i], nullptr);
    if (!(call.wanted >> i & 1)) continue;
    const Extents own = leaf[i].extents();
    if (!(info.reached >> i & 1)) {  // steps and comparisons only: the kernel writes nothing
      if (call.accumulate >> i & 1) continue;
      if (!call.gradient[i].defined()) call.gradient[i] = AnyTensor::empty(info.compute, own);
      std::memset(call.gradient[i].raw_writable(), 0,
                  static_cast<std::size_t>(own.size() * g.size()));
      continue;
    }
    if (!call.gradient[i].defined()) {
      call.gradient[i] = AnyTensor::empty(info.compute, own);
      call.accumulate &= ~(1u << i);
    }
    g.gradient[i] = add_operand(g.space, e, skip, call.gradient[i],
                                static_cast<char*>(call.gradient[i].raw_writable()));
    g.adds |= call.accumulate & 1u << i;
  }
  const std::uint32_t dy_skip = info.row_root && how.total == Total::none ? dropped : 0;
  g.dy = add_operand(g.space, e, dy_skip, dy, nullptr);
  if (info.reads_result && call.result)
    g.result = add_operand(g.space, e, 0, *call.result, nullptr);
  g.space.arrange(e, how.axes);
  settle_direct(g);
  if (info.reductions && call.kept && call.kept->defined())
    g.kept = static_cast<char*>(const_cast<void*>(call.kept->raw()));
  bool partial = false;
  for (int i = 0; i < info.leaves; ++i)
    partial |= g.gradient[i] >= 0 && g.space.operand[g.gradient[i]].reduced;
  g.cut(false, partial || (info.reductions && !g.kept));
  g.blocks = std::min<Index>(std::max<Index>(g.items, 1), most_blocks);
  if (!partial) return g.run();
  g.sums = true;
  std::memset(g.partial, 0, sizeof g.partial);
  g.blocks = g.space.rows * g.space.n < 64 * 1024 ? 1 : std::min<Index>(g.items, partial_blocks);
  g.blocks = std::max<Index>(g.blocks, 1);
  AnyTensor sums[max_leaves];
  for (int i = 0; i < info.leaves; ++i) {
    if (g.gradient[i] < 0 || !g.space.operand[g.gradient[i]].reduced) continue;
    const Index bytes = call.gradient[i].size() * g.size();
    // The first block adds straight into the gradient unless that holds something already.
    bool into = !(call.accumulate >> i & 1);
    Index extra = g.blocks - (into ? 1 : 0);
    if (into) std::memset(call.gradient[i].raw_writable(), 0, static_cast<std::size_t>(bytes));
    if (extra > 0) {
      sums[i] = AnyTensor::empty(Dtype::u8, Extents{1, {extra * bytes}});
      std::memset(sums[i].raw_writable(), 0, static_cast<std::size_t>(extra * bytes));
    }
    for (Index k = 0; k < g.blocks; ++k)
      g.partial[k][i] = into && k == 0 ? static_cast<char*>(call.gradient[i].raw_writable())
                                       : static_cast<char*>(sums[i].raw_writable()) +
                                             (k - (into ? 1 : 0)) * bytes;
    g.adds |= 1u << i;
  }
  g.run();
  for (int i = 0; i < info.leaves; ++i) {
    if (g.gradient[i] < 0 || !g.space.operand[g.gradient[i]].reduced) continue;
    const Index n = call.gradient[i].size();
    for (Index half = 1; half < g.blocks; half *= 2)  // a balanced tree over the blocks
      for (Index k = 0; k + half < g.blocks; k += 2 * half)
        add_to(info.compute, g.partial[k][i], 1, g.partial[k + half][i], n);
    char* whole = static_cast<char*>(call.gradient[i].raw_writable());
    if (g.partial[0][i] != whole) add_to(info.compute, whole, 1, g.partial[0][i], n);
  }
}

}  // namespace tenon::kernel
