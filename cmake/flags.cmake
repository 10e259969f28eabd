# Warnings, hardening and sanitizers for every target of ours, through one interface library.
add_library(fovea_flags INTERFACE)
target_compile_options(fovea_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wwrite-strings
  -fno-math-errno -fno-trapping-math -fopenmp-simd -fvisibility=hidden -fstack-protector-strong)
# "omp simd" says that a loop may be vectorised; clang warns where it sees no gain in doing so, which is no fault of the loop.
target_compile_options(fovea_flags INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
target_compile_definitions(fovea_flags INTERFACE _GNU_SOURCE FOVEA_VERSION="${PROJECT_VERSION}")
target_link_options(fovea_flags INTERFACE -Wl,-z,relro,-z,now)
if(FOVEA_WERROR)
  target_compile_options(fovea_flags INTERFACE -Werror)
endif()
if(NOT FOVEA_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(fovea_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(FOVEA_SANITIZE)
  target_compile_options(fovea_flags INTERFACE -fsanitize=${FOVEA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(fovea_flags INTERFACE -fsanitize=${FOVEA_SANITIZE})
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -DFOVEA_DEBUG")
