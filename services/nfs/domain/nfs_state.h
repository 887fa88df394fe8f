// What is there on the node, as far as exports are concerned. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/nfs/domain/export_entry.h"

namespace phoenix::nfs {

inline constexpr char kExportsDirectory[] = "/etc/exports.d";
inline constexpr char kOwnFile[] = "/etc/exports.d/phoenix.exports";
// Written by the zfs tools for datasets with sharenfs.
inline constexpr char kZfsFile[] = "/etc/exports.d/zfs.exports";
// Where nfs-utils keeps the table that mountd serves from, unless nfs.conf moves it.
inline constexpr char kStateDirectory[] = "/var/lib/nfs";
// All that NFSv4 needs, unless nfs.conf says otherwise.
inline constexpr int kStandardPort = 2049;

struct PathState {
  bool directory = false;
  // Where the file system that holds the path is mounted, and its type: "/quickOS/x", "zfs".
  std::string mount_point;
  std::string file_system;
  // The path behind symbolic links, which is what exportfs exports; empty where nobody looked.
  std::string real;
  friend bool operator==(const PathState&, const PathState&) = default;
};

// What nfs.conf says of NFSv3. A port is 0 where its program takes any, another one at every start.
struct VersionThree {
  bool served = true;
  int mountd_port = 0;
  // Of locks: statd, and the kernel's lockd, whose ports statd sets when it starts: one for both protocols,
  // unless nfs.conf has another one for udp.
  int statd_port = 0;
  int lockd_tcp_port = 0;
  int lockd_udp_port = 0;
  friend bool operator==(const VersionThree&, const VersionThree&) = default;

  bool LocksPinned() const { return statd_port != 0 && lockd_tcp_port != 0 && lockd_udp_port != 0; }
};

// Where nfs.conf has the server listen.
struct Listening {
  // 0 where `port_text`, which is what stands there, is none.
  int port = kStandardPort;
  std::string port_text;
  // Addresses and names; none: every address.
  std::vector<std::string> hosts;
  friend bool operator==(const Listening&, const Listening&) = default;
};

struct NfsState {
  // /etc/exports.d is there.
  bool directory = false;
  // Something besides our file is in it, whoever put it there.
  bool directory_in_use = false;
  // Our file is there.
  bool own_file = false;
  OwnExports own;
  // Why our file is not as we write it; then `own` is what could be read of it.
  std::string own_problem;
  // What /etc/exports and the other files of exports.d hold, in the order in which exportfs reads it.
  std::vector<ForeignExport> foreign;
  // The table that mountd serves from.
  std::vector<LiveExport> live;
  // The paths that were asked for.
  std::map<std::string, PathState> paths;
  // Addresses of the NFSv4 clients that the server knows now. Moves by itself: for people only.
  std::vector<std::string> connected;
  VersionThree v3;
  Listening listening;
  // Where nfs.conf has every exported path begin; empty for /.
  std::string root_directory;
  // Where nfs.conf has the server's table be; empty for kStateDirectory.
  std::string state_directory;
};

}  // namespace phoenix::nfs
