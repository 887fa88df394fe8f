// nfs.conf(5), as far as exports depend on it. Pure.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {

// What a set of files says, read as nfs-utils reads them: a value without quotes ends at # or ;, a line
// without an end is no line, one that ends in a backslash goes on, files include others.
class ServerConf {
 public:
  // Gives the text of a file that another one includes; nullopt where there is none.
  using Include = std::function<absl::StatusOr<std::optional<std::string>>(const std::string& path)>;

  // Reads the text of the file `path`. What it sets counts over what was read before. Fails where `include`
  // does.
  absl::Status Read(std::string_view text, const std::string& path, const Include& include);

  // The value of a name in a section, both without regard to case; nullopt where it is not set. $NAME is
  // taken from the section [environment]; the environment of the server's programs is not known here.
  std::optional<std::string> Value(std::string_view section, std::string_view name) const;

 private:
  // Where in a file a line stands.
  struct Place {
    std::string path;
    // Of none, lines set nothing; of one with an argument ([x "y"]), nothing that is asked for here.
    std::optional<std::string> section;
    bool has_argument = false;
    int depth = 0;
  };
  absl::Status ReadText(std::string_view text, Place place, const Include& include);
  absl::Status ReadLine(std::string_view line, Place& place, const Include& include);

  // By section and name, both in lower case.
  std::map<std::pair<std::string, std::string>, std::string> values_;
};

// The same of one text that includes nothing.
std::optional<std::string> ServerConfValue(std::string_view text, std::string_view section,
                                           std::string_view name);

// Puts what the server is told there into `state`.
void TellServerSettings(const ServerConf& conf, NfsState& state);

}  // namespace phoenix::nfs
