// SPDX-License-Identifier: Apache-2.0
// A kind of value whose operators write C: an operation run on Texts gives its formula.
#pragma once
#include <tenon/core/scalar.hpp>

#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::inline TENON_ISA::deploy {

/// An expression: a number, a name, or a form with operands. In forms `$` stands for the next
/// operand, `@` for the f of float's functions, a leading `#` for the prefix of helper functions.
class Text {
 public:
  using Scalar = double;

  Text() = default;
  template <scalar::Number S>
  explicit Text(S x) : Text(Term{"", {}, static_cast<double>(x), {}, false}) {}
  /// What stands in the program already: a variable, an element.
  static Text name(std::string text) { return Text(Term{"", std::move(text), 0, {}, false}); }
  template <class... Operands>
  static Text form(const char* form, const Operands&... operand) {
    return Text(Term{form, {}, 0, {operand.term_...}, false});
  }
  template <class... Operands>
  static Text condition(const char* form, const Operands&... operand) {
    return Text(Term{form, {}, 0, {operand.term_...}, true});
  }
  /// Whether `leaf` occurs in it.
  bool reads(const Text& leaf) const { return occurs(term_.get(), leaf.term_.get()); }

  friend Text operator+(const Text& a, const Text& b) { return form("$ + $", a, b); }
  friend Text operator-(const Text& a, const Text& b) { return form("$ - $", a, b); }
  friend Text operator*(const Text& a, const Text& b) { return form("$ * $", a, b); }
  friend Text operator/(const Text& a, const Text& b) { return form("$ / $", a, b); }
  friend Text operator-(const Text& a) { return form("-$", a); }
  friend Text operator==(const Text& a, const Text& b) { return condition("$ == $", a, b); }
  friend Text operator!=(const Text& a, const Text& b) { return condition("$ != $", a, b); }
  friend Text operator<(const Text& a, const Text& b) { return condition("$ < $", a, b); }
  friend Text operator<=(const Text& a, const Text& b) { return condition("$ <= $", a, b); }
  friend Text operator>(const Text& a, const Text& b) { return condition("$ > $", a, b); }
  friend Text operator>=(const Text& a, const Text& b) { return condition("$ >= $", a, b); }
  friend Text operator&(const Text& a, const Text& b) { return condition("$ && $", a, b); }
  friend Text operator|(const Text& a, const Text& b) { return condition("$ || $", a, b); }
  friend Text operator^(const Text& a, const Text& b) { return condition("$ != $", a, b); }
  friend Text operator!(const Text& a) { return condition("!$", a); }

  friend Text select(const Text& c, const Text& a, const Text& b) {
    return form("$ ? $ : $", c, a, b);
  }
  friend Text exp(const Text& x) { return form("exp@($)", x); }
  friend Text exp2(const Text& x) { return form("exp2@($)", x); }
  friend Text expm1(const Text& x) { return form("expm1@($)", x); }
  friend Text log(const Text& x) { return form("log@($)", x); }
  friend Text log2(const Text& x) { return form("log2@($)", x); }
  friend Text log10(const Text& x) { return form("log10@($)", x); }
  friend Text log1p(const Text& x) { return form("log1p@($)", x); }
  friend Text sin(const Text& x) { return form("sin@($)", x); }
  friend Text cos(const Text& x) { return form("cos@($)", x); }
  friend Text tanh(const Text& x) { return form("tanh@($)", x); }
  friend Text erf(const Text& x) { return form("erf@($)", x); }
  friend Text sqrt(const Text& x) { return form("sqrt@($)", x); }
  friend Text rsqrt(const Text& x) { return Text(1) / sqrt(x); }
  friend Text pow(const Text& x, const Text& y) { return form("pow@($, $)", x, y); }
  friend Text abs(const Text& x) { return form("fabs@($)", x); }
  friend Text floor(const Text& x) { return form("floor@($)", x); }
  friend Text ceil(const Text& x) { return form("ceil@($)", x); }
  friend Text trunc(const Text& x) { return form("trunc@($)", x); }
  friend Text round(const Text& x) { return form("rint@($)", x); }
  friend Text max(const Text& a, const Text& b) { return form("#max@($, $)", a, b); }
  friend Text min(const Text& a, const Text& b) { return form("#min@($, $)", a, b); }

