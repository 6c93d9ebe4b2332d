// SPDX-License-Identifier: Apache-2.0
// Element-wise operations together, a tile at a time: what lies between them stays in the first
// cache. What graphs from files run on.
#pragma once
#include <tenon/graph/ir.hpp>
#include <tenon/kernel/group_run.hpp>

#include <cstring>
#include <vector>

namespace tenon::inline TENON_ISA::graph {

/// A list of element-wise operations that compute in one dtype, on tensors that broadcast to common
/// extents. Its values are numbers: the inputs, then one a step. A step is the packed chunk of its
/// operation, so that every element has the bits that the operations one by one give.
class Tiles : public Together {
 public:
  /// inputs: how many, max_leaves at most, of any dtype.
  Tiles(Dtype compute, int inputs) : compute_(compute), inputs_(inputs) { run = run_tiles; }

  /// The value of one more operation, of most at most. info: a statement of it alone.
  int apply(const StatementInfo& info, const int* operand) {
    Step s{&info};
    for (int k = 0; k < info.leaves; ++k) s.operand[k] = operand[k];
    cheap_ &= info.cheap;
    return add(s);
  }
  /// The number x at every place.
  int fill(double x) { return add({nullptr, {}, x}); }
  /// What leaves the tiles.
  void settle(const std::vector<int>& results);

 private:
  friend struct TilesRun;
  struct Step {
    const StatementInfo* operation = nullptr;  ///< null: a number
    int operand[3] = {};
    double number = 0;
    int place = 0;  ///< where its value lies among the tiles
    int operands() const { return operation ? operation->leaves : 0; }
  };
  int add(const Step& s) {
    steps_.push_back(s);
    return inputs_ + static_cast<int>(steps_.size()) - 1;
  }
  static void run_tiles(const Together&, const AnyTensor* input, AnyTensor* result,
                        const Extents& e);

  Dtype compute_;
  int inputs_, places_ = 0;
  bool cheap_ = true;
  std::vector<Step> steps_;
  std::vector<int> results_;
};

// Values share places, as registers: few of them stay in the cache. Inputs, numbers and results do
// not.
inline void Tiles::settle(const std::vector<int>& results) {
  results_ = results, places_ = inputs_;
  std::vector<const Step*> last(steps_.size() + static_cast<std::size_t>(inputs_), nullptr);
  for (const Step& s : steps_)
    for (int k = 0; k < s.operands(); ++k) last[static_cast<std::size_t>(s.operand[k])] = &s;
  for (int v : results_) last[static_cast<std::size_t>(v)] = nullptr;
  std::vector<int> free;
  for (Step& s : steps_) {
    // A chunk reads an element before it writes it.
    for (int k = 0; k < s.operands(); ++k) {
      const int v = s.operand[k];
      if (v < inputs_ || last[static_cast<std::size_t>(v)] != &s) continue;
      const Step& from = steps_[static_cast<std::size_t>(v - inputs_)];
      if (from.operation) free.push_back(from.place);
      last[static_cast<std::size_t>(v)] = nullptr;
    }
    if (free.empty() || !s.operation) free.push_back(places_++);
    s.place = free.back(), free.pop_back();
  }
}

/// One run of a list over its tensors: rows and columns of their space are cut into tiles.
struct TilesRun {
  static constexpr Index tile = 512;  // elements; of 1 K to 1 M, 256 and 1024 are slower on Zen 5
  /// How a tile of an input is reached.
  enum class Reach : std::uint8_t {
    dense,     ///< in place
    once,      ///< the same in every tile: gathered once a block
    gathered,  ///< copied and converted
    random     ///< made there
  };
  struct Scratch;

  // Most of the arrays stay unused: no initialisers.
  TilesRun(const Tiles& tiles, Index elements)
      : t(tiles), size(static_cast<Index>(size_of(t.compute_))), all(elements) {}

