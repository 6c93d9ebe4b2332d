// SPDX-License-Identifier: Apache-2.0
// Losses by name; attribute reduction is "mean" (the default), "sum" or "none".
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/composed.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

inline Value reduced(const Arguments& a, const Value& x) {
  const std::string how = a.text("reduction", "mean");
  if (how == "none") return x;
  if (how == "sum") return sum(x, all_axes(x));
  if (how == "mean") return mean(x, all_axes(x));
  a.wrong("reduction must be \"none\", \"mean\" or \"sum\", not \"" + how + "\"");
}
inline Results l1_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, abs(Value(a[0]) - Value(a[1])))};
}
inline Results mse_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, square(Value(a[0]) - Value(a[1])))};
}
inline Results huber_loss(const Arguments& a) {
  a.takes(2);
  const double delta = a.number("delta", 1);
  return {reduced(a, delta * smooth_l1_of(Value(a[0]) - Value(a[1]), delta))};
}
inline Results smooth_l1_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, smooth_l1_of(Value(a[0]) - Value(a[1]), a.number("beta", 1)))};
}
inline void not_full(const Arguments& a) {
  if (a.flag("full", false)) a.wrong("full = true is not offered", Error::unsupported);
}
inline Results poisson_nll_loss(const Arguments& a) {
  a.takes(2);
  not_full(a);
  const Value x(a[0]), y(a[1]);
  if (a.flag("log_input", true)) return {reduced(a, exp(x) - y * x)};
  return {reduced(a, x - y * log(x + a.number("epsilon", 1e-8)))};
}
inline Results gaussian_nll_loss(const Arguments& a) {
  a.takes(3);
  not_full(a);
  const Value v = maximum(Value(a[2]), a.number("epsilon", 1e-6));
  return {reduced(a, 0.5 * (log(v) + square(Value(a[0]) - Value(a[1])) / v))};
}
/// KL(softmax(second) || softmax(first)), term by term.
inline Results kl_div(const Arguments& a) {
  a.takes(2);
  const std::uint32_t axes = 1u << a.axis("axis", a[0].rank(), -1);
  const Value q = log_softmax(a[0], axes), p = log_softmax(a[1], axes);
  return {reduced(a, exp(p) * (p - q))};
}
/// Probability, target, weight. Logarithms are at least -100.
inline Results binary_cross_entropy(const Arguments& a) {
  a.takes(2, 3);
  const Value p(a[0]), y(a[1]);
  Value l = -(y * maximum(log(p), -100) + (1 - y) * maximum(log1p(-p), -100));
  return {reduced(a, a.size() == 3 ? l * Value(a[2]) : l)};
}
/// Logit, target, weight, weight of positives.
inline Results binary_cross_entropy_with_logits(const Arguments& a) {
  a.takes(2, 4);
  const Value x(a[0]), y(a[1]);
  const Value positive = a.size() == 4 ? y * Value(a[3]) : y;
  Value l = -(positive * log_sigmoid(x) + (1 - y) * log_sigmoid(-x));
  return {reduced(a, a.size() >= 3 ? l * Value(a[2]) : l)};
}
inline Results soft_margin_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, softplus(-(Value(a[0]) * Value(a[1]))))};
}
inline Results hinge_embedding_loss(const Arguments& a) {
  a.takes(2);
  const Value x(a[0]), y(a[1]);
  return {reduced(a, where(y > 0, x, relu(a.number("margin", 1) - x)))};
}
inline Results hinge_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, relu(1 - Value(a[0]) * Value(a[1])))};
}
inline Results squared_hinge_loss(const Arguments& a) {
  a.takes(2);
  return {reduced(a, square(relu(1 - Value(a[0]) * Value(a[1]))))};
}
inline Results margin_ranking_loss(const Arguments& a) {
  a.takes(3);
  return {reduced(a, relu(a.number("margin", 0) - Value(a[2]) * (Value(a[0]) - Value(a[1]))))};
}

