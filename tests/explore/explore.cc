// The explore tier: thousands of seeded schedules of one run.
//
//   explore [--from SEED] [--count N] [--seconds S]     a table fault × moment; exit 1 at the first violation
//   explore --from SEED --count 1 --trace               one schedule, told step by step
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>

#include "tests/explore/world.h"

int main(int argc, char** argv) {
  using namespace phoenix::explore;
  uint64_t from = 1, count = 20'000;
  int seconds = 0;
  bool trace = false;
  CLI::App app{"Seeded schedules of one run over simulated nodes", "explore"};
  app.add_option("--from", from, "The first seed")->capture_default_str();
  app.add_option("--count", count, "How many schedules must count: 2 nodes, 15 steps and 1 fault at least")
      ->capture_default_str();
  app.add_option("--seconds", seconds, "Go on for so long instead");
  app.add_flag("--trace", trace, "Tell what happened");
  CLI11_PARSE(app, argc, argv);

  decltype(Report{}.fired) fired{};
  std::map<std::string, uint64_t> ends;
  const auto begin = std::chrono::steady_clock::now();
  uint64_t counted = 0, seed = from;
  for (;; ++seed) {
    const auto passed = std::chrono::steady_clock::now() - begin;
    if (seconds > 0 ? passed > std::chrono::seconds(seconds) : counted >= count) break;
    const Report report = World(seed).Run();
    if (trace || !report.violation.empty()) {
      for (const auto& line : report.trace) fmt::print("{}\n", line);
    }
    if (!report.violation.empty()) {
      fmt::print("seed {}: {}\nagain: explore --from {} --count 1 --trace\n", seed, report.violation, seed);
      return 1;
    }
    if (trace) count = 0;
    if (report.nodes < 2 || report.steps < 15 || report.faults < 1) continue;
    ++counted;
    ++ends[std::string(phoenix::run::ToText(report.end))];
    for (size_t f = 0; f < fired.size(); ++f) {
      for (size_t m = 0; m < fired[f].size(); ++m) fired[f][m] += report.fired[f][m];
    }
  }

  fmt::print("{:16}", "");
  for (size_t m = 0; m < fired[0].size(); ++m) fmt::print("{:>14}", ToText(static_cast<Moment>(m)));
  fmt::print("\n");
  bool empty_cell = false;
  for (size_t f = 0; f < fired.size(); ++f) {
    fmt::print("{:16}", ToText(static_cast<Fault>(f)));
    for (const int times : fired[f]) {
      fmt::print("{:>14}", times);
      empty_cell = empty_cell || times == 0;
    }
    fmt::print("\n");
  }
  fmt::print("{} schedules counted (seeds {} to {}), no violation; ended", counted, from, seed - 1);
  for (const auto& [end, times] : ends) fmt::print(" {} {}", end, times);
  fmt::print("\n");
  // Fewer schedules may miss a cell by chance.
  if (empty_cell && !trace && seconds == 0 && count >= 10'000) {
    fmt::print("a cell of the table is empty: its fault was never tried there\n");
    return 1;
  }
  return 0;
}
