# Compiler warnings and the code generation rules that every target of the project shares.

# Turns the project's warnings on for one target; errors where BSQ_WARNINGS_AS_ERRORS is set.
function(bsq_set_warnings target)
  if(MSVC)
    set(flags /W4 $<$<BOOL:${BSQ_WARNINGS_AS_ERRORS}>:/WX>)
  else()
    set(flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion
              $<$<BOOL:${BSQ_WARNINGS_AS_ERRORS}>:-Werror>)
  endif()
  target_compile_options(${target} PRIVATE ${flags})
endfunction()

# The few floating point sums of the encoder must not depend on whether the compiler fuses a
# multiplication and an addition, so that one stream comes out on every machine. There is no
# -ffast-math and no -march=native anywhere for the same reason.
function(bsq_set_code_generation target)
  if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT MSVC)
    target_compile_options(${target} PRIVATE -ffp-contract=off)
  endif()
endfunction()
