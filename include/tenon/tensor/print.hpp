// SPDX-License-Identifier: Apache-2.0
// Text of a tensor in NumPy's layout: aligned, at most 8 digits behind the point, summarised when
// large.
#pragma once
#include <tenon/tensor/tensor.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace tenon::inline TENON_ISA {

namespace detail {

// NumPy's rules are those of numpy.array2string with its default options: precision 8, threshold
// 1000, edgeitems 3, linewidth 75. Source: NumPy reference, numpy.set_printoptions.
class TensorText {
 public:
  static constexpr Index threshold = 1000, edge = 3;
  static constexpr std::size_t line_width = 75;
  static constexpr int precision = 8;

  explicit TensorText(const AnyTensor& x)
      : x_(x.get()->generated ? x.to_contiguous() : x.to(cpu)), r_(*x_.get()) {}

  std::string text() {
    if (r_.rank == 0) return scalar();
    if (r_.size() == 0) return "[]";
    summary_ = r_.size() > threshold;
    if (is_floating(r_.dtype)) {
      double least = HUGE_VAL, greatest = 0;
      each(0, 0, [&](Index at) { range(number(at), least, greatest); });
      scientific_ = greatest > 0 && (greatest >= cutoff(1e8) || least < in_precision(0.0001) ||
                                     ratio(greatest, least) > 1000);
      each(0, 0, [&](Index at) { measure(number(at)); });
      if (scientific_) right_ = exponent_ + 2 + digits_;
      each(0, 0, [&](Index at) { measure_special(number(at)); });
    } else if (r_.dtype != Dtype::boolean) {
      each(0, 0, [&](Index at) { left_ = std::max(left_, integer(at).size()); });
    }
    return nested(0, 0, " ", line_width);
  }

 private:
  // Which positions of an axis are shown: all, or both edges.
  bool cut(int axis) const { return summary_ && r_.extents[axis] > 2 * edge; }
  template <class F>
  void each(int axis, Index at, const F& f) const {
    if (axis == r_.rank) return f(at);
    const Index n = r_.extents[axis];
    for (Index i = 0; i < n; ++i) {
      if (cut(axis) && i == edge) i = n - edge;
      each(axis + 1, at + i * r_.strides[axis], f);
    }
  }

  double number(Index at) const {
    double v;
    convert(r_.dtype,
            static_cast<const char*>(r_.data) + at * static_cast<Index>(size_of(r_.dtype)), 1,
            Dtype::f64, &v, 1, 1);
    return v;
  }
  std::string integer(Index at) const {
    std::int64_t v;
    convert(r_.dtype,
            static_cast<const char*>(r_.data) + at * static_cast<Index>(size_of(r_.dtype)), 1,
            Dtype::i64, &v, 1, 1);
    return std::to_string(v);
  }
  // From here on numbers are written with an exponent; `wide` for f64.
  double cutoff(double wide) const {
    return r_.dtype == Dtype::f64 ? wide : r_.dtype == Dtype::f32 ? 1e6 : 1e3;
  }
  double in_precision(double x) const {
    std::uint64_t bits;
    convert(Dtype::f64, &x, 1, r_.dtype, &bits, 1, 1);
    convert(r_.dtype, &bits, 1, Dtype::f64, &x, 1, 1);
    return x;
  }
  // max / min as NumPy computes it: in the tensor's own precision.
  double ratio(double a, double b) const {
    return r_.dtype == Dtype::f64
               ? a / b
               : static_cast<double>(static_cast<float>(a) / static_cast<float>(b));
  }
  static void range(double v, double& least, double& greatest) {
    v = std::fabs(v);
    if (!std::isfinite(v) || v == 0) return;
    if (v < least) least = v;
    if (v > greatest) greatest = v;
  }

  static std::string formatted(const char* format, int digits, double v) {
    char text[400];
    std::snprintf(text, sizeof text, format, digits, v);
    return text;
  }
  bool reads_back(const std::string& s, double v) const {
    const double d = std::strtod(s.c_str(), nullptr);
    if (r_.dtype == Dtype::f64) return d == v;
    if (r_.dtype == Dtype::f32) return static_cast<double>(std::strtof(s.c_str(), nullptr)) == v;
    return in_precision(d) == v;
  }
  // The fewest digits that name v among the numbers of its dtype, as "d.dddde+xx".
  std::string shortest(double v) const {
    for (int n = 0;; ++n) {
      std::string s = formatted("%#.*e", n, v);
      if (n == 16 || reads_back(s, v)) return s;
    }
  }
  static void trim_zeros(std::string& s) {
    while (s.back() == '0') s.pop_back();
  }
  static int exponent_of(const std::string& s) { return std::atoi(s.c_str() + s.find('e') + 1); }
  static std::size_t point_of(const std::string& s) { return s.find('.'); }

  // At most 8 digits behind the point, no zeros at the end, always a point.
  std::string positional(double v, int most) const {
    const std::string s = shortest(v);
    const int digits = static_cast<int>(s.find('e') - point_of(s)) - 1;
    std::string t = formatted("%#.*f", std::min(most, std::max(0, digits - exponent_of(s))), v);
    trim_zeros(t);
    return t;
  }

