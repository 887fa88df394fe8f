// phoenix kept list|restore|discard: what undo kept because others had written to it. A human's word about
// their data, so it goes to the node's zfs service directly, with the caller's own credentials.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest/digest.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/node_services.h"
#include "clients/cli/render/render.h"
#include "phoenix/zfs/v1/zfs.grpc.pb.h"
#include "services/kit/rpc/status.h"

namespace phoenix::cli {
namespace {

namespace zfs = ::phoenix::zfs::v1;
using Stub = zfs::ZfsService::Stub;

// It may have to unmount, and asks the other services of the node.
constexpr std::chrono::seconds kLimit{300};

struct Flags {
  std::string node;
  std::string fleet;
  std::string name;
  std::string to;
  std::vector<std::string> allow;
};

// The zfs service of one node.
class Service {
 public:
  explicit Service(Reached reached)
      : peer_(std::move(reached.peer)), stub_(zfs::ZfsService::NewStub(reached.channel)) {}

  const std::string& node() const { return peer_.node; }

  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLimit);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    if (!status.ok()) return client::Explain(peer_, kit::FromGrpc(status));
    return response;
  }

  absl::StatusOr<std::vector<zfs::Kept>> List() const {
    std::vector<zfs::Kept> all;
    zfs::ListKeptRequest request;
    do {
      PHX_ASSIGN_OR_RETURN(const auto page, Call(&Stub::ListKept, request));
      all.insert(all.end(), page.kept().begin(), page.kept().end());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return all;
  }

 private:
  client::Peer peer_;
  std::unique_ptr<Stub> stub_;
};

absl::StatusOr<Service> ServiceOf(const Session& session, const Flags& flags) {
  if (flags.node.empty()) return Service(ReachHere(session, "zfs"));
  PHX_ASSIGN_OR_RETURN(const pb::Node node, FindNode(session, flags.node, flags.fleet));
  PHX_ASSIGN_OR_RETURN(Reached reached, Reach(session, node, "zfs"));
  return Service(std::move(reached));
}

absl::StatusOr<std::vector<Service>> ServicesOf(const Session& session, const Flags& flags) {
  std::vector<Service> services;
  if (flags.fleet.empty() || !flags.node.empty()) {
    PHX_ASSIGN_OR_RETURN(Service one, ServiceOf(session, flags));
    services.push_back(std::move(one));
    return services;
  }
  PHX_ASSIGN_OR_RETURN(const auto nodes, FindNodes(session, flags.fleet));
  for (const pb::Node& node : nodes) {
    PHX_ASSIGN_OR_RETURN(Reached reached, Reach(session, node, "zfs"));
    services.emplace_back(std::move(reached));
  }
  return services;
}

// As people type it and `list` shows it, or as a resource name.
std::string ResourceName(std::string name) {
  if (name.rfind("datasets/", 0) == 0) return name;
  std::replace(name.begin(), name.end(), '/', '~');
  return "datasets/" + name;
}

std::string KindText(const zfs::Kept& kept) {
  return kept.kind() == zfs::Kept::KIND_BEFORE ? "as before the run" : "set aside";
}

std::string SizeText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string TimeText(int64_t seconds) {
  using google::protobuf::util::TimeUtil;
  return seconds == 0 ? "-" : TimeUtil::ToString(TimeUtil::SecondsToTimestamp(seconds));
}

// A node that does not answer must not hide what the others keep.
int List(const Session& session, const Flags& flags) {
  const auto services = ServicesOf(session, flags);
  if (!services.ok()) return Fail(session, services.status());
  std::vector<std::vector<std::string>> rows = {{"NODE", "WAS", "KIND", "RUN", "USED", "CREATED", "KEPT AS"}};
  nlohmann::json nodes = nlohmann::json::array();
  std::string silent;
  for (const Service& service : *services) {
    const std::string node = service.node().empty() ? "this node" : service.node();
    nlohmann::json one = {{"node", service.node()}, {"kept", nlohmann::json::array()}, {"error", ""}};
    const auto all = service.List();
    if (!all.ok()) {
      one["error"] = Message(all.status());
      silent += fmt::format("phoenix: {}\n", Message(all.status()));
    }
    for (const zfs::Kept& kept : all.ok() ? *all : std::vector<zfs::Kept>()) {
      one["kept"].push_back(nlohmann::json::parse(ToJson(kept)));
      rows.push_back({node, kept.original_name(), KindText(kept), kept.run(), SizeText(kept.used_bytes()),
                      TimeText(kept.creation_seconds()), kept.native_name()});
    }
    nodes.push_back(std::move(one));
  }
  if (session.output == Output::kJson) {
    fmt::print("{}\n", nlohmann::json{{"nodes", nodes}}.dump(2));
  } else {
    if (rows.size() > 1) fmt::print("{}", RenderTable(rows));
    if (rows.size() == 1 && silent.empty()) fmt::print("Nothing is kept.\n");
    fmt::print(stderr, "{}", silent);
  }
  return silent.empty() ? kDone : kError;
}

int Restore(const Session& session, const Flags& flags) {
  const auto service = ServiceOf(session, flags);
  if (!service.ok()) return Fail(session, service.status());
  zfs::RestoreKeptRequest request;
  request.set_name(ResourceName(flags.name));
  if (!flags.to.empty()) request.set_to(ResourceName(flags.to));
  request.set_request_id(RandomUuid());
  const auto restored = service->Call(&Stub::RestoreKept, request);
  if (!restored.ok()) return Fail(session, restored.status());
  if (session.output == Output::kJson) {
    fmt::print("{}\n", ToJson(*restored));
  } else {
    const auto mountpoint = restored->properties().find("mountpoint");
    const bool mounted = restored->mounted() && mountpoint != restored->properties().end();
    fmt::print("{} is back{}\n", restored->native_name(),
               mounted ? ", mounted at " + mountpoint->second.value() : ", not mounted");
  }
  return kDone;
}

// What is shown is what goes: it is looked at first, and goes only with its GUID.
int Discard(const Session& session, const Flags& flags) {
  const auto service = ServiceOf(session, flags);
  if (!service.ok()) return Fail(session, service.status());
  zfs::DiscardKeptRequest request;
  request.set_name(ResourceName(flags.name));
  request.set_validate_only(true);
  const auto kept = service->Call(&Stub::DiscardKept, request);
  if (!kept.ok()) return Fail(session, kept.status());
  const std::string key = "discard:" + kept->native_name();
  for (const std::string& said : flags.allow) {
    if (said != key)
      return Fail(session, InvalidArgument("--allow {} allows nothing of this; nothing was changed", said));
  }
  if (flags.allow.empty()) {
    return Fail(session,
                WithReason(FailedPrecondition(
                               "{} ({} of {}, {}) would be destroyed for good; nothing was changed. If "
                               "nobody needs it, say so: {}",
                               kept->native_name(), KindText(*kept), kept->original_name(),
                               SizeText(kept->used_bytes()), AllowWord(key)),
                           {"NOT_ALLOWED", {{"key", key}}}));
  }
  request.set_validate_only(false);
  request.set_guid(kept->guid());
  request.set_request_id(RandomUuid());
  const auto gone = service->Call(&Stub::DiscardKept, request);
  if (!gone.ok()) return Fail(session, gone.status());
  fmt::print("{}\n", session.output == Output::kJson ? ToJson(*gone) : gone->native_name() + " is destroyed");
  return kDone;
}

CLI::Option* AddNodeOptions(CLI::App& command, Flags& flags) {
  auto* node = command.add_option("--node", flags.node, "The node's name; without it, this very node");
  command.add_option("--fleet", flags.fleet, "The fleet that the node is of");
  return node;
}

}  // namespace

