/*
 * unifiedrl_backend.h - what a shared library offers to be a back end of the UnifiedRL training engine.
 *
 * The library exports one function, unifiedrl_backend, which gives a table of functions. A process loads it with unifiedrl_backend_load; from
 * then on it is a back end like those built in: chosen by name (or by "auto"), compared by "check:A,B".
 *
 * Conventions
 *   - Everything in unifiedrl.h holds here too: ops, tensors, networks and their layouts, options, status codes.
 *   - Functions that can fail return a status; on failure they write what happened and what to do about it to `text`: at most `size` bytes, ended
 *     by 0. No function aborts, exits or throws across this boundary.
 *   - The engine checks programs, replays, options, counts and sections before they come here; a library may check them again.
 *   - An executor is used by one thread at a time, which need not be the one that created it; different executors may be used by different
 *     threads at once, and so may the functions without one.
 *   - What pointers lead to belongs to the engine and is valid during the call only, except for the columns and flags of a replay: these stay
 *     mapped and unchanged until the executor is closed.
 */
#ifndef UNIFIEDRL_BACKEND_H
#define UNIFIEDRL_BACKEND_H

#include "unifiedrl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct unifiedrl_backend_tensor {
  const char* name;
  int32_t kind;
  int64_t members, rows, columns;
} unifiedrl_backend_tensor;

typedef struct unifiedrl_backend_network {
  const char* name;
  int64_t members;
  const int64_t* sizes; /* as for unifiedrl_program_network */
  int32_t size_count;
  int32_t activation;
} unifiedrl_backend_network;

typedef struct unifiedrl_backend_hyper {
  const char* name;
  double value; /* its first; each run brings the current ones */
} unifiedrl_backend_hyper;

typedef struct unifiedrl_backend_op {
  const char* name;
  int32_t op;
  int32_t tensor_count, network_count, integer_count, hyper_count;
  const int32_t* tensors;
  const int32_t* networks;
  const int64_t* integers;
  const int32_t* hypers;
} unifiedrl_backend_op;

/* A program: ids are positions in these lists. */
typedef struct unifiedrl_backend_program {
  const unifiedrl_backend_tensor* tensors;
  const unifiedrl_backend_network* networks;
  const unifiedrl_backend_hyper* hypers;
  const unifiedrl_backend_op* ops;
  int32_t tensor_count, network_count, hyper_count, op_count;
} unifiedrl_backend_program;

/* columns[c] points at float32 [rows, widths[c]], last at one byte per row. */
typedef struct unifiedrl_backend_segment {
  const float* const* columns;
  const uint8_t* last;
  int64_t rows;
} unifiedrl_backend_segment;

/* A replay: its rows are those of the segments, one after the other. */
typedef struct unifiedrl_backend_replay {
  const int64_t* widths;
  const unifiedrl_backend_segment* segments;
  int64_t column_count, segment_count;
} unifiedrl_backend_replay;

/* Consecutive steps, run in one call. */
typedef struct unifiedrl_backend_run {
  int64_t first_step, steps; /* counted from 1; at least 1 step */
  uint64_t seed;
  const double* hypers;      /* current value of each slot */
  float* metrics;            /* [steps, metric slots], zero; UNIFIEDRL_OP_METRIC writes its slot of its step's row */
  int64_t first_op, last_op; /* ops [first_op, last_op) of each step: all of them, or with `materialise` some of them, and then steps is 1 */
  int64_t completed;         /* out, also on failure: steps that are complete, and the next one is what failed */
} unifiedrl_backend_run;

typedef struct unifiedrl_backend_executor unifiedrl_backend_executor;

typedef struct unifiedrl_backend_table {
  int32_t abi_version; /* UNIFIEDRL_ABI_VERSION; stays the first member, whatever the version */
  int32_t automatic;   /* 1: "auto" may choose it */
  /* Score by which "auto" chooses (cpu: 100); 0 when it cannot work here. */
  int32_t (*score)(void);
  /* One line: what it runs on, or why it cannot. */
  void (*description)(char* text, int64_t size);
  /* Whether it has an op of unifiedrl.h, 0 or 1. */
  int32_t (*supports)(int32_t op);
  /* Largest difference that "check:A,B" allows after this op, relative to the largest magnitude of what is compared, beside a back end that starts
   * it from the same float32 values; the larger of the two back ends' tolerances counts. NULL: what float32 arithmetic gives. */
  double (*tolerance)(int32_t op);

  /* An executor of a program. replay is NULL for programs that draw nothing. *executor is written on success only. */
  int32_t (*create)(const unifiedrl_backend_program* program, const unifiedrl_backend_replay* replay, const unifiedrl_options* options,
                    unifiedrl_backend_executor** executor, char* text, int64_t size);
  void (*close)(unifiedrl_backend_executor* executor);
  int32_t (*run)(unifiedrl_backend_executor* executor, unifiedrl_backend_run* run, char* text, int64_t size);
  /* Bytes held for parameters, optimiser state and work space. */
  int64_t (*bytes)(const unifiedrl_backend_executor* executor);
  /* One line: what sets this executor's results and speed. */
  void (*executor_description)(const unifiedrl_backend_executor* executor, char* text, int64_t size);

  /* One whole section of a network. */
  int32_t (*read_network)(const unifiedrl_backend_executor* executor, int32_t network, int32_t section, float* destination, char* text, int64_t size);
  int32_t (*write_network)(unifiedrl_backend_executor* executor, int32_t network, int32_t section, const float* source, char* text, int64_t size);
  int32_t (*read_network64)(const unifiedrl_backend_executor* executor, int32_t network, int32_t section, double* destination, char* text,
                            int64_t size);
  int32_t (*write_network64)(unifiedrl_backend_executor* executor, int32_t network, int32_t section, const double* source, char* text, int64_t size);
  /* One whole tensor: [E, B, F], rows as numbers, tapes as [E, B, H] with the hidden layers side by side, signs as 0 or 1. A read fails where the
   * back end did not keep the tensor whole; with `materialise` it keeps all. Between ops of a check, tensors of any kind but ROWS are written. */
  int32_t (*read_tensor)(const unifiedrl_backend_executor* executor, int32_t tensor, double* destination, char* text, int64_t size);
  int32_t (*write_tensor)(unifiedrl_backend_executor* executor, int32_t tensor, const double* source, char* text, int64_t size);
} unifiedrl_backend_table;

/* The library's one function, exported as "unifiedrl_backend". abi_version is the engine's. The table stays valid and unchanged as long as the
 * library is loaded. A library of another version gives the table of its own version, whose first member tells the engine so, or NULL. */
UNIFIEDRL_API const unifiedrl_backend_table* unifiedrl_backend(int32_t abi_version);
typedef const unifiedrl_backend_table* (*unifiedrl_backend_function)(int32_t abi_version);

#ifdef __cplusplus
}
#endif
#endif
