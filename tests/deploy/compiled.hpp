// SPDX-License-Identifier: Apache-2.0
// Exported functions as they will be used: compiled by another process, loaded, called.
#pragma once
#include <tenon/deploy/cpp.hpp>

#include <dlfcn.h>

#include <cstdlib>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

namespace tests {

/// What a user's build would ask of the file.
inline const std::string strict =
    " -std=c++11 -fno-exceptions -fno-rtti -Wall -Wextra -Wpedantic -Werror -O2 ";

inline bool runs(const std::string& command) { return std::system(command.c_str()) == 0; }

/// One exported function: its arguments, and what the library says they give.
struct Exported {
  std::string name;
  std::vector<AnyTensor> in, want;
};

/// Exported functions in one file, compiled once.
class Compiled {
 public:
  /// f(state..., batch) traced in evaluation mode and exported for the batch's rows, with the state
  /// embedded.
  template <class F, class B, class... State>
  void add(const std::string& name, F f, const B& batch, const State&... state) {
    Evaluation evaluation;
    Exported e;
    e.name = name;
    graph::detail::each_tensor(
        {}, batch, [&](const graph::detail::Path&, AnyTensor& t) { e.in.push_back(t); });
    const auto want = f(state..., batch);
    graph::detail::each_tensor(
        {}, want, [&](const graph::detail::Path&, AnyTensor& t) { e.want.push_back(t); });
    const auto traced = trace(f, state..., batch);
    deploy::cpp(folder_ / "one.cpp", traced, {.name = name, .rows = e.in[0].extent(0)}, state...);
    text_ += get(folder_ / "one.cpp");
    text_ += caller(e);
    functions_.push_back(std::move(e));
  }
  const std::string& text() const { return text_; }
  const std::vector<Exported>& functions() const { return functions_; }

  void compile() {
    put(folder_ / "all.cpp", text_);
    REQUIRE(runs("g++ -shared -fPIC" + strict + folder_ / "all.cpp -o " + folder_ / "all.so"));
    library_ = ::dlopen((folder_ / "all.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library_ != nullptr);
  }
  /// The largest difference between what the compiled function gives and what is wanted, as
  /// distance() measures it.
  double difference(const Exported& e) const {
    using Call = int (*)(const void* const*, void* const*);
    const auto call = reinterpret_cast<Call>(::dlsym(library_, ("call_" + e.name).c_str()));
    REQUIRE(call != nullptr);
    std::vector<AnyTensor> in, out;
    std::vector<const void*> from;
    std::vector<void*> to;
    for (const AnyTensor& t : e.in) in.push_back(t.to_contiguous());
    for (const AnyTensor& t : in) from.push_back(t.raw());
    for (const AnyTensor& t : e.want) out.push_back(AnyTensor::empty(t.dtype(), t.extents()));
    for (AnyTensor& t : out) to.push_back(t.raw_writable());
    REQUIRE(call(from.data(), to.data()) == 0);
    double worst = 0;
    for (std::size_t k = 0; k < out.size(); ++k)
      worst = std::max(worst, distance(out[k], e.want[k]));
    return worst;
  }
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    if (library_) ::dlclose(library_);
  }

 private:
  static std::string caller(const Exported& e) {
    std::string text = "extern \"C\" int call_" + e.name +
                       "(const void* const* in, void* const* out);\nextern \"C\" int call_" +
                       e.name + "(const void* const* in, void* const* out) {\n  return " + e.name +
                       "(";
    auto list = [&](const std::vector<AnyTensor>& t, const char* of, const char* constant) {
      for (std::size_t k = 0; k < t.size(); ++k)
        text += std::string(text.back() == '(' ? "" : ", ") + "static_cast<" + constant +
                deploy::detail::c_type(t[k].dtype()) + "*>(" + of + "[" + std::to_string(k) + "])";
    };
    list(e.in, "in", "const "), list(e.want, "out", "");
    return text + ");\n}\n\n";
  }
  TemporaryFolder folder_;
  std::string text_;
  std::vector<Exported> functions_;
  void* library_ = nullptr;
};

}  // namespace tests
