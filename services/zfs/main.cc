// phoenix-zfsd: the only place that constructs this service's real things.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "base/status/status_macros.h"
#include "base/time/clock.h"
#include "services/kit/rpc/daemon.h"
#include "services/zfs/api/zfs_convert.h"
#include "services/zfs/api/zfs_service.h"
#include "services/zfs/host/zfs_cli.h"
#include "services/zfs/host/zfs_inode.h"
#include "services/zfs/host/zfs_sim.h"
#include "services/zfs/worker/zfs_domain.h"

namespace {

constexpr int64_t kDaySeconds = 86400;

}  // namespace

int main(int argc, char** argv) {
  using namespace phoenix;
  const SystemClock clock;
  std::unique_ptr<zfs::ZfsHost> host;
  zfs::Retention retention;
  int64_t keep_days = retention.seconds / kDaySeconds, reap_seconds = 600;
  return kit::RunDaemon(
      argc, argv,
      {.participant = "zfs",
       .program = "phoenix-zfsd",
       .description = "ZFS pools, datasets and snapshots of this node, for people and for runs",
       .make_domain = [&](const kit::Surroundings& on) -> absl::StatusOr<std::shared_ptr<kit::Domain>> {
         if (on.machine) {
           PHX_RETURN_IF_ERROR(zfs::SeedDisks(*on.machine));
           host = std::make_unique<zfs::ZfsSim>(on.machine, clock);
         } else {
           PHX_RETURN_IF_ERROR(zfs::CheckMountNamespace());
           host = std::make_unique<zfs::ZfsCli>(*on.runner, *on.files);
         }
         retention.seconds = keep_days * kDaySeconds;
         auto domain = std::make_shared<zfs::ZfsDomain>(*host, clock, zfs::ParseSpec,
                                                        on.machine ? "" : on.state_directory, retention);
         domain->StartReaping(std::chrono::seconds(reap_seconds));
         return domain;
       },
       .add_flags =
           [&](CLI::App& app) {
             app.add_option("--keep-runs", retention.runs, "Snapshots of so many committed runs are kept")
                 ->check(CLI::NonNegativeNumber)
                 ->capture_default_str();
             app.add_option("--keep-days", keep_days,
                            "Snapshots and trash of committed runs go after so many days")
                 ->check(CLI::Range(0, 36500))
                 ->capture_default_str();
             app.add_option("--keep-quota-percent", retention.quota_percent,
                            "Snapshots of committed runs may hold so much of a dataset's quota")
                 ->check(CLI::Range(0, 100))
                 ->capture_default_str();
             app.add_option("--keep-pool-percent", retention.pool_percent,
                            "Snapshots and trash of committed runs go, oldest first, where a pool is fuller")
                 ->check(CLI::Range(0, 100))
                 ->capture_default_str();
             app.add_option("--reap-seconds", reap_seconds, "How often is looked, besides after every run")
                 ->check(CLI::Range(1, 86400))
                 ->capture_default_str();
           },
       .typed_service = zfs::v1::ZfsService::service_full_name(),
       .make_service = [&](kit::TypedGround ground) -> std::shared_ptr<grpc::Service> {
         return std::make_shared<zfs::ZfsService>(*host, ground);
       }});
}
