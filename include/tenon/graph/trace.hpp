// SPDX-License-Identifier: Apache-2.0
// trace(step, state..., batch): a step recorded once, for any batch size, and run again by the same
// kernels.
#pragma once
#include <tenon/core/reflect.hpp>
#include <tenon/graph/fit.hpp>
#include <tenon/graph/pass/dead_code.hpp>
#include <tenon/graph/pass/early_updates.hpp>
#include <tenon/graph/recording.hpp>
#include <tenon/graph/run.hpp>
#include <tenon/graph/verify.hpp>
#include <tenon/tensor/model.hpp>

#include <memory>
#include <tuple>

namespace tenon::inline TENON_ISA::graph {

namespace detail {

using tenon::detail::is_list;
using tenon::detail::is_optional;
using tenon::detail::is_tensor;

/// A member's place, written down only where somebody asks for names.
class Path {
 public:
  Path() = default;
  explicit Path(std::string text) : text_(std::move(text)), named_(true) {}
  template <class Part>
  Path at(const Part& part) const {
    if (!named_) return {};
    std::string text = text_.empty() ? text_ : text_ + ".";
    if constexpr (std::is_integral_v<Part>) text += std::to_string(part);
    else text += part;
    return Path(std::move(text));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool named_ = false;
};

/// f(path, handle) for every tensor in x, whatever holds it, and g(path, number) for every number.
template <class X, class F, class G>
void each_leaf(const Path& path, X& x, F& f, G& g) {
  using P = std::remove_const_t<X>;
  if constexpr (is_tensor<P>) {
    f(path, const_cast<AnyTensor&>(x.any()));
  } else if constexpr (std::is_same_v<P, AnyTensor>) {
    f(path, const_cast<AnyTensor&>(x));
  } else if constexpr (requires { x.tensor(); }) {  // a Scalar
    if (x.tensor().defined()) f(path, const_cast<AnyTensor&>(x.tensor()));
  } else if constexpr (std::is_arithmetic_v<P> || std::is_enum_v<P>) {
    g(path, x);
  } else if constexpr (is_list<P>) {
    for (std::size_t i = 0; i < x.size(); ++i) each_leaf(path.at(i), x[i], f, g);
  } else if constexpr (is_optional<P>) {
    if (x) each_leaf(path, *x, f, g);
  } else if constexpr (!std::is_empty_v<P> && Aggregate<P>) {
    each_member(x, [&](std::string_view name, auto& m) { each_leaf(path.at(name), m, f, g); });
  }
}
template <class X, class F>
void each_tensor(const Path& path, X& x, F f) {
  auto none = [](const Path&, auto&) {};
  each_leaf(path, x, f, none);
}
template <class X, class G>
void each_number(const Path& path, const X& x, G g) {
  auto none = [](const Path&, AnyTensor&) {};
  each_leaf(path, x, none, g);
}
inline Path argument_path(int number) { return Path("argument " + std::to_string(number)); }

/// t with `rows` rows: its own, over and over. From a device by way of the host.
inline AnyTensor repeated(const AnyTensor& t, Index rows) {
  if (t.record("trace").place) return repeated(t.to(cpu), rows).to(t.device());
  const AnyTensor dense = t.to_contiguous();
  Extents e = t.extents();
  const Index own = e.rank ? e.extent[0] : 0;
  if (own == 0) return t;
  const auto bytes = static_cast<std::size_t>(e.size() / own) * size_of(t.dtype());
  e.extent[0] = rows;
  AnyTensor r = AnyTensor::empty(t.dtype(), e);
  for (Index i = 0; i < rows; ++i)
    std::memcpy(static_cast<char*>(r.raw_writable()) + static_cast<std::size_t>(i) * bytes,
                static_cast<const char*>(dense.raw()) + static_cast<std::size_t>(i % own) * bytes,
                bytes);
  return r;
}

}  // namespace detail

/// A traced step: called like the function it was made from, for any number of rows. It belongs to
/// one thread; copies share the program.
template <class R, class... Args>
class Traced {
 public:
  Traced(std::shared_ptr<const Program> program, R sample, std::vector<double> guards)
      : program_(std::move(program)), sample_(std::move(sample)), guards_(std::move(guards)) {}

  /// Runs the step on these arguments; what it mutates is changed in them. Errors: Error::trace for
  /// extents that do not fit, and for a member that is no tensor and has changed since the trace:
  /// trace again.
  template <class... Given>
    requires(std::is_same_v<std::remove_cvref_t<Given>, Args>&&...)
  R operator()(Given&&... args) {
    inputs_.clear(), argument_.clear();
    (gather(args), ...);
    check_guards(args...);
    std::vector<AnyTensor> results(program_->graph().outputs.size());
    (*program_)(workspace_, inputs_, results, argument_);
    R r = sample_;
    std::size_t k = 0;
    detail::each_tensor({}, r, [&](const detail::Path&, AnyTensor& t) { t = results[k++]; });
    return r;
  }
  const Graph& graph() const { return program_->graph(); }
  std::shared_ptr<const Program> program() const { return program_; }
  const Plan& plan() const { return workspace_.plan; }
  /// How often memory was planned: once for each number of rows, while those before are few.
  Index plans_made() const { return workspace_.plans_made; }