 private:
  friend class Formulas;
  struct Term {
    const char* form;
    std::string name;
    double number;
    std::vector<std::shared_ptr<const Term>> operand;
    bool condition;
    bool is_operator() const { return *form && form[std::string_view(form).size() - 1] != ')'; }
  };
  static bool occurs(const Term* in, const Term* leaf) {
    if (in == leaf) return true;
    for (const auto& o : in->operand)
      if (occurs(o.get(), leaf)) return true;
    return false;
  }
  explicit Text(Term t) : term_(std::make_shared<const Term>(std::move(t))) {}
  std::shared_ptr<const Term> term_;
};

/// A number as C writes it: the nearest float, or double, is x itself, to the bit.
inline std::string literal(double x, bool f64) {
  if (x != x) return "NAN";
  if (x - x != 0) return x > 0 ? "INFINITY" : "-INFINITY";
  char digits[40];
  // The fewest digits that give the same number back.
  const auto end = f64 ? std::to_chars(digits, digits + sizeof digits, x)
                       : std::to_chars(digits, digits + sizeof digits, static_cast<float>(x));
  std::string text(digits, end.ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return f64 ? text : text + "f";
}

/// Writes the formulas of one loop body: what is used more than once gets a name.
class Formulas {
 public:
  /// helpers: where the names of helper functions are noted, such as "max@".
  Formulas(std::string prefix, bool f64, std::set<std::string>& helpers)
      : prefix_(std::move(prefix)), f64_(f64), helpers_(helpers) {}

  /// Every root is announced before the first is written.
  void announce(const Text& t) { count(t.term_.get()); }
  /// The expression; what it needs before it is appended to lines(). named: as a variable.
  std::string write(const Text& t, bool named = false) {
    std::string text = expression(t.term_);
    return named && t.term_->name.empty() && *t.term_->form && !names_.count(t.term_.get())
               ? variable(t.term_, text)
               : text;
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  using Term = Text::Term;
  static constexpr std::size_t width = 72;

  void count(const Term* t) {
    if (uses_[t]++) return;
    for (const auto& o : t->operand) count(o.get());
  }
  std::string variable(const std::shared_ptr<const Term>& t, const std::string& text) {
    const std::string name = "t" + std::to_string(next_++);
    lines_.push_back(std::string("const ") +
                     (t->condition ? "int "
                      : f64_       ? "double "
                                   : "float ") +
                     name + " = " + text + ";");
    kept_.push_back(t);
    return names_[t.get()] = name;
  }
  std::string operand(const std::shared_ptr<const Term>& t) {
    std::string text = expression(t);
    if (text.size() > width) text = variable(t, text);
    const bool wrap = !names_.count(t.get()) && (t->is_operator() || text[0] == '-');
    return wrap ? "(" + text + ")" : text;
  }
  std::string expression(const std::shared_ptr<const Term>& t) {
    if (auto at = names_.find(t.get()); at != names_.end()) return at->second;
    if (!*t->form && t->name.empty()) return literal(t->number, f64_);
    std::string text;
    if (!*t->form) {
      text = t->name;
    } else {
      const std::string_view form = t->form;
      const bool call = !t->is_operator();
      if (form[0] == '#')
        helpers_.insert(std::string(form.substr(1, form.find_first_of("@(") - 1)) + kind());
      std::size_t k = 0;
      for (char c : form) {
        if (c == '$') {
          const auto& o = t->operand[k++];
          if (!call) {
            text += operand(o);
          } else {
            std::string inner = expression(o);
            text += inner.size() > width ? variable(o, inner) : inner;
          }
        } else if (c == '@') {
          if (!f64_) text += 'f';
        } else if (c == '#') {
          text += prefix_;
        } else {
          text += c;
        }
      }
    }
    return uses_[t.get()] > 1 && (*t->form || t->name.find('[') != std::string::npos)
               ? variable(t, text)
               : text;
  }
  std::string kind() const { return f64_ ? "64" : "32"; }

  std::string prefix_;
  bool f64_;
  std::set<std::string>& helpers_;
  std::map<const Term*, int> uses_;
  std::map<const Term*, std::string> names_;
  std::vector<std::shared_ptr<const Term>> kept_;
  std::vector<std::string> lines_;
  int next_ = 0;
};

}  // namespace tenon::inline TENON_ISA::deploy
