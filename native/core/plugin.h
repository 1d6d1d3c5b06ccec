// The two sides of unifiedrl_backend.h: a back end of this code base as the table of a library, and such a table as a back end of the engine.
#pragma once

#include <string>

#include "core/backend.h"
#include "unifiedrl_backend.h"

namespace unifiedrl {

// The table of a library's one back end, which outlives it. A library defines
//   const unifiedrl_backend_table* unifiedrl_backend(int32_t) { return unifiedrl::export_backend(kBackend); }
const unifiedrl_backend_table* export_backend(const Backend& backend);

// The back end in the library at `path`, under this name. Fails with UNIFIEDRL_UNAVAILABLE and the reason; the library is closed again then.
Backend open_backend(const std::string& name, const std::string& path);

}  // namespace unifiedrl
