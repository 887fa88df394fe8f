#include "base/secret.h"

#include <string.h>

namespace phoenix {

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    Wipe(value_);
    value_ = other.value_;
  }
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    Wipe(value_);
    value_ = std::move(other.value_);
    Wipe(other.value_);
  }
  return *this;
}

void Secret::Wipe(std::string& text) noexcept {
  // A short string keeps its characters after it was moved from or shortened: all of its room is wiped, not
  // its size. explicit_bzero, because the compiler may drop a plain loop before a free.
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace phoenix
