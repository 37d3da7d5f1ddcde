# BSQ_SANITIZE names the sanitizers (for example "address,undefined") for every target.
set(BSQ_SANITIZE "" CACHE STRING "Sanitizers for all targets, comma separated; empty for none")

if(BSQ_SANITIZE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    message(FATAL_ERROR "BSQ_SANITIZE needs GCC or Clang; leave it empty for "
                        "${CMAKE_CXX_COMPILER_ID}.")
  endif()
  add_compile_options(-fsanitize=${BSQ_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BSQ_SANITIZE})
endif()
