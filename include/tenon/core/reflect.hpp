// SPDX-License-Identifier: Apache-2.0
// Reflection of aggregates without macros: how many members, references to them, and their names.
#pragma once
#include <tenon/core/config.hpp>

#include <array>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tenon::inline TENON_ISA {
namespace detail {

// Converts to anything but the aggregate itself and its bases, so that copying is not counted as a
// member.
template <class Aggregate>
struct AnyMember {
  template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Aggregate>)
  constexpr operator T() const noexcept { __builtin_unreachable(); }
};

template <class A, std::size_t... I>
constexpr bool brace_constructible(std::index_sequence<I...>) {
  return requires { A{(static_cast<void>(I), AnyMember<A>{})...}; };
}
// Brace elision makes an array member count as its elements; each initialiser is therefore wrapped
// once.
template <class A, std::size_t Before, std::size_t N, std::size_t... I, std::size_t... J>
constexpr bool nested(std::index_sequence<I...>, std::index_sequence<J...>) {
  return requires {
    A{(static_cast<void>(I), AnyMember<A>{})..., {(static_cast<void>(J), AnyMember<A>{})...}};
  };
}
template <class A, std::size_t N = 24>
constexpr std::size_t initialisers() {
  if constexpr (brace_constructible<A>(std::make_index_sequence<N>{})) return N;
  else if constexpr (N == 0) return 0;
  else return initialisers<A, N - 1>();
}
template <class A, std::size_t At, std::size_t N>
constexpr std::size_t elements_at() {  // how many initialisers the member at this position takes
  if constexpr (N <= 1) return N;
  else if constexpr (nested<A, At, N>(std::make_index_sequence<At>{},
                                      std::make_index_sequence<N>{}))
    return N;
  else return elements_at<A, At, N - 1>();
}
template <class A, std::size_t At, std::size_t Left>
constexpr std::size_t count_members() {
  if constexpr (Left == 0) {
    return 0;
  } else {
    constexpr std::size_t taken = elements_at<A, At, Left>();
    constexpr std::size_t used = taken == 0 ? 1 : taken;
    return 1 + count_members<A, At + 1, Left - used>();
  }
}

}  // namespace detail

/// Structs whose members can be listed: aggregates that are not arrays or unions.
template <class A>
concept Aggregate = std::is_aggregate_v<A> && std::is_class_v<A>;

/// The number of members of an aggregate; at most 24.
template <Aggregate A>
inline constexpr std::size_t member_count = std::is_empty_v<A> ? 0 : detail::initialisers<A>();

namespace detail {
// clang-format off
template <class A>
constexpr auto members(A& a) {
  constexpr std::size_t n = member_count<std::remove_const_t<A>>;
  if constexpr (n == 0) return std::tuple<>{};
  else if constexpr (n == 1) { auto& [x1] = a; return std::tuple{&x1}; }
  else if constexpr (n == 2) { auto& [x1, x2] = a; return std::tuple{&x1, &x2}; }
  else if constexpr (n == 3) { auto& [x1, x2, x3] = a; return std::tuple{&x1, &x2, &x3}; }
  else if constexpr (n == 4) { auto& [x1, x2, x3, x4] = a; return std::tuple{&x1, &x2, &x3, &x4}; }
  else if constexpr (n == 5) { auto& [x1, x2, x3, x4, x5] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5}; }
  else if constexpr (n == 6) { auto& [x1, x2, x3, x4, x5, x6] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6}; }
  else if constexpr (n == 7) { auto& [x1, x2, x3, x4, x5, x6, x7] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7}; }
  else if constexpr (n == 8) { auto& [x1, x2, x3, x4, x5, x6, x7, x8] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8}; }
  else if constexpr (n == 9) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9}; }
  else if constexpr (n == 10) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10}; }
  else if constexpr (n == 11) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11}; }
  else if constexpr (n == 12) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11, &x12}; }
  else if constexpr (n == 13) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11, &x12, &x13}; }
  else if constexpr (n == 14) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11, &x12, &x13, &x14}; }
  else if constexpr (n == 15) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11, &x12, &x13, &x14, &x15}; }
  else if constexpr (n == 16) { auto& [x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15, x16] = a; return std::tuple{&x1, &x2, &x3, &x4, &x5, &x6, &x7, &x8, &x9, &x10, &x11, &x12, &x13, &x14, &x15, &x16}; }
  else static_assert(n <= 16, "tenon: a model struct has at most 16 members; group some in a struct of their own");
}
// clang-format on

// An object that exists and is never made: addresses of its members are constants.
#ifdef __clang__
// For clang a union of what has a destructor cannot be constant; that this object is declared only
// it accepts.
template <class A>
struct Declared {
  A a;
};
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
template <class A>
extern const Declared<A> nowhere;
#else
template <class A>
union Ghost {
  char none;
  A a;
  constexpr Ghost() : none() {}
  constexpr ~Ghost() {}
};
template <class A>
inline constexpr Ghost<A> nowhere{};
#endif
template <class T>
struct Pointer {
  T p;
};
template <class T>
Pointer(T) -> Pointer<T>;
template <auto P>
constexpr const char* pretty() {
  return __PRETTY_FUNCTION__;
}
template <class A, std::size_t I>
constexpr std::string_view member_name() {
  constexpr std::string_view text = pretty<Pointer{std::get<I>(members(nowhere<A>.a))}>();
  // ... "nowhere<Net>.Net::fc1)}; ..." (g++) or "nowhere<Net>.fc1}" (clang): the word after the
  // last separator.
  std::size_t end = text.size();
  while (end > 0) {
    const char c = text[end - 1];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_') {
      std::size_t begin = end;
      while (begin > 0) {
        const char d = text[begin - 1];
        if ((d >= 'a' && d <= 'z') || (d >= 'A' && d <= 'Z') || (d >= '0' && d <= '9') || d == '_')
          --begin;
        else break;
      }
      if (begin > 0 && (text[begin - 1] == '.' || text[begin - 1] == ':'))
        return text.substr(begin, end - begin);
      end = begin;
    } else {
      --end;
    }
  }
  return {};
}
#ifdef __clang__
#pragma clang diagnostic pop
#endif

}  // namespace detail

/// f(name, member) for each member of an aggregate, in order of declaration.
template <class A, class F>
constexpr void each_member(A& a, F&& f) {
  using Plain = std::remove_const_t<A>;
  auto m = detail::members(a);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(detail::member_name<Plain, I>(), *std::get<I>(m)), ...);
  }
  (std::make_index_sequence<member_count<Plain>>{});
}

}  // namespace tenon
