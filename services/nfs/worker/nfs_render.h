// The planner's steps as the kit's: ids, keys, words for people. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "services/kit/plan/step.h"
#include "services/nfs/domain/nfs_planner.h"
#include "services/nfs/domain/nfs_state.h"
#include "services/node/domain/firewall_rule.h"

namespace phoenix::nfs {

inline constexpr char kServerPackage[] = "nfs-kernel-server";
// Starting it brings what it needs: rpcbind, mountd, idmapd; and statd, whether or not that comes up.
inline constexpr char kServerUnit[] = "nfs-server.service";
// What NFSv3 needs besides: without the first no client finds a port, without the second none gets a lock.
inline constexpr char kPortmapperUnit[] = "rpcbind.socket";
inline constexpr char kLockUnit[] = "rpc-statd.service";
// Id and key of the step that puts our file live as it is.
inline constexpr char kPutLive[] = "exports:live";

kit::Step RenderMakeFile(bool make_directory);
kit::Step RenderPutLive(const NfsPlan& plan, const NfsState& state, const std::set<std::string>& there);
// `there`: keys that the node has now, for the requirements.
// `after_live`: the plan puts the file live first.
kit::Step RenderSetExport(const SetExport& set, const std::set<std::string>& there, bool after_live);

// The ports that a client needs: the server's own, which is all that NFSv4 needs; those of NFSv3 as well
// where it is served and mountd is pinned to a port (nfs.conf), since otherwise it takes another one at every
// start, and opening the portmapper alone would serve nobody. Of statd and lockd those that are pinned.
// Loopback needs none.
std::vector<node::FirewallRule> RulesFor(const std::vector<std::string>& clients, const VersionThree& v3,
                                         int server_port = kStandardPort);

// SHA-256 over what a plan was made from.
std::string Fingerprint(const NfsState& state, const std::string& node_text);

}  // namespace phoenix::nfs
