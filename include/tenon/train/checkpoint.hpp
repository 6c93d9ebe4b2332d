// SPDX-License-Identifier: Apache-2.0
// Checkpoints: model, optimizer and random position in one safetensors file; resuming gives the
// same bits as a run that was never interrupted.
#pragma once
#include <tenon/io/safetensors.hpp>
#include <tenon/kernel/generated.hpp>
#include <tenon/optim/step.hpp>

#include <map>

namespace tenon::inline TENON_ISA::train {

/// Where a run stands in its data.
struct Position {
  std::int64_t step = 0;  ///< optimizer steps done
};

namespace detail {

using tenon::detail::Members;

inline void collect(const std::string& prefix, const Members& m,
                    std::vector<io::NamedTensor>& out) {
  for (std::size_t i = 0; i < m.size(); ++i)
    if (m[i].defined()) out.push_back({prefix + m.path(i), m[i]});
}
template <class Model>
void collect(const std::string& prefix, const Model& model, Members::Kind kind,
             std::vector<io::NamedTensor>& out) {
  Members m(kind, true);
  tenon::detail::collect_members(m, model);
  if (kind == Members::parameters)
    for (std::size_t i = 0; i < m.size(); ++i)
      m[i].record(("save: the parameter " + prefix + m.path(i)).c_str());
  collect(prefix, m, out);
}

inline AnyTensor fetch(const io::SafetensorsFile& file, const std::string& path,
                       const std::string& name, const AnyTensor& like) {
  if (!file.contains(name))
    fail(Error::format, {"load: ", path, ": the tensor ", name, " is missing"});
  AnyTensor t = file.tensor(name);
  if (!like.defined()) return t;
  if (t.dtype() != like.dtype())
    fail(Error::format, {"load: ", path, ": the tensor ", name, " holds ", name_of(t.dtype()),
                         ", the model's is ", name_of(like.dtype())});
  const Extents a = t.extents(), b = like.extents();
  for (int i = 0; i < std::min(a.rank, b.rank) && a.rank == b.rank; ++i)
    if (a.extent[i] != b.extent[i])
      fail(Error::format,
           {"load: ", path, ": the tensor ", name, " differs from the model's on axis ", i, ": ", a,
            " and ", b, " (", a.extent[i], " vs ", b.extent[i], ")"});
  if (a.rank != b.rank)
    fail(Error::format, {"load: ", path, ": the tensor ", name, " is ", a, ", the model's is ", b});
  return t.to(like.device());
}

/// What a tensor's type says of its value: that of one which was not given any must fit too.
inline void check_type(const std::string& path, const std::string& name, const AnyTensor& t,
                       Dtype dtype, const Index* known, int rank) {
  if (!t.defined()) return;
  const Extents e = t.extents();
  bool fits = t.dtype() == dtype && e.rank == rank;
  Extents typed{rank, {}};
  for (int i = 0; i < rank; ++i) typed.extent[i] = known[i];
  for (int i = 0; fits && i < rank; ++i) fits = known[i] == dyn || known[i] == e.extent[i];
  if (!fits)
    fail(Error::format, {"load: ", path, ": the tensor ", name, " is ", name_of(t.dtype()), " ", e,
                         ", the model's type ", name_of(dtype), " ", typed, " (-1: any)"});
}
// Returns how many tensors of the file were taken.
inline std::size_t restore(const io::SafetensorsFile& file, const std::string& path,
                           const std::string& prefix, const Members& m, bool optional,
                           bool& typed) {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < m.size(); ++i) {
    const std::string name = prefix + m.path(i);
    if (optional && !m[i].defined() && !file.contains(name)) continue;
    typed = typed && m[i].defined();
    m[i] = fetch(file, path, name, m[i]);
    ++taken;
  }
  return taken;
}
template <class Model>
std::size_t restore(const io::SafetensorsFile& file, const std::string& path,
                    const std::string& prefix, Model& model, Members::Kind kind) {
  bool typed = true;
  std::size_t taken = 0;
  {
    Members m(kind, true);
    tenon::detail::visit_members(m, model);
    taken = restore(file, path, prefix, m, kind == Members::states, typed);
  }
  if (typed) return taken;
  auto check = [&](const char* name, auto& t) {
    using X = std::remove_cvref_t<decltype(t)>;
    if constexpr (tenon::detail::is_state<X>) {
      using V = std::remove_cvref_t<decltype(t.value)>;
      check_type(path, prefix + name, t.value.any(), dtype_of<typename V::element>,
                 V::shape_type::known, V::rank);
    } else {
      check_type(path, prefix + name, t.any(), dtype_of<typename X::element>, X::shape_type::known,
                 X::rank);
    }
  };
  if (kind == Members::parameters) each_parameter(model, check);
  else each_state(model, check);
  return taken;
}

inline std::uint64_t number(const std::map<std::string, std::string>& metadata,
                            const std::string& path, const char* key,
                            std::uint64_t largest = ~std::uint64_t{0}) {
  auto found = metadata.find(key);
  if (found == metadata.end()) fail(Error::format, {"load: ", path, ": the metadata has no ", key});
  const std::string& text = found->second;
  std::uint64_t value = 0;
  bool good = !text.empty() && text.size() <= 20;
  for (char c : text) {
    const std::uint64_t digit = static_cast<unsigned char>(c) - std::uint64_t{'0'};
    good = good && digit <= 9 && value <= (largest - digit) / 10;
    value = value * 10 + digit;
  }
  if (!good)
    fail(Error::format, {"load: ", path, ": ", key, " is \"", text.substr(0, 40),
                         "\", not a number from 0 to ", largest});
  return value;
}

inline constexpr const char* checkpoint_format = "tenon checkpoint 1";

template <class Rule>
constexpr auto slot_names() {
  std::array<std::string_view, member_count<typename Rule::template Slot<float>>> names{};
  std::size_t i = 0;
  typename Rule::template Slot<float> slot{};
  each_member(slot, [&](std::string_view name, auto&) { names[i++] = name; });
  return names;
}

}  // namespace detail

