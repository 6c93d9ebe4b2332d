// SPDX-License-Identifier: Apache-2.0
// What must be equal on all ranks for them to compute one thing, and its comparison at the start.
#pragma once
#include <tenon/dist/communicator.hpp>
#include <tenon/optim/step.hpp>

#include <typeinfo>

namespace tenon::inline TENON_ISA::dist {

/// {"seed", "1"}: what it is, its value.
struct Fact {
  std::string name, value;
};

namespace detail {

/// The instruction set that the objects of this program are built for: "avx2".
inline std::string instruction_set() {
  const std::string mangled = typeid(Tag).name();  // ...5tenon4avx24dist3TagE
  std::size_t at = mangled.find("5tenon");
  if (at == std::string::npos) return mangled;
  at += 6;
  std::size_t length = 0;
  for (; at < mangled.size() && mangled[at] >= '0' && mangled[at] <= '9'; ++at)
    length = 10 * length + static_cast<std::size_t>(mangled[at] - '0');
  return mangled.substr(at, length);
}

inline std::string hexadecimal(std::uint64_t x) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(x));
  return text;
}

inline std::uint64_t hash_bytes(std::uint64_t hash, const void* data, std::size_t size) {
  const auto* p = static_cast<const unsigned char*>(data);
  for (std::uint64_t word; size > 0;) {
    const std::size_t n = std::min<std::size_t>(size, 8);
    word = 0;
    std::memcpy(&word, p, n);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
    p += n, size -= n;
  }
  return hash;
}

inline std::vector<Fact> facts_of_process() {
  const Ambient& a = ambient();
  return {{"library version", std::to_string(TENON_VERSION)},
          {"instruction set", instruction_set()},
          {"compiler", __VERSION__},
          {"number of shards", std::to_string(shards())},
          {"seed", std::to_string(a.seed)},
          {"random position", std::to_string(a.position)}};
}
inline void facts_of_members(const tenon::detail::Members& m, const char* kind, bool values,
                             std::vector<Fact>& out) {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < m.size(); ++i) {
    const AnyTensor& t = m[i];
    std::string value = m.path(i) + " without a value";
    if (t.defined()) {
      value = text_of({m.path(i), " ", name_of(t.dtype()), " ", t.extents()});
      const AnyTensor dense = t.to(cpu).to_contiguous();
      hash = hash_bytes(hash, dense.raw(), static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
    }
    out.push_back({kind + (" " + std::to_string(i)), value});
  }
  out.push_back({std::string("number of ") + kind + "s", std::to_string(m.size())});
  if (values) out.push_back({std::string("values of the ") + kind + "s", hexadecimal(hash)});
}

}  // namespace detail

/// Version, instruction set, shards, seed; names, types, extents and values of a model.
template <class Model>
std::vector<Fact> facts_of(const Model& net) {
  std::vector<Fact> out = detail::facts_of_process();
  tenon::detail::Members m(tenon::detail::Members::parameters, true);
  tenon::detail::collect_members(m, net);
  detail::facts_of_members(m, "parameter", true, out);
  tenon::detail::Members states(tenon::detail::Members::states, true);
  tenon::detail::collect_members(states, net);
  if (states.size()) detail::facts_of_members(states, "state", true, out);
  return out;
}

/// Rank 0 compares everybody's facts with its own. A difference is Error::peer on every rank,
/// naming both sides and what differs; so are more ranks than shards.
class Comparison final : public Job {
 public:
  Comparison(std::vector<Fact> own, int shards) : own_(std::move(own)), shards_(shards) {}

  bool advance(Communicator& c) override {
    if (c.rank() != 0) {
      if (!sent_) c.send(0, make_message(Tag{Tag::facts}, text(own_)));
      sent_ = true;
      return c.take(0, Tag{Tag::verdict}, since_) != nullptr;
    }
    for (; next_ < c.size(); ++next_) {
      const Bytes message = c.take(next_, Tag{Tag::facts}, since_);
      if (!message) return false;
      compare(c, facts_in(text_in(message)));
    }
    if (c.size() > shards_)
      fail(Error::value, {c.size(), " ranks cannot share ", shards_, " shards"});
    for (int r = 1; r < c.size(); ++r) c.send(r, make_message(Tag{Tag::verdict}, ""));
    return true;
  }
  std::string operation() const override { return "comparing the ranks at the start"; }

 private:
  static std::string text(const std::vector<Fact>& facts) {
    std::string out;
    for (const Fact& f : facts) ((out += f.name) += '\0').append(f.value) += '\0';
    return out;
  }
  static std::vector<Fact> facts_in(const std::string& text) {
    std::vector<Fact> out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t middle = text.find('\0', at), end = text.find('\0', middle + 1);
      if (middle == std::string::npos || end == std::string::npos)
        fail(Error::format, {"a list of facts is cut off"});
      out.push_back({text.substr(at, middle - at), text.substr(middle + 1, end - middle - 1)});
      at = end + 1;
    }
    return out;
  }
  void compare(const Communicator& c, const std::vector<Fact>& other) const {
    const std::size_t n = std::max(own_.size(), other.size());
    for (std::size_t i = 0; i < n; ++i) {
      const Fact none{"nothing", "nothing"};
      const Fact &a = i < own_.size() ? own_[i] : none, &b = i < other.size() ? other[i] : none;
      if (a.name == b.name && a.value == b.value) continue;
      const std::string who = c.name(0) + " and " + c.name(next_);
      if (a.name == b.name)
        fail(Error::peer, {who, " differ in ", a.name, ": ", a.value, " and ", b.value});
      fail(Error::peer,
           {who, " differ: ", a.name, " is ", a.value, " and ", b.name, " is ", b.value});
    }
  }

  std::vector<Fact> own_;
  int shards_;
  bool sent_ = false;
  int next_ = 1;
  Communicator::Clock::time_point since_{};
};

}  // namespace tenon::dist