void AddKept(CLI::App& app, Session& session, int& exit_code) {
  auto* kept = app.add_subcommand(
      "kept", "What undo kept because others had written to it: list it, give it back, or destroy it");
  kept->require_subcommand(1);

  auto list_flags = std::make_shared<Flags>();
  auto* list = kept->add_subcommand("list", "What is kept on this node, on --node, or on all of --fleet");
  AddNodeOptions(*list, *list_flags);
  list->callback([&session, &exit_code, list_flags] { exit_code = List(session, *list_flags); });

  auto restore_flags = std::make_shared<Flags>();
  auto* restore = kept->add_subcommand("restore", "Rename it back, with its settings, and mount it");
  restore->add_option("NAME", restore_flags->name, "As `phoenix kept list` shows it")->required();
  restore->add_option("--as", restore_flags->to, "The dataset that it becomes; without it, the name it had");
  AddNodeOptions(*restore, *restore_flags);
  restore->callback([&session, &exit_code, restore_flags] { exit_code = Restore(session, *restore_flags); });

  auto discard_flags = std::make_shared<Flags>();
  auto* discard = kept->add_subcommand("discard", "Destroy it for good, with all data in it");
  discard->add_option("NAME", discard_flags->name, "As `phoenix kept list` shows it")->required();
  discard->add_option("--allow", discard_flags->allow, "discard:NAME, without which nothing is done")
      ->option_text("KEY")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  AddNodeOptions(*discard, *discard_flags)->required();
  discard->callback([&session, &exit_code, discard_flags] { exit_code = Discard(session, *discard_flags); });
}

}  // namespace phoenix::cli
