// SPDX-License-Identifier: Apache-2.0
#include <tenon/io/file.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <thread>

using namespace tenon;
using tests::failure, tests::get, tests::put;

namespace {

std::string pattern(std::size_t n) {
  std::string text(n, '\0');
  for (std::size_t i = 0; i < n; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

// While it lives, files cannot grow beyond `bytes`: what a full disk looks like to a program.
struct FullDisk {
  rlimit before{};
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    rlimit now = before;
    now.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before); }
};

}  // namespace

TEST_CASE("file: any range can be read, and one past the end names where the file ends",
          "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string text = pattern(1000);
  put(folder / "a", text);
  io::File file(folder / "a", "some_reader");
  CHECK(file.size() == 1000);
  std::string part(10, '\0');
  file.read(990, part.data(), 10);
  CHECK(part == text.substr(990));
  CHECK(file.read_some(995, part.data(), 10) == 5);
  CHECK(file.read_some(2000, part.data(), 10) == 0);
  auto f = failure([&] { file.read(995, part.data(), 10); });
  CHECK(f.code == Error::file);
  CHECK_THAT(f.text, ContainsSubstring("tenon::some_reader: " + (folder / "a")) &&
                         ContainsSubstring("ends at offset 1000"));
  CHECK(io::read_file(folder / "a") == text);
  put(folder / "empty", "");
  CHECK(io::read_file(folder / "empty").empty());
}

TEST_CASE("file: what is missing or no regular file is an error at once", "[io][file]") {
  tests::TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const std::string others[] = {folder / "none", folder.path(), folder / "pipe", "/dev/zero", ""};
  for (const std::string& path : others) {
    INFO(path);
    auto f = failure([&] { io::File file(path); });
    CHECK(f.code == Error::file);
    CHECK_THAT(f.text, ContainsSubstring(path));
  }
  CHECK_THAT(failure([&] { io::read_file(folder / "none"); }).text,
             ContainsSubstring("No such file"));
}

TEST_CASE("atomic file: the old contents stay until commit, and nothing else remains",
          "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string path = folder / "a";
  put(path, "old");
  {
    io::AtomicFile file(path);
    file.write("new contents");
    CHECK(get(path) == "old");
  }
  CHECK(get(path) == "old");
  CHECK(folder.entries() == 1);
  io::AtomicFile file(path);
  file.write("new ");
  file.write("contents");
  file.commit();
  CHECK(get(path) == "new contents");
  CHECK(folder.entries() == 1);
  CHECK(failure([&] { file.write("more"); }).code == Error::file);
  CHECK(failure([&] { file.commit(); }).code == Error::file);
  CHECK(get(path) == "new contents");
}

TEST_CASE("atomic file: pieces of any size arrive in order", "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string text = pattern(1 << 20);
  const std::size_t sizes[] = {1, 0, 65535, 65536, 65537, 3, 200000, 17, 65530};
  io::AtomicFile file(folder / "a");
  std::size_t at = 0;
  for (std::size_t i = 0; at < text.size(); ++i) {
    const std::size_t n = std::min(sizes[i % std::size(sizes)], text.size() - at);
    file.write(text.data() + at, n);
    at += n;
  }
  file.commit();
  CHECK((get(folder / "a") == text));
}

TEST_CASE("atomic file: a full disk is an error, the old file survives and no other is left",
          "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string path = folder / "a", text = pattern(300000);
  put(path, "old");
  for (std::size_t piece : {std::size_t{100}, std::size_t{70000}, text.size()}) {
    INFO(piece);
    auto f = failure([&] {
      FullDisk full(100000);
      io::AtomicFile file(path, "some_writer");
      for (std::size_t at = 0; at < text.size(); at += piece)
        file.write(text.data() + at, std::min(piece, text.size() - at));
      file.commit();
    });
    CHECK(f.code == Error::file);
    CHECK_THAT(f.text, ContainsSubstring("tenon::some_writer: " + path + ": cannot be written: "));
    CHECK(get(path) == "old");
    CHECK(folder.entries() == 1);
  }
}

TEST_CASE("atomic file: a process that dies while it writes leaves the old file", "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string path = folder / "a";
  put(path, "old");
  const pid_t child = ::fork();
  if (child == 0) {
    io::AtomicFile file(path);
    file.write(pattern(200000));
    ::_exit(7);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WEXITSTATUS(status) == 7);
  CHECK(get(path) == "old");
  // What it left behind stands in nobody's way.
  io::AtomicFile file(path);
  file.write("new");
  file.commit();
  CHECK(get(path) == "new");
}

TEST_CASE("atomic file: several writers of one name each put a whole file in place", "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string path = folder / "a";
  std::vector<std::thread> threads;
  for (char c = 'a'; c < 'e'; ++c)
    threads.emplace_back([&, c] {
      for (int i = 0; i < 5; ++i) {
        io::AtomicFile file(path);
        file.write(std::string(100000, c));
        file.commit();
      }
    });
  for (std::thread& t : threads) t.join();
  const std::string text = get(path);
  REQUIRE(text.size() == 100000);
  CHECK(text.find_first_not_of(text[0]) == std::string::npos);
  CHECK(folder.entries() == 1);
}

TEST_CASE("atomic file: links are followed and permissions are kept", "[io][file]") {
  tests::TemporaryFolder folder;
  put(folder / "target", "old");
  REQUIRE(::chmod((folder / "target").c_str(), 0640) == 0);
  std::filesystem::create_directory(folder / "links");
  REQUIRE(::symlink("../target", (folder / "links/a").c_str()) == 0);
  io::AtomicFile file(folder / "links/a");
  file.write("new");
  file.commit();
  CHECK(get(folder / "target") == "new");
  CHECK(std::filesystem::is_symlink(folder / "links/a"));
  struct stat s {};
  REQUIRE(::stat((folder / "target").c_str(), &s) == 0);
  CHECK((s.st_mode & 07777) == 0640);
}

TEST_CASE("atomic file: names of the greatest length, of the working folder, and impossible ones",
          "[io][file]") {
  tests::TemporaryFolder folder;
  const std::string longest(255, 'x');
  io::AtomicFile file(folder / longest);
  file.write("new");
  file.commit();
  CHECK(get(folder / longest) == "new");

  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  io::AtomicFile here("here");
  here.write("new");
  here.commit();
  std::filesystem::current_path(before);
  CHECK(get(folder / "here") == "new");

  const std::string others[] = {folder / "none/a", folder.path(), folder / "none/", "",
                                "/dev/null"};
  for (const std::string& path : others) {
    INFO(path);
    CHECK(failure([&] { io::AtomicFile f(path); }).code == Error::file);
  }
  CHECK(failure([&] {
          io::AtomicFile f(folder / std::string(256, 'x'));
          f.commit();
        }).code == Error::file);
  CHECK(folder.entries() == 2);
}
