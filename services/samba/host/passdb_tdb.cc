#include "services/samba/host/passdb_tdb.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/status/errors.h"
#include "base/status/status_macros.h"

namespace phoenix::samba {
namespace {

// From libtdb's stable interface (tdb.h).
struct TdbBytes {
  unsigned char* data;
  size_t size;
};
struct TdbContext;
constexpr int kReplace = 1;

struct Library {
  TdbContext* (*open)(const char* name, int hash_size, int tdb_flags, int open_flags, mode_t mode);
  int (*close)(TdbContext* database);
  TdbBytes (*fetch)(TdbContext* database, TdbBytes key);
  int (*store)(TdbContext* database, TdbBytes key, TdbBytes value, int flag);
  TdbBytes (*first_key)(TdbContext* database);
  TdbBytes (*next_key)(TdbContext* database, TdbBytes key);
  int (*begin)(TdbContext* database);
  int (*commit)(TdbContext* database);
  int (*cancel)(TdbContext* database);
};

template <class Function>
bool Bind(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  return function != nullptr;
}

// nullptr where Samba's library is not there. Never unloaded.
const Library* Load() {
  static const Library* library = []() -> const Library* {
    void* handle = ::dlopen("libtdb.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    auto loaded = std::make_unique<Library>();
    const bool bound = Bind(handle, "tdb_open", loaded->open) && Bind(handle, "tdb_close", loaded->close) &&
                       Bind(handle, "tdb_fetch", loaded->fetch) && Bind(handle, "tdb_store", loaded->store) &&
                       Bind(handle, "tdb_firstkey", loaded->first_key) &&
                       Bind(handle, "tdb_nextkey", loaded->next_key) &&
                       Bind(handle, "tdb_transaction_start", loaded->begin) &&
                       Bind(handle, "tdb_transaction_commit", loaded->commit) &&
                       Bind(handle, "tdb_transaction_cancel", loaded->cancel);
    return bound ? loaded.release() : nullptr;
  }();
  return library;
}

// The library refuses a second opening by the same process.
std::mutex& OneAtATime() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

TdbBytes Bytes(const std::string& text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), text.size()};
}

// Takes what the library allocated.
std::optional<std::string> Take(TdbBytes bytes) {
  if (bytes.data == nullptr) return std::nullopt;
  std::string text(reinterpret_cast<char*>(bytes.data), bytes.size);
  std::memset(bytes.data, 0, bytes.size);
  std::free(bytes.data);
  return text;
}

class Open {
 public:
  static absl::StatusOr<std::unique_ptr<Open>> File(const std::string& path, int flags) {
    const Library* library = Load();
    if (library == nullptr)
      return FailedPrecondition("libtdb.so.1, which comes with Samba, cannot be loaded");
    TdbContext* context = library->open(path.c_str(), 0, 0, flags | O_CLOEXEC, 0600);
    if (context == nullptr) return ErrnoStatus(errno, path);
    return std::unique_ptr<Open>(new Open(*library, context));
  }
  ~Open() { library_.close(context_); }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;

  std::optional<std::string> Fetch(const std::string& key) {
    return Take(library_.fetch(context_, Bytes(key)));
  }

  // The key of the record that names `name` as the owner of a RID.
  std::optional<std::string> FindRidKey(const std::string& name) {
    const std::string value = name + '\0';
    std::optional<std::string> key = Take(library_.first_key(context_));
    while (key) {
      if (key->starts_with("RID_") && Fetch(*key) == value) return key;
      key = Take(library_.next_key(context_, Bytes(*key)));
    }
    return std::nullopt;
  }

  absl::Status Store(const std::string& user_key, const std::string& user, const std::string& rid_key,
                     const std::string& owner) {
    if (library_.begin(context_) != 0) return Unavailable("passdb is locked");
    const bool stored = library_.store(context_, Bytes(user_key), Bytes(user), kReplace) == 0 &&
                        library_.store(context_, Bytes(rid_key), Bytes(owner), kReplace) == 0;
    if (!stored) {
      library_.cancel(context_);
      return Internal("passdb does not take the entry");
    }
    return library_.commit(context_) == 0 ? absl::OkStatus() : Internal("passdb does not keep the entry");
  }

 private:
  Open(const Library& library, TdbContext* context) : library_(library), context_(context) {}
  const Library& library_;
  TdbContext* const context_;
};

// Keys are C strings with their terminator.
std::string UserKey(const std::string& name) { return "USER_" + name + '\0'; }

constexpr std::string_view kMagic = "phoenix passdb entry 1\n";

}  // namespace

absl::StatusOr<Secret> ReadRecords(const std::string& database, const std::string& name) {
  const std::lock_guard<std::mutex> lock(OneAtATime());
  PHX_ASSIGN_OR_RETURN(const auto open, Open::File(database, O_RDWR));
  const auto user = open->Fetch(UserKey(name));
  if (!user) return NotFound("{} has no entry in {}", name, database);
  const auto rid = open->FindRidKey(name);
  if (!rid) return DataLoss("{} names no RID of {}", database, name);
  // The RID's key is text but for its terminator.
  return Secret(std::string(kMagic) + rid->substr(0, rid->size() - 1) + "\n" + *user);
}

absl::Status WriteRecords(const std::string& database, const std::string& name, const Secret& records) {
  std::string_view text = records.Reveal();
  const auto broken = [&] { return DataLoss("this is no exported entry of {}", name); };
  if (!text.starts_with(kMagic)) return broken();
  text.remove_prefix(kMagic.size());
  const auto newline = text.find('\n');
  if (newline == std::string_view::npos || !text.starts_with("RID_")) return broken();
  const std::string rid_key = std::string(text.substr(0, newline)) + '\0';
  const std::string user(text.substr(newline + 1));

  const std::lock_guard<std::mutex> lock(OneAtATime());
  PHX_ASSIGN_OR_RETURN(const auto open, Open::File(database, O_RDWR));
  const std::string owner = name + '\0';
  const auto there = open->Fetch(rid_key);
  if (there && *there != owner) {
    return FailedPrecondition("the RID of {} belongs to another account meanwhile; its entry is not put back",
                              name);
  }
  return open->Store(UserKey(name), user, rid_key, owner);
}

}  // namespace phoenix::samba
