// SPDX-License-Identifier: Apache-2.0
// Test vectors: JSON cases and their tensors, run through the registry and compared by the rules of
// their README.
#pragma once
#include <tenon/io/safetensors.hpp>
#include <tenon/registry/call.hpp>
#include <tenon/tape/tape.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vectors/derivatives.hpp"

namespace vectors {
using tenon::AnyTensor;
using tenon::Dtype;
using tenon::Index;
using Json = nlohmann::json;

/// The areas of a folder, or the one asked for.
inline std::vector<std::string> areas(const std::string& folder, const std::string& only) {
  std::vector<std::string> names;
  if (!only.empty()) return {only};
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  if (names.empty()) tenon::fail(tenon::Error::file, "run_vectors: no .json in " + folder);
  return names;
}

struct Outcome {
  int passed = 0, unsupported = 0;
  std::vector<std::pair<std::string, std::string>> failed;  ///< case, reason
};

namespace detail {

/// Lists in lists are read as one list; a list of texts as one text.
inline void flatten(const Json& j, std::vector<Json>& out) {
  if (!j.is_array()) out.push_back(j);
  else
    for (const Json& k : j) flatten(k, out);
}
inline tenon::registry::Attribute attribute(const Json& j) {
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_integer()) return j.get<Index>();
  if (j.is_number()) return j.get<double>();
  if (j.is_string()) return j.get<std::string>();
  std::vector<Json> flat;
  flatten(j, flat);
  if (!flat.empty() && flat[0].is_string()) {
    std::string text;
    for (const Json& k : flat) text += (text.empty() ? "" : ",") + k.get<std::string>();
    return text;
  }
  if (std::any_of(flat.begin(), flat.end(), [](const Json& k) { return k.is_number_float(); })) {
    std::vector<double> list;
    for (const Json& k : flat) list.push_back(k.get<double>());
    return list;
  }
  std::vector<Index> list;
  for (const Json& k : flat) list.push_back(k.get<Index>());
  return list;
}
inline tenon::registry::AttributeMap attributes(const Json& j) {
  tenon::registry::AttributeMap map;
  for (const auto& [name, value] : j.items()) map.set(name, attribute(value));
  return map;
}

/// The same elements, the last two axes swapped.
inline AnyTensor swapped(const AnyTensor& x) {
  tenon::Extents e = x.extents();
  Index strides[tenon::max_rank];
  for (int i = 0; i < e.rank; ++i) strides[i] = x.stride(i);
  std::swap(e.extent[e.rank - 1], e.extent[e.rank - 2]);
  std::swap(strides[e.rank - 1], strides[e.rank - 2]);
  return x.view(e, strides, 0);
}

/// How a tensor is compared: relative to its largest element, or element by element for special
/// values.
struct Rule {
  double tolerance;
  bool special;
};
inline double number(const AnyTensor& t, Index i) { return static_cast<const double*>(t.raw())[i]; }

/// The files hold a number as one element of rank 1.
inline bool same_extents(const tenon::Extents& got, const tenon::Extents& want) {
  return got == want || (got.rank == 0 && want == tenon::Extents{1, {1}});
}
/// What differs, or nothing. got: any dtype; want: as read.
inline std::string difference(const std::string& what, const AnyTensor& got, const AnyTensor& want,
                              Rule rule, Dtype under_test) {
  if (!same_extents(got.extents(), want.extents()))
    return what + " has extents " + to_string(got.extents()) + ", not " + to_string(want.extents());
  const bool floating = want.dtype() == Dtype::f64;
  if (got.dtype() != (floating ? under_test : want.dtype()))
    return what + " has dtype " + name_of(got.dtype()) + ", not " +
           name_of(floating ? under_test : want.dtype());
  if (!floating) {
    const AnyTensor g = got.to(Dtype::i64).to_contiguous(), w = want.to(Dtype::i64).to_contiguous();
    const auto *a = static_cast<const std::int64_t*>(g.raw()),
               *b = static_cast<const std::int64_t*>(w.raw());
    for (Index i = 0; i < w.size(); ++i)
      if (a[i] != b[i])
        return what + "[" + std::to_string(i) + "] is " + std::to_string(a[i]) + ", not " +
               std::to_string(b[i]);
    return {};
  }
  const AnyTensor g = got.to(Dtype::f64).to_contiguous();
  const AnyTensor w = (rule.special ? want.to(under_test).to(Dtype::f64) : want).to_contiguous();
  double largest = 1;
  for (Index i = 0; i < w.size(); ++i)
    if (std::isfinite(number(w, i))) largest = std::max(largest, std::abs(number(w, i)));
  for (Index i = 0; i < w.size(); ++i) {
    const double a = number(g, i), b = number(w, i);
    const double allowed = rule.tolerance * (rule.special ? std::max(1.0, std::abs(b)) : largest);
    const bool same = std::isfinite(b) ? std::abs(a - b) <= allowed
                      : std::isnan(b)  ? std::isnan(a)
                                       : a == b;
    if (same) continue;
    char text[160];
    std::snprintf(text, sizeof text, "[%lld] is %.17g, not %.17g (allowed %.3g)",
                  static_cast<long long>(i), a, b, allowed);
    return what + text;
  }
  return {};
}

}  // namespace detail

