// SPDX-License-Identifier: Apache-2.0
// What workers and servers say to each other: keys, slices of tensors, requests and replies as
// bytes. Nothing that arrives is trusted.
#pragma once
#include <tenon/dist/transport.hpp>
#include <tenon/tensor/copy.hpp>

#include <limits>

namespace tenon::inline TENON_ISA::dist {

/// The name of a tensor on the servers: a text or a whole number. Key("7") and Key(7) are two keys.
class Key {
 public:
  Key(const char* text) : Key(std::string_view(text)) {}
  Key(const std::string& text) : Key(std::string_view(text)) {}
  Key(std::string_view text) : wire_(1, '"') { wire_ += text; }
  template <class I>
    requires std::is_integral_v<I> Key(I number) : wire_("#" + std::to_string(number)) {}

    const std::string& wire() const { return wire_; }
    /// For messages: `key "fc1.weight"`, `key 7`.
    static std::string name(std::string_view wire) {
      if (wire.empty()) return "a key without a name";
      std::string out = "key ";
      if (wire[0] == '#') return out.append(wire.substr(1));
      return out.append(wire) += '"';
    }

   private:
    std::string wire_;
};

/// How a tensor is spread: slice i of `slices`, elements begin .. end - 1, lies on the server
/// (home + i) mod servers, where home is a hash of the key. Tensors below `split` bytes are whole.
struct Slices {
  static constexpr std::size_t most = std::size_t{256} << 20;  // bytes of one slice
  int slices = 1;

  static Slices of(Index elements, std::size_t element, int servers, std::size_t split) {
    const std::size_t bytes = static_cast<std::size_t>(elements) * element;
    if (bytes < split || elements < servers) return {};
    return {static_cast<int>(
        std::max<std::size_t>(static_cast<std::size_t>(servers), (bytes + most - 1) / most))};
  }
  Index begin(Index elements, int slice) const {
    return elements / slices * slice + std::min<Index>(elements % slices, slice);
  }
  static int server(std::string_view key, int slice, int servers) {
    std::uint32_t hash = 2166136261u;  // FNV-1a
    for (char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return static_cast<int>((hash + static_cast<std::uint32_t>(slice)) %
                            static_cast<std::uint32_t>(servers));
  }
};

struct Request {
  enum Kind : std::uint32_t { init = 1, push, pull, put, describe, rule, gather, leave };
  Kind kind = init;
  Dtype dtype = Dtype::f32;
  Extents extents{};  ///< of the whole tensor
  int slice = 0, slices = 1;
  int slot = -1;           ///< pull, put: the optimizer's, -1 the value
  std::int64_t steps = 0;  ///< put: updates made so far
  double weight = 1;       ///< push
  std::string key{};       ///< as Key::wire; rule: its name
  std::span<const std::byte> data{};

  static const char* name(Kind kind) {
    constexpr const char* names[] = {"init",     "push",          "pull",    "put",
                                     "describe", "set_optimizer", "barrier", "finish"};
    return names[kind - 1];
  }
  Slices cut() const { return {slices}; }
  Index begin() const { return cut().begin(extents.size(), slice); }
  Index elements() const { return cut().begin(extents.size(), slice + 1) - begin(); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
};

namespace detail {
struct RequestHead {
  std::uint32_t kind, dtype, rank, key, slice, slices;
  std::int32_t slot, unused;
  std::int64_t steps, extent[max_rank];
  double weight;
};
}  // namespace detail

/// The request as a message; data is q.data, or what fill(pointer) writes, q.data.size() bytes.
inline Bytes pack_request(const Tag& tag, const Request& q) {
  detail::RequestHead h{};
  h.kind = q.kind, h.dtype = static_cast<std::uint32_t>(q.dtype);
  h.rank = static_cast<std::uint32_t>(q.extents.rank);
  h.key = static_cast<std::uint32_t>(q.key.size());
  h.slice = static_cast<std::uint32_t>(q.slice), h.slices = static_cast<std::uint32_t>(q.slices);
  h.slot = q.slot, h.steps = q.steps, h.weight = q.weight;
  for (int i = 0; i < q.extents.rank; ++i) h.extent[i] = q.extents.extent[i];
  return make_message(tag, sizeof h + q.key.size() + q.data.size(), [&](std::byte* to) {
    std::memcpy(to, &h, sizeof h);
    if (!q.key.empty()) std::memcpy(to + sizeof h, q.key.data(), q.key.size());
    if (!q.data.empty()) std::memcpy(to + sizeof h + q.key.size(), q.data.data(), q.data.size());
  });
}

/// Errors: Error::format for bytes that are no request.
inline Request read_request(std::span<const std::byte> bytes) {
  detail::RequestHead h;
  auto require = [&](bool holds, const char* what) {
    if (!holds) fail(Error::format, {"a request of ", bytes.size(), " bytes: ", what});
  };
  require(bytes.size() >= sizeof h, "cut off");
  std::memcpy(&h, bytes.data(), sizeof h);
  require(h.kind >= Request::init && h.kind <= Request::leave, "of no known kind");
  require(h.dtype < static_cast<std::uint32_t>(dtype_count), "no such element type");
  require(h.rank <= static_cast<std::uint32_t>(max_rank), "too many axes");
  require(h.slices >= 1 && h.slices <= 1u << 20 && h.slice < h.slices, "no such slice");
  require(h.slot >= -1 && h.slot < 8, "no such slot");
  require(h.steps >= 0, "a negative number of steps");
  require(h.key <= bytes.size() - sizeof h, "the key is cut off");
  Request q;
  q.kind = static_cast<Request::Kind>(h.kind), q.dtype = static_cast<Dtype>(h.dtype);
  q.slice = static_cast<int>(h.slice), q.slices = static_cast<int>(h.slices);
  q.slot = h.slot, q.steps = h.steps, q.weight = h.weight;
  q.extents.rank = static_cast<int>(h.rank);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 16;
  std::int64_t size = 1;
  for (int i = 0; i < q.extents.rank; ++i) {
    require(h.extent[i] >= 0, "a negative extent");
    require(size == 0 || h.extent[i] <= most / std::max<std::int64_t>(size, 1), "extents overflow");
    size *= q.extents.extent[i] = h.extent[i];
  }
  q.key.assign(reinterpret_cast<const char*>(bytes.data()) + sizeof h, h.key);
  q.data = bytes.subspan(sizeof h + h.key);
  return q;
}

/// The answer to a request: code 0 and data, or an error and its text.
struct Reply {
  int code = 0;
  std::span<const std::byte> data{};

  static Bytes pack(const Tag& tag, int code, std::span<const std::byte> data) {
    const auto number = static_cast<std::uint64_t>(code);
    return make_message(tag, sizeof number + data.size(), [&](std::byte* to) {
      std::memcpy(to, &number, sizeof number);
      if (!data.empty()) std::memcpy(to + sizeof number, data.data(), data.size());
    });
  }
  static Reply read(const Bytes& message) {
    const auto content = content_of(message);
    std::uint64_t number = 0;
    if (content.size() < sizeof number)
      fail(Error::format, {"a reply of ", content.size(), " bytes"});
    std::memcpy(&number, content.data(), sizeof number);
    return {static_cast<int>(number), content.subspan(sizeof number)};
  }
  std::string text() const { return {reinterpret_cast<const char*>(data.data()), data.size()}; }
};

}  // namespace tenon::dist
