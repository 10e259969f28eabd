# Installing: headers, libraries, a pkg-config file and a CMake package (find_package(fovea), target fovea::fovea, the shared library). All
# find their place from where they lie, so that the tree may be installed with another --prefix, or moved.
include(CMakePackageConfigHelpers)
install(DIRECTORY include/fovea DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS fovea_shared EXPORT fovea LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS fovea_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(fovea_shared PROPERTIES EXPORT_NAME fovea)
install(EXPORT fovea NAMESPACE fovea:: FILE fovea-config.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/fovea-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/fovea-config-version.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)

# The static library needs what the shared one brings itself: `pkg-config --static --libs fovea`.
set(private ${JPEG_LDFLAGS} ${PNG_LDFLAGS} ${WEBP_LDFLAGS} ${TIFF_LDFLAGS} ${CJSON_LDFLAGS} ${INIH_LDFLAGS} ${XXHASH_LDFLAGS} ${BLAS_LDFLAGS} -llbfgs -lm -pthread)
list(REMOVE_DUPLICATES private)
list(JOIN private " " FOVEA_PC_PRIVATE)
file(RELATIVE_PATH FOVEA_PC_UP "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" FOVEA_PC_UP "${FOVEA_PC_UP}")
file(RELATIVE_PATH FOVEA_PC_LIBDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH FOVEA_PC_INCLUDEDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file(cmake/fovea.pc.in ${CMAKE_BINARY_DIR}/fovea.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/fovea.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
