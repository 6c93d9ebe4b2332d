// SPDX-License-Identifier: Apache-2.0
// Batches of a data set in an order that follows from seed and epoch alone.
#pragma once
#include <tenon/core/random.hpp>
#include <tenon/tensor/any_tensor.hpp>

#include <vector>

namespace tenon::inline TENON_ISA::data {

namespace detail {

/// out[i] = in[i] * (high + low), where in[i] * high is exact: rounded once but for the last bit of
/// a small term, whether or not the compiler joins multiplication and addition.
inline void scale_bytes(const std::uint8_t* __restrict in, float* __restrict out, Index n,
                        float high, float low) {
  constexpr Index block = 64;
  Index i = 0;
  for (; i + block <= n; i += block)
    for (Index k = 0; k < block; ++k) {
      const float x = static_cast<float>(static_cast<std::int32_t>(in[i + k]));
      out[i + k] = x * high + x * low;
    }
  for (; i < n; ++i) {
    const float x = static_cast<float>(static_cast<std::int32_t>(in[i]));
    out[i] = x * high + x * low;
  }
}

/// The same elements in one piece, integers as i64.
inline AnyTensor as_labels(const AnyTensor& labels) {
  labels.record("Batches: labels");
  return is_floating(labels.dtype()) ? labels.to_contiguous()
                                     : labels.to(Dtype::i64).to_contiguous();
}

}  // namespace detail

struct BatchOptions {
  bool shuffle = true;       ///< otherwise rows come in their order
  bool drop_last = false;    ///< leave out the last batch of an epoch if it is smaller
  double scale = 1.0 / 255;  ///< u8 rows become f32 times this; other dtypes pass unchanged
};

/// Rows of a data set and what is known of them.
struct Batch {
  AnyTensor x, label;
};

/// Cuts a data set into batches along axis 0.   images: [n, ...]   labels: [n, ...]
/// Row k of the batches of an epoch is row p[k], p = permutation(key of seed and epoch): any batch
/// can be made alone, so a run that is resumed sees what it would have seen.
/// x: [batch, ...] f32 from u8, times options.scale (1 / 255: the float nearest to pixel / 255),
/// otherwise the dtype of images; label: [batch, ...] i64, or its own dtype if that is floating.
/// Errors: batch size < 1 -> Error::value; no axis 0, or counts that differ -> Error::shape.
/// Cost: the permutation once an epoch; a batch is one pass over its rows, its memory comes from
/// the allocator's cache.   Source: Fisher, Yates; see core/random.hpp.
class Batches {
 public:
  Batches(const AnyTensor& images, const AnyTensor& labels, Index batch_size, const Rng& rng,
          BatchOptions options = {})
      : images_(images), labels_(labels), batch_(batch_size), options_(options) {
    key_.seed = rng.stream("batches").seed();
    if (batch_size < 1)
      fail(Error::value, {"Batches: a batch of ", batch_size, " rows: the least is 1"});
    const Extents e = images.record("Batches: images").shape(), l = labels.extents();
    if (e.rank == 0 || l.rank == 0)
      fail(Error::shape, {"Batches: images ", e, " and labels ", l, " need an axis 0"});
    if (e[0] != l[0])
      fail(Error::shape, {"Batches: images and labels differ on axis 0: ", e, " and ", l, " (",
                          e[0], " vs ", l[0], ")"});
    images.host_access("Batches");
    labels.host_access("Batches");
    images_ = images.to_contiguous();
    labels_ = detail::as_labels(labels);
    // The part of the scale that has 16 bits makes products with a byte exact.
    const double scale = options.scale;
    high_ = tenon::detail::bits_as<float>(
        tenon::detail::bits_as<std::uint32_t>(static_cast<float>(scale)) & 0xffffff00u);
    low_ = static_cast<float>(scale - static_cast<double>(high_));
  }
  Batches(const AnyTensor& images, const AnyTensor& labels, Index batch_size, std::uint64_t seed,
          BatchOptions options = {})
      : Batches(images, labels, batch_size, Rng(seed), options) {}

  Index rows() const { return images_.get()->extents[0]; }
  Index batch_size() const { return batch_; }
  Index steps_per_epoch() const {
    return options_.drop_last ? rows() / batch_ : rows() / batch_ + (rows() % batch_ != 0);
  }

