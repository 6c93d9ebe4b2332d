// SPDX-License-Identifier: Apache-2.0
// A progress line for training loops.
#pragma once
#include <tenon/core/config.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace tenon::inline TENON_ISA::train {

/// A bar that moves while an epoch runs, redrawn at most ten times a second; nothing where the
/// output is no terminal, so that logs hold whole lines only.
class Progress {
 public:
  explicit Progress(std::FILE* out = stdout) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

  void show(const std::string& label, std::int64_t done, std::int64_t total, double loss) {
    if (!terminal_) return;
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    constexpr int width = 30;
    const int filled = total > 0 ? static_cast<int>(done * width / total) : width;
    std::string bar(static_cast<std::size_t>(filled), '#');
    bar.resize(width, '.');
    std::fprintf(out_, "\r%s [%s] %lld/%lld  loss %.4f ", label.c_str(), bar.c_str(),
                 static_cast<long long>(done), static_cast<long long>(total), loss);
    std::fflush(out_);
  }
  /// Removes the bar, so that a whole line can follow.
  void clear() {
    if (!terminal_) return;
    std::fprintf(out_, "\r\033[K");
    std::fflush(out_);
  }

 private:
  std::FILE* out_;
  bool terminal_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace tenon::train
