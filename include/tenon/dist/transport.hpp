// SPDX-License-Identifier: Apache-2.0
// Messages between ranks: the interface that loopback.hpp and mpi.hpp implement. Nothing in it
// blocks; deadlines and heartbeats are the communicator's.
#pragma once
#include <tenon/core/error.hpp>

#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace tenon::inline TENON_ISA::dist {

/// What a message is, at the front of its bytes.
struct Tag {
  enum Kind : std::uint32_t {
    heartbeat = 1,
    failure,
    goodbye,
    facts,
    verdict,
    part,
    total,
    request,
    reply
  };
  std::uint32_t kind = 0;
  std::uint32_t bucket = 0;
  std::uint64_t step = 0;
  std::uint64_t node = 0;  ///< of the tree over the shards
  std::uint64_t magic = 0x31746e6f6e6574u;

  auto operator<=>(const Tag&) const = default;
};

/// A message: a Tag and what follows it, shared by all who send or read it.
using Bytes = std::shared_ptr<const std::vector<std::byte>>;

/// A message of `size` bytes behind the tag; fill(pointer) writes them.
template <class Fill>
Bytes make_message(const Tag& tag, std::size_t size, Fill&& fill) {
  auto bytes = std::make_shared<std::vector<std::byte>>(sizeof(Tag) + size);
  std::memcpy(bytes->data(), &tag, sizeof(Tag));
  fill(bytes->data() + sizeof(Tag));
  return bytes;
}
inline Bytes make_message(const Tag& tag, std::string_view text) {
  return make_message(tag, text.size(), [&](std::byte* to) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
  });
}
/// Errors: Error::format for bytes that are no message.
inline Tag tag_of(const Bytes& message) {
  Tag tag;
  if (message->size() >= sizeof(Tag)) std::memcpy(&tag, message->data(), sizeof(Tag));
  if (message->size() < sizeof(Tag) || tag.magic != Tag{}.magic)
    fail(Error::format, {"dist: ", message->size(), " bytes that are no message arrived"});
  return tag;
}
inline std::span<const std::byte> content_of(const Bytes& message) {
  return std::span(*message).subspan(sizeof(Tag));
}
inline std::string text_in(const Bytes& message) {
  const auto content = content_of(message);
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

/// Point to point, between `size()` ranks. After construction one thread at a time uses it.
/// Messages of one sender arrive once, in any order.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// The name of this rank's machine.
  virtual const std::string& host() const = 0;
  /// Takes a message for another rank; never waits.
  virtual void send(int to, const Bytes& message) = 0;
  /// The next message that has arrived whole, from anyone; false: there is none.
  virtual bool receive(int& from, Bytes& message) = 0;
  /// Whether all that was sent has left.
  virtual bool sent() = 0;
  /// Ranks are lost: the end must not wait for them.
  virtual void abandon() noexcept {}
};

inline std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

}  // namespace tenon::dist