/// Labels [n, ...] for scores [n, classes, ...]: where each row's score lies; -1 where the label is
/// ignored.
struct Labels {
  AnyTensor map, classes;  ///< positions in the scores; the labels, -1 where ignored
  Labels(const Arguments& a, const Value& x, const AnyTensor& label) {
    const Extents e = x.extents(), le = label.extents();
    if (e.rank < 2 || !(kernel::detail::reduced_extents(e, 2, false) == le))
      a.wrong("labels " + to_string(le) + " do not fit scores " + to_string(e) + " without axis 1",
              Error::shape);
    if (is_floating(label.dtype()))
      a.wrong(std::string("labels must be integers, not ") + name_of(label.dtype()), Error::dtype);
    const Index ignored = a.integer("ignore_index", -100);
    const AnyTensor own = label.to(Dtype::i64).to_contiguous();
    const std::int64_t* p = positions_of(own);
    Index row = 0;
    map = position_map(le, [&](const Index* at) -> Index {
      const Index c = p[row++];
      if (c == ignored) return -1;
      if (c < 0 || c >= e.extent[1])
        a.wrong("label " + std::to_string(c) + " at position " + std::to_string(row - 1) +
                    " is out of range for " + std::to_string(e.extent[1]) + " classes",
                Error::index);
      Index place[max_rank] = {at[0], c};
      std::copy_n(at + 1, e.rank - 2, place + 2);
      return position(e, place);
    });
    row = 0;
    classes = position_map(le, [&](const Index*) -> Index {
      const Index c = p[row++];
      return c == ignored ? -1 : c;
    });
  }
};
/// -log p of the labels, weighted; the mean divides by the weights that were used.
inline Value nll(const Arguments& a, const Value& logp, const AnyTensor& label, const Value& weight,
                 double smoothing) {
  const Labels labels(a, logp, label);
  const Index n = logp.t.extent(1);
  const Value weights =
      weight.t.defined() ? weight : Value(filled(logp.dtype(), Extents{1, {n}}, 1));
  if (!(weights.extents() == Extents{1, {n}}))
    a.wrong("class weights " + to_string(weights.extents()) + " do not fit " + std::to_string(n) +
                " classes",
            Error::shape);
  const Value w = take_at(weights.t, labels.classes);
  Value loss = -(w * Value(take_at(logp.t, labels.map)));
  if (smoothing > 0) {
    Extents e;
    e.rank = logp.rank() - 1;
    std::fill_n(e.extent, e.rank, Index{1});
    e.extent[0] = n;
    const Value known = Value(labels.classes) >= 0;
    const Value all = where(known, -sum(logp * reshape(weights, e), 2u), 0.0);
    loss = (1 - smoothing) * loss + (smoothing / static_cast<double>(n)) * all;
  }
  const std::string how = a.text("reduction", "mean");
  if (how != "mean") return reduced(a, loss);
  return sum(loss, all_axes(loss)) / sum(w, all_axes(w));
}
/// Scores [n, classes, ...], then labels [n, ...], or scores whose softmax is the target; weights
/// of the classes.
inline Results cross_entropy(const Arguments& a) {
  a.takes(2, 3);
  if (a[0].rank() < 2)
    a.wrong("scores need the axes [n, classes, ...], not " + to_string(a[0].extents()),
            Error::shape);
  const Value logp = log_softmax(a[0], 2u);
  const Value weight = a.size() == 3 ? Value(a[2]) : Value();
  if (a.flag("weighted", a.size() == 3) != (a.size() == 3))
    a.wrong("weighted does not fit the number of tensors");
  if (!is_floating(a[1].dtype()))
    return {nll(a, logp, a[1], weight, a.number("label_smoothing", 0))};
  const bool logits = !a.text("target", "").empty();
  if (weight.t.defined()) a.wrong("class weights need labels", Error::unsupported);
  const Value p = logits ? softmax(a[1], 2u) : Value(a[1]);
  const Value loss = -sum(p * logp, 2u);
  return {reduced(a, loss)};
}
inline Results nll_loss(const Arguments& a) {
  a.takes(2, 3);
  a.flag("weighted", true);
  return {nll(a, a[0], a[1], a.size() == 3 ? Value(a[2]) : Value(), 0)};
}
/// Mean over the other classes of max(0, margin - x[label] + x[class])^p.
inline Results multi_margin_loss(const Arguments& a) {
  a.takes(2);
  const Value x(a[0]);
  const Labels labels(a, x, a[1]);
  const double margin = a.number("margin", 1), p = a.number("p", 1);
  const Value picked = unsqueeze(Value(take_at(x.t, labels.map)), 1);
  Value l = relu(margin - picked + x);
  if (p == 2) l = square(l);
  else if (p != 1) a.wrong("p must be 1 or 2");
  const AnyTensor column = reshape(Value(labels.classes), Extents{2, {x.t.extent(0), 1}}).t;
  const AnyTensor numbers =
      position_map(Extents{1, {x.t.extent(1)}}, [](const Index* at) { return at[0]; });
  l = where(equal(Value(numbers), Value(column)), 0.0, l);
  return {reduced(a, sum(l, 2u) / static_cast<double>(x.t.extent(1)))};
}
inline Value distance(const Value& x, const Value& y, double p, double epsilon, int axis) {
  const Value d = abs(x - y + epsilon);
  if (p == 2) return sqrt(sum(square(d), 1u << axis));
  return pow(sum(pow(d, p), 1u << axis), 1 / p);
}
inline Results triplet_margin_loss(const Arguments& a) {
  a.takes(3);
  const double p = a.number("p", 2), e = a.number("epsilon", 1e-6);
  const int axis = a.axis_of(-1, a[0].rank());
  return {reduced(a, relu(distance(a[0], a[1], p, e, axis) - distance(a[0], a[2], p, e, axis) +
                          a.number("margin", 1)))};
}
inline Results pairwise_distance(const Arguments& a) {
  a.takes(2);
  return {distance(a[0], a[1], a.number("p", 2), a.number("epsilon", 1e-6),
                   a.axis("axis", a[0].rank(), -1))};
}
inline Value cosine(const Value& x, const Value& y, int axis, double epsilon) {
  const std::uint32_t axes = 1u << axis;
  auto length = [&](const Value& v) { return maximum(sqrt(sum(square(v), axes)), epsilon); };
  return sum(x * y, axes) / (length(x) * length(y));
}
inline Results cosine_similarity(const Arguments& a) {
  a.takes(2);
  return {cosine(a[0], a[1], a.axis("axis", a[0].rank(), 1), a.number("epsilon", 1e-8))};
}
inline Results cosine_embedding_loss(const Arguments& a) {
  a.takes(3);
  // The constant keeps a zero vector from dividing by zero.
  const Value x(a[0]), y(a[1]);
  const std::uint32_t axes = 1u << a.axis_of(-1, x.rank());
  const Value c =
      sum(x * y, axes) / sqrt((sum(square(x), axes) + 1e-12) * (sum(square(y), axes) + 1e-12));
  return {reduced(a, where(Value(a[2]) > 0, 1 - c, relu(c - a.number("margin", 0))))};
}

