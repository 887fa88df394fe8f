// Between protos and domain values; with the handlers the only place of this service that knows protobuf.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "phoenix/samba/v1/samba.pb.h"
#include "services/samba/domain/samba_spec.h"
#include "services/samba/domain/smb_conf.h"

namespace phoenix::samba {

// INVALID_ARGUMENT for another type, bytes that are no such message, or a presence that is unknown here.
absl::StatusOr<SambaSpec> ParseSpec(std::string_view type, std::string_view bytes);
absl::StatusOr<SambaSpec> ToSpec(const v1::SambaSpec& proto);
v1::SambaSpec ToProto(const SambaSpec& spec);

// A share as Samba reads it; `managed`: it stands in our file.
v1::Share ToProto(const Section& section, bool managed);
absl::StatusOr<ShareSpec> ToShareSpec(const v1::Share& share);

// "shares/NAME" and "users/NAME"; INVALID_ARGUMENT for anything else.
// Takes over from `from` what the mask names; without a mask every field that is set. A named field that is
// not set gets its default.
absl::Status MergeShare(const v1::Share& from, const google::protobuf::FieldMask& mask, v1::Share& into);

absl::StatusOr<std::string> ParseShareName(std::string_view name);
absl::StatusOr<std::string> ParseUserName(std::string_view name);

}  // namespace phoenix::samba
