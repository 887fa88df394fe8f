#include "orchestrator/config/finding.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace phoenix::config {

std::string Origin::ToString() const {
  if (!overridden_by.empty()) return fmt::format("{} ({})", path, overridden_by);
  return line > 0 ? fmt::format("{} (line {})", path, line) : path;
}

std::string Finding::Text() const {
  std::string text = message;
  if (!found.empty()) text += fmt::format("; found {}", found);
  if (!allowed.empty()) text += fmt::format("; allowed: {}", allowed);
  return text;
}

std::string Finding::ToString() const { return fmt::format("{}: {}", where.ToString(), Text()); }

void Findings::Error(std::string rule, Origin where, std::string message, std::string found,
                     std::string allowed) {
  errors.push_back(
      {std::move(rule), std::move(where), std::move(message), std::move(found), std::move(allowed)});
}

void Findings::Lint(std::string rule, Origin where, std::string message, std::string found,
                    std::string allowed) {
  lints.push_back(
      {std::move(rule), std::move(where), std::move(message), std::move(found), std::move(allowed)});
}

void Findings::SortByPlace() {
  for (std::vector<Finding>* list : {&errors, &lints}) {
    std::multimap<int, Finding> by_line;  // keeps the order of insertion within a line
    for (Finding& finding : *list) by_line.emplace(finding.where.line, std::move(finding));
    list->clear();
    for (auto& [line, finding] : by_line) list->push_back(std::move(finding));
  }
}

std::string Render(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) text += (text.empty() ? "" : "\n") + finding.ToString();
  return text;
}

}  // namespace phoenix::config
