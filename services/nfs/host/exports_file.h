// The text of exports(5) files: reading anybody's, writing ours. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/nfs/domain/export_entry.h"

namespace phoenix::nfs {

struct ExportsProblem {
  int line = 0;
  std::string text;
};

struct ParsedExports {
  // In order; `file` is left empty. From the first problem on, `dropped` is set.
  std::vector<ForeignExport> entries;
  // At most one: exportfs reads no further.
  std::vector<ExportsProblem> problems;
  // Some line has an option that exportfs knows since after nfs-utils 2.6.2 (Debian 12) only.
  bool newer_options = false;
};

// Reads as exportfs does: quotes anywhere in a word, \ooo, continued lines, comments at the start of a word,
// default options after a dash, "host (options)" as two clients, a carriage return between words as a blank
// and alone as the end of the line, or of the file. What follows a bad line is read on, marked as dropped.
// `knows_newer`: see RejectedByExportfs().
ParsedExports ParseExportsFile(std::string_view text, bool knows_newer = true);

// Reads the server's table, in the form of etab and in that of `exportfs -s`.
std::vector<LiveExport> ParseExportTable(std::string_view text);

// A path as it stands in an exports(5) file: in quotes, everything unusual as \ooo.
std::string QuotePath(std::string_view path);

// One line of our file, without its end.
std::string RenderLine(const ExportEntry& entry);

// Our whole file. Equal exports give equal bytes.
std::string RenderOwnFile(const OwnExports& exports);

// Our file's exports, by path. Where the text is not exactly what RenderOwnFile() gives for them, `problem`
// says so.
OwnExports ParseOwnFile(std::string_view text, std::string* problem);

// Reads a rendered file back and compares; an error means that the renderer and the reader disagree, and that
// the file must not be put in place.
bool ReadsBackAs(std::string_view text, const OwnExports& exports, std::string* difference);

}  // namespace phoenix::nfs
