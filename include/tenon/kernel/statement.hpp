// SPDX-License-Identifier: Apache-2.0
// What passes through the door: a statement, the constant that describes its structure, and who
// records it.
#pragma once
#include <tenon/kernel/device/arguments.hpp>
#include <tenon/tensor/any_tensor.hpp>

namespace tenon::inline TENON_ISA {

inline constexpr int max_leaves = 24;

/// Integers and numbers that belong to one call of an operation: axes, extents, slices,
/// probabilities.
struct Attributes {
  int integers = 0, numbers = 0;
  std::uint8_t place = 0;  ///< of a run of a graph: where its inputs lie, as Record::place
  Index integer[3 * max_rank + 2] = {};
  double number[4] = {};
  Attributes() = default;
  constexpr void push(Index i) { integer[integers++] = i; }
  constexpr void push_number(double x) { number[numbers++] = x; }
};

struct StatementInfo;
struct OpInfo;

/// One operation of a group: nodes are numbered leaves first, then scalars, then operations.
struct StatementNode {
  const OpInfo* op;
  std::uint8_t operand[3];
};

/// Gradients by operand, in an array of that order or, with `slot`, anywhere in one.
struct GradientPlaces {
  AnyTensor* first = nullptr;
  const int* slot = nullptr;
  GradientPlaces() = default;
  GradientPlaces(AnyTensor* array, const int* slots = nullptr) : first(array), slot(slots) {}
  template <class I>
  AnyTensor& operator[](I i) const {
    return first[slot ? slot[i] : static_cast<int>(i)];
  }
};

/// What one gradient call works on. gradient[i] is set, or added to where `accumulate` has bit i,
/// for every operand i that `wanted` names.
struct BackwardCall {
  const StatementInfo* info;
  const AnyTensor* operand;
  int operands;
  const double* scalar;
  const Attributes* attributes;
  const AnyTensor* result;  ///< defined where info->reads_result
  const AnyTensor* kept;
  AnyTensor dy;
  std::uint32_t wanted, accumulate;
  GradientPlaces gradient;
  bool alike;             ///< as Statement::alike
  bool reuse_dy = false;  ///< nobody reads dy afterwards: its memory may be written
};

/// One per structure of statement, a constant of the program. Groups have nodes and kernels;
/// operations that do not fuse have `function_backward` alone.
struct StatementInfo {
  const char* name = "";
  Dtype compute = Dtype::f32;
  std::uint8_t leaves = 0, scalars = 0, reductions = 0, depth = 0;
  bool elementwise = false;    ///< no reductions, no rows, no product
  bool row_root = false;       ///< the result has one element a row
  bool cheap = true;           ///< no exp, tanh, ...
  bool product = false;        ///< leaf 0 is a matrix product of the last two operands
  bool keeps_product = false;  ///< its backward needs the product's value
  bool reads_result = false;
  /// Of groups where a row leaf is an index into the row: whether the indices fit.
  void (*check_labels)(const StatementInfo&, const AnyTensor* operand,
                       const struct GroupCall&) = nullptr;
  /// Of element-wise groups: what backward computes anew unless the forward kernel left it, and
  /// whether that is the result alone.
  std::uint8_t kept_values = 0;
  bool keeps_result = false;
  std::uint32_t row_leaves = 0;  ///< bit i: leaf i has one value a row
  std::uint32_t reads = 0;       ///< bit i: backward reads the elements of operand i
  std::uint32_t reached = 0;     ///< bit i: the result has a derivative by leaf i
  std::uint32_t passed = 0;      ///< bit i: the gradient of leaf i is the result's own, if alike
  bool sums_rows = false;        ///< one sum along the row and nothing after it
  const struct BasicOps* basics = nullptr;
  const StatementNode* nodes = nullptr;
  int node_count = 0;
  abi::Kernel forward = nullptr, backward = nullptr;
  abi::Chunk chunk = nullptr;  ///< element-wise operations alone: what forward runs
  const abi::DeviceGroupKernels* device = nullptr;  ///< the slot of its kernels for a device
  /// Products as statements: epilogue and all, forward and backward. Null elsewhere.
  void (*run_product)(const StatementInfo&, const AnyTensor* operand, const double* scalar,
                      const struct GroupCall&, Dtype, bool keep, AnyTensor& result,
                      AnyTensor& kept) = nullptr;
  void (*run_product_backward)(const StatementInfo&, BackwardCall&,
                               const struct GroupCall&) = nullptr;
  /// Products: z = op(a) op(b) with the epilogue; gradients of a and b from dz. Null elsewhere.
  void (*product_forward)(struct ProductCall&) = nullptr;
  void (*product_backward)(struct ProductCall&) = nullptr;
  const StatementInfo* product_alone = nullptr;  ///< the product without epilogue
  void (*function_backward)(BackwardCall&) = nullptr;
  /// What does not fuse, run again by a graph: its value from operands and attributes. `result`:
  /// the extents it had, or those for another batch. Null: it cannot be traced.
  AnyTensor (*function_forward)(const AnyTensor* operand, const Attributes&,
                                const Extents& result) = nullptr;
  /// Updates: all operands but the second, the gradient, move in place, by numbers that follow from
  /// the optimizer, a count of steps ahead.
  void (*function_update)(AnyTensor* operand, const double* number) = nullptr;
  void (*function_numbers)(const void* source, std::int64_t ahead, double* number) = nullptr;
};

/// The results of all rows together: nothing, their sum, their mean, or their sum over the number
/// of elements.
enum class Total : std::uint8_t { none, sum, mean_rows, mean_all };

/// How a group's rows lie in its iteration space, what is done with one result a row, and whether
/// the operands of its product are transposed.
struct GroupCall {
  std::uint8_t from_end =
      0;  ///< reduced axes, bit i: the i-th from the end; the door turns them into `axes`
  std::uint32_t axes = 0;  ///< bit i: axis i of the iteration space is reduced
  bool keepdims = false;
  Total total = Total::none;  ///< what becomes of the results of all rows
  double scale = 1;           ///< set by the door: what the sum of the rows is multiplied with
  std::uint32_t dropped_leaves = 0;  ///< bit i: row leaf i does not have the reduced axes
  bool transpose_a = false, transpose_b = false;

