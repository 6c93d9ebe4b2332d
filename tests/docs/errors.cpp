// SPDX-License-Identifier: Apache-2.0
// Every text that docs/errors.md shows is one that the library throws.
#include <tenon/tenon.hpp>

#include <tenon/dist.hpp>
#include <tenon/io.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;

namespace errors_test {

namespace {

/// A row of the table: `code`, number, text without `folder`.
template <class F>
std::string row_of(const char* name, F&& f, const std::string& folder = "") {
  tests::Failure failure = tests::failure(f);
  const std::size_t at = folder.empty() ? std::string::npos : failure.text.find(folder);
  if (at != std::string::npos) failure.text.erase(at, folder.size());
  return "| `" + std::string(name) + "` | " + std::to_string(failure.code) + " | `" + failure.text +
         "` |";
}
struct Net {
  nn::Linear<4, 2> fc;
};

// Two ranks with seeds of their own; what rank 0 throws, its host called this-host.
void two_seeds() {
  dist::Loopback loopback(2);
  std::string text;
  auto rank = [&](int r) {
    seed_random(static_cast<std::uint64_t>(r + 1));
    try {
      dist::Communicator communicator(loopback.rank(r));
      dist::DataParallel(communicator, nn::init<Net>(Rng{1}));
    } catch (const Error& error) {
      if (r == 0) text = error.what();
    }
  };
  std::thread other(rank, 1);
  rank(0);
  other.join();
  const std::string host = "(" + dist::host_name() + ")";
  for (std::size_t at; (at = text.find(host)) != std::string::npos;)
    text.replace(at, host.size(), "(this-host)");
  fail(Error::peer, text.substr(text.find("dist: ")));
}

}  // namespace

TEST_CASE("docs: the errors that the page shows are thrown with these texts") {
  const std::string page = tests::get(std::string(TESTS_SOURCE_DIR) + "/docs/errors.md");
  const tests::TemporaryFolder folder;
  tests::put(folder / "images.idx", tests::bytes("\0\0\x07\1\0\0\0\0"));
  const auto x = ones(Shape<dyn, 3>{4}), y = ones(Shape<dyn, 3>{5});
  const std::string rows[] = {
      row_of("shape", [&] { auto z = x + y; }),
      row_of("dtype", [&] { Tensor<double, Shape<dyn, 3>> z = x.any(); }),
      row_of("index",
             [] {
               nn::cross_entropy(ones(Shape<2, 10>{}), tensor<std::int64_t>({3, 12}));
             }),
      row_of("value", [] { arange<float>(0, 1, 0); }),
      row_of("uninitialised",
             [] {
               Net net;
               optim::make(optim::Sgd{}, net);
             }),
      row_of("tape",
             [&] {
               Tensor before = sum(x);
               Tape tape;
               tape.gradient(before, x);
             }),
      row_of("memory",
             [] {
               zeros(Shape<dyn, dyn>{Index{1} << 40, Index{1} << 40});
             }),
      row_of("file", [] { io::read_file("missing.idx", "read_idx"); }),
      row_of(
          "format", [&] { io::read_idx(folder / "images.idx"); }, folder.path() + "/"),
      row_of(
          "unsupported",
          [] { nn::cross_entropy(ones(Shape<1, 16777217>{}), zeros<std::int64_t>(Shape<1>{})); }),
      row_of("peer", two_seeds),
  };
  for (const std::string& row : rows) {
    INFO(row);
    CHECK(page.find(row) != std::string::npos);
  }
}

}  // namespace errors_test
