# Finds oneDNN as the org.bytedeco:dnnl jar lays it out once unpacked: DNNL_ROOT has include/, libdnnl.so.3 and the OpenMP run time it was
# linked to. (The jar's own CMake package points at a lib/ folder that the jar does not have.)
# Gives DNNL_INCLUDE_DIR, DNNL_LIBRARY, DNNL_OPENMP_LIBRARY.
find_path(DNNL_INCLUDE_DIR dnnl.h HINTS "${DNNL_ROOT}/include" NO_DEFAULT_PATH)
find_library(DNNL_LIBRARY NAMES libdnnl.so.3 libdnnl.3.dylib HINTS "${DNNL_ROOT}" NO_DEFAULT_PATH)
find_library(DNNL_OPENMP_LIBRARY NAMES libgomp.so.1 libiomp5.so libomp.dylib HINTS "${DNNL_ROOT}" NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DNNL
  REQUIRED_VARS DNNL_INCLUDE_DIR DNNL_LIBRARY DNNL_OPENMP_LIBRARY
  REASON_FAILURE_MESSAGE "set -DDNNL_ROOT to the platform folder of the unpacked org.bytedeco:dnnl jar")
mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY DNNL_OPENMP_LIBRARY)