inline constexpr Operation loss_table[] = {
    {"l1_loss", l1_loss},
    {"mse_loss", mse_loss},
    {"huber_loss", huber_loss},
    {"smooth_l1_loss", smooth_l1_loss},
    {"poisson_nll_loss", poisson_nll_loss},
    {"gaussian_nll_loss", gaussian_nll_loss},
    {"kl_div", kl_div},
    {"binary_cross_entropy", binary_cross_entropy},
    {"binary_cross_entropy_with_logits", binary_cross_entropy_with_logits},
    {"soft_margin_loss", soft_margin_loss},
    {"hinge_embedding_loss", hinge_embedding_loss},
    {"hinge_loss", hinge_loss},
    {"squared_hinge_loss", squared_hinge_loss},
    {"margin_ranking_loss", margin_ranking_loss},
    {"cross_entropy", cross_entropy},
    {"nll_loss", nll_loss},
    {"multi_margin_loss", multi_margin_loss},
    {"triplet_margin_loss", triplet_margin_loss},
    {"pairwise_distance", pairwise_distance},
    {"cosine_similarity", cosine_similarity},
    {"cosine_embedding_loss", cosine_embedding_loss}};

}  // namespace detail

template <class>
std::span<const Operation> loss_operations() {
  return detail::loss_table;
}

}  // namespace tenon::inline TENON_ISA::registry
