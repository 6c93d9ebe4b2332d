// SPDX-License-Identifier: Apache-2.0
// A device for tests on any machine: memory that the host cannot touch, a queue that runs when
// somebody waits, kernels whose lanes run in turn. Include it before the statements of a test.
#pragma once
#include <tenon/cuda.hpp>
#include <tenon/kernel/device/all.hpp>
#include <tenon/memory/device_pool.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "support/lanes_in_turn.hpp"

namespace fake {

inline constexpr int devices = 2;
inline constexpr std::size_t page = 4096;

/// Everything of one device.
struct State {
  std::map<char*, std::size_t> blocks;  // begin and length of the pages
  std::vector<std::function<void()>> queue;
  tenon::memory::DevicePool* pool = nullptr;
  tenon::abi::DeviceFault* fault = nullptr;
  int launches = 0, products = 0, waits = 0;
  std::size_t room = std::size_t{1} << 30;  // bytes that `take` still gives
  const char* failure = nullptr;            // what the next launch reports
};
inline State& on(int device);

inline void open(State& s, bool yes) {
  for (auto& [p, n] : s.blocks) mprotect(p, n, yes ? PROT_READ | PROT_WRITE : PROT_NONE);
}
inline void drain(State& s) {
  if (s.queue.empty()) return;
  auto work = std::move(s.queue);
  s.queue.clear();
  open(s, true);
  for (auto& f : work) f();
  open(s, false);
}
// The end of a block is the end of a page, and what follows cannot be touched: so a kernel that
// writes beyond it ends the test.
inline void* take(int device, std::size_t bytes) {
  State& s = on(device);
  bytes = (bytes + 255) / 256 * 256;
  if (bytes > s.room) return nullptr;
  s.room -= bytes;
  const std::size_t pages = (bytes + page - 1) / page * page;
  char* p = static_cast<char*>(
      mmap(nullptr, pages + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (p == MAP_FAILED) return nullptr;
  s.blocks[p] = pages;
  return p + (pages - bytes);
}
inline void give(int device, void* q) {
  State& s = on(device);
  drain(s);
  auto i = std::prev(s.blocks.upper_bound(static_cast<char*>(q)));
  munmap(i->first, i->second + page);
  s.blocks.erase(i);
}
inline State& on(int device) {
  static State* all = new State[devices];
  State& s = all[device];
  if (!s.pool) {
    s.pool = new tenon::memory::DevicePool(device, take, give);
    s.fault = static_cast<tenon::abi::DeviceFault*>(s.pool->allocate(sizeof *s.fault));
    s.queue.push_back([&s] { *s.fault = {}; });
  }
  return s;
}

inline const char* upload(int device, void* to, const void* from, std::size_t bytes) {
  const char* p = static_cast<const char*>(from);
  on(device).queue.push_back(
      [to, copy = std::string(p, bytes)] { std::memcpy(to, copy.data(), copy.size()); });
  return nullptr;
}
inline const char* download(int device, void* to, const void* from, std::size_t bytes) {
  State& s = on(device);
  ++s.waits;
  s.queue.push_back([=] { std::memcpy(to, from, bytes); });
  drain(s);
  return nullptr;
}
inline const char* copy(int device, void* to, int from_device, const void* from,
                        std::size_t bytes) {
  State &s = on(device), &f = on(from_device);
  if (device != from_device) {
    drain(f), drain(s);
    open(f, true), open(s, true);
    std::memcpy(to, from, bytes);
    open(f, false), open(s, false);
    return nullptr;
  }
  s.queue.push_back([=] { std::memmove(to, from, bytes); });
  return nullptr;
}
inline const char* clear(int device, void* to, std::size_t bytes) {
  on(device).queue.push_back([=] { std::memset(to, 0, bytes); });
  return nullptr;
}
inline const char* launch(int device, const tenon::abi::Launch& l) {
  State& s = on(device);
  if (const char* e = std::exchange(s.failure, nullptr)) return e;
  if (!l.kernel->lanes) return "no lanes for this kernel";
  ++s.launches;
  const char* p = static_cast<const char*>(l.arguments);
  s.queue.push_back([arguments = std::vector<char>(p, p + l.bytes), f = l.kernel->lanes,
                     blocks = l.blocks, threads = l.threads] {
    // As arguments of a kernel they lie aligned.
    void* aligned = std::aligned_alloc(64, (arguments.size() + 63) / 64 * 64);
    std::memcpy(aligned, arguments.data(), arguments.size());
    for (std::int64_t b = 0; b < blocks; ++b) f(aligned, b, blocks, threads);
    std::free(aligned);
  });
  return nullptr;
}
template <class T>
void multiply(const tenon::abi::DeviceGemm& g) {
  for (std::int64_t q = 0; q < g.count; ++q)
    for (std::int64_t i = 0; i < g.m; ++i)
      for (std::int64_t j = 0; j < g.n; ++j) {
        const T* a = static_cast<const T*>(g.a) + q * g.a_matrix;
        const T* b = static_cast<const T*>(g.b) + q * g.b_matrix;
        T& c = static_cast<T*>(g.c)[q * g.c_matrix + i * g.c_row + j];
        double sum = 0;
        for (std::int64_t k = 0; k < g.k; ++k)
          sum += double(a[g.transpose_a ? k * g.a_row + i : i * g.a_row + k]) *
                 double(b[g.transpose_b ? j * g.b_row + k : k * g.b_row + j]);
        c = static_cast<T>(g.add ? double(c) + sum : sum);
      }
}
inline const char* gemm(int device, const tenon::abi::DeviceGemm& g) {
  State& s = on(device);
  ++s.products;
  s.queue.push_back([g] { g.element_bytes == 8 ? multiply<double>(g) : multiply<float>(g); });
  return nullptr;
}
template <class T>
void sort_rows(const tenon::abi::DeviceSort& s) {
  const T* x = static_cast<const T*>(s.keys);
  for (std::int64_t r = 0; r < s.rows; ++r) {
    const T* row = x + r * s.n;
    std::int64_t* order = static_cast<std::int64_t*>(s.order) + r * s.n;
    for (std::int64_t i = 0; i < s.n; ++i) order[i] = i;
    auto less = [&](std::int64_t a, std::int64_t b) {
      const T p = row[s.descending ? b : a], q = row[s.descending ? a : b];
      return p < q || (p == p && q != q);
    };
    std::stable_sort(order, order + s.n, less);
    for (std::int64_t i = 0; i < s.n; ++i) static_cast<T*>(s.values)[r * s.n + i] = row[order[i]];
  }
}
template <class T, class V>
void scan_rows(const tenon::abi::DeviceScan& s) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    V sum = 0;
    for (std::int64_t i = r * s.n; i < (r + 1) * s.n; ++i)
      static_cast<T*>(s.target)[i] =
          static_cast<T>(sum = static_cast<V>(sum + V(static_cast<const T*>(s.source)[i])));
  }
}
inline const char* sort(int device, const tenon::abi::DeviceSort& s) {
  on(device).queue.push_back([s] {
    if (s.type == 0) sort_rows<float>(s);
    if (s.type == 1) sort_rows<double>(s);
    if (s.type == 2) sort_rows<std::int64_t>(s);
    if (s.type == 3) sort_rows<std::int32_t>(s);
  });
  return nullptr;
}
inline const char* scan(int device, const tenon::abi::DeviceScan& s) {
  on(device).queue.push_back([s] {
    if (s.type == 0) scan_rows<float, double>(s);
    if (s.type == 1) scan_rows<double, double>(s);
    if (s.type == 2) scan_rows<std::int64_t, std::int64_t>(s);
    if (s.type == 3) scan_rows<std::int32_t, std::int64_t>(s);
  });
  return nullptr;
}
inline const char* synchronise(int device) {
  ++on(device).waits;
  drain(on(device));
  return nullptr;
}

/// The fake devices are there from the start of the program.
inline const bool installed = [] {
  static constexpr tenon::abi::DeviceTable table{
      "fake",
      [] { return devices; },
      [](int d, std::size_t n) { return on(d).pool->allocate(n); },
      [](int d, void* p, std::size_t n) { on(d).pool->deallocate(p, n); },
      upload,
      download,
      copy,
      clear,
      launch,
      gemm,
      sort,
      scan,
      synchronise,
      [](int d) { return on(d).fault; }};
  tenon::abi::device_table = &table;
  tenon::kernel::fill_library(tenon::abi::device_kernels);
  return true;
}();

}  // namespace fake
