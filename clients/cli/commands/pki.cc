// phoenix pki init|issue.
#include "clients/cli/pki.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/host/posix_files.h"
#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "services/kit/rpc/conventions.h"

namespace phoenix::cli {
namespace {

struct Flags {
  std::string directory = kit::kPkiDirectory;
  std::string ca_name = "Phoenix CA";
  std::vector<std::string> names;
  std::string file;
  bool client = false;
  int days = 30;
  int ca_days = 3650;
};

// Writes BASE.key and BASE.crt, or neither: half a pair would look like a whole one.
absl::Status WriteNew(const std::string& base, const KeyAndCertificate& pair) {
  const std::string key = base + ".key", certificate = base + ".crt";
  PosixFiles files;
  for (const std::string& path : {key, certificate}) {
    PHX_ASSIGN_OR_RETURN(const auto existing, files.Read(path));
    if (existing) return AlreadyExists("{} is there already; move it away first", path);
  }
  PHX_RETURN_IF_ERROR(files.Replace(key, {pair.key, ::geteuid(), ::getegid(), 0600}));
  PHX_RETURN_IF_ERROR(files.Replace(certificate, {pair.certificate, ::geteuid(), ::getegid(), 0644}));
  fmt::print("{}\n{}\n", key, certificate);
  return absl::OkStatus();
}

absl::Status Init(const Flags& flags) {
  const std::string directory = std::filesystem::absolute(flags.directory);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Internal("cannot make {}: {}", directory, error.message());
  PHX_ASSIGN_OR_RETURN(const KeyAndCertificate ca, MakeCa(flags.ca_name, flags.ca_days));
  return WriteNew(directory + "/ca", ca);
}

absl::Status IssueOne(const Flags& flags) {
  const std::string directory = std::filesystem::absolute(flags.directory);
  PosixFiles files;
  PHX_ASSIGN_OR_RETURN(const auto key, files.Read(directory + "/ca.key"));
  PHX_ASSIGN_OR_RETURN(const auto certificate, files.Read(directory + "/ca.crt"));
  if (!key || !certificate) return NotFound("there is no CA in {}: `phoenix pki init` makes one", directory);
  PHX_ASSIGN_OR_RETURN(const KeyAndCertificate issued,
                       Issue({key->content, certificate->content}, flags.names,
                             flags.client ? CertificateUse::kClient : CertificateUse::kNode, flags.days));
  return WriteNew(directory + "/" + (flags.file.empty() ? flags.names[0] : flags.file), issued);
}

}  // namespace

void AddPki(CLI::App& app, Session& session, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  auto* pki = app.add_subcommand("pki", "Certificates for TCP between machines");
  pki->require_subcommand(1);
  pki->add_option("--dir", flags->directory, "Folder of the CA and of what it issues")->capture_default_str();
  auto* init = pki->add_subcommand("init", "Make a CA: ca.key (keep it off the nodes) and ca.crt");
  init->add_option("--name", flags->ca_name, "The CA's name")->capture_default_str();
  init->add_option("--days", flags->ca_days, "Validity")->check(CLI::PositiveNumber)->capture_default_str();
  init->callback([&session, &exit_code, flags] {
    const absl::Status status = Init(*flags);
    if (!status.ok()) exit_code = Fail(session, status);
  });
  auto* issue =
      pki->add_subcommand("issue", "Issue a key and certificate: for a node (serves only), or --client");
  issue
      ->add_option("NAME", flags->names,
                   "The node's name in the fleet file, then further DNS names and addresses")
      ->required();
  issue->add_flag("--client", flags->client, "For an orchestrator or a person instead (calls only)");
  issue->add_option("--file", flags->file, "File name without ending; the first NAME otherwise");
  issue->add_option("--days", flags->days, "Validity")->check(CLI::PositiveNumber)->capture_default_str();
  issue->callback([&session, &exit_code, flags] {
    const absl::Status status = IssueOne(*flags);
    if (!status.ok()) exit_code = Fail(session, status);
  });
}

}  // namespace phoenix::cli
