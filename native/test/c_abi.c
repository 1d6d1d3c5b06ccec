/* The headers are C, and a C program can train: y = x w towards y = 2 x. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "unifiedrl.h"
#include "unifiedrl_backend.h"

#define REQUIRE(condition)                                                                       \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      fprintf(stderr, "%s:%d: not true: %s; %s\n", __FILE__, __LINE__, #condition, unifiedrl_error()); \
      return 1;                                                                                  \
    }                                                                                            \
  } while (0)

int main(void) {
  unifiedrl_program* program = NULL;
  unifiedrl_engine* engine = NULL;
  const int64_t sizes[2] = {1, 1};
  const float xs[4] = {-1.0f, -0.5f, 0.5f, 1.0f}, ys[4] = {-2.0f, -1.0f, 1.0f, 2.0f};
  int32_t x, y, target, dy, loss, norm, network, rate, beta1, beta2, epsilon, zero;
  float parameters[2] = {0.0f, 0.0f};
  REQUIRE(unifiedrl_abi_version() == UNIFIEDRL_ABI_VERSION);
  REQUIRE(unifiedrl_backend_load("absent", "/nowhere/libabsent.so") == UNIFIEDRL_UNAVAILABLE);
  REQUIRE(strcmp(unifiedrl_backend_name(unifiedrl_backend_count() - 1), "absent") == 0);
  REQUIRE(unifiedrl_program_create(&program) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "x", UNIFIEDRL_TENSOR_CONSTANT, 1, 4, 1, &x) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "target", UNIFIEDRL_TENSOR_CONSTANT, 1, 4, 1, &target) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "y", UNIFIEDRL_TENSOR_WORK, 1, 4, 1, &y) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "dy", UNIFIEDRL_TENSOR_WORK, 1, 4, 1, &dy) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "loss", UNIFIEDRL_TENSOR_WORK, 1, 1, 1, &loss) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_tensor(program, "norm", UNIFIEDRL_TENSOR_WORK, 1, 1, 1, &norm) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_network(program, "line", 1, sizes, 2, UNIFIEDRL_LINEAR, &network) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_hyper(program, "rate", 0.05, &rate) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_hyper(program, "beta1", 0.9, &beta1) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_hyper(program, "beta2", 0.999, &beta2) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_hyper(program, "epsilon", 1e-8, &epsilon) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_program_hyper(program, "zero", 0.0, &zero) == UNIFIEDRL_OK);
  {
    const int32_t forward[3] = {x, y, UNIFIEDRL_NONE}, error[4] = {y, target, dy, loss}, backward[4] = {x, y, UNIFIEDRL_NONE, dy};
    const int32_t hypers[6] = {rate, beta1, beta2, epsilon, zero, zero};
    const int64_t slot = 0, period = 1;
    REQUIRE(unifiedrl_program_op(program, "forward", UNIFIEDRL_OP_MLP_FORWARD, forward, 3, &network, 1, NULL, 0, NULL, 0) == UNIFIEDRL_OK);
    REQUIRE(unifiedrl_program_op(program, "error", UNIFIEDRL_OP_SQUARED_ERROR, error, 4, NULL, 0, NULL, 0, NULL, 0) == UNIFIEDRL_OK);
    REQUIRE(unifiedrl_program_op(program, "backward", UNIFIEDRL_OP_MLP_BACKWARD, backward, 4, &network, 1, NULL, 0, NULL, 0) == UNIFIEDRL_OK);
    REQUIRE(unifiedrl_program_op(program, "adam", UNIFIEDRL_OP_ADAM, &norm, 1, &network, 1, &period, 1, hypers, 6) == UNIFIEDRL_OK);
    REQUIRE(unifiedrl_program_op(program, "metric", UNIFIEDRL_OP_METRIC, &loss, 1, NULL, 0, &slot, 1, NULL, 0) == UNIFIEDRL_OK);
  }
  REQUIRE(unifiedrl_engine_create(program, NULL, "reference", NULL, &engine) == UNIFIEDRL_OK);
  unifiedrl_program_close(program);
  REQUIRE(strcmp(unifiedrl_engine_backend(engine), "reference") == 0);
  REQUIRE(unifiedrl_tensor_write(engine, x, xs, 4) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_tensor_write(engine, target, ys, 4) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_engine_run(engine, 500) == UNIFIEDRL_OK);
  REQUIRE(unifiedrl_network_read(engine, network, UNIFIEDRL_PARAMETERS, parameters, 2) == UNIFIEDRL_OK);
  REQUIRE(fabsf(parameters[0] - 2.0f) < 1e-3f && fabsf(parameters[1]) < 1e-3f);
  unifiedrl_engine_close(engine);
  printf("a C program trained\n");
  return 0;
}
