// SPDX-License-Identifier: Apache-2.0
// What travels when ranks join a gradient: pieces of parameters, cut by bytes, and what was counted
// beside them. Type-erased; the sums are those of one process, to the bit.
#pragma once
#include <tenon/dist/collective.hpp>

#include <array>

namespace tenon::inline TENON_ISA::dist {

namespace detail {
template <class T>
void add_typed(std::byte* to, const std::byte* left, const std::byte* right, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(T)) {
    T a, b;
    std::memcpy(&a, left + i, sizeof(T));
    std::memcpy(&b, right + i, sizeof(T));
    a = a + b;
    std::memcpy(to + i, &a, sizeof(T));
  }
}
}  // namespace detail

/// to = left + right; `to` may be one of them. f32, f64; bf16 and f16 rounded once from f32;
/// integers wrap in i64 and are converted from it, as in optim/join.hpp.
inline void add_elements(Dtype dtype, std::byte* to, const std::byte* left, const std::byte* right,
                         std::size_t bytes) {
  if (dtype == Dtype::f32) return detail::add_typed<float>(to, left, right, bytes);
  if (dtype == Dtype::f64) return detail::add_typed<double>(to, left, right, bytes);
  constexpr std::size_t block = 256;
  if (!is_floating(dtype)) {
    std::uint64_t x[block], y[block];
    const std::size_t size = size_of(dtype);
    for (std::size_t i = 0, n = bytes / size; i < n; i += block) {
      const auto m = static_cast<Index>(std::min(block, n - i));
      convert(dtype, left + size * i, 1, Dtype::i64, x, 1, m);
      convert(dtype, right + size * i, 1, Dtype::i64, y, 1, m);
      for (Index k = 0; k < m; ++k) x[k] += y[k];
      convert(Dtype::i64, x, 1, dtype, to + size * i, 1, m);
    }
    return;
  }
  float a[block], b[block];
  for (std::size_t i = 0, n = bytes / 2; i < n; i += block) {
    const auto m = static_cast<Index>(std::min(block, n - i));
    convert(dtype, left + 2 * i, 1, Dtype::f32, a, 1, m);
    convert(dtype, right + 2 * i, 1, Dtype::f32, b, 1, m);
    for (Index k = 0; k < m; ++k) a[k] += b[k];
    convert(Dtype::f32, a, 1, dtype, to + 2 * i, 1, m);
  }
}

/// Bytes begin .. end - 1 of a parameter, or of a State. first: the left one stands, nothing is
/// added.
struct BucketPiece {
  int parameter;
  std::size_t begin, end;
  bool first = false;
};

