// SPDX-License-Identifier: Apache-2.0
// Mailboxes of threads: what is sent arrives once, at whom it was sent to, and not when silenced.
#include <tenon/dist/loopback.hpp>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("a message arrives once, in order, with its sender") {
  dist::Loopback loopback(3);
  CHECK(loopback.size() == 3);
  for (const char* text : {"a", "b"})
    loopback.rank(1).send(2, dist::make_message(dist::Tag{dist::Tag::part}, text));
  int from = -1;
  dist::Bytes message;
  CHECK_FALSE(loopback.rank(0).receive(from, message));
  for (const char* text : {"a", "b"}) {
    REQUIRE(loopback.rank(2).receive(from, message));
    CHECK(from == 1);
    CHECK(dist::text_in(message) == text);
    CHECK(dist::tag_of(message).kind == dist::Tag::part);
  }
  CHECK_FALSE(loopback.rank(2).receive(from, message));
  CHECK(loopback.rank(1).sent());
  CHECK(loopback.rank(1).host() == dist::host_name());
}

TEST_CASE("a silenced rank hears and is not heard") {
  dist::Loopback loopback(2);
  loopback.silence(0);
  const dist::Bytes message = dist::make_message(dist::Tag{dist::Tag::part}, "x");
  loopback.rank(0).send(1, message);
  loopback.rank(1).send(0, message);
  int from = -1;
  dist::Bytes got;
  CHECK_FALSE(loopback.rank(1).receive(from, got));
  CHECK(loopback.rank(0).receive(from, got));
}

TEST_CASE("numbers of ranks that are none") {
  for (int n : {0, -1, 1025}) CHECK_THROWS_AS(dist::Loopback(n), Error);
}
