# Per-file instruction set flags: only the files named here may hold AVX2, AVX-512 or NEON code, and
# the kernel table picks among them at run time.

include(CheckCXXCompilerFlag)

set(BSQ_ISA_FAMILY_avx2 x86_64)
set(BSQ_ISA_FLAGS_avx2 -mavx2 -mfma)
set(BSQ_ISA_FAMILY_avx512vnni x86_64)
set(BSQ_ISA_FLAGS_avx512vnni -mavx512f -mavx512bw -mavx512vl -mavx512vnni -mavx512vbmi)
# NEON itself belongs to every 64-bit Arm processor and needs no flag.
set(BSQ_ISA_FAMILY_neon aarch64)
set(BSQ_ISA_FLAGS_neon "")
set(BSQ_ISA_FAMILY_neondot aarch64)
set(BSQ_ISA_FLAGS_neondot -march=armv8.2-a+dotprod)

# The family of the processor that is compiled for, in lower case, by the name of BSQ_ISA_FAMILY_*.
# Two at once, as macOS can have them, match none: such a build has scalar kernels.
if(CMAKE_OSX_ARCHITECTURES)
  string(TOLOWER "${CMAKE_OSX_ARCHITECTURES}" BSQ_ISA_FAMILY)
else()
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" BSQ_ISA_FAMILY)
endif()
string(REGEX REPLACE "^amd64$" "x86_64" BSQ_ISA_FAMILY "${BSQ_ISA_FAMILY}")
string(REGEX REPLACE "^arm64$" "aarch64" BSQ_ISA_FAMILY "${BSQ_ISA_FAMILY}")

# bsq_isa_source(<file> <avx2|avx512vnni|neon|neondot>)
#
# Compiles <file> (relative to the calling folder) into bsq with the flags of the instruction set
# and defines BSQ_HAVE_AVX2, BSQ_HAVE_NEON and so on for all of bsq, so that the dispatch knows that
# the kernels are there. On another processor family or compiler the file is left out and nothing
# is defined. Such a file must not emit inline functions of shared headers: the linker might keep
# its copy and run it on a processor that lacks the instructions.
function(bsq_isa_source file isa)
  if(NOT DEFINED BSQ_ISA_FAMILY_${isa})
    message(FATAL_ERROR "bsq_isa_source: unknown instruction set \"${isa}\"; "
                        "add its family and flags to cmake/isa.cmake.")
  endif()
  if(NOT BSQ_ISA_FAMILY STREQUAL BSQ_ISA_FAMILY_${isa}
     OR NOT CMAKE_SIZEOF_VOID_P EQUAL 8
     OR NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang"
     OR MSVC)
    return()
  endif()
  string(TOUPPER "BSQ_HAVE_${isa}" macro)
  if(BSQ_ISA_FLAGS_${isa})
    string(JOIN " " probe ${BSQ_ISA_FLAGS_${isa}})
    check_cxx_compiler_flag("${probe}" ${macro}_FLAGS_WORK)
    if(NOT ${macro}_FLAGS_WORK)
      return()
    endif()
  endif()
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  target_sources(bsq PRIVATE "${file}")
  set_source_files_properties("${file}" TARGET_DIRECTORY bsq PROPERTIES
                              COMPILE_OPTIONS "${BSQ_ISA_FLAGS_${isa}}")
  target_compile_definitions(bsq PRIVATE ${macro}=1)
endfunction()