  void measure(double v) {
    if (!std::isfinite(v)) return;
    if (scientific_) {
      std::string s = shortest(v);
      const std::size_t e = s.find('e');
      exponent_ = std::max(exponent_, s.size() - e - 2);
      int digits = static_cast<int>(e - point_of(s)) - 1;
      if (digits > precision) {
        s = formatted("%#.*e", precision, v);
        s.resize(s.find('e'));
        trim_zeros(s);
        digits = static_cast<int>(s.size() - point_of(s)) - 1;
      }
      digits_ = std::max(digits_, static_cast<std::size_t>(digits));
      left_ = std::max(left_, point_of(s));
    } else {
      const std::string s = positional(v, precision);
      left_ = std::max(left_, point_of(s));
      right_ = std::max(right_, s.size() - point_of(s) - 1);
    }
  }
  // nan and inf reach over the point.
  void measure_special(double v) {
    if (std::isfinite(v)) return;
    const std::size_t wanted = v < 0 ? 4 : 3;
    if (wanted > left_ + right_ + 1) left_ = wanted - right_ - 1;
  }

  std::string element(Index at) const {
    if (r_.dtype == Dtype::boolean) return number(at) != 0 ? " True" : "False";
    if (!is_floating(r_.dtype)) return padded(integer(at), left_);
    const double v = number(at);
    if (!std::isfinite(v))
      return padded(v != v ? "nan" : v < 0 ? "-inf" : "inf", left_ + right_ + 1);
    if (scientific_) {
      std::string s = formatted("%#.*e", static_cast<int>(digits_), v);
      const std::size_t e = s.find('e');
      if (s.size() - e - 2 < exponent_) s.insert(e + 2, exponent_ - (s.size() - e - 2), '0');
      return padded(s, left_ + s.size() - point_of(s));
    }
    std::string s = positional(v, precision);
    s.append(right_ - (s.size() - point_of(s) - 1), ' ');
    return padded(s, left_ + 1 + right_);
  }
  static std::string padded(std::string s, std::size_t width) {
    if (s.size() < width) s.insert(0, width - s.size(), ' ');
    return s;
  }
  // A number alone is written as Python writes it.
  std::string scalar() const {
    if (r_.dtype == Dtype::boolean) return number(0) != 0 ? "True" : "False";
    if (!is_floating(r_.dtype)) return integer(0);
    const double v = number(0), size = std::fabs(v);
    if (!std::isfinite(v)) return v != v ? "nan" : v < 0 ? "-inf" : "inf";
    if (size == 0 || (size >= 1e-4 && size < cutoff(1e16))) {
      std::string s = positional(v, 20);
      return s.back() == '.' ? s + "0" : s;
    }
    std::string s = shortest(v);
    if (const std::size_t point = point_of(s); s[point + 1] == 'e') s.erase(point, 1);
    return s;
  }

  static void strip(std::string& line) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
  }
  std::string nested(int axis, Index at, const std::string& indent, std::size_t width) const {
    if (axis == r_.rank) return element(at);
    const Index n = r_.extents[axis];
    const bool last = axis == r_.rank - 1;
    std::string s, line = indent;
    for (Index i = 0; i < n; ++i) {
      std::string word;
      const bool gap = cut(axis) && i == edge;
      if (gap) word = "...", i = n - edge - 1;
      else word = nested(axis + 1, at + i * r_.strides[axis], indent + ' ', width - 1);
      if (last) {
        if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
          strip(line);
          s += line + "\n";
          line = indent;
        }
        line += word;
        if (i + 1 < n) line += ' ';
      } else {
        s += indent + word;
        if (i + 1 < n) s.append(static_cast<std::size_t>(r_.rank - axis - 1), '\n');
      }
    }
    if (last) s += line;
    return "[" + s.substr(indent.size()) + "]";
  }

  AnyTensor x_;
  const Record& r_;
  bool summary_ = false, scientific_ = false;
  std::size_t left_ = 0, right_ = 0, digits_ = 0, exponent_ = 0;
};

}  // namespace detail

/// The elements as NumPy's str writes them. Errors: Error::uninitialised.
inline std::string to_string(const AnyTensor& x) {
  const Record& r = x.record("to_string");
  x.host_access("to_string");
  if (r.valueless) fail(Error::tape, {"to_string: only the extents of this value were kept"});
  return detail::TensorText(x).text();
}
/// A tensor, or an expression, which is evaluated.
template <class X>
  requires requires {
    typename X::element;
    typename X::shape_type;
  }
std::string to_string(const X& x) {
  return to_string(Tensor<typename X::element, typename X::shape_type>(x).any());
}

/// to_string and a newline to standard output.
inline void print(const AnyTensor& x) {
  const std::string s = to_string(x);
  std::fwrite(s.data(), 1, s.size(), stdout);
  std::fputc('\n', stdout);
}
template <class X>
  requires requires {
    typename X::element;
    typename X::shape_type;
  }
void print(const X& x) { print(Tensor<typename X::element, typename X::shape_type>(x).any()); }

}  // namespace tenon
