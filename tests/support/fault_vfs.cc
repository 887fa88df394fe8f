#include "tests/support/fault_vfs.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace phoenix::testing {
namespace {

struct FaultFile {
  sqlite3_file base;
  FaultVfs* disk;
  std::string* path;
  sqlite3_file* real;
};

FaultFile* Of(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file); }
FaultVfs* DiskOf(sqlite3_vfs* vfs) { return static_cast<FaultVfs*>(vfs->pAppData); }
sqlite3_vfs* Real() { return sqlite3_vfs_find("unix"); }

int64_t SizeOf(sqlite3_file* real) {
  sqlite3_int64 size = 0;
  real->pMethods->xFileSize(real, &size);
  return size;
}

int Close(sqlite3_file* file) {
  FaultFile* self = Of(file);
  const int code = self->real->pMethods->xClose(self->real);
  delete self->path;
  delete[] reinterpret_cast<char*>(self->real);
  return code;
}

int Read(sqlite3_file* file, void* to, int count, sqlite3_int64 offset) {
  if (Of(file)->disk->cut()) return SQLITE_IOERR_READ;
  return Of(file)->real->pMethods->xRead(Of(file)->real, to, count, offset);
}

int WriteBytes(sqlite3_file* file, const void* from, int count, sqlite3_int64 offset) {
  FaultFile* self = Of(file);
  bool torn = false;
  const int code = self->disk->OnOperation(/*is_sync=*/false, &torn);
  const int error = errno;
  if (code != SQLITE_OK && !torn) return code;
  const int part = torn ? count / 2 : count;
  FaultVfs::Write write{offset, {}, std::string(static_cast<const char*>(from), static_cast<size_t>(part))};
  const int64_t size = SizeOf(self->real);
  if (offset < size) {
    write.before.resize(static_cast<size_t>(std::min<int64_t>(part, size - offset)));
    self->real->pMethods->xRead(self->real, write.before.data(), static_cast<int>(write.before.size()),
                                offset);
  }
  self->disk->Remember(*self->path, size, std::move(write));
  const int real_code = part == 0 ? SQLITE_OK : self->real->pMethods->xWrite(self->real, from, part, offset);
  if (code == SQLITE_OK) return real_code;
  errno = error;
  return code;
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (Of(file)->disk->cut()) return SQLITE_IOERR_TRUNCATE;
  const int code = Of(file)->real->pMethods->xTruncate(Of(file)->real, size);
  Of(file)->disk->OnTruncated(*Of(file)->path);
  return code;
}

// The real fsync is left out: the disk of these tests is this class.
int Sync(sqlite3_file* file, int) {
  FaultFile* self = Of(file);
  bool torn = false;
  const int code = self->disk->OnOperation(/*is_sync=*/true, &torn);
  if (code == SQLITE_OK) self->disk->OnSynced(*self->path, SizeOf(self->real));
  return code;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  if (Of(file)->disk->cut()) return SQLITE_IOERR_FSTAT;
  return Of(file)->real->pMethods->xFileSize(Of(file)->real, size);
}
int Lock(sqlite3_file* file, int level) { return Of(file)->real->pMethods->xLock(Of(file)->real, level); }
int Unlock(sqlite3_file* file, int level) { return Of(file)->real->pMethods->xUnlock(Of(file)->real, level); }
int CheckLock(sqlite3_file* file, int* out) {
  return Of(file)->real->pMethods->xCheckReservedLock(Of(file)->real, out);
}
int Control(sqlite3_file* file, int operation, void* argument) {
  return Of(file)->real->pMethods->xFileControl(Of(file)->real, operation, argument);
}
int SectorSize(sqlite3_file* file) { return Of(file)->real->pMethods->xSectorSize(Of(file)->real); }
int Traits(sqlite3_file* file) { return Of(file)->real->pMethods->xDeviceCharacteristics(Of(file)->real); }
int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** to) {
  return Of(file)->real->pMethods->xShmMap(Of(file)->real, page, size, extend, to);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Of(file)->real->pMethods->xShmLock(Of(file)->real, offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Of(file)->real->pMethods->xShmBarrier(Of(file)->real); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Of(file)->real->pMethods->xShmUnmap(Of(file)->real, remove);
}

constexpr sqlite3_io_methods kMethods = {
    2,       Close,      Read,   WriteBytes, Truncate, Sync,       FileSize, Lock,    Unlock, CheckLock,
    Control, SectorSize, Traits, ShmMap,     ShmLock,  ShmBarrier, ShmUnmap, nullptr, nullptr};

int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  FaultFile* self = Of(file);
  self->base.pMethods = nullptr;
  if (DiskOf(vfs)->cut()) return SQLITE_CANTOPEN;
  self->disk = DiskOf(vfs);
  self->real = reinterpret_cast<sqlite3_file*>(new char[static_cast<size_t>(Real()->szOsFile)]());
  const int code = Real()->xOpen(Real(), path, self->real, flags, out_flags);
  if (code != SQLITE_OK) {
    delete[] reinterpret_cast<char*>(self->real);
    return code;
  }
  self->path = new std::string(path == nullptr ? "" : path);
  self->base.pMethods = &kMethods;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* vfs, const char* path, int sync) {
  if (DiskOf(vfs)->cut()) return SQLITE_IOERR_DELETE;
  const int code = Real()->xDelete(Real(), path, sync);
  if (code == SQLITE_OK) DiskOf(vfs)->OnDeleted(path);
  return code;
}

