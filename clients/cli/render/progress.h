// The live picture of a run: in a terminal one line per node that is redrawn, otherwise one line per event.
#pragma once

#include <map>
#include <string>

#include "phoenix/orchestrator/v1/orchestrator.pb.h"

namespace phoenix::cli {

class Progress {
 public:
  // `columns`: the terminal's width; no line is longer, since a wrapped line could not be redrawn.
  Progress(bool terminal, bool color, int columns) : terminal_(terminal), color_(color), columns_(columns) {}
  void Show(const orchestrator::v1::WatchRunResponse& event);
  // Leaves the last picture on the screen.
  void End();

 private:
  struct NodeProgress {
    int done = 0;
    int total = 0;
    std::string last;
  };
  void Redraw(const std::string& phase);

  const bool terminal_;
  const bool color_;
  const int columns_;
  int drawn_lines_ = 0;
  std::map<std::string, NodeProgress> nodes_;
  // State of each step, by "node participant id".
  std::map<std::string, orchestrator::v1::RunStep::State> steps_;
};

}  // namespace phoenix::cli
