# Warnings are errors for our own code; clang also proves the lock annotations. Sanitizers apply to everything we compile.
add_library(phoenix_warnings INTERFACE)
target_compile_options(phoenix_warnings INTERFACE -Wall -Wextra -Werror)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(phoenix_warnings INTERFACE -Wthread-safety)
else()
  # g++ 12 reports these falsely inside std::string, std::variant and std::optional when it optimises.
  target_compile_options(phoenix_warnings INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
                         -Wno-missing-field-initializers -Wno-array-bounds -Wno-stringop-overread)
endif()
target_compile_options(phoenix_warnings INTERFACE -Wno-missing-field-initializers)
if(PHOENIX_SANITIZE)
  add_compile_options(-fsanitize=${PHOENIX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PHOENIX_SANITIZE})
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_compile_options(-gline-tables-only)
  add_link_options(-fuse-ld=lld-19)
endif()
