#include "base/secret.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace phoenix {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
template <class T>
concept Comparable = requires(const T& value) { value == value; };

TEST(Secret, CannotBePrintedComparedOrConverted) {
  EXPECT_FALSE(Streamable<Secret>);
  EXPECT_FALSE(Comparable<Secret>);
  EXPECT_FALSE(fmt::is_formattable<Secret>::value);
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string>));
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string_view>));
  EXPECT_FALSE((std::is_convertible_v<std::string, Secret>));
  EXPECT_EQ(Secret("hunter2").Reveal(), "hunter2");
}

TEST(Secret, CopiesAreIndependentAndMovesLeaveNothing) {
  Secret first("hunter2");
  Secret second = first;
  second = Secret("other");
  EXPECT_EQ(first.Reveal(), "hunter2");
  EXPECT_EQ(second.Reveal(), "other");
  Secret third = std::move(first);
  EXPECT_EQ(third.Reveal(), "hunter2");
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that it is empty is what is tested
  second = std::move(third);
  EXPECT_EQ(second.Reveal(), "hunter2");
  EXPECT_TRUE(third.empty());  // NOLINT(bugprone-use-after-move): likewise
  Secret& itself = second;
  second = itself;
  EXPECT_EQ(second.Reveal(), "hunter2");
}

// A place for one object whose bytes can be read after the object is gone.
class Remains {
 public:
  template <class... Args>
  Secret& Make(Args&&... args) {
    return *new (bytes_) Secret(std::forward<Args>(args)...);
  }
  std::string Bytes() const { return {reinterpret_cast<const char*>(bytes_), sizeof bytes_}; }

 private:
  alignas(Secret) std::byte bytes_[sizeof(Secret)] = {};
};

TEST(Secret, LeavesNoByteBehindWhereItStood) {
  Remains gone;
  Secret& secret = gone.Make("hunter2");
  ASSERT_THAT(gone.Bytes(), HasSubstr("hunter2")) << "short strings lie in the object itself";
  secret.~Secret();
  EXPECT_THAT(gone.Bytes(), Not(HasSubstr("unter")));
}

TEST(Secret, LeavesNoByteBehindWhereItWasMovedFrom) {
  Remains from, assigned_from;
  Secret moved(std::move(from.Make("hunter2")));
  EXPECT_THAT(from.Bytes(), Not(HasSubstr("unter")));
  moved = std::move(assigned_from.Make("another"));
  EXPECT_THAT(assigned_from.Bytes(), Not(HasSubstr("nother")));
  EXPECT_EQ(moved.Reveal(), "another");
}

TEST(Secret, LeavesNothingOfALongValueThatAShorterOneReplaces) {
  Secret secret(std::string(40, 's') + "tail");
  const char* room = secret.Reveal().data();
  const Secret shorter("x");
  secret = shorter;
  ASSERT_EQ(secret.Reveal().data(), room) << "the same memory is used again";
  EXPECT_THAT(std::string(room, 44), Not(HasSubstr("tail")));
}

}  // namespace
}  // namespace phoenix
