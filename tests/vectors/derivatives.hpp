// SPDX-License-Identifier: Apache-2.0
// The functions of the area second_order, written with the registry, and their second derivatives
// by nested tapes.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/tape/tape.hpp>

#include <map>
#include <string>
#include <vector>

namespace vectors {
using tenon::AnyTensor;
using tenon::registry::AttributeMap;

inline AnyTensor call_one(std::string_view op, std::vector<AnyTensor> in,
                          const AttributeMap& attributes = {}) {
  return tenon::registry::call(op, in, attributes)[0];
}
inline AnyTensor inner_product(const AnyTensor& a, const AnyTensor& b) {
  return call_one("sum", {call_one("multiply", {a, b})});
}

/// g(x), k: constants.
using Function = AnyTensor (*)(const AnyTensor& x, const AnyTensor& k);

template <int N>
struct Name {
  char text[N];
  constexpr Name(const char (&t)[N]) {
    for (int i = 0; i < N; ++i) text[i] = t[i];
  }
};
template <Name Op>
AnyTensor plain(const AnyTensor& x, const AnyTensor&) {
  return call_one(Op.text, {x});
}
template <Name Op>
AnyTensor over_rows(const AnyTensor& x, const AnyTensor&) {
  return call_one(Op.text, {x}, {{"axis", 1}});
}
inline AnyTensor one_like(const AnyTensor& x) {
  AnyTensor t = AnyTensor::empty(x.dtype(), tenon::Extents{});
  const double one = 1;
  tenon::convert(tenon::Dtype::f64, &one, 1, x.dtype(), t.raw_writable(), 1, 1);
  return t;
}
inline AnyTensor square_plus_one(const AnyTensor& x) {
  return call_one("add", {call_one("multiply", {x, x}), one_like(x)});
}
template <Name Op>
AnyTensor of_square(const AnyTensor& x, const AnyTensor&) {
  return call_one(Op.text, {square_plus_one(x)});
}
inline AnyTensor times_matrix(const AnyTensor& x, const AnyTensor& w) {
  return call_one("matmul", {call_one("matmul", {x, w}), x});
}
inline AnyTensor matrix_tanh(const AnyTensor& x, const AnyTensor& w) {
  return call_one("tanh", {call_one("matmul", {x, w})});
}
inline AnyTensor entropy(const AnyTensor& x, const AnyTensor& label) {
  return call_one("cross_entropy", {x, label});
}
inline AnyTensor normed(const AnyTensor& x, const AnyTensor&) {
  return call_one("layer_norm", {x}, {{"normalized_shape", std::vector<tenon::Index>{4}}});
}
inline AnyTensor spread(const AnyTensor& x, const AnyTensor&) {
  return call_one("var", {x}, {{"axis", 1}, {"correction", 0}});
}
inline AnyTensor attention(const AnyTensor& x, const AnyTensor&) {
  return call_one("scaled_dot_product_attention",
                  {x, call_one("tanh", {x}), call_one("multiply", {x, x})});
}
inline AnyTensor largest(const AnyTensor& x, const AnyTensor&) {
  return call_one("square", {call_one("amax", {x}, {{"axis", 1}})});
}
inline AnyTensor stretched(const AnyTensor& x, const AnyTensor&) {
  return call_one("multiply", {call_one("unsqueeze", {x}, {{"axis", 1}}),
                               call_one("unsqueeze", {call_one("sin", {x})}, {{"axis", 0}})});
}

inline Function function_of(const std::string& name) {
  static const std::map<std::string, Function> all = {{"exp", plain<"exp">},
                                                      {"sin", plain<"sin">},
                                                      {"tanh", plain<"tanh">},
                                                      {"sigmoid", plain<"sigmoid">},
                                                      {"softplus", plain<"softplus">},
                                                      {"silu", plain<"silu">},
                                                      {"gelu", plain<"gelu">},
                                                      {"square", plain<"square">},
                                                      {"erf", plain<"erf">},
                                                      {"log", of_square<"log">},
                                                      {"sqrt", of_square<"sqrt">},
                                                      {"reciprocal", of_square<"reciprocal">},
                                                      {"softmax", over_rows<"softmax">},
                                                      {"log_softmax", over_rows<"log_softmax">},
                                                      {"logsumexp", over_rows<"logsumexp">},
                                                      {"prod", over_rows<"prod">},
                                                      {"norm", over_rows<"norm">},
                                                      {"cumprod", over_rows<"cumprod">},
                                                      {"layer_norm", normed},
                                                      {"var", spread},
                                                      {"matmul", times_matrix},
                                                      {"matmul_tanh", matrix_tanh},
                                                      {"cross_entropy", entropy},
                                                      {"attention", attention},
                                                      {"max", largest},
                                                      {"broadcast", stretched}};
  const auto at = all.find(name);
  return at == all.end() ? nullptr : at->second;
}
inline bool knows_function(const std::string& name) { return function_of(name) != nullptr; }

inline AnyTensor gradient_of(tenon::Tape& tape, const AnyTensor& loss, const AnyTensor& x,
                             const AnyTensor& seed = {}) {
  AnyTensor g;
  tape.gradient(loss, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1), seed);
  return g;
}
/// in: x, v(, constants), c.   d/dx <d/dx <c, g(x)>, v>
inline AnyTensor hessian_vector_product(const std::string& name, const std::vector<AnyTensor>& in) {
  const AnyTensor &x = in.at(0), &v = in.at(1), &c = in.back();
  tenon::Tape outer;
  AnyTensor g;
  {
    tenon::Tape inner;
    g = gradient_of(inner, inner_product(function_of(name)(x, in.at(2)), c), x);
  }
  return gradient_of(outer, inner_product(g, v), x);
}
/// in: x, v(, constants).   J v as the gradient of <J^T u, v> with respect to u.
inline AnyTensor jacobian_vector_product(const std::string& name,
                                         const std::vector<AnyTensor>& in) {
  const AnyTensor &x = in.at(0), &v = in.at(1);
  tenon::Tape outer;
  AnyTensor g, u;
  {
    tenon::Tape inner;
    const AnyTensor y = function_of(name)(x, in.size() > 2 ? in[2] : AnyTensor{});
    u = call_one("exp", {y}).clone();  // any value of y's extents: J v does not depend on it
    g = gradient_of(inner, inner_product(y, u), x);
  }
  return gradient_of(outer, inner_product(g, v), u);
}

}  // namespace vectors
