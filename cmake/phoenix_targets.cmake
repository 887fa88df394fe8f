# One target per room. phoenix_library(zfs_domain ...) makes target phoenix_zfs_domain, alias phoenix::zfs_domain.
include(GoogleTest)

# phoenix_library(NAME SOURCES a.cc … DEPS …): a static library whose headers are included from the root.
function(phoenix_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(phoenix_${name} STATIC ${ARG_SOURCES})
  add_library(phoenix::${name} ALIAS phoenix_${name})
  target_link_libraries(phoenix_${name} PUBLIC ${ARG_DEPS} PRIVATE phoenix_warnings)
  target_include_directories(phoenix_${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# Every program of the TSan preset tells TSan of absl's locks.
if(PHOENIX_SANITIZE STREQUAL "thread")
  add_library(phoenix_tsan OBJECT ${PROJECT_SOURCE_DIR}/tests/support/tsan_mutex.cc)
endif()
function(phoenix_program name)
  if(TARGET phoenix_tsan)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:phoenix_tsan>)
    target_link_libraries(${name} PRIVATE ${CMAKE_DL_LIBS})
  endif()
endfunction()

# phoenix_binary(phoenix-zfsd SOURCES main.cc DEPS …): an installed program.
function(phoenix_binary name)
  cmake_parse_arguments(ARG "" "DESTINATION" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_DESTINATION)
    set(ARG_DESTINATION ${CMAKE_INSTALL_SBINDIR})
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} phoenix_warnings)
  phoenix_program(${name})
  install(TARGETS ${name} RUNTIME DESTINATION ${ARG_DESTINATION})
endfunction()

# phoenix_test(NAME LABEL unit SOURCES … DEPS …): a GoogleTest program; LABEL is the tier.
function(phoenix_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS;ENV" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1200)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main phoenix_warnings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  phoenix_program(${name})
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENV}")
endfunction()

# phoenix_lab_test(NAME SOURCES … DEPS …): a GoogleTest program that changes the machine it runs on, so ctest does not run
# it: tests/lab/test_contracts.py does, as root on a node of the lab. It finds its settings in its environment.
function(phoenix_lab_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main phoenix_warnings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lab)
endfunction()

# phoenix_proto(NAME PROTOS phoenix/x/v1/x.proto … SERVICES … DEPS …): one static target per proto package.
# SERVICES lists those protos that define services: only they get gRPC code (generating it costs compile time).
function(phoenix_proto name)
  cmake_parse_arguments(ARG "" "" "PROTOS;SERVICES;DEPS" ${ARGN})
  set(root ${PROJECT_SOURCE_DIR}/proto)
  set(out ${PROJECT_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(generated)
  foreach(proto ${ARG_PROTOS} ${ARG_SERVICES})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND protobuf::protoc --proto_path=${root} --cpp_out=${out} ${root}/${proto}
      DEPENDS ${root}/${proto} VERBATIM)
    list(APPEND generated ${out}/${stem}.pb.cc)
  endforeach()
  foreach(proto ${ARG_SERVICES})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    add_custom_command(
      OUTPUT ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h
      COMMAND protobuf::protoc --proto_path=${root} --grpc_out=${out}
              --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin> ${root}/${proto}
      DEPENDS ${root}/${proto} VERBATIM)
    list(APPEND generated ${out}/${stem}.grpc.pb.cc)
  endforeach()
  add_library(phoenix_${name} STATIC ${generated})
  add_library(phoenix::${name} ALIAS phoenix_${name})
  # Generated code is not ours to warn about.
  target_include_directories(phoenix_${name} SYSTEM PUBLIC ${out})
  target_compile_options(phoenix_${name} PRIVATE -w)
  target_link_libraries(phoenix_${name} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_SERVICES)
    target_link_libraries(phoenix_${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()
