// SPDX-License-Identifier: Apache-2.0
// The runner reports wrong results: twenty are planted in copies of the files.
#include <cstdio>
#include <limits>
#include <set>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "vectors/vectors.hpp"

using tenon::AnyTensor;
using tenon::Dtype;
using tenon::io::NamedTensor;

namespace {

const std::string data = std::string(TESTS_SOURCE_DIR) + "/tests/vectors/data";

/// One planted error: which tensor, and how its first element (or the whole) changes.
struct Plant {
  std::string area, tensor;
  void (*spoil)(AnyTensor& t);
};

double& first(AnyTensor& t) { return static_cast<double*>(t.raw_writable())[0]; }
void more(AnyTensor& t) { first(t) += 1e-3; }
void less(AnyTensor& t) { first(t) -= 1e-3; }
void negated(AnyTensor& t) { first(t) = -first(t) - 1e-3; }
void last_more(AnyTensor& t) { (&first(t))[t.size() - 1] += 1e-3; }
void not_a_number(AnyTensor& t) { first(t) = std::numeric_limits<double>::quiet_NaN(); }
void infinite(AnyTensor& t) { first(t) = std::numeric_limits<double>::infinity(); }
void next_index(AnyTensor& t) { ++static_cast<std::int64_t*>(t.raw_writable())[0]; }
void other_truth(AnyTensor& t) {
  bool* b = static_cast<bool*>(t.raw_writable());
  b[0] = !b[0];
}
void as_integers(AnyTensor& t) { t = t.to(Dtype::i64); }
void flat(AnyTensor& t) { t = tenon::kernel::reshape(t, tenon::Extents{1, {t.size()}}, {}); }

const std::vector<Plant> plants = {{"elementwise_unary", "exp.2/out0", more},
                                   {"elementwise_unary", "tanh.4/grad_in0", less},
                                   {"elementwise_unary", "gelu.1/grad_in0", last_more},
                                   {"elementwise_unary", "log.7/out0", infinite},
                                   {"elementwise_unary", "isnan.7/out0", other_truth},
                                   {"elementwise_unary", "floor.3/out0", as_integers},
                                   {"elementwise_binary", "add.0/grad_in1", more},
                                   {"elementwise_binary", "less.0/out0", other_truth},
                                   {"elementwise_binary", "power.0/grad_in1", last_more},
                                   {"elementwise_binary", "where.1/out0", not_a_number},
                                   {"reduce", "max.0/out1", next_index},
                                   {"reduce", "softmax.2/grad_in0", negated},
                                   {"reduce", "logsumexp.12/out0", not_a_number},
                                   {"reduce", "cumsum.6/out0", last_more},
                                   {"contraction", "matmul.4/out0", flat},
                                   {"contraction", "linear.1/grad_in2", more},
                                   {"losses", "cross_entropy.1/grad_in0", less},
                                   {"norm_attention", "batch_norm.0/out2", more},
                                   {"second_order", "hessian_vector_product.3/out0", more},
                                   {"shape_index", "sort.0/out1", next_index}};

/// Copies an area and spoils its plants; the names of the spoiled cases.
std::set<std::string> plant(const std::string& folder, const std::string& area) {
  const tenon::io::SafetensorsFile file(data + "/" + area + ".safetensors");
  std::set<std::string> spoiled;
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.tensor(name)});
  for (const Plant& p : plants) {
    if (p.area != area) continue;
    const auto at = std::find_if(tensors.begin(), tensors.end(),
                                 [&](const NamedTensor& t) { return t.name == p.tensor; });
    REQUIRE(at != tensors.end());
    p.spoil(at->tensor);
    spoiled.insert(p.tensor.substr(0, p.tensor.find('/')));
  }
  tenon::io::save_safetensors(folder + "/" + area + ".safetensors", tensors);
  std::filesystem::copy_file(data + "/" + area + ".json", folder + "/" + area + ".json");
  return spoiled;
}

}  // namespace

TEST_CASE("vectors: each of twenty planted wrong results is reported, and nothing else") {
  tests::TemporaryFolder folder;
  std::set<std::string> names;
  for (const Plant& p : plants) names.insert(p.area);
  int found = 0;
  for (const std::string& area : names) {
    const std::set<std::string> spoiled = plant(folder.path(), area);
    for (Dtype d : {Dtype::f32, Dtype::f64}) {
      std::set<std::string> reported;
      for (const auto& [name, why] : vectors::Area(folder.path(), area).run(d).failed) {
        reported.insert(name);
        CHECK(!why.empty());
      }
      CAPTURE(area, tenon::name_of(d));
      CHECK(reported == spoiled);
    }
    found += static_cast<int>(spoiled.size());
  }
  CHECK(found == 20);
  // The program says so too, by its exit code and a line for each.
  const std::string program = std::string(TESTS_BINARY_DIR) + "/run_vectors";
  std::FILE* out = ::popen(("'" + program + "' '" + folder.path() + "' --dtype f64").c_str(), "r");
  REQUIRE(out);
  std::string text;
  char part[4096];
  while (const std::size_t n = std::fread(part, 1, sizeof part, out)) text.append(part, n);
  const int status = ::pclose(out);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 1));
  int lines = 0;
  for (std::size_t at = text.find("\n  "); at != std::string::npos; at = text.find("\n  ", at + 1))
    ++lines;
  CHECK(lines == 20);
}

TEST_CASE("vectors: the same results with compiled kernels switched off") {
  struct Off {
    Off() { tenon::use_compiled_kernels(false); }
    ~Off() { tenon::use_compiled_kernels(true); }
  } off;
  for (const std::string& area : vectors::areas(data, "")) {
    const vectors::Area cases(data, area);
    for (Dtype d : {Dtype::f32, Dtype::f64}) {
      const vectors::Outcome o = cases.run(d);
      CAPTURE(area, tenon::name_of(d));
      for (const auto& [name, why] : o.failed) FAIL_CHECK(name << ": " << why);
      CHECK(o.passed > 0);
    }
  }
}
