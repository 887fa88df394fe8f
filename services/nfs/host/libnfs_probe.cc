#include "services/nfs/host/libnfs_probe.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <nfsc/libnfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/status/errors.h"
#include "services/nfs/domain/nfs_state.h"

namespace phoenix::nfs {
namespace {

constexpr int kTimeoutMilliseconds = 15000;

absl::StatusOr<MountFinding> MountAs(int version, const std::string& server, int port,
                                     const std::string& path) {
  const std::unique_ptr<nfs_context, decltype(&nfs_destroy_context)> nfs(nfs_init_context(),
                                                                         &nfs_destroy_context);
  if (!nfs) return ResourceExhausted("libnfs has no memory");
  if (nfs_set_version(nfs.get(), version) != 0) return Unimplemented("libnfs speaks no NFSv{}", version);
  nfs_set_timeout(nfs.get(), kTimeoutMilliseconds);
  // One attempt: who tries again for ever would hang the run.
  nfs_set_autoreconnect(nfs.get(), 0);
  // As root, so that the server's squashing is met. libnfs takes a source port below 1024 when it may.
  nfs_set_uid(nfs.get(), 0);
  nfs_set_gid(nfs.get(), 0);
  if (port != kStandardPort) {
    // libnfs takes another port as an argument of a URL only, and keeps it for the mount; NFSv3 then asks no
    // portmapper for it.
    const std::string url = fmt::format("nfs://?nfsport={}", port);
    const std::unique_ptr<nfs_url, decltype(&nfs_destroy_url)> parsed(
        nfs_parse_url_incomplete(nfs.get(), url.c_str()), &nfs_destroy_url);
    if (!parsed) return Unavailable("libnfs takes no port {}: {}", port, nfs_get_error(nfs.get()));
  }
  if (const int error = nfs_mount(nfs.get(), server.c_str(), path.c_str()); error != 0) {
    return Unavailable("NFSv{} mount of {}:{} failed: {}", version, server, path, nfs_get_error(nfs.get()));
  }
  MountFinding finding;
  finding.version = std::to_string(version);
  nfs_stat_64 status{};
  if (const int error = nfs_stat64(nfs.get(), "/", &status); error != 0) {
    return Unavailable("NFSv{} getattr of {}:{} failed: {}", version, server, path, nfs_get_error(nfs.get()));
  }
  // ACCESS: the server answers what this client may do, and nothing is written.
  const int access = nfs_access(nfs.get(), "/", W_OK);
  if (access != 0 && access != -EACCES && access != -EROFS && access != -EPERM) {
    return Unavailable("NFSv{} access of {}:{} failed: {}", version, server, path, nfs_get_error(nfs.get()));
  }
  finding.writable = access == 0;
  // NFSv3 keeps a list of who has mounted what; NFSv4 has none.
  nfs_umount(nfs.get());
  return finding;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> LibnfsProbe::OwnAddresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return ErrnoStatus(errno, "list the node's addresses");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, &::freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (one->ifa_addr->sa_family == AF_INET) {
      sockaddr_in address{};
      std::memcpy(&address, one->ifa_addr, sizeof address);
      ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 address{};
      std::memcpy(&address, one->ifa_addr, sizeof address);
      // A link-local address is none without its interface.
      if (IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    } else {
      continue;
    }
    addresses.emplace_back(text);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

absl::StatusOr<MountFinding> LibnfsProbe::Mount(const std::string& server, int port,
                                                const std::string& path) {
  // Version 4 first: it needs the one port that is opened to clients. A server that is set to 3 only answers
  // the other.
  auto finding = MountAs(4, server, port, path);
  if (finding.ok()) return finding;
  auto older = MountAs(3, server, port, path);
  if (older.ok()) return older;
  return Annotate(finding.status(), "and " + Message(older.status()));
}

}  // namespace phoenix::nfs
