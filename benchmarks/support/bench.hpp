// SPDX-License-Identifier: Apache-2.0
// Contests: tenon, a peer, a loop written by hand and the physical limit take turns in short slots of one run.
// Google Benchmark selects and runs them and writes the JSON; the table is printed here.
#pragma once
#include <benchmark/benchmark.h>
#include <tenon/core/parallel.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "peers/peer.hpp"

namespace bench {

/// What takes part; an empty function does not. Each call does the same work.
struct Contest {
  std::function<void()> tenon, peer, hand;
  std::function<void()>
      limit;       ///< does nothing but the arithmetic or the traffic that cannot be avoided
  double per = 1;  ///< units of work in a call: times are shown for one of them
  std::map<std::string, double> extra{};  ///< numbers shown beside the times
};

enum Who { tenon_, peer_, hand_, limit_, count_ };
inline constexpr const char* who_name[count_] = {"tenon", "peer", "hand", "limit"};

struct Settings {
  int rounds = 21;       ///< of every contest, 9 at least
  double slot = 1.5e-3;  ///< seconds: a contestant's turn
  bool plain = false;    ///< lines `name nanoseconds` instead of the table
};
inline Settings& settings() {
  static Settings s;
  return s;
}

inline double seconds_of(const std::function<void()>& f, long calls) {
  auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < calls; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// p = 0.5: the median.
inline double quantile(std::vector<double> x, double p) {
  if (x.empty()) return 0;
  std::sort(x.begin(), x.end());
  return x[static_cast<std::size_t>(p * static_cast<double>(x.size() - 1) + 0.5)];
}
/// Half of all rounds lie within this share of the median.
inline double spread(const std::vector<double>& x) {
  double middle = quantile(x, 0.5);
  return middle > 0 ? (quantile(x, 0.75) - quantile(x, 0.25)) / middle : 0;
}

inline void run_contest(benchmark::State& state, const Contest& c) {
  const std::function<void()>* f[count_] = {&c.tenon, &c.peer, &c.hand, &c.limit};
  long calls[count_] = {};
  std::vector<double> time[count_], ratio[count_];
  for (int w = 0; w < count_; ++w) {
    if (!*f[w]) continue;
    (*f[w])();
    long n = 1;
    double t = seconds_of(*f[w], n);
    while (t < settings().slot / 4) t = seconds_of(*f[w], n *= 2);
    calls[w] = std::max(1L, static_cast<long>(static_cast<double>(n) * settings().slot / t));
  }
  int round = 0;
  for (auto _ : state) {
    double now[count_] = {};
    for (int k = 0; k < count_; ++k) {
      int w = (k + round) % count_;  // nobody always follows the same neighbour
      if (!calls[w]) continue;
      (*f[w])();  // its data come back into the caches
      now[w] = seconds_of(*f[w], calls[w]) / static_cast<double>(calls[w]) / c.per;
      time[w].push_back(now[w]);
    }
    for (int w = 1; w < count_; ++w)
      if (calls[w]) ratio[w].push_back(now[w] / now[tenon_]);
    state.SetIterationTime(now[tenon_]);
    ++round;
  }
  for (int w = 0; w < count_; ++w) {
    if (!calls[w]) continue;
    const std::string name = who_name[w];
    state.counters[name + "_ns"] = quantile(time[w], 0.5) * 1e9;
    state.counters[name + "_best_ns"] = quantile(time[w], 0) * 1e9;
    if (w > 0) state.counters[name + "_ratio"] = quantile(ratio[w], 0.5);
    if (w > 0) state.counters[name + "_spread"] = spread(ratio[w]);
  }
  state.counters["tenon_spread"] = spread(time[tenon_]);
  for (const auto& [key, value] : c.extra) state.counters["extra " + key] = value;
}

/// A contest by name; `make` prepares it when its turn comes.
inline void add(const std::string& name, std::function<Contest()> make) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [make](benchmark::State& state) { run_contest(state, make()); })
      ->UseManualTime()
      ->Iterations(settings().rounds)
      ->Unit(benchmark::kMicrosecond);
}

inline std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

inline std::string time_text(double ns) {
  char text[32];
  if (ns <= 0) return "-";
  if (ns < 1e3) std::snprintf(text, sizeof text, "%.0f ns", ns);
  else if (ns < 1e6) std::snprintf(text, sizeof text, "%.2f us", ns / 1e3);
  else std::snprintf(text, sizeof text, "%.3f ms", ns / 1e6);
  return text;
}

class Table : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    if (!settings().plain && !std::getenv("BENCH_NO_HEADER"))
      std::printf("%-46s %10s %10s %7s %7s %10s %7s %10s %7s\n", "workload", "tenon", "peer",
                  "ratio", "spread", "by hand", "ratio", "limit", "ratio");
    std::fflush(stdout);
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) report(run);
    std::fflush(stdout);
  }

 private:
  static double get(const Run& run, const std::string& key) {
    auto at = run.counters.find(key);
    return at == run.counters.end() ? 0 : at->second.value;
  }
  static std::string number(double x, const char* format = "%.2f") {
    char text[32];
    if (x == 0) return "-";
    std::snprintf(text, sizeof text, format, x);
    return text;
  }
  static void report(const Run& run) {
    const std::string name = run.run_name.function_name;
    if (settings().plain) {
      std::printf("%s\t%.1f\n", name.c_str(), get(run, "tenon_ns"));
      return;
    }
    const double noise =
        get(run, "peer_ns") > 0 ? get(run, "peer_spread") : get(run, "tenon_spread");
    std::printf("%-46s %10s %10s %7s %6.1f%% %10s %7s %10s %7s", name.c_str(),
                time_text(get(run, "tenon_ns")).c_str(), time_text(get(run, "peer_ns")).c_str(),
                number(get(run, "peer_ratio")).c_str(), 100 * noise,
                time_text(get(run, "hand_ns")).c_str(), number(get(run, "hand_ratio")).c_str(),
                time_text(get(run, "limit_ns")).c_str(), number(get(run, "limit_ratio")).c_str());
    for (const auto& [key, counter] : run.counters)
      if (key.rfind("extra ", 0) == 0) std::printf("  %s %.4g", key.c_str() + 6, counter.value);
    std::printf("\n");
  }
};

/// Options beside Google Benchmark's: --rounds=N, --slot=SECONDS, --plain.
template <class Register>
int main(int argc, char** argv, Register contests) {
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    if (std::strncmp(argv[i], "--rounds=", 9) == 0)
      settings().rounds = std::max(9, std::atoi(argv[i] + 9));
    else if (std::strncmp(argv[i], "--slot=", 7) == 0) settings().slot = std::atof(argv[i] + 7);
    else if (std::strcmp(argv[i], "--plain") == 0) settings().plain = true;
    else rest.push_back(argv[i]);
  }
  tenon::set_num_threads(1);
  contests();
  int count = static_cast<int>(rest.size());
  benchmark::Initialize(&count, rest.data());
  if (benchmark::ReportUnrecognizedArguments(count, rest.data())) return 1;
  benchmark::AddCustomContext("processor", processor());
  benchmark::AddCustomContext("peer", peer::name());
  Table table;
  benchmark::RunSpecifiedBenchmarks(&table);
  benchmark::Shutdown();
  return 0;
}

}  // namespace bench
