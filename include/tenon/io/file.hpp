// SPDX-License-Identifier: Apache-2.0
// Files: read in ranges whose size the system vouches for, replaced as a whole or not at all.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace tenon::inline TENON_ISA::io {

/// Throws Error::file: "<name>: <path>: <what>: <the system's words for `number`>".
[[noreturn]] TENON_COLD inline void fail_file(const char* name, const std::string& path,
                                              const std::string& what, int number = 0) {
  std::string text = std::string(name) + ": " + path + ": " + what;
  if (number != 0) text += std::string(": ") + std::strerror(number);
  fail(Error::file, {text});
}
/// Throws Error::format: "<name>: <path>, offset <offset>: <what>".
[[noreturn]] TENON_COLD inline void fail_format(const char* name, const std::string& path,
                                                std::uint64_t offset, const std::string& what) {
  fail(Error::format, {name, ": ", path, ", offset ", offset, ": ", what});
}

/// A file that exists, for reading. Its size is the system's, never what its contents claim. Reads
/// name their own position, so several threads may read at once. `name` is the function that
/// errors name.
/// Errors: missing, unreadable, not a regular file, shorter than a read asks -> Error::file.
class File {
 public:
  explicit File(const std::string& path, const char* name = "File") : path_(path), name_(name) {
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    handle_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (handle_ < 0) fail_file(name, path, "cannot be opened", errno);
    struct stat s {};
    const int status = ::fstat(handle_, &s), number = errno;
    if (status != 0 || !S_ISREG(s.st_mode)) {
      ::close(handle_);
      if (status != 0) fail_file(name, path, "cannot be examined", number);
      fail_file(name, path, "is not a regular file");
    }
    size_ = static_cast<std::uint64_t>(s.st_size);
  }
  File(File&& other) noexcept
      : path_(std::move(other.path_)),
        name_(other.name_),
        handle_(other.handle_),
        size_(other.size_) {
    other.handle_ = -1;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (handle_ >= 0) ::close(handle_);
  }

  const std::string& path() const { return path_; }
  const char* name() const { return name_; }
  /// Bytes when it was opened.
  std::uint64_t size() const { return size_; }

  /// Exactly `bytes` bytes from `offset` on.
  void read(std::uint64_t offset, void* out, std::size_t bytes) const {
    const std::size_t got = read_some(offset, out, bytes);
    if (got != bytes)
      fail_file(name_, path_,
                "ends at offset " + std::to_string(offset + got) + ", " +
                    std::to_string(bytes - got) + " bytes before the end of a read");
  }
  /// At most `bytes` bytes from `offset` on: fewer only at the end of the file.
  std::size_t read_some(std::uint64_t offset, void* out, std::size_t bytes) const {
    // Linux transfers at most 2^31 - 4096 bytes a call.
    constexpr std::size_t most = std::size_t{1} << 30;
    char* to = static_cast<char*>(out);
    std::size_t done = 0;
    while (done < bytes) {
      const std::size_t part = bytes - done < most ? bytes - done : most;
      const ssize_t n = ::pread(handle_, to + done, part, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0)
        fail_file(name_, path_, "cannot be read at offset " + std::to_string(offset + done), errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

 private:
  std::string path_;
  const char* name_;
  int handle_ = -1;
  std::uint64_t size_ = 0;
};

/// The whole contents. Errors: as File.
inline std::string read_file(const std::string& path, const char* name = "read_file") {
  File file(path, name);
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

/// A file that replaces `path` when commit() returns, and not before: whatever fails, the old file
/// stays as it was, and the temporary one, in the same folder, is removed. A symbolic link is
/// followed; the permissions of an existing file are kept.
/// Errors: Error::file, with the system's words (no space left, no permission, ...).
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path, const char* name = "AtomicFile")
      : path_(resolved(path)), name_(name) {
    struct stat old {};
    const bool exists = ::stat(path_.c_str(), &old) == 0;
    if (exists && !S_ISREG(old.st_mode)) fail_file(name, path_, "is not a regular file");
    const std::size_t slash = path_.rfind('/');
    folder_ = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
    const std::string base = slash == std::string::npos ? path_ : path_.substr(slash + 1);
    if (base.empty()) fail_file(name, path, "is not the name of a file");
    // A name of the greatest length still needs room for the suffix.
    const std::string stem = folder_ + "/." + base.substr(0, 180) + ".";
    do {
      temporary_ =
          stem + std::to_string(::getpid()) + "." + std::to_string(count().fetch_add(1)) + ".tmp";
      handle_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (handle_ < 0 && errno == EEXIST);
    if (handle_ < 0) fail_file(name, path_, "cannot be written: " + temporary_, errno);
    if (exists && ::fchmod(handle_, old.st_mode & 07777) != 0) abandon("cannot be written");
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }

  const std::string& path() const { return path_; }

  /// Appends. After an error nothing more can be written.
  void write(const void* data, std::size_t bytes) {
    if (handle_ < 0) fail_file(name_, path_, "was already committed or given up");
    const char* from = static_cast<const char*>(data);
    if (buffer_.size() + bytes <= buffer_limit) {
      buffer_.insert(buffer_.end(), from, from + bytes);
      return;
    }
    flush();
    if (bytes < buffer_limit) buffer_.insert(buffer_.end(), from, from + bytes);
    else write_all(from, bytes);
  }
  void write(const std::string& text) { write(text.data(), text.size()); }

  /// Puts the new file in the place of the old one. It survives a loss of power from then on.
  void commit() {
    if (handle_ < 0) fail_file(name_, path_, "was already committed or given up");
    flush();
    if (::fsync(handle_) != 0) abandon("cannot be written to the disk");
    const int handle = handle_;
    handle_ = -1;
    if (::close(handle) != 0) abandon("cannot be written");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) abandon("cannot be replaced");
    temporary_.clear();
    sync_folder();
  }

 private:
  static constexpr std::size_t buffer_limit = std::size_t{1} << 16;

  static Atomic<unsigned long>& count() {
    static constinit Atomic<unsigned long> n{0};
    return n;
  }
  static std::string resolved(const std::string& path) {
    char* real = ::realpath(path.c_str(), nullptr);
    if (!real) return path;
    std::string text = real;
    std::free(real);
    return text;
  }
  void flush() {
    write_all(buffer_.data(), buffer_.size());
    buffer_.clear();
  }
  void write_all(const char* from, std::size_t bytes) {
    constexpr std::size_t most = std::size_t{1} << 30;
    while (bytes > 0) {
      const ssize_t n = ::write(handle_, from, bytes < most ? bytes : most);
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) errno = ENOSPC;
      if (n <= 0) abandon("cannot be written");
      from += n;
      bytes -= static_cast<std::size_t>(n);
    }
  }
  void sync_folder() {
    const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;  // a folder may be writable and not readable
    const int status = ::fsync(folder), number = errno;
    ::close(folder);
    // Some file systems know no such request for folders.
    if (status != 0 && number != EINVAL && number != ENOTSUP)
      fail_file(name_, path_, "is in place, but its folder cannot be written to the disk", number);
  }
  [[noreturn]] void abandon(const char* what) {
    const int number = errno;
    discard();
    fail_file(name_, path_, what, number);
  }
  void discard() noexcept {
    if (handle_ >= 0) ::close(handle_);
    handle_ = -1;
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }

  std::string path_, folder_, temporary_;
  const char* name_;
  int handle_ = -1;
  std::vector<char> buffer_;
};

}  // namespace tenon::io
