// SPDX-License-Identifier: Apache-2.0
// The door to a peer: a shared library that is loaded when the program runs, so that no benchmark needs it to build.
#pragma once
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>

namespace peer {

/// What the library defines. make: the workload with these sizes, or null for one it does not know. One thread.
using Make = std::function<void()>* (*)(const char* workload, const long* size, int sizes);
using Name = const char* (*)();

inline void* library() {
  static void* const handle = [] {
    const char* path = std::getenv("TENON_PEER");
    if (!path || !*path) return static_cast<void*>(nullptr);
    void* h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!h) std::fprintf(stderr, "error: %s\n", dlerror());
    return h;
  }();
  return handle;
}

inline const char* name() {
  return library() ? reinterpret_cast<Name>(dlsym(library(), "tenon_peer_name"))() : "none";
}

/// The peer's run of a workload; empty without a peer.
inline std::function<void()> make(const char* workload, std::initializer_list<long> sizes) {
  if (!library()) return {};
  auto f = reinterpret_cast<Make>(dlsym(library(), "tenon_peer_make"));
  std::function<void()>* run =
      f ? f(workload, sizes.begin(), static_cast<int>(sizes.size())) : nullptr;
  return run ? *run : std::function<void()>{};
}

}  // namespace peer
