// SPDX-License-Identifier: Apache-2.0
// Requests as bytes: what is written is read; bytes of any kind are read or refused, never trusted.
#include <tenon/dist/request.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tests;
using dist::Key, dist::Request, dist::Slices;

namespace {
dist::Bytes packed(const Request& q) {
  return dist::pack_request(dist::Tag{dist::Tag::request, 0, 3, 0}, q);
}
}  // namespace

TEST_CASE("a request is read as it was written") {
  const float data[] = {1, 2, 3, 4};
  Request q;
  q.kind = Request::push, q.dtype = Dtype::f64, q.extents = extents({5, 0, 7}), q.slice = 2;
  q.slices = 9, q.slot = 1, q.steps = 77, q.weight = 0.3, q.key = Key("fc1.weight").wire();
  q.data = std::as_bytes(std::span(data));
  const dist::Bytes message = packed(q);
  const Request r = dist::read_request(dist::content_of(message));
  CHECK(r.kind == q.kind);
  CHECK(r.dtype == q.dtype);
  CHECK(r.extents == q.extents);
  CHECK((r.slice == 2 && r.slices == 9 && r.slot == 1 && r.steps == 77 && r.weight == 0.3));
  CHECK(r.key == "\"fc1.weight");
  CHECK(r.data.size() == sizeof data);
  CHECK(std::memcmp(r.data.data(), data, sizeof data) == 0);
}

TEST_CASE("keys: a number is not its digits") {
  CHECK(Key(7).wire() != Key("7").wire());
  CHECK(Key(-3L).wire() == Key(-3).wire());
  CHECK(Key::name(Key(7).wire()) == "key 7");
  CHECK(Key::name(Key("a b").wire()) == "key \"a b\"");
}

TEST_CASE("slices cover every element once, large tensors lie on every server") {
  for (Index n : {Index{0}, Index{1}, Index{7}, Index{1000}, Index{1001}, Index{1} << 29})
    for (int servers : {1, 2, 3, 8})
      for (std::size_t split : {std::size_t{1}, std::size_t{4000}, std::size_t{1} << 30}) {
        CAPTURE(n, servers, split);
        const Slices s = Slices::of(n, 4, servers, split);
        Index at = 0;
        std::vector<bool> used(static_cast<std::size_t>(servers));
        for (int i = 0; i < s.slices; ++i) {
          CHECK(s.begin(n, i) == at);
          at = s.begin(n, i + 1);
          CHECK(static_cast<std::size_t>(at - s.begin(n, i)) * 4 <=
                (s.slices > 1 ? Slices::most : std::max(split, Slices::most)));
          const int server = Slices::server("key", i, servers);
          REQUIRE((server >= 0 && server < servers));
          used[static_cast<std::size_t>(server)] = true;
        }
        CHECK(at == n);
        if (s.slices > 1) CHECK(std::count(used.begin(), used.end(), true) == servers);
        if (static_cast<std::size_t>(n) * 4 >= split && n >= servers) CHECK(s.slices >= servers);
        else CHECK(s.slices == 1);
      }
}

TEST_CASE("small keys are spread over the servers") {
  std::vector<int> count(4);
  for (int i = 0; i < 400; ++i)
    ++count[static_cast<std::size_t>(Slices::server(Key(i).wire(), 0, 4))];
  for (int n : count) CHECK(n > 60);
}

TEST_CASE("bytes that are no request: cut anywhere, or any byte of the head changed") {
  Request q;
  q.kind = Request::push, q.extents = extents({2, 3}), q.key = Key("w").wire();
  const dist::Bytes message = packed(q);
  const auto whole = dist::content_of(message);
  for (std::size_t n = 0; n < whole.size(); ++n)
    CHECK(failure([&] { dist::read_request(whole.first(n)); }).code == Error::format);
  std::vector<std::byte> bytes(whole.begin(), whole.end());
  int refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (unsigned x : {0x01u, 0x80u, 0xffu}) {
      bytes[i] ^= std::byte(x);
      const Failure f = failure([&] {
        const Request r = dist::read_request(bytes);
        if (r.extents.rank > max_rank || r.slice >= r.slices || r.elements() < 0 ||
            r.key.size() > bytes.size())
          fail(Error::value, "let through");
      });
      CHECK((f.code == 0 || f.code == Error::format));
      refused += f.code == Error::format;
      bytes[i] ^= std::byte(x);
    }
  CHECK(refused > 60);
  CHECK(failure([&] { dist::Reply::read(dist::make_message(dist::Tag{}, "1234567")); }).code ==
        Error::format);
}
