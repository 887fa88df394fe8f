// Exports as values: what an exports(5) file says of one path, and what the server's table says. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace phoenix::nfs {

// A client and what it may do, both as an exports(5) file has them. The order of options matters where sec=
// is used.
struct ClientEntry {
  std::string client;
  std::vector<std::string> options;
  friend bool operator==(const ClientEntry&, const ClientEntry&) = default;
};

// One path of our file. Clients are sorted and each stands there once.
struct ExportEntry {
  std::string path;
  std::vector<ClientEntry> clients;
  friend bool operator==(const ExportEntry&, const ExportEntry&) = default;
};

// Our file: by path.
using OwnExports = std::map<std::string, ExportEntry>;

// One entry of the table that mountd serves from (etab): one path and one client.
struct LiveExport {
  std::string path;
  std::string client;
  std::vector<std::string> options;
  friend bool operator==(const LiveExport&, const LiveExport&) = default;
};

// One entry of a file that is not ours.
struct ForeignExport {
  std::string file;
  int line = 0;
  std::string path;
  std::string client;
  std::vector<std::string> options;
  // exportfs stops reading a file at its first bad line: this one stands there, but is not exported.
  bool dropped = false;
  friend bool operator==(const ForeignExport&, const ForeignExport&) = default;
};

}  // namespace phoenix::nfs