  constexpr Attributes pack() const {
    Attributes a;
    for (Index i : {Index{axes}, Index{keepdims}, static_cast<Index>(total), Index{dropped_leaves},
                    Index{transpose_a}, Index{transpose_b}})
      a.push(i);
    a.push_number(scale);
    return a;
  }
  static GroupCall unpack(const Attributes& a) {
    GroupCall c;
    c.axes = static_cast<std::uint32_t>(a.integer[0]), c.keepdims = a.integer[1] != 0;
    c.total = static_cast<Total>(a.integer[2]), c.scale = a.number[0];
    c.dropped_leaves = static_cast<std::uint32_t>(a.integer[3]);
    c.transpose_a = a.integer[4] != 0, c.transpose_b = a.integer[5] != 0;
    return c;
  }
};

/// One call through the door.
struct Statement {
  const StatementInfo* info;
  const AnyTensor* operand;
  int operands;
  const double* scalar = nullptr;
  const Attributes* attributes = nullptr;
  const AnyTensor* result = nullptr;
  int results = 1;
  bool alike =
      false;  ///< leaves of the computed type, dense, of the same extents and a tile at most
  /// Numbers of the reductions, the product's value, what an element-wise kernel left, or a node's
  /// object; may be undefined.
  const AnyTensor* kept = nullptr;
  /// The operands, if the last who hears of the statement may take their handles.
  AnyTensor* given = nullptr;
  /// Updates in place: the optimizer that the numbers come from, and its count of steps.
  const void* source = nullptr;
  const std::int64_t* steps = nullptr;
};

/// Who turns what a thread computes into a graph. Unlike a recorder it hears of every statement,
/// whatever the context: forward, backward (before and after it ran), and of one value under a
/// second id.
struct Tracer {
  void (*statement)(Tracer&, const Statement&);
  void (*backward)(Tracer&, const BackwardCall&, bool done);
  void (*same)(Tracer&, std::uint64_t id, std::uint64_t other);
};
namespace detail {
/// An id for the value of `t`, which was copied from `id`.
inline void trace_same(std::uint64_t id, const AnyTensor& t) {
  if (Tracer* tracer = ambient().tracer) [[unlikely]]
    tracer->same(*tracer, id, t.id());
}
}  // namespace detail

/// Who wants to know of statements: a tape, a trace. Recorders nest; an inner one passes on what it
/// sees.
class Recorder {
 public:
  void record(const Statement& statement) { record_(*this, statement); }
  std::uint64_t serial() const { return serial_; }
  Recorder* outer() const { return outer_; }

 protected:
  // A pointer instead of a virtual function: a compiler that guesses its target would compile the
  // tape into every file that evaluates something.
  using Record = void (*)(Recorder&, const Statement&);
  explicit Recorder(Record record)
      : record_(record), serial_(detail::fresh_id()), outer_(ambient().recorder) {
    activate(this);
  }
  ~Recorder() { leave(); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  static void activate(Recorder* r) {
    ambient().recorder = r;
    ambient().serial = r ? r->serial_ : 0;
  }
  bool left() const { return left_; }
  /// Stops recording; scopes may end in any order.
  void leave() {
    if (left_) return;
    left_ = true;
    Ambient& a = ambient();
    if (a.recorder == this) return activate(outer_);
    for (Recorder* r = a.recorder; r; r = r->outer_)
      if (r->outer_ == this) r->outer_ = outer_;
  }

 private:
  Record record_;
  std::uint64_t serial_;
  Recorder* outer_;
  bool left_ = false;
};

/// The recorder of a context, if it is still active.
inline Recorder* find_recorder(Context context) {
  if (!context.serial) return nullptr;
  for (Recorder* r = ambient().recorder; r; r = r->outer())
    if (r->serial() == context.serial) return r;
  return nullptr;
}

}  // namespace tenon
