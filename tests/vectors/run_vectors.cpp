// SPDX-License-Identifier: Apache-2.0
// run_vectors DIR [--area A] [--dtype f32|f64]: runs the test vectors of a folder through the
// registry.
// A line for each area and dtype: `<area> <dtype>: passed N failed N unsupported N`, then what
// failed and why.
// Exit code 0: nothing failed; 1: something did; 2: wrong usage or files that cannot be read.
#include <cstdio>
#include <cstring>

#include "vectors/vectors.hpp"

namespace {

int usage() {
  std::fprintf(stderr, "usage: run_vectors DIR [--area A] [--dtype f32|f64]\n");
  return 2;
}

}  // namespace

int main(int count, char** argument) {
  std::string folder, area;
  std::vector<tenon::Dtype> dtypes = {tenon::Dtype::f32, tenon::Dtype::f64};
  for (int i = 1; i < count; ++i) {
    const std::string a = argument[i];
    if (a == "--area" && i + 1 < count) area = argument[++i];
    else if (a == "--dtype" && i + 1 < count) {
      const std::string d = argument[++i];
      if (d != "f32" && d != "f64") return usage();
      dtypes = {d == "f32" ? tenon::Dtype::f32 : tenon::Dtype::f64};
    } else if (folder.empty() && a.rfind("--", 0) != 0) folder = a;
    else return usage();
  }
  if (folder.empty()) return usage();
  try {
    bool failed = false;
    for (const std::string& name : vectors::areas(folder, area)) {
      const vectors::Area cases(folder, name);
      for (tenon::Dtype d : dtypes) {
        const vectors::Outcome o = cases.run(d);
        std::printf("%s %s: passed %d failed %d unsupported %d\n", name.c_str(), tenon::name_of(d),
                    o.passed, static_cast<int>(o.failed.size()), o.unsupported);
        for (const auto& [which, why] : o.failed)
          std::printf("  %s: %s\n", which.c_str(), why.c_str());
        failed |= !o.failed.empty();
      }
    }
    return failed;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 2;
  }
}