/// A model alone: parameters and states by their paths. Written atomically.
template <class Model>
void save_model(const std::string& path, const Model& model) {
  std::vector<io::NamedTensor> tensors;
  detail::collect("", model, detail::Members::parameters, tensors);
  detail::collect("", model, detail::Members::states, tensors);
  io::save_safetensors(path, tensors, {});
}
/// Reads such a file into a model whose extents must fit.
/// Errors: Error::file, Error::format (missing tensor, wrong dtype or extents), naming the file.
template <class Model>
void load_model(const std::string& path, Model& model) {
  io::SafetensorsFile file(path);
  Model loaded = model;
  detail::restore(file, path, "", loaded, detail::Members::parameters);
  detail::restore(file, path, "", loaded, detail::Members::states);
  model = loaded;
}

/// Model, optimizer and the position of data and random numbers, written atomically: a reader finds
/// the old checkpoint or the new one, never a part.
template <class Model, class Rule>
void save_checkpoint(const std::string& path, const Model& model,
                     const optim::Optimizer<Rule, Model>& optimizer, Position position) {
  std::vector<io::NamedTensor> tensors;
  detail::collect("model.", model, detail::Members::parameters, tensors);
  detail::collect("model.", model, detail::Members::states, tensors);
  constexpr auto names = detail::slot_names<Rule>();
  for (std::size_t k = 0; k < names.size(); ++k)
    detail::collect("optimizer." + std::string(names[k]) + ".", optimizer.state[k],
                    detail::Members::parameters, tensors);
  const Ambient& a = ambient();
  io::save_safetensors(path, tensors,
                       {{"format", detail::checkpoint_format},
                        {"optimizer.steps", std::to_string(optimizer.steps)},
                        {"position.step", std::to_string(position.step)},
                        {"random.seed", std::to_string(a.seed)},
                        {"random.position", std::to_string(a.position)}});
}
/// Reads what save_checkpoint wrote; model, optimizer and random position change only when all of
/// it fits.
/// Errors: Error::file, Error::format (no checkpoint, missing tensor, one that this model or rule
/// does not have, wrong dtype or extents), naming the file.
template <class Model, class Rule>
Position load_checkpoint(const std::string& path, Model& model,
                         optim::Optimizer<Rule, Model>& optimizer) {
  io::SafetensorsFile file(path);
  Model loaded = model;
  optim::Optimizer<Rule, Model> other = optimizer;
  const std::map<std::string, std::string>& metadata = file.metadata();
  const auto format = metadata.find("format");
  if (format == metadata.end() || format->second != detail::checkpoint_format)
    fail(Error::format,
         {"load: ", path, ": the metadata's format is not \"", detail::checkpoint_format, "\""});
  std::size_t taken = detail::restore(file, path, "model.", loaded, detail::Members::parameters) +
                      detail::restore(file, path, "model.", loaded, detail::Members::states);
  constexpr auto names = detail::slot_names<Rule>();
  for (std::size_t k = 0; k < names.size(); ++k)
    taken += detail::restore(file, path, "optimizer." + std::string(names[k]) + ".", other.state[k],
                             detail::Members::parameters);
  const std::size_t held = file.names().size();
  if (held != taken)
    fail(Error::format,
         {"load: ", path, ": holds ", held, " tensors, this model with its optimizer has ", taken});
  constexpr std::uint64_t largest = ~std::uint64_t{0} >> 1;
  other.steps =
      static_cast<std::int64_t>(detail::number(metadata, path, "optimizer.steps", largest));
  Position position{
      static_cast<std::int64_t>(detail::number(metadata, path, "position.step", largest))};
  const std::uint64_t seed = detail::number(metadata, path, "random.seed"),
                      at = detail::number(metadata, path, "random.position");
  model = loaded, optimizer = other;
  seed_random(seed);
  ambient().position = at;
  return position;
}

/// FNV-1a 64 over the bytes of all parameters in order: equal for equal weights, bit by bit.
/// Source: Fowler, Noll, Vo, RFC 9923.
template <class Model>
std::uint64_t hash_parameters(const Model& model) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  detail::Members m(detail::Members::parameters);
  tenon::detail::collect_members(m, model);
  for (const AnyTensor* t : m) {
    AnyTensor dense = t->to(cpu).to_contiguous();
    const auto* p = static_cast<const unsigned char*>(dense.raw());
    for (std::size_t i = 0, n = static_cast<std::size_t>(dense.size()) * size_of(dense.dtype());
         i < n; ++i)
      hash = (hash ^ p[i]) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace tenon::train
