#include "services/nfs/domain/spec_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "services/nfs/domain/client.h"
#include "services/nfs/domain/export_options.h"

namespace phoenix::nfs {
namespace {

constexpr size_t kLongestPath = 1024;
constexpr size_t kLongestEntry = 500;

void CheckClients(const ExportSpec& wanted, std::vector<FieldViolation>& problems,
                  std::vector<PlanNote>& notes) {
  std::vector<std::pair<Client, const ClientSpec*>> seen;
  if (wanted.clients.empty()) {
    problems.push_back({wanted.origin + ".clients",
                        fmt::format("{} names no clients; everyone is written as *", wanted.path)});
  }
  for (size_t i = 0; i < wanted.clients.size(); ++i) {
    const ClientSpec& one = wanted.clients[i];
    const std::string field = ClientField(wanted, i) + ".client";
    const auto client = ParseClient(one.client);
    if (!client.ok()) {
      problems.push_back({field, fmt::format("{}: {}", wanted.path, Message(client.status()))});
      continue;
    }
    for (const auto& [other, spec] : seen) {
      if (!Overlap(*client, other)) continue;
      if (client->text == other.text) {
        problems.push_back({field, fmt::format("{}: client {} is named twice", wanted.path, client->text)});
      } else if (Meaning(one.options) == Meaning(spec->options)) {
        notes.push_back(
            {false, wanted.path,
             fmt::format("the clients {} and {} overlap; both get the same", other.text, client->text)});
      } else if (client->kind != other.kind) {
        // In exports(5)'s order: hosts, networks, patterns, netgroups, everyone.
        const Client& first = client->kind < other.kind ? *client : other;
        notes.push_back({false, wanted.path,
                         fmt::format("the clients {} and {} overlap; {} gets its own options", other.text,
                                     client->text, first.text)});
      } else {
        problems.push_back(
            {field,
             fmt::format("{}: the clients {} and {} overlap and get different options; which would apply is "
                         "the server's choice",
                         wanted.path, other.text, client->text)});
      }
    }
    seen.emplace_back(*client, &one);
  }
}

void CheckOptions(const ExportSpec& wanted, std::vector<FieldViolation>& problems) {
  // The options of an export are usually the same for all its clients: each problem is told once.
  std::set<std::string> told;
  const auto tell = [&](const std::string& field, const std::string& problem) {
    if (told.insert(problem).second) problems.push_back({field, fmt::format("{}: {}", wanted.path, problem)});
  };
  for (size_t i = 0; i < wanted.clients.size(); ++i) {
    const std::vector<std::string>& options = wanted.clients[i].options;
    const std::string field = ClientField(wanted, i) + ".options";
    bool fine = true;
    for (size_t j = 0; j < options.size(); ++j) {
      const auto problem = ProblemOf(options[j]);
      if (!problem) continue;
      tell(fmt::format("{}[{}]", field, j), *problem);
      fine = false;
    }
    if (!fine) continue;
    if (const auto problem = ContradictionIn(options)) tell(field, *problem);
  }
}

// Every client's options name a mount point themselves.
bool IsSaid(const ExportSpec& wanted) {
  return std::all_of(wanted.clients.begin(), wanted.clients.end(),
                     [](const ClientSpec& one) { return Meaning(one.options).mount_point.has_value(); });
}

}  // namespace

std::string ClientField(const ExportSpec& wanted, size_t index) {
  return fmt::format("{}.clients[{}]", wanted.origin, index);
}

std::optional<std::string> PathProblem(const std::string& path) {
  if (!path.starts_with('/')) return fmt::format("«{}» is no absolute path", path);
  if (path == "/") return "the root file system is not exported as a whole";
  if (path.size() > kLongestPath) return fmt::format("«{}» is longer than {} bytes", path, kLongestPath);
  for (const char c : path) {
    // The shell of a later reader, and the lines of a file, are no place for these.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "the path holds a control character";
    // exportfs decodes \134 to a backslash, and that, with three digits behind it, once more.
    if (c == '\\')
      return fmt::format("«{}» holds a backslash, which exportfs may read as something else", path);
  }
  if (path.ends_with('/') || path.find("//") != std::string::npos) {
    return fmt::format("«{}» is not written plainly: no slash at the end, no two in a row", path);
  }
  const std::string closed = path + "/";
  if (closed.find("/./") != std::string::npos || closed.find("/../") != std::string::npos) {
    return fmt::format("«{}» holds . or ..", path);
  }
  return std::nullopt;
}

std::optional<std::string> LengthProblem(const ClientEntry& client) {
  const size_t length =
      client.client.size() + 2 +
      std::max(TableText(Meaning(client.options)).size(), JoinOptions(client.options).size());
  if (length <= kLongestEntry) return std::nullopt;
  return fmt::format("client {} and its options take {} bytes in the server's table, which holds {}",
                     client.client, length, kLongestEntry);
}

bool CanBeNamed(const std::string& mount_point, const std::string& path) {
  return mount_point == path || !ProblemOf("mountpoint=" + mount_point);
}

std::vector<FieldViolation> CheckSpec(const NfsSpec& spec, std::vector<PlanNote>& notes) {
  std::vector<FieldViolation> problems;
  std::map<std::string, std::string> origins;
  for (const ExportSpec& wanted : spec.exports) {
    const std::string path_field = wanted.origin + ".path", mount_field = wanted.origin + ".mount_point";
    const auto path_problem = PathProblem(wanted.path);
    const auto [first, is_new] = origins.emplace(wanted.path, wanted.origin);
    if (path_problem) {
      problems.push_back({path_field, *path_problem});
    } else if (!is_new) {
      problems.push_back(
          {path_field, fmt::format("{} is declared already by {}", wanted.path, first->second)});
    }
    if (wanted.presence == Presence::kAbsent) continue;
    if (!wanted.mount_point.empty() && PathProblem(wanted.mount_point)) {
      problems.push_back({mount_field, *PathProblem(wanted.mount_point)});
    } else if (!path_problem && !wanted.mount_point.empty() && wanted.path != wanted.mount_point &&
               !wanted.path.starts_with(wanted.mount_point + "/")) {
      problems.push_back({mount_field, fmt::format("{} does not lie below its mount point {}", wanted.path,
                                                   wanted.mount_point)});
    }
    if (!wanted.mount_point.empty() && !IsSaid(wanted) && !CanBeNamed(wanted.mount_point, wanted.path)) {
      notes.push_back(
          {true, wanted.path,
           fmt::format("its mount point {} cannot be named in exports(5): while nothing is mounted "
                       "there, the directory below it is served. Export the mount point itself, or "
                       "give it a plainer name",
                       wanted.mount_point)});
    }
    CheckClients(wanted, problems, notes);
    CheckOptions(wanted, problems);
  }
  return problems;
}

}  // namespace phoenix::nfs
