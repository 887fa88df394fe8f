#include "services/kit/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/server_credentials.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "base/status/errors.h"
#include "base/status/status_macros.h"
#include "grpc/health/v1/health.pb.h"

namespace phoenix::kit {
namespace {

constexpr int kMebibyte = 1024 * 1024;

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) {
    return NotFound("cannot read {}; `phoenix pki init` and `phoenix pki issue` make the certificates", path);
  }
  return text.str();
}

// gRPC's reflection library registers itself with every server of a program that links it, and a server has
// all its services on all its listeners. Only the TCP credentials can tell the roads apart: what they refuse
// is still there on the unix socket, whose connections never meet them.
class NoReflection final : public grpc::AuthMetadataProcessor {
 public:
  // It looks at one string: no thread of its own.
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata*,
                       OutputMetadata*) override {
    const auto path = metadata.find(":path");
    if (path != metadata.end() && !path->second.starts_with("/grpc.reflection.")) return grpc::Status::OK;
    return {grpc::StatusCode::UNIMPLEMENTED,
            "no reflection on TCP: start the daemon with --reflection, or give the caller the .proto files"};
  }
};

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(4 * kMebibyte);
  builder.SetMaxSendMessageSize(16 * kMebibyte);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 128);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 * 1024);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // An Apply may wait for an hour without a byte: both sides ping, and the server must tolerate it.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  grpc::ResourceQuota quota("phoenix");
  quota.Resize(256 * static_cast<size_t>(kMebibyte));
  builder.SetResourceQuota(quota);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunningServer>> RunningServer::Start(
    const ServerSettings& settings, std::unique_ptr<UnixListener> listener,
    const std::vector<ServedService>& services) {
  std::unique_ptr<RunningServer> running(new RunningServer());
  running->listener_ = std::move(listener);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  // gRPC's health service speaks bytes of its own making, so that nothing else brings its descriptor into the
  // program, and reflection would name a service that it cannot describe.
  google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckRequest>();
  grpc::ServerBuilder builder;
  SetLimits(builder);
  int port = -1;
  if (!settings.listen.empty()) {
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    PHX_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(settings.tls.ca));
    grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
    PHX_ASSIGN_OR_RETURN(pair.private_key, ReadPem(settings.tls.key));
    PHX_ASSIGN_OR_RETURN(pair.cert_chain, ReadPem(settings.tls.certificate));
    options.pem_key_cert_pairs.push_back(pair);
    const auto credentials = grpc::SslServerCredentials(options);
    if (!settings.reflection) credentials->SetAuthMetadataProcessor(std::make_shared<NoReflection>());
    builder.AddListeningPort(settings.listen, credentials, &port);
  }
  for (const ServedService& served : services) builder.RegisterService(served.service);
  running->server_ = builder.BuildAndStart();
  if (running->server_ == nullptr || port == 0) {
    return Unavailable("cannot listen on {}: is the port taken?", settings.listen);
  }
  grpc::HealthCheckServiceInterface* health = running->server_->GetHealthCheckService();
  health->SetServingStatus(true);
  for (const ServedService& served : services) health->SetServingStatus(served.name, true);
  if (running->listener_) running->listener_->Start(running->server_.get());
  return running;
}

RunningServer::~RunningServer() {
  if (listener_) listener_->Stop();
  if (server_) {
    server_->GetHealthCheckService()->SetServingStatus(false);
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(10));
    server_->Wait();
  }
}

void BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void AwaitStopSignal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int signal = 0;
  sigwait(&signals, &signal);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files) {
  grpc::SslCredentialsOptions options;
  PHX_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(files.ca));
  PHX_ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(files.key));
  PHX_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(files.certificate));
  return grpc::SslCredentials(options);
}

}  // namespace phoenix::kit