  const Tiles& t;
  kernel::Space space;
  int operand[max_leaves];
  Reach reach[max_leaves];
  const Record* record[max_leaves];
  char* out[Together::most];
  bool direct[Together::most];  // whether steps write a result where it goes
  Index size, all;              // bytes of an element; how many there are
  Index cols = 0, item_rows = 1, items_along = 1, items = 0, blocks = 1;

  void add_input(int i, const AnyTensor& x, const Extents& e) {
    const Record& r = *x.get();
    const Extents own = r.shape();
    if (const Broadcast b = broadcast(e, own); !b.mismatch.ok() || !(b.extents == e))
      fail(Error::shape, {"tiles: ", own, " does not broadcast to ", e});
    record[i] = &r;
    if (r.generated) reach[i] = Reach::random;
    else if (own == e && r.dtype == t.compute_ && r.contiguous()) reach[i] = Reach::dense;
    else {
      reach[i] = Reach::gathered;
      operand[i] = kernel::detail::add_operand(space, e, 0, x, nullptr);
    }
  }
  /// Where a result goes an input may lie that later steps read.
  void add_result(std::size_t k, char* to) {
    const auto step = static_cast<std::size_t>(t.results_[k] - t.inputs_);
    out[k] = to;
    direct[k] = t.steps_[step].operation != nullptr;
    if (step + 1 == t.steps_.size()) return;
    for (int i = 0; i < t.inputs_; ++i) direct[k] &= record[i]->data != to;
  }
  /// Into pieces of a row, or rows, of whole registers where there are such.
  void cut() {
    constexpr Index lanes = scalar::lanes<float>;
    const Index pieces = (space.n + tile - 1) / tile;
    cols = std::min(space.n, ((space.n + pieces - 1) / pieces + lanes - 1) / lanes * lanes);
    items_along = (space.n + cols - 1) / cols;
    if (items_along == 1) item_rows = std::min(space.rows, tile / cols);
    if (item_rows > lanes) item_rows -= item_rows % lanes;
    items = (space.rows + item_rows - 1) / item_rows * items_along;
    for (int i = 0; i < t.inputs_; ++i) {
      if (reach[i] != Reach::gathered) continue;
      const kernel::Operand& o = space.operand[operand[i]];
      bool same = items_along == 1 || o.step() == 0;
      for (int k = 0; k < space.outer_rank; ++k) same &= o.outer[k] == 0;
      if (same) reach[i] = Reach::once;
    }
  }

