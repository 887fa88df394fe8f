// Tells TSan of absl's locks. Debian's libabsl is built without it, so that TSan would see no order between
// two threads that share a mutex and report everything it guards. These definitions come before the library's
// own for the whole program, its libraries included, and call them.
#include <absl/base/options.h>
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>
#include <string>

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace {

#define PHX_TEXT_OF(name) #name
#define PHX_TEXT(name) PHX_TEXT_OF(name)

// The library's own function, by its mangled name without the namespaces.
template <class Function>
Function Library(const char* mangled) {
  const std::string space = PHX_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string symbol = "_ZN4absl" + std::to_string(space.size()) + space + mangled;
  void* found = ::dlsym(RTLD_NEXT, symbol.c_str());
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function>(found);
}

// While the library works it may evaluate the conditions of other threads, under locks that TSan does not
// see.
class Uninstrumented {
 public:
  Uninstrumented() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Uninstrumented() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  Uninstrumented(const Uninstrumented&) = delete;
  Uninstrumented& operator=(const Uninstrumented&) = delete;
};

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto library = Library<void (*)(Mutex*)>("5Mutex4LockEv");
  {
    Uninstrumented guard;
    library(this);
  }
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static const auto library = Library<void (*)(Mutex*)>("5Mutex6UnlockEv");
  __tsan_release(this);
  Uninstrumented guard;
  library(this);
}

bool Mutex::TryLock() {
  static const auto library = Library<bool (*)(Mutex*)>("5Mutex7TryLockEv");
  const bool locked = library(this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Await(const Condition& condition) {
  static const auto library = Library<void (*)(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  {
    Uninstrumented guard;
    library(this, condition);
  }
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto library = Library<bool (*)(Mutex*, const Condition&, Duration)>(
      "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  bool met = false;
  {
    Uninstrumented guard;
    met = library(this, condition, timeout);
  }
  __tsan_acquire(this);
  return met;
}

void CondVar::Wait(Mutex* mutex) {
  static const auto library = Library<void (*)(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  {
    Uninstrumented guard;
    library(this, mutex);
  }
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto library =
      Library<bool (*)(CondVar*, Mutex*, Duration)>("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  bool expired = false;
  {
    Uninstrumented guard;
    expired = library(this, mutex, timeout);
  }
  __tsan_acquire(mutex);
  return expired;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto library =
      Library<bool (*)(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  bool expired = false;
  {
    Uninstrumented guard;
    expired = library(this, mutex, deadline);
  }
  __tsan_acquire(mutex);
  return expired;
}

ABSL_NAMESPACE_END
}  // namespace absl
