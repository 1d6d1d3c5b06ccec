// The reference back end in a library of its own.
#include "core/plugin.h"

const unifiedrl_backend_table* unifiedrl_backend(int32_t) { return unifiedrl::export_backend(unifiedrl::kReferenceBackend); }
