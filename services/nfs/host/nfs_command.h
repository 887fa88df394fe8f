// The commands that the NFS domain runs. Pure.
#pragma once

#include "base/host/command.h"
#include "services/nfs/domain/export_entry.h"

namespace phoenix::nfs {

// Reads all files anew and brings the server's table to them. The server's threads and their clients' state
// stay.
Command ReexportCommand();
// Puts one entry into the table, whatever the files say; or takes it out.
Command ExportCommand(const LiveExport& live);
Command UnexportCommand(const LiveExport& live);
// Empties the kernel's cache of the table.
Command FlushCommand();
// Prints the version of an installed package: one line, empty where it is not installed.
Command PackageVersionCommand();

}  // namespace phoenix::nfs
