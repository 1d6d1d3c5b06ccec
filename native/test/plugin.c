/* Libraries that are no back end, each for its own reason, and one that is but breaks the rules: `unruly` leaves runs of one step undone without
 * saying so, and fails others with a status that does not exist. */
#include <stddef.h>
#include <stdio.h>

#include "unifiedrl_backend.h"

static int32_t score(void) { return 1; }
static void description(char* text, int64_t size) { snprintf(text, (size_t)size, "breaks the rules"); }
static int32_t supports(int32_t op) { return op == UNIFIEDRL_OP_ADD; }

static int32_t state; /* what the handle leads to */

static int32_t create(const unifiedrl_backend_program* program, const unifiedrl_backend_replay* replay, const unifiedrl_options* options,
                      unifiedrl_backend_executor** executor, char* text, int64_t size) {
  if (program->op_count != 1 || program->tensor_count != 2 || replay != NULL || options->size != (int32_t)sizeof *options) {
    snprintf(text, (size_t)size, "%d ops", program->op_count);
    return UNIFIEDRL_INVALID_ARGUMENT;
  }
  *executor = (unifiedrl_backend_executor*)&state;
  return UNIFIEDRL_OK;
}

static void close_executor(unifiedrl_backend_executor* executor) { (void)executor; }

#if defined(without_run)
#define run NULL
#else
static int32_t run(unifiedrl_backend_executor* executor, unifiedrl_backend_run* steps, char* text, int64_t size) {
  (void)executor;
  if (steps->steps == 1) {
    return UNIFIEDRL_OK;
  }
  steps->completed = 99;
  snprintf(text, (size_t)size, "no such status");
  return 77;
}
#endif

static int64_t bytes(const unifiedrl_backend_executor* executor) { return executor == NULL ? -1 : 12; }

static void executor_description(const unifiedrl_backend_executor* executor, char* text, int64_t size) {
  (void)executor;
  description(text, size);
}

static int32_t read_network(const unifiedrl_backend_executor* executor, int32_t network, int32_t section, float* destination, char* text,
                            int64_t size) {
  (void)executor, (void)network, (void)section, (void)destination, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static int32_t write_network(unifiedrl_backend_executor* executor, int32_t network, int32_t section, const float* source, char* text, int64_t size) {
  (void)executor, (void)network, (void)section, (void)source, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static int32_t read_network64(const unifiedrl_backend_executor* executor, int32_t network, int32_t section, double* destination, char* text,
                              int64_t size) {
  (void)executor, (void)network, (void)section, (void)destination, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static int32_t write_network64(unifiedrl_backend_executor* executor, int32_t network, int32_t section, const double* source, char* text,
                               int64_t size) {
  (void)executor, (void)network, (void)section, (void)source, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static int32_t read_tensor(const unifiedrl_backend_executor* executor, int32_t tensor, double* destination, char* text, int64_t size) {
  (void)executor, (void)tensor, (void)destination, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static int32_t write_tensor(unifiedrl_backend_executor* executor, int32_t tensor, const double* source, char* text, int64_t size) {
  (void)executor, (void)tensor, (void)source, (void)text, (void)size;
  return UNIFIEDRL_OK;
}

static const unifiedrl_backend_table table = {
#if defined(of_another_version)
    UNIFIEDRL_ABI_VERSION + 90,
#else
    UNIFIEDRL_ABI_VERSION,
#endif
    0,
    score,
    description,
    supports,
    NULL,
    create,
    close_executor,
    run,
    bytes,
    executor_description,
    read_network,
    write_network,
    read_network64,
    write_network64,
    read_tensor,
    write_tensor,
};

#if defined(without_function)
#define unifiedrl_backend not_the_function
UNIFIEDRL_API const unifiedrl_backend_table* not_the_function(int32_t abi_version);
#endif

const unifiedrl_backend_table* unifiedrl_backend(int32_t abi_version) {
#if defined(without_table)
  return abi_version == UNIFIEDRL_ABI_VERSION ? NULL : &table;
#else
  (void)abi_version;
  return &table;
#endif
}
