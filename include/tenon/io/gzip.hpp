// SPDX-License-Identifier: Apache-2.0
// gzip: the contents of a file as they come out, with every check the format has.
#pragma once
#include <zlib.h>
#include <tenon/io/file.hpp>

#include <memory>

namespace tenon::inline TENON_ISA::io {

/// Reads a file from front to back; one that begins with gzip's magic number is unpacked on the
/// way, any other is read as it is. Several gzip members in a row are one stream.
/// Memory: 64 KiB and zlib's window of 32 KiB.
/// Errors: damaged or cut off, checksum or length wrong, bytes behind the last member
/// -> Error::format with the offset in the file.
/// Source: Deutsch, GZIP file format specification version 4.3, RFC 1952, 1996.
class GzipReader {
 public:
  explicit GzipReader(const File& file) : file_(file) {
    unsigned char magic[2] = {};
    packed_ = file.read_some(0, magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (!packed_) return;
    input_ = std::make_unique<unsigned char[]>(input_bytes);
    if (::inflateInit2(&z_, 15 + 16) != Z_OK)
      fail(Error::memory, {file_.name(), ": no memory to unpack ", file_.path()});
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() {
    if (packed_) ::inflateEnd(&z_);
  }

  bool packed() const { return packed_; }
  /// How many bytes have come out so far.
  std::uint64_t offset() const { return out_; }
  /// No file of this size can hold more: deflate spends at least one bit on 129 bytes.
  std::uint64_t most() const { return packed_ ? file_.size() * 1032 : file_.size(); }

  /// At most `bytes` bytes: fewer only at the end.
  std::size_t read_some(void* out, std::size_t bytes) {
    const std::size_t n = packed_ ? unpack(out, bytes) : file_.read_some(out_, out, bytes);
    out_ += n;
    return n;
  }
  /// Exactly `bytes` bytes, called `what` in the error.
  void read(void* out, std::size_t bytes, const char* what) {
    const std::uint64_t from = out_;
    const std::size_t n = read_some(out, bytes);
    if (n != bytes)
      fail_format(file_.name(), file_.path(), from,
                  std::string(what) + (packed_ ? " (offsets are unpacked): " : ": ") +
                      std::to_string(bytes) + " bytes expected, " + std::to_string(n) + " left");
  }
  /// The end must have been reached.
  void expect_end() {
    char extra = 0;
    const std::uint64_t from = out_;
    if (read_some(&extra, 1) != 0)
      fail_format(file_.name(), file_.path(), from, "more bytes follow than the header announces");
  }

 private:
  static constexpr std::size_t input_bytes = std::size_t{1} << 16;

  std::size_t unpack(void* out, std::size_t bytes) {
    unsigned char* to = static_cast<unsigned char*>(out);
    std::size_t left = bytes;
    while (!ended_ && left > 0) {
      if (z_.avail_in == 0) refill();
      const uInt room = static_cast<uInt>(left < (1u << 30) ? left : 1u << 30);
      z_.next_out = to;
      z_.avail_out = room;
      const int status = ::inflate(&z_, Z_NO_FLUSH);
      const uInt made = room - z_.avail_out;
      to += made;
      left -= made;
      if (status == Z_STREAM_END) next_member();
      else if (status == Z_MEM_ERROR)
        fail(Error::memory, {file_.name(), ": no memory to unpack ", file_.path()});
      else if (status != Z_OK && status != Z_BUF_ERROR) damaged(z_.msg ? z_.msg : "invalid data");
    }
    return bytes - left;
  }
  void refill() {
    const std::size_t n = file_.read_some(in_, input_.get(), input_bytes);
    in_ += n;
    z_.next_in = input_.get();
    z_.avail_in = static_cast<uInt>(n);
    if (n == 0) damaged("cut off");
  }
  // Behind one member: the end of the file or another member.
  void next_member() {
    if (z_.avail_in == 0 && in_ == file_.size()) {
      ended_ = true;
      return;
    }
    if (z_.avail_in == 0) refill();
    if (z_.next_in[0] != 0x1f) damaged("bytes that are no gzip member follow the last one");
    ::inflateReset(&z_);
  }
  [[noreturn]] void damaged(const char* what) {
    fail_format(file_.name(), file_.path(), in_ - z_.avail_in, std::string("gzip: ") + what);
  }

  const File& file_;
  bool packed_ = false, ended_ = false;
  std::uint64_t in_ = 0, out_ = 0;
  std::unique_ptr<unsigned char[]> input_;
  z_stream z_{};
};

/// The whole contents of a file, unpacked if it is gzip. Memory grows with what comes out.
/// Errors: as GzipReader; more than `limit` bytes -> Error::format.
inline std::string read_gzip(const std::string& path, std::uint64_t limit,
                             const char* name = "read_gzip") {
  File file(path, name);
  GzipReader reader(file);
  std::string text;
  for (bool more = true; more;) {
    const std::size_t before = text.size(), step = before > 65536 ? before : 65536;
    text.resize(before + step);
    const std::size_t n = reader.read_some(text.data() + before, step);
    text.resize(before + n);
    more = n == step;
    if (text.size() > limit)
      fail_format(name, path, limit, "more than " + std::to_string(limit) + " bytes come out");
  }
  return text;
}

/// Packs what is written to it into a file; finish() ends the stream, the file's commit() keeps it.
class GzipWriter {
 public:
  explicit GzipWriter(AtomicFile& file, int level = 6) : file_(file) {
    if (::deflateInit2(&z_, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      fail(Error::memory, {"GzipWriter: no memory to pack ", file.path()});
  }
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;
  ~GzipWriter() { ::deflateEnd(&z_); }

  void write(const void* data, std::size_t bytes) {
    const unsigned char* from = static_cast<const unsigned char*>(data);
    while (bytes > 0) {
      const std::size_t part = bytes < (1u << 30) ? bytes : 1u << 30;
      z_.next_in = const_cast<unsigned char*>(from);
      z_.avail_in = static_cast<uInt>(part);
      pump(Z_NO_FLUSH);
      from += part;
      bytes -= part;
    }
  }
  void finish() { pump(Z_FINISH); }

 private:
  void pump(int flush) {
    unsigned char out[1 << 14];
    do {
      z_.next_out = out;
      z_.avail_out = sizeof out;
      ::deflate(&z_, flush);
      file_.write(out, sizeof out - z_.avail_out);
    } while (z_.avail_out == 0);
  }
  AtomicFile& file_;
  z_stream z_{};
};

}  // namespace tenon::io
