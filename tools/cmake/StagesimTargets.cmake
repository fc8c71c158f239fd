# What every target shares, so that a folder says only what it is made of.

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

function(stagesim_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch)
  if(STAGESIM_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(STAGESIM_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${STAGESIM_SANITIZE} -fno-sanitize-recover=all
                                            -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${STAGESIM_SANITIZE})
  endif()
  if(STAGESIM_FUZZ)  # coverage for the fuzzer in every library; only a fuzz target gets its main
    target_compile_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
    target_link_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# stagesim_library(<name> SOURCES <files> DEPENDS <targets>)
function(stagesim_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(stagesim_${name} STATIC ${ARG_SOURCES})
  add_library(stagesim::${name} ALIAS stagesim_${name})
  stagesim_settings(stagesim_${name})
  target_link_libraries(stagesim_${name} PUBLIC ${ARG_DEPENDS})
endfunction()

# stagesim_executable(<name> SOURCES <files> DEPENDS <targets>)
function(stagesim_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  stagesim_settings(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
endfunction()

# stagesim_fuzz_target(<name> SOURCES <files> DEPENDS <targets>): the sources define LLVMFuzzerTestOneInput.
# The target `fuzzers` builds all of them.
function(stagesim_fuzz_target name)
  stagesim_executable(${name} ${ARGN})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
endfunction()

# stagesim_embed(<library> <symbol> <files>): puts text files into a library as
# `extern const EmbeddedFile <symbol>[]` (sim/base/embedded.hpp), so that the program needs no data folder.
function(stagesim_embed target symbol)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cpp")
  list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set(script "${PROJECT_SOURCE_DIR}/tools/cmake/embed.cmake")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} "-DSYMBOL=${symbol}" "-DFILES=${ARGN}" "-DOUTPUT=${output}" -P "${script}"
    DEPENDS ${ARGN} "${script}"
    COMMENT "Embedding ${symbol}"
    VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