/// The parameters from the last to the first, as backward finishes them, cut every `bytes` bytes
/// (rounded up to 64): large ones into slices, small ones together.
inline std::vector<std::vector<BucketPiece>> cut_into_buckets(std::span<const AnyTensor> parameters,
                                                              std::size_t bytes) {
  const std::size_t most = (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64;
  std::vector<std::vector<BucketPiece>> out;
  std::size_t room = 0;
  for (std::size_t i = parameters.size(); i-- > 0;) {
    const std::size_t element = size_of(parameters[i].dtype());
    const std::size_t all = static_cast<std::size_t>(parameters[i].size()) * element;
    for (std::size_t begin = 0; begin < all;) {
      if (room < element) out.emplace_back(), room = most;
      const std::size_t end = std::min(all, begin + room / element * element);
      out.back().push_back({static_cast<int>(i), begin, end});
      room -= end - begin, begin = end;
    }
  }
  return out;
}

/// The same for parameters and the State members behind them, whose buckets are their own, as they
/// are final only when a rank's nodes are.
inline std::vector<std::vector<BucketPiece>> cut_with_states(std::span<const AnyTensor> tensors,
                                                             std::span<const Join> joins,
                                                             std::size_t bytes) {
  const std::size_t parameters = tensors.size() - joins.size();
  auto out = cut_into_buckets(tensors.first(parameters), bytes);
  for (auto& bucket : cut_into_buckets(tensors.subspan(parameters), bytes)) {
    for (BucketPiece& p : bucket) {
      p.first = joins[static_cast<std::size_t>(p.parameter)] == Join::first;
      p.parameter += static_cast<int>(parameters);
    }
    out.push_back(std::move(bucket));
  }
  return out;
}

/// The sums of this rank's nodes, by slot and parameter, and where the totals go: into slot 0, or
/// memory of their own where this rank has no node.
struct GradientMemory {
  std::vector<std::vector<AnyTensor>> slots;

  std::byte* at(int slot, int parameter) {
    AnyTensor& t = slots[static_cast<std::size_t>(slot)][static_cast<std::size_t>(parameter)];
    return static_cast<std::byte*>(t.raw_writable());
  }
};

class TensorBucket final : public Bucket {
 public:
  TensorBucket(GradientMemory& memory, const std::vector<BucketPiece>& pieces,
               const std::vector<Dtype>& dtypes)
      : memory_(memory), pieces_(pieces), dtypes_(dtypes) {
    for (const BucketPiece& p : pieces) size_ += p.end - p.begin;
  }
  Bytes pack(const Tag& tag, int slot) const override {
    return make_message(tag, size_, [&](std::byte* to) {
      each([&](const BucketPiece& p, std::size_t at) {
        std::memcpy(to + at, memory_.at(slot, p.parameter) + p.begin, p.end - p.begin);
      });
    });
  }
  void add(int slot, std::span<const std::byte> bytes, bool left) override {
    check(bytes);
    each([&](const BucketPiece& p, std::size_t at) {
      std::byte* own = memory_.at(slot, p.parameter) + p.begin;
      const std::byte* other = bytes.data() + at;
      if (p.first && left) std::memcpy(own, other, p.end - p.begin);
      if (p.first) return;
      add_elements(dtype(p), own, left ? other : own, left ? own : other, p.end - p.begin);
    });
  }
  void add(int slot, int other) override {
    each([&](const BucketPiece& p, std::size_t) {
      if (p.first) return;
      std::byte* own = memory_.at(slot, p.parameter) + p.begin;
      add_elements(dtype(p), own, own, memory_.at(other, p.parameter) + p.begin, p.end - p.begin);
    });
  }
  void total(int slot, const std::span<const std::byte>* bytes) override {
    if (bytes) check(*bytes);
    if (slot == 0) return;
    each([&](const BucketPiece& p, std::size_t at) {
      std::memcpy(memory_.at(0, p.parameter) + p.begin,
                  bytes ? bytes->data() + at : memory_.at(slot, p.parameter) + p.begin,
                  p.end - p.begin);
    });
  }

 private:
  template <class F>
  void each(F&& f) const {
    std::size_t at = 0;
    for (const BucketPiece& p : pieces_) {
      f(p, at);
      at += p.end - p.begin;
    }
  }
  Dtype dtype(const BucketPiece& p) const { return dtypes_[static_cast<std::size_t>(p.parameter)]; }
  void check(std::span<const std::byte> bytes) const {
    if (bytes.size() != size_)
      fail(Error::format, {"a bucket of ", size_, " bytes came as ", bytes.size()});
  }
  GradientMemory& memory_;
  const std::vector<BucketPiece>& pieces_;
  const std::vector<Dtype>& dtypes_;
  std::size_t size_ = 0;
};

/// Loss, weight and metrics; and whether all ranks are at the same step with the same batch. Its
/// slots are the rank's nodes with the empty ones, so that the way does not depend on the batch.
class CountBucket final : public Bucket {
 public:
  CountBucket(std::uint64_t position, Index rows, int rank, std::size_t slots,
              std::size_t states = 0)
      : own_{{double(position), double(rows), double(rank)}}, slots_(slots), states_(states) {}

  void set(int slot, const GradientSum& sum) {
    at(slot) = {true, {sum.loss, sum.weight, sum.stop}, {}};
    for (std::size_t i = 0; i < states_; ++i) at(slot).values.push_back(sum.changed[i]);
    for (const Metric& m : sum.metrics) {
      at(slot).values.push_back(m.value);
      (at(slot).names += m.name) += '\n';
    }
  }
  void read_total(GradientSum& sum) const {
    const Count& c = total_;
    sum.loss = c.values[0], sum.weight = c.values[1], sum.stop = c.values[2];
    const auto changed = c.values.begin() + 3, metrics = changed + std::ptrdiff_t(states_);
    sum.changed.assign(changed, metrics);
    std::size_t begin = 0;
    for (std::size_t i = 3 + states_; i < c.values.size(); ++i) {
      const std::size_t end = c.names.find('\n', begin);
      sum.metrics.push_back({c.names.substr(begin, end - begin), c.values[i]});
      begin = end + 1;
    }
  }

  Bytes pack(const Tag& tag, int slot) const override {
    const Count& c = slots_[static_cast<std::size_t>(slot)];
    const double head[] = {own_[0], own_[1], own_[2], c.any ? 1.0 : 0.0, double(c.values.size())};
    const std::size_t numbers = c.values.size() * sizeof(double);
    return make_message(tag, sizeof head + numbers + c.names.size(), [&](std::byte* to) {
      std::memcpy(to, head, sizeof head);
      if (numbers) std::memcpy(to + sizeof head, c.values.data(), numbers);
      if (!c.names.empty()) std::memcpy(to + sizeof head + numbers, c.names.data(), c.names.size());
    });
  }
  void add(int slot, std::span<const std::byte> bytes, bool left) override {
    const Count other = read(bytes);
    Count& own = at(slot);
    own = left ? joined(other, own) : joined(own, other);
  }
  void add(int slot, int other) override { at(slot) = joined(at(slot), at(other)); }
  void total(int slot, const std::span<const std::byte>* bytes) override {
    total_ = bytes ? read(*bytes) : at(slot);
    if (!total_.any) fail(Error::format, {"no rank had a shard with rows"});
  }

 private:
  struct Count {
    bool any = false;
    std::vector<double> values;
    std::string names;
  };
  Count& at(int slot) { return slots_[static_cast<std::size_t>(slot)]; }

  static Count joined(const Count& left, const Count& right) {
    if (!left.any) return right;
    if (!right.any) return left;
    if (left.names != right.names || left.values.size() != right.values.size())
      fail(Error::peer, {"the shards' metrics differ: ", left.names, " and ", right.names});
    Count sum = left;
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += right.values[i];
    return sum;
  }
  Count read(std::span<const std::byte> bytes) const {
    double head[5];
    if (bytes.size() < sizeof head) fail(Error::format, {"a count of ", bytes.size(), " bytes"});
    std::memcpy(head, bytes.data(), sizeof head);
    if (head[0] != own_[0] || head[1] != own_[1])
      fail(Error::peer,
           {"rank ", static_cast<Index>(head[2]), " has a batch of ", static_cast<Index>(head[1]),
            " rows at random position ", static_cast<Index>(head[0]), ", rank ",
            static_cast<Index>(own_[2]), " one of ", static_cast<Index>(own_[1]), " at ",
            static_cast<Index>(own_[0])});
    bytes = bytes.subspan(sizeof head);
    if (!(head[4] >= (head[3] != 0 ? double(3 + states_) : 0) &&
          head[4] <= double(bytes.size() / sizeof(double))))
      fail(Error::format, {"a count is cut off"});
    Count c{head[3] != 0, std::vector<double>(static_cast<std::size_t>(head[4])), {}};
    const std::size_t numbers = c.values.size() * sizeof(double);
    if (numbers) std::memcpy(c.values.data(), bytes.data(), numbers);
    bytes = bytes.subspan(numbers);
    c.names.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return c;
  }

  std::array<double, 3> own_;  // position, rows, rank: below 2^53
  std::vector<Count> slots_;
  std::size_t states_;
  Count total_;
};

}  // namespace tenon::dist