  /// Batch `step` of epoch `epoch`, both from 0. Errors: Error::index.
  Batch at(Index epoch, Index step) {
    if (epoch < 0 || epoch >> 48 != 0 || step < 0 || step >= steps_per_epoch())
      fail(Error::index,
           {"Batches: no step ", step, " in epoch ", epoch, " of ", steps_per_epoch(), " steps"});
    shuffle(epoch);
    const Index first = step * batch_, left = rows() - first, n = left < batch_ ? left : batch_;
    return {gather(images_, first, n, images_.dtype() == Dtype::u8),
            gather(labels_, first, n, false)};
  }

  class Epoch;
  /// for (const auto& [x, label] : batches.epoch(e)); `first`: the step to begin with.
  Epoch epoch(Index e, Index first = 0);

 private:
  void shuffle(Index epoch) {
    if (!options_.shuffle || epoch == shuffled_) return;
    order_.resize(static_cast<std::size_t>(rows()));
    key_.position = static_cast<std::uint64_t>(epoch);
    permutation(key_, rows(), order_.data());
    shuffled_ = epoch;
  }
  Index source(Index row) const {
    return options_.shuffle ? order_[static_cast<std::size_t>(row)] : row;
  }
  /// Rows first .. first + n - 1 of the epoch.
  AnyTensor gather(const AnyTensor& from, Index first, Index n, bool scaled) const {
    Extents e = from.extents();
    e.extent[0] = 1;
    const Index width = e.size();
    e.extent[0] = n;
    AnyTensor out = AnyTensor::empty(scaled ? Dtype::f32 : from.dtype(), e);
    const std::size_t bytes = static_cast<std::size_t>(width) * size_of(from.dtype());
    const char* base = static_cast<const char*>(from.raw());
    char* to = static_cast<char*>(out.raw_writable());
    for (Index i = 0; i < n && bytes > 0; ++i) {
      const Index next = i + ahead < n ? i + ahead : i;
      prefetch(base + static_cast<std::size_t>(source(first + next)) * bytes, bytes);
      const char* row = base + static_cast<std::size_t>(source(first + i)) * bytes;
      if (scaled)
        detail::scale_bytes(reinterpret_cast<const std::uint8_t*>(row),
                            reinterpret_cast<float*>(to) + i * width, width, high_, low_);
      else std::memcpy(to + static_cast<std::size_t>(i) * bytes, row, bytes);
    }
    return out;
  }
  // Rows lie anywhere: their first lines are asked for before they are needed.
  static constexpr Index ahead = 4;
  static void prefetch(const char* row, std::size_t bytes) {
    for (std::size_t b = 0; b < bytes && b < 1024; b += 64) __builtin_prefetch(row + b);
  }

  AnyTensor images_, labels_;
  Index batch_;
  BatchOptions options_;
  RandomKey key_;
  float high_ = 0, low_ = 0;
  Index shuffled_ = -1;
  std::vector<std::int64_t> order_;
};

/// The batches of one epoch, one at a time. Batches must outlive it.
class Batches::Epoch {
 public:
  struct End {};
  class Iterator {
   public:
    explicit Iterator(Epoch& e) : e_(&e) {}
    const Batch& operator*() const { return e_->batch_; }
    Iterator& operator++() {
      e_->load(e_->step_ + 1);
      return *this;
    }
    bool operator==(End) const { return e_->step_ >= e_->batches_->steps_per_epoch(); }

   private:
    Epoch* e_;
  };

  Epoch(Batches& batches, Index epoch, Index first)
      : batches_(&batches), epoch_(epoch), first_(first) {}
  Iterator begin() {
    load(first_);
    return Iterator(*this);
  }
  End end() const { return {}; }

 private:
  // The last batch is let go first, so that the next one can have its memory.
  void load(Index step) {
    batch_ = {};
    step_ = step;
    if (step_ < batches_->steps_per_epoch()) batch_ = batches_->at(epoch_, step_);
  }
  Batches* batches_;
  Index epoch_, first_, step_ = 0;
  Batch batch_;
};

inline Batches::Epoch Batches::epoch(Index e, Index first) { return Epoch(*this, e, first); }

}  // namespace tenon::data