 private:
  template <class A>
  void gather(A& a) {
    argument_.push_back(const_cast<std::remove_const_t<A>*>(&a));
    detail::each_tensor({}, a, [&](const detail::Path&, AnyTensor& t) { inputs_.push_back(&t); });
  }
  void check_guards(const Args&... args) {
    std::size_t k = 0;
    int which = 0;
    auto check = [&](const auto& a) {
      detail::each_number({}, a, [&](const detail::Path&, const auto& x) {
        if (static_cast<double>(x) != guards_[k] && !in_source(&x, which))
          fail_guard(which, a, &x, k);
        ++k;
      });
      ++which;
    };
    (check(args), ...);
  }
  template <class A>
  TENON_COLD void fail_guard(int which, const A& a, const void* at, std::size_t k) const {
    detail::each_number(detail::argument_path(which), a, [&](const detail::Path& p, const auto& x) {
      if (&x == at)
        fail(Error::trace, {"trace: ", p.text(), " was ", guards_[k], " when the step was traced ",
                            "and is ", static_cast<double>(x), "; trace again"});
    });
  }
  // Numbers of an optimizer are read anew in each step.
  bool in_source(const void* at, int which) const {
    const char* begin = static_cast<const char*>(argument_[static_cast<std::size_t>(which)]);
    for (const Source& s : program_->graph().sources)
      if (s.argument == which && static_cast<const char*>(at) >= begin + s.offset &&
          static_cast<const char*>(at) <= begin + s.steps)
        return true;
    return false;
  }

  std::shared_ptr<const Program> program_;
  R sample_;
  std::vector<double> guards_;
  Workspace workspace_;
  std::vector<AnyTensor*> inputs_;
  std::vector<void*> argument_;
};

namespace detail {

/// One recording: f on copies of the arguments, so that nothing of the caller's changes.
template <class R, class F, class... Args>
Graph record(F& f, std::tuple<Args...> args, std::optional<R>& result) {
  Recording r;
  std::vector<AnyTensor*> handle;
  std::vector<std::uint64_t> id;
  std::vector<double> before;
  int which = 0;
  auto declare = [&](auto& a) {
    const Path path = argument_path(which);
    r.argument(which++, &a, sizeof a);
    each_tensor(path, a, [&](const Path& p, AnyTensor& t) {
      r.input(t, p.text());
      handle.push_back(&t), id.push_back(t.id());
    });
    each_number({}, a,
                [&](const Path&, const auto& x) { before.push_back(static_cast<double>(x)); });
  };
  std::apply([&](auto&... a) { (declare(a), ...); }, args);
  r.check_devices(handle);
  r.open();
  result.emplace(std::apply(f, args));
  each_tensor(Path("result"), *result, [&](const Path& p, AnyTensor& t) { r.output(t, p.text()); });
  for (std::size_t k = 0; k < handle.size(); ++k)
    r.state(handle[k]->id() == id[k] ? nullptr : handle[k]);
  which = 0;
  std::size_t k = 0;
  auto unchanged = [&](const auto& a) {
    each_number(argument_path(which++), a, [&](const Path& p, const auto& x) {
      if (static_cast<double>(x) != before[k++] && !r.counts(&x))
        fail(Error::trace, {"trace: the step changes ", p.text(),
                            ", which is no tensor: make it one, or change it outside"});
    });
  };
  std::apply([&](const auto&... a) { (unchanged(a), ...); }, args);
  return r.close();
}

}  // namespace detail

/// The step f(state..., batch) as a graph: forward, backward, updates, random masks. The batch is
/// the last argument; the first axis of its tensors is the batch size, any in later calls. f is run
/// three times, on copies, with B, B + 1 and 2 B + 3 rows (B: those of `batch`, at least 2), and
/// what it does must not depend on values.
/// Numbers of optimizers are read anew in every call; other members that are no tensors are guards.
/// Errors: Error::trace for a tensor that is no argument, a host read, a list of statements or an
/// integer that does not follow the batch size, a number that the step changes.
template <class F, class... Args>
auto trace(F f, Args&&... args) {
  using R = std::remove_cvref_t<decltype(f(args...))>;
  constexpr std::size_t last = sizeof...(Args) - 1;
  std::tuple<std::remove_cvref_t<Args>...> copies(args...);
  Index rows = -1;
  detail::each_tensor({}, std::get<last>(copies), [&](const detail::Path&, AnyTensor& t) {
    if (rows < 0 && t.rank()) rows = t.extent(0);
  });
  if (rows <= 0) fail(Error::trace, {"trace: the batch, the last argument, has no rows"});
  const Samples samples(rows);
  std::optional<R> sample, other;
  Graph g[3];
  const Ambient before = ambient();
  struct Back {  // nothing of the thread's state moves
    Ambient state;
    ~Back() { ambient() = state; }
  } back{before};
  for (int i = 0; i < 3; ++i) {
    auto own = copies;
    if (samples.rows[i] != rows)
      detail::each_tensor({}, std::get<last>(own), [&](const detail::Path&, AnyTensor& t) {
        t = detail::repeated(t, samples.rows[i]);
      });
    ambient() = before;
    g[i] = detail::record(f, std::move(own), i ? other : sample);
  }
  Graph whole = fitted(std::move(g[0]), g[1], g[2], samples);
  remove_dead_code(whole);
  move_updates_up(whole);
  verify(whole);
  std::vector<double> guards;
  auto keep = [&](const auto& a) {
    detail::each_number({}, a, [&](const detail::Path&, const auto& x) {
      guards.push_back(static_cast<double>(x));
    });
  };
  (keep(args), ...);
  return Traced<R, std::remove_cvref_t<Args>...>(std::make_shared<const Program>(std::move(whole)),
                                                 std::move(*sample), std::move(guards));
}

}  // namespace tenon::graph

namespace tenon::inline TENON_ISA {
using graph::trace;
}  // namespace tenon
