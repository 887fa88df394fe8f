#include "clients/cli/render/progress.h"

#include <fmt/format.h>

#include <cstdio>

#include "clients/cli/render/render.h"

namespace phoenix::cli {
namespace {

constexpr int kBarWidth = 30;

std::string Bar(int done, int total) {
  const int filled = total == 0 ? 0 : done * kBarWidth / total;
  std::string bar;
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "#" : ".";
  return bar;
}

}  // namespace

void Progress::Show(const pb::WatchRunResponse& event) {
  if (!terminal_) {
    fmt::print("{}", RenderEvent(event));
    std::fflush(stdout);
    return;
  }
  for (const auto& step : event.steps()) {
    const std::string key = fmt::format("{} {} {}", step.node(), step.participant(), step.step().id());
    const auto [known, fresh] = steps_.try_emplace(key, step.state());
    NodeProgress& node = nodes_[step.node()];
    if (fresh) ++node.total;
    const bool was_done = !fresh && known->second == pb::RunStep::STATE_DONE;
    const bool is_done = step.state() == pb::RunStep::STATE_DONE;
    node.done += static_cast<int>(is_done) - static_cast<int>(was_done);
    known->second = step.state();
    if (step.state() != pb::RunStep::STATE_PENDING) {
      node.last =
          fmt::format("{} {} {}", StateText(step.state()), step.step().action(), step.step().resource());
    }
  }
  std::string phase = StateText(event.run().state());
  if (event.kind() == "ROLLING_BACK" || event.kind() == "PHASE_BEGAN") phase = event.text();
  if (event.kind() == "WAITING") phase += ": " + event.text();
  Redraw(phase);
}

void Progress::Redraw(const std::string& phase) {
  if (drawn_lines_ > 0) fmt::print("\033[{}A", drawn_lines_);
  drawn_lines_ = 1;
  const auto columns = static_cast<size_t>(columns_);
  const std::string heading = Cut(phase, columns);
  fmt::print("\r\033[2K{}\n", color_ ? fmt::format("\033[1m{}\033[0m", heading) : heading);
  for (const auto& [name, node] : nodes_) {
    const std::string line = fmt::format("  {:<12} [{}] {:>3}/{:<3} {}", name, Bar(node.done, node.total),
                                         node.done, node.total, node.last);
    fmt::print("\r\033[2K{}\n", Cut(line, columns));
    ++drawn_lines_;
  }
  std::fflush(stdout);
}

void Progress::End() { drawn_lines_ = 0; }

}  // namespace phoenix::cli
