# Installs the C API for other programs: header, library, models, bsq.pc and find_package(bsq).

include(CMakePackageConfigHelpers)

install(
  TARGETS bsq
  EXPORT bsqTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
install(
  FILES "${BSQ_HEADER}"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/bsq"
  COMPONENT library)

# The released models, with the id of the default one.
set(BSQ_MODEL_DIR "${CMAKE_INSTALL_DATADIR}/bsq/models")
file(GLOB released CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/python/bsqav/models/*.bsqm")
install(
  FILES ${released} "${CMAKE_CURRENT_SOURCE_DIR}/python/bsqav/models/default.txt"
  DESTINATION "${BSQ_MODEL_DIR}"
  COMPONENT library)

# A C program that links the static library needs the C++ runtime named too.
set(BSQ_PC_LIBS ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
list(FILTER BSQ_PC_LIBS INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|c\\+\\+abi|m)$")
list(REMOVE_DUPLICATES BSQ_PC_LIBS)
list(TRANSFORM BSQ_PC_LIBS PREPEND "-l")
list(APPEND BSQ_PC_LIBS ${CMAKE_THREAD_LIBS_INIT})
string(JOIN " " BSQ_PC_LIBS ${BSQ_PC_LIBS})
file(RELATIVE_PATH BSQ_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
     "${CMAKE_INSTALL_PREFIX}")
configure_file(cmake/bsq.pc.in bsq.pc @ONLY)
install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/bsq.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
  COMPONENT library)

set(BSQ_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/bsq")
configure_package_config_file(cmake/bsqConfig.cmake.in bsqConfig.cmake
                              INSTALL_DESTINATION "${BSQ_PACKAGE_DIR}" PATH_VARS BSQ_MODEL_DIR)
write_basic_package_version_file(bsqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/bsqConfig.cmake"
        "${CMAKE_CURRENT_BINARY_DIR}/bsqConfigVersion.cmake"
  DESTINATION "${BSQ_PACKAGE_DIR}"
  COMPONENT library)
install(
  EXPORT bsqTargets
  NAMESPACE bsq::
  DESTINATION "${BSQ_PACKAGE_DIR}"
  COMPONENT library)
