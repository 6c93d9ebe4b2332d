// SPDX-License-Identifier: Apache-2.0
// Checkpoints: model, optimizer and random position in one safetensors file; resuming gives the same bits as a run
// that was never interrupted.
#pragma once
#include <tenon/io/safetensors.hpp>
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
void collect(const std::string& prefix, const Model& model, std::vector<io::NamedTensor>& out) {
  for (auto kind : {Members::parameters, Members::states}) {
    Members m(kind, true);
    tenon::detail::collect_members(m, model);
    if (kind == Members::parameters)
      for (std::size_t i = 0; i < m.size(); ++i)
        m[i].record(("save: the parameter " + m.path(i)).c_str());
    collect(prefix, m, out);
  }
}

inline AnyTensor fetch(const io::SafetensorsFile& file, const std::string& path,
                       const std::string& name, const AnyTensor& like) {
  if (!file.contains(name))
    fail(Error::format, "load: " + path + ": the tensor " + name + " is missing");
  AnyTensor t = file.tensor(name);
  if (!like.defined()) return t;
  if (t.dtype() != like.dtype())
    fail(Error::format, "load: " + path + ": the tensor " + name + " holds " + name_of(t.dtype()) +
                            ", the model's is " + name_of(like.dtype()));
  const Extents a = t.extents(), b = like.extents();
  for (int i = 0; i < std::min(a.rank, b.rank) && a.rank == b.rank; ++i)
    if (a.extent[i] != b.extent[i])
      fail(Error::format,
           "load: " + path + ": the tensor " + name + " differs from the model's on axis " +
               std::to_string(i) + ": " + to_string(a) + " and " + to_string(b) + " (" +
               std::to_string(a.extent[i]) + " vs " + std::to_string(b.extent[i]) + ")");
  if (a.rank != b.rank)
    fail(Error::format, "load: " + path + ": the tensor " + name + " is " + to_string(a) +
                            ", the model's is " + to_string(b));
  return t;
}

inline void restore(const io::SafetensorsFile& file, const std::string& path,
                    const std::string& prefix, const Members& m, bool optional) {
  for (std::size_t i = 0; i < m.size(); ++i) {
    const std::string name = prefix + m.path(i);
    if (optional && !m[i].defined() && !file.contains(name)) continue;
    m[i] = fetch(file, path, name, m[i]);
  }
}
template <class Model>
void restore(const io::SafetensorsFile& file, const std::string& path, const std::string& prefix,
             Model& model) {
  for (auto kind : {Members::parameters, Members::states}) {
    Members m(kind, true);
    tenon::detail::visit_members(m, model);
    restore(file, path, prefix, m, kind == Members::states);
  }
}

inline std::uint64_t number(const std::map<std::string, std::string>& metadata,
                            const std::string& path, const char* key) {
  auto found = metadata.find(key);
  if (found == metadata.end())
    fail(Error::format, "load: " + path + ": the metadata has no " + key);
  const std::string& text = found->second;
  std::uint64_t value = 0;
  bool good = !text.empty() && text.size() <= 20;
  for (char c : text) {
    good = good && c >= '0' && c <= '9' && value <= (~std::uint64_t{0} - 9) / 10;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (!good)
    fail(Error::format, "load: " + path + ": " + key + " is \"" + text + "\", not a number");
  return value;
}

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
  detail::collect("", model, tensors);
  io::save_safetensors(path, tensors, {});
}
/// Reads such a file into a model whose extents must fit.
/// Errors: Error::file, Error::format (missing tensor, wrong dtype or extents), naming the file.
template <class Model>
void load_model(const std::string& path, Model& model) {
  io::SafetensorsFile file(path);
  Model loaded = model;
  detail::restore(file, path, "", loaded);
  model = loaded;
}

/// Model, optimizer and the position of data and random numbers, written atomically: a reader finds the old
/// checkpoint or the new one, never a part.
template <class Model, class Rule>
void save_checkpoint(const std::string& path, const Model& model,
                     const optim::Optimizer<Rule, Model>& optimizer, Position position) {
  std::vector<io::NamedTensor> tensors;
  detail::collect("model.", model, tensors);
  constexpr auto names = detail::slot_names<Rule>();
  for (std::size_t k = 0; k < names.size(); ++k)
    detail::collect("optimizer." + std::string(names[k]) + ".", optimizer.state[k], tensors);
  const Ambient& a = ambient();
  io::save_safetensors(path, tensors,
                       {{"format", "tenon checkpoint 1"},
                        {"optimizer.steps", std::to_string(optimizer.steps)},
                        {"position.step", std::to_string(position.step)},
                        {"random.seed", std::to_string(a.seed)},
                        {"random.position", std::to_string(a.position)}});
}
/// Reads what save_checkpoint wrote; model and optimizer change only when all of it fits.
template <class Model, class Rule>
Position load_checkpoint(const std::string& path, Model& model,
                         optim::Optimizer<Rule, Model>& optimizer) {
  io::SafetensorsFile file(path);
  Model loaded = model;
  optim::Optimizer<Rule, Model> other = optimizer;
  detail::restore(file, path, "model.", loaded);
  constexpr auto names = detail::slot_names<Rule>();
  for (std::size_t k = 0; k < names.size(); ++k)
    detail::restore(file, path, "optimizer." + std::string(names[k]) + ".", other.state[k]);
  const std::map<std::string, std::string> metadata(file.metadata().begin(), file.metadata().end());
  other.steps = static_cast<std::int64_t>(detail::number(metadata, path, "optimizer.steps"));
  Position position{static_cast<std::int64_t>(detail::number(metadata, path, "position.step"))};
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
    AnyTensor dense = t->to_contiguous();
    const auto* p = static_cast<const unsigned char*>(dense.raw());
    for (std::size_t i = 0, n = static_cast<std::size_t>(dense.size()) * size_of(dense.dtype());
         i < n; ++i)
      hash = (hash ^ p[i]) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace tenon::train
