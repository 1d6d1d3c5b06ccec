// Marks functions that run on the host and, where a device compiler reads them, on the device too.
#pragma once

#if !defined(UNIFIEDRL_HD)
#if defined(__CUDACC__)
#define UNIFIEDRL_HD __host__ __device__
#else
#define UNIFIEDRL_HD
#endif
#endif
