// SPDX-License-Identifier: Apache-2.0
// Atomic numbers and a lock for a few instructions. <atomic> and <mutex> bring <chrono> and more
// with them: a third of the time that tenon.hpp would cost.
#pragma once
#include <tenon/core/config.hpp>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace tenon::inline TENON_ISA {

/// Whether the program has never started a second thread, as the C library knows; false where it
/// does not say.
inline bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

enum class Order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acq_rel = __ATOMIC_ACQ_REL,
  seq_cst = __ATOMIC_SEQ_CST
};

/// A number, flag or enumeration that threads share; the members are those of std::atomic.
template <class T>
class Atomic {
 public:
  constexpr Atomic(T x = T{}) : x_(x) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(Order order = Order::seq_cst) const {
    T x;
    __atomic_load(&x_, &x, static_cast<int>(order));
    return x;
  }
  T operator=(T x) {
    store(x);
    return x;
  }
  void store(T x, Order order = Order::seq_cst) {
    __atomic_store(&x_, &x, static_cast<int>(order));
  }
  T exchange(T x, Order order = Order::seq_cst) {
    T before;
    __atomic_exchange(&x_, &x, &before, static_cast<int>(order));
    return before;
  }
  T fetch_add(T d, Order order = Order::seq_cst) {
    return __atomic_fetch_add(&x_, d, static_cast<int>(order));
  }
  T fetch_sub(T d, Order order = Order::seq_cst) {
    return __atomic_fetch_sub(&x_, d, static_cast<int>(order));
  }
  /// fetch_add for counts of owners and bytes. While there is one thread a plain addition does: a
  /// locked one takes five nanoseconds, and a statement has dozens.
  T count(T d, Order order) {
    if (!single_threaded()) return fetch_add(d, order);
    const T before = x_;
    x_ = static_cast<T>(before + d);
    return before;
  }
  /// Takes one off a count of several owners, in a program with one thread. False, and nothing is
  /// done, for a single owner.
  bool drop_one_of_several() {
    if (x_ == 1) return false;
    --x_;
    return true;
  }
  bool compare_exchange_weak(T& expected, T desired, Order order = Order::seq_cst) {
    const Order failed = order == Order::acq_rel   ? Order::acquire
                         : order == Order::release ? Order::relaxed
                                                   : order;
    return __atomic_compare_exchange(&x_, &expected, &desired, true, static_cast<int>(order),
                                     static_cast<int>(failed));
  }

 private:
  T x_;
};

/// Guards a few instructions; a thread that has to wait spins.
class SpinLock {
 public:
  void lock() {
    while (taken_.exchange(true, Order::acquire))
      while (taken_.load(Order::relaxed)) pause();
  }
  void unlock() { taken_.store(false, Order::release); }

 private:
  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
  Atomic<bool> taken_{false};
};

/// Holds a lock for a scope.
template <class Lock>
class Locked {
 public:
  explicit Locked(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Locked() { lock_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  Lock& lock_;
};

}  // namespace tenon
