# Finds cuBLASLt 13: in CUBLAS_ROOT (include/ and lib/ or lib64/), in the CUDA toolkit, or in the folder that cmake/fetch-cuda-libraries fills.
# Gives CublasLt_INCLUDE_DIR, CublasLt_LIBRARY. The library is linked by its soname, so that the run time finds any 13.x.
set(cublaslt_places "${CUBLAS_ROOT}" "$ENV{CUBLAS_ROOT}" ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT} "${UNIFIEDRL_CUDA_LIBRARIES}")
list(FILTER cublaslt_places EXCLUDE REGEX "^$")
find_path(CublasLt_INCLUDE_DIR cublasLt.h HINTS ${cublaslt_places} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(CublasLt_LIBRARY NAMES libcublasLt.so.13 cublasLt HINTS ${cublaslt_places} PATH_SUFFIXES lib lib64 lib/x86_64-linux-gnu
  lib/aarch64-linux-gnu NO_DEFAULT_PATH)
if(CublasLt_INCLUDE_DIR)
  file(STRINGS "${CublasLt_INCLUDE_DIR}/cublas_api.h" cublaslt_version REGEX "#define CUBLAS_VER_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" CublasLt_VERSION "${cublaslt_version}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CublasLt
  REQUIRED_VARS CublasLt_LIBRARY CublasLt_INCLUDE_DIR
  VERSION_VAR CublasLt_VERSION
  REASON_FAILURE_MESSAGE "set -DCUBLAS_ROOT to a folder with include/cublasLt.h and lib/, such as cmake/fetch-cuda-libraries makes")
mark_as_advanced(CublasLt_INCLUDE_DIR CublasLt_LIBRARY)