  void run_block(Index block) const {
    const Index distance = tile * size + 64;  // no two tiles begin in one set of the cache
    char* room = static_cast<char*>(
        kernel::scratch<Scratch>(static_cast<std::size_t>(t.places_ * distance)));
    char* at[max_leaves + Together::most];
    char** value = at + t.inputs_;
    for (int i = 0; i < t.inputs_; ++i) {
      at[i] = room + i * distance;
      if (reach[i] == Reach::once) gather(i, at[i], 0, item_rows, 0, cols);
    }
    for (std::size_t s = 0; s < t.steps_.size(); ++s) {
      value[s] = room + t.steps_[s].place * distance;
      if (t.steps_[s].operation) continue;
      convert(Dtype::f64, &t.steps_[s].number, 0, t.compute_, value[s], 1, 1);
      convert(t.compute_, value[s], 0, t.compute_, value[s] + size, 1, item_rows * cols - 1);
    }
    for (Index i = items * block / blocks; i < items * (block + 1) / blocks; ++i) run_item(i, at);
  }
  void gather(int i, char* to, Index row, Index rows, Index col, Index width) const {
    kernel::transfer(space, space.operand[operand[i]], kernel::Transfer::gather, t.compute_, to,
                     row, rows, col, width);
  }
  void run_item(Index item, char** at) const {
    const Index row = item / items_along * item_rows, rows = std::min(item_rows, space.rows - row),
                col = item % items_along * cols, width = std::min(cols, space.n - col);
    const Index begin = row * space.n + col, n = rows * width;
    for (int i = 0; i < t.inputs_; ++i) {
      if (reach[i] == Reach::dense) at[i] = static_cast<char*>(record[i]->data) + begin * size;
      else if (reach[i] == Reach::random) tenon::detail::generate(*record[i], begin, n, at[i]);
      else if (reach[i] == Reach::gathered) gather(i, at[i], row, rows, col, width);
    }
    const int results = static_cast<int>(t.results_.size()),
              steps = static_cast<int>(t.steps_.size()), streams = t.inputs_ + results;
    for (int k = 0; k < results; ++k)
      if (direct[k]) at[t.results_[static_cast<std::size_t>(k)]] = out[k] + begin * size;
    // Tiles are too short for the processor to foresee the next: where tensors do not stay in the
    // second cache, each step fetches a share of it.
    const bool far = all * size >= far_bytes;
    for (int s = 0, stream = 0; s < steps; ++s) {
      for (; far && stream * steps < (s + 1) * streams; ++stream)
        if (stream >= t.inputs_) fetch(out[stream - t.inputs_] + (begin + n) * size, n);
        else if (reach[stream] == Reach::dense) fetch(at[stream] + n * size, n);
      run_step(t.steps_[static_cast<std::size_t>(s)], at, at[t.inputs_ + s], n);
    }
    for (int k = 0; k < results; ++k)
      if (!direct[k])
        std::memcpy(out[k] + begin * size, at[t.results_[static_cast<std::size_t>(k)]],
                    static_cast<std::size_t>(n * size));
  }
  static constexpr Index far_bytes = 1 << 20;  // of a tensor
  void fetch(const char* from, Index n) const {
    for (const char* end = from + n * size; from < end; from += 64) __builtin_prefetch(from);
  }
  static void run_step(const Tiles::Step& step, char* const* at, char* out, Index n) {
    if (!step.operation) return;
    const void* leaf[3];
    for (int k = 0; k < step.operation->leaves; ++k) leaf[k] = at[step.operand[k]];
    if (n % scalar::lanes<float> == 0) return step.operation->chunk(leaf, out, n);
    static constexpr abi::Count none[3] = {0, 0, 0};
    abi::Block b;
    b.rows = 1, b.n = n, b.leaf = leaf, b.leaf_row = none, b.out = out;
    step.operation->forward(b);
  }
};

/// Computes all results, of extents e: where they are defined, else in memory of their own. Inputs
/// lie on the host. They may share memory with a result whose elements they have at the same
/// places. Errors: Error::shape for an input that does not broadcast to e.
inline void Tiles::run_tiles(const Together& self, const AnyTensor* input, AnyTensor* result,
                             const Extents& e) {
  const auto& t = static_cast<const Tiles&>(self);
  TilesRun r(t, e.size());
  AnyTensor made[max_leaves];
  for (int i = 0; i < t.inputs_; ++i) {
    const Record& own = input[i].record("tiles");
    const bool ready = !own.generated || (own.shape() == e && own.dtype == t.compute_);
    made[i] = ready ? input[i] : input[i].to_contiguous();
    r.add_input(i, made[i], e);
  }
  for (std::size_t k = 0; k < t.results_.size(); ++k) {
    if (!result[k].defined()) result[k] = AnyTensor::empty(t.compute_, e);
    r.add_result(k, static_cast<char*>(result[k].raw_writable()));
  }
  if (r.all == 0) return;
  r.space.arrange(e, 0);
  r.cut();
  const Index threshold = t.cheap_ ? Threshold::cheap : Threshold::transcendental;
  const int threads = r.all >= threshold ? num_threads() : 1;
  r.blocks = threads > 1 ? std::min<Index>(r.items, 64) : 1;
  parallel_for(r.blocks, threads, [&](Index block) { r.run_block(block); });
}

}  // namespace tenon::graph