void WriteAt(std::fstream& file, int64_t offset, const std::string& bytes) {
  file.seekp(offset);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

FaultVfs::FaultVfs() : name_("fault-" + std::to_string(reinterpret_cast<uintptr_t>(this))) {
  sqlite3_initialize();
  vfs_storage_.assign(reinterpret_cast<const char*>(Real()), sizeof(sqlite3_vfs));
  auto* vfs = reinterpret_cast<sqlite3_vfs*>(vfs_storage_.data());
  vfs->szOsFile = sizeof(FaultFile);
  vfs->pNext = nullptr;
  vfs->zName = name_.c_str();
  vfs->pAppData = this;
  vfs->xOpen = Open;
  vfs->xDelete = Delete;
  sqlite3_vfs_register(vfs, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(reinterpret_cast<sqlite3_vfs*>(vfs_storage_.data())); }

void FaultVfs::Plan(DiskFault fault, int64_t at, int64_t times) {
  std::lock_guard<std::mutex> lock(mutex_);
  fault_ = fault;
  at_ = at;
  seen_ = 0;
  times_ = times;
  fired_ = false;
}

void FaultVfs::Heal() {
  std::lock_guard<std::mutex> lock(mutex_);
  fault_ = DiskFault::kNone;
}

bool FaultVfs::fired() {
  std::lock_guard<std::mutex> lock(mutex_);
  return fired_;
}

bool FaultVfs::cut() {
  std::lock_guard<std::mutex> lock(mutex_);
  return cut_;
}

bool FaultVfs::Concerns(bool is_sync) const {
  switch (fault_) {
    case DiskFault::kNone:
      return false;
    case DiskFault::kFull:
    case DiskFault::kQuota:
    case DiskFault::kWriteError:
      return !is_sync;
    case DiskFault::kSyncError:
      return is_sync;
    case DiskFault::kPowerCut:
      return true;
  }
  return false;
}

int FaultVfs::OnOperation(bool is_sync, bool* torn) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (cut_) return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  if (!Concerns(is_sync)) return SQLITE_OK;
  ++seen_;
  if (seen_ < at_ || seen_ >= at_ + times_) return SQLITE_OK;
  fired_ = true;
  switch (fault_) {
    case DiskFault::kFull:
      errno = ENOSPC;
      *torn = true;
      return SQLITE_FULL;
    case DiskFault::kQuota:
      errno = EDQUOT;
      *torn = true;
      return SQLITE_IOERR_WRITE;
    case DiskFault::kPowerCut:
      cut_ = true;
      errno = EIO;
      *torn = !is_sync;
      return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
    default:
      errno = EIO;
      *torn = !is_sync;
      return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  }
}

void FaultVfs::Remember(const std::string& path, int64_t size, Write write) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto [log, first] = files_.try_emplace(path);
  // What was there before this VFS counts as synced.
  if (first) log->second.synced_size = size;
  log->second.unsynced.push_back(std::move(write));
}

void FaultVfs::OnSynced(const std::string& path, int64_t size) {
  std::lock_guard<std::mutex> lock(mutex_);
  files_[path] = {size, {}};
}

// SQLite truncates what it no longer needs; that this is durable at once is the harder case.
void FaultVfs::OnTruncated(const std::string& path) { OnDeleted(path); }

void FaultVfs::OnDeleted(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  files_.erase(path);
}

void FaultVfs::Restart(Unsynced unsynced, uint32_t seed) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::minstd_rand random(seed + 1);
  for (auto& [path, log] : files_) {
    if (unsynced == Unsynced::kKept || log.unsynced.empty() || !std::filesystem::exists(path)) continue;
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      for (auto write = log.unsynced.rbegin(); write != log.unsynced.rend(); ++write) {
        WriteAt(file, write->offset, write->before);
      }
    }
    std::filesystem::resize_file(path, static_cast<uintmax_t>(log.synced_size));
    if (unsynced == Unsynced::kLost) continue;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (const Write& write : log.unsynced) {
      if ((random() >> 8) % 2 == 0) WriteAt(file, write.offset, write.after);
    }
  }
  files_.clear();
  cut_ = false;
}

}  // namespace phoenix::testing
