// Resource keys: "kind:name". Steps of different domains meet only through them.
//
//   pool:quickOS  dataset:quickOS/vm-disks  path:/quickOS/vm-disks  export:/quickOS/…  share:NAME  user:heads
//   group:heads  storage:ID  package:samba  unit:smbd.service  file:/etc/exports.d/phoenix.exports
//   key:quickOS/secure (an encryption root's)
//   folder:/quickOS/data/ssl (this very folder, where path: asks only for the file system that holds it; who
//   needs it may say behind a line feed what a person does where nothing provides it)
//
// tree:/quickOS/data stands among what a step provides, and nowhere else: what was in there before comes
// along, so that any folder below may be there then.
//
// Keys of different nodes do not meet, but for two kinds:
//
//   definition:CLUSTER/storage:ID TEXT   what an object is that the nodes of a cluster have in common
//   remote:SERVER export:/quickOS/…      what the server of this name or address serves
//
// content:/quickOS/iso stands among what a step disturbs, and nowhere else: the step writes into that path.
// Nobody is cut off by it; who keeps snapshots takes one of the file system that holds the path.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace phoenix::kit {

std::string Key(std::string_view kind, std::string_view name);
std::string_view KindOf(std::string_view key);
std::string_view NameOf(std::string_view key);

std::string DefinitionKey(std::string_view cluster, std::string_view object, std::string_view text);
// "CLUSTER/storage:ID" and TEXT of such a key.
std::pair<std::string_view, std::string_view> ObjectAndDefinition(std::string_view key);
bool IsDefinition(std::string_view key);

std::string RemoteKey(std::string_view server, std::string_view key);
// The server and its key; nothing for a key of another kind.
std::optional<std::pair<std::string_view, std::string_view>> ServerAndKey(std::string_view key);

std::string FolderKey(std::string_view path, std::string_view way_out = {});
// What is said behind the line feed of a folder: key, and the key without it.
std::string_view WayOutOf(std::string_view key);
std::string_view WithoutWayOut(std::string_view key);

// The absolute paths of the content: keys among these.
std::vector<std::string> WrittenPaths(const std::vector<std::string>& keys);

// True when something that provides `provided` satisfies a requirement of `required`: equal keys, and for
// paths the provided one or anything below it, component by component (path:/a provides path:/a/b, not
// path:/ab). A folder: is satisfied by a path: of its very name, and by a tree: at or above it.
bool Satisfies(std::string_view provided, std::string_view required);

// True when one of the keys does.
bool SatisfiedBy(const std::vector<std::string>& provided, std::string_view required);

// How specific a provider is: of several that satisfy a path the longest is the one (the next mount below
// hides the others).
inline size_t Specificity(std::string_view provided) { return provided.size(); }

}  // namespace phoenix::kit
