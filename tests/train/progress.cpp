// SPDX-License-Identifier: Apache-2.0
// A progress bar is for terminals only.
#include <tenon/train/progress.hpp>

#include <fcntl.h>
#include <stdlib.h>

#include "support/catch.hpp"

using namespace tenon;

namespace {
std::string everything(int handle) {
  std::string text(4096, '\0');
  const ssize_t n = ::read(handle, text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}
}  // namespace

TEST_CASE("a file gets nothing, so that logs hold whole lines") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file);
  train::Progress progress(file);
  progress.show("epoch 1", 1, 2, 0.5);
  progress.show("epoch 1", 2, 2, 0.5);
  progress.clear();
  CHECK(std::ftell(file) == 0);
  std::fclose(file);
}

TEST_CASE("a terminal gets a bar that is redrawn in place and removed before a whole line") {
  const int host = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (host < 0 || ::grantpt(host) != 0 || ::unlockpt(host) != 0) return;  // no terminals here
  std::FILE* out = std::fopen(::ptsname(host), "w");
  REQUIRE(out);
  train::Progress progress(out);
  progress.show("epoch 1", 1, 4, 0.5);
  const std::string first = everything(host);
  CHECK_THAT(first, StartsWith("\repoch 1 [#######") && ContainsSubstring("] 1/4  loss 0.5000"));
  CHECK_THAT(first, !ContainsSubstring("\n"));
  // The next one comes at once and is left out; the last of an epoch is always drawn.
  progress.show("epoch 1", 2, 4, 0.5);
  progress.show("epoch 1", 4, 4, 0.25);
  const std::string last = everything(host);
  CHECK_THAT(last, !ContainsSubstring("2/4"));
  CHECK_THAT(last, ContainsSubstring("[" + std::string(30, '#') + "] 4/4  loss 0.2500"));
  progress.clear();
  CHECK(everything(host) == "\r\033[K");
  progress.show("nothing to do", 0, 0, 0);
  CHECK_THAT(everything(host), ContainsSubstring("0/0"));
  std::fclose(out);
  ::close(host);
}