/// One area: its cases and their tensors.
class Area {
 public:
  /// Errors: files that cannot be read or are not in the format -> an exception naming the file.
  Area(const std::string& folder, const std::string& name)
      : tensors_(folder + "/" + name + ".safetensors"), path_(folder + "/" + name + ".json") {
    std::ifstream file(path_);
    if (!file) tenon::fail(tenon::Error::file, "run_vectors: cannot read " + path_);
    try {
      cases_ = Json::parse(file).at("cases");
    } catch (const Json::exception& e) {
      tenon::fail(tenon::Error::format, "run_vectors: " + path_ + ": " + e.what());
    }
  }
  Outcome run(Dtype dtype) const {
    Outcome o;
    for (const Json& c : cases_) {
      std::string name, op;
      try {
        name = c.at("name").get<std::string>(), op = c.at("op").get<std::string>();
      } catch (const Json::exception& e) {
        tenon::fail(tenon::Error::format, "run_vectors: " + path_ + ": " + e.what());
      }
      if (!supported(c, op)) {
        ++o.unsupported;
        continue;
      }
      std::string why;
      try {
        why = run(c, op, dtype);
      } catch (const Json::exception& e) {
        tenon::fail(tenon::Error::format, "run_vectors: " + path_ + ": " + name + ": " + e.what());
      } catch (const tenon::Error& e) {
        if (e.code() == tenon::Error::format) throw;
        why = e.what();
      }
      if (why.empty()) ++o.passed;
      else o.failed.emplace_back(name, why);
    }
    return o;
  }

 private:
  static bool is_derivative(const std::string& op) {
    return op == "hessian_vector_product" || op == "jacobian_vector_product";
  }
  static bool supported(const Json& c, const std::string& op) {
    if (is_derivative(op)) return knows_function(c.at("attrs").at("function").get<std::string>());
    return tenon::registry::find(op) != nullptr;
  }
  AnyTensor read(const Json& name, Dtype dtype) const {
    const AnyTensor t = tensors_.tensor(name.get<std::string>());
    return t.dtype() == Dtype::f64 ? t.to(dtype) : t;
  }
  std::vector<AnyTensor> call(const Json& c, const std::string& op,
                              const std::vector<AnyTensor>& in, Dtype dtype) const {
    if (!is_derivative(op)) {
      tenon::registry::AttributeMap attributes = detail::attributes(c.at("attrs"));
      if (op == "one_hot")
        attributes.set("dtype", std::string(name_of(dtype)));  // in: indices alone
      return tenon::registry::call(op, in, attributes);
    }
    const std::string function = c.at("attrs").at("function").get<std::string>();
    return {op == "hessian_vector_product" ? hessian_vector_product(function, in)
                                           : jacobian_vector_product(function, in)};
  }
  std::string run(const Json& c, const std::string& op, Dtype dtype) const {
    const bool special = c.at("special").get<bool>();
    const double tolerance = c.at("tol").at(name_of(dtype)).get<double>();
    const detail::Rule rule{special ? (dtype == Dtype::f32 ? 1e-5 : 1e-12) : tolerance, special};
    std::vector<AnyTensor> in;
    for (const Json& name : c.at("inputs")) in.push_back(read(name, dtype));
    for (const Json& i : c.value("transposed", Json::array())) {
      AnyTensor& x = in.at(i.get<std::size_t>());
      x = detail::swapped(x);
    }
    tenon::Tape tape;
    const std::vector<AnyTensor> out = call(c, op, in, dtype);
    const Json& wanted = c.at("outputs");
    if (out.size() != wanted.size())
      return std::to_string(out.size()) + " results, not " + std::to_string(wanted.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::string what = "out" + std::to_string(i);
      std::string why = detail::difference(
          what, out[i], tensors_.tensor(wanted[i].get<std::string>()), rule, dtype);
      if (!why.empty()) return why;
    }
    if (!c.contains("grads") || c.at("grads").empty()) return {};
    return gradients(c, tape, in, out, rule, dtype);
  }
  /// Gradients of the sum over outputs of <cotangent, output>.
  std::string gradients(const Json& c, tenon::Tape& tape, const std::vector<AnyTensor>& in,
                        const std::vector<AnyTensor>& out, detail::Rule rule, Dtype dtype) const {
    AnyTensor loss;
    for (const auto& [key, name] : c.at("cotangents").items()) {
      const AnyTensor& y = out.at(std::stoul(key.substr(3)));
      AnyTensor cotangent = read(name, dtype);
      if (detail::same_extents(y.extents(), cotangent.extents()))
        cotangent = tenon::kernel::reshape(cotangent, y.extents(), {});
      const AnyTensor part = inner_product(y, cotangent);
      loss = loss.defined() ? call_one("add", {loss, part}) : part;
    }
    std::vector<AnyTensor> wrt, got;
    std::vector<std::string> keys, names;
    for (const auto& [key, name] : c.at("grads").items()) {
      wrt.push_back(in.at(std::stoul(key.substr(2))));
      keys.push_back(key), names.push_back(name.get<std::string>());
    }
    got.resize(wrt.size());
    tape.gradient(loss, wrt, got);
    for (std::size_t i = 0; i < got.size(); ++i) {
      std::string why =
          detail::difference("grad_" + keys[i], got[i], tensors_.tensor(names[i]), rule, dtype);
      if (!why.empty()) return why;
    }
    return {};
  }

  tenon::io::SafetensorsFile tensors_;
  std::string path_;
  Json cases_;
};

}  // namespace vectors
