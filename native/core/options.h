// Checks of unifiedrl_options.
#pragma once

#include "unifiedrl.h"

namespace unifiedrl {

// Whether every option has a value that it may have; whether a back end can do it is for the back end to say.
void check_options(const unifiedrl_options& options);
// For back ends that run on the host, in float32 or better: other devices and precisions are UNIFIEDRL_UNAVAILABLE.
void check_host_options(const char* backend, const unifiedrl_options& options);
const char* precision_name(int32_t precision);

}  // namespace unifiedrl
