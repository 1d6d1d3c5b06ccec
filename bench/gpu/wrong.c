/* For test.py: a back end in front of the one that UNIFIEDRL_RIGHT_LIBRARY names, whose results are slightly wrong. After each run it raises the
 * first network's first parameter by UNIFIEDRL_WRONG_BY, and passes everything else on. */
#include <dlfcn.h>
#include <stdlib.h>

#include "unifiedrl_backend.h"

struct front {
  unifiedrl_backend_executor* right;
  int64_t size; /* of the first network */
};

static const unifiedrl_backend_table* right;

static struct front* front(const unifiedrl_backend_executor* executor) { return (struct front*)executor; }

static int32_t create(const unifiedrl_backend_program* program, const unifiedrl_backend_replay* replay, const unifiedrl_options* options,
                      unifiedrl_backend_executor** executor, char* text, int64_t size) {
  struct front* made = calloc(1, sizeof *made);
  int32_t status = made == NULL ? UNIFIEDRL_OUT_OF_MEMORY : right->create(program, replay, options, &made->right, text, size);
  if (status != UNIFIEDRL_OK) {
    free(made);
    return status;
  }
  if (program->network_count > 0) {
    const unifiedrl_backend_network* network = &program->networks[0];
    for (int32_t l = 0; l + 1 < network->size_count; ++l) {
      made->size += network->members * (network->sizes[l] + 1) * network->sizes[l + 1];
    }
  }
  *executor = (unifiedrl_backend_executor*)made;
  return UNIFIEDRL_OK;
}

static void close_executor(unifiedrl_backend_executor* executor) {
  right->close(front(executor)->right);
  free(executor);
}

static int32_t run(unifiedrl_backend_executor* executor, unifiedrl_backend_run* r, char* text, int64_t size) {
  struct front* f = front(executor);
  int32_t status = right->run(f->right, r, text, size);
  if (status != UNIFIEDRL_OK || f->size == 0) {
    return status;
  }
  float* values = malloc((size_t)f->size * sizeof *values);
  if (values == NULL) {
    return UNIFIEDRL_OUT_OF_MEMORY;
  }
  status = right->read_network(f->right, 0, UNIFIEDRL_PARAMETERS, values, text, size);
  if (status == UNIFIEDRL_OK) {
    values[0] += (float)atof(getenv("UNIFIEDRL_WRONG_BY"));
    status = right->write_network(f->right, 0, UNIFIEDRL_PARAMETERS, values, text, size);
  }
  free(values);
  return status;
}

static int64_t bytes(const unifiedrl_backend_executor* e) { return right->bytes(front(e)->right); }
static void describe(const unifiedrl_backend_executor* e, char* text, int64_t size) { right->executor_description(front(e)->right, text, size); }
static int32_t read_network(const unifiedrl_backend_executor* e, int32_t n, int32_t s, float* to, char* text, int64_t size) {
  return right->read_network(front(e)->right, n, s, to, text, size);
}
static int32_t write_network(unifiedrl_backend_executor* e, int32_t n, int32_t s, const float* from, char* text, int64_t size) {
  return right->write_network(front(e)->right, n, s, from, text, size);
}
static int32_t read_network64(const unifiedrl_backend_executor* e, int32_t n, int32_t s, double* to, char* text, int64_t size) {
  return right->read_network64(front(e)->right, n, s, to, text, size);
}
static int32_t write_network64(unifiedrl_backend_executor* e, int32_t n, int32_t s, const double* from, char* text, int64_t size) {
  return right->write_network64(front(e)->right, n, s, from, text, size);
}
static int32_t read_tensor(const unifiedrl_backend_executor* e, int32_t t, double* to, char* text, int64_t size) {
  return right->read_tensor(front(e)->right, t, to, text, size);
}
static int32_t write_tensor(unifiedrl_backend_executor* e, int32_t t, const double* from, char* text, int64_t size) {
  return right->write_tensor(front(e)->right, t, from, text, size);
}

UNIFIEDRL_API const unifiedrl_backend_table* unifiedrl_backend(int32_t abi_version) {
  static unifiedrl_backend_table table;
  const char* path = getenv("UNIFIEDRL_RIGHT_LIBRARY");
  void* library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unifiedrl_backend_function entry = NULL;
  if (library != NULL) {
    *(void**)&entry = dlsym(library, "unifiedrl_backend");
  }
  right = entry == NULL ? NULL : entry(abi_version);
  if (right == NULL) {
    return NULL;
  }
  table = *right;
  table.create = create;
  table.close = close_executor;
  table.run = run;
  table.bytes = bytes;
  table.executor_description = describe;
  table.read_network = read_network;
  table.write_network = write_network;
  table.read_network64 = read_network64;
  table.write_network64 = write_network64;
  table.read_tensor = read_tensor;
  table.write_tensor = write_tensor;
  return &table;
}
