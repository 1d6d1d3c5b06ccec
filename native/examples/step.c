/*
 * A training step in C99, with unifiedrl.h and libunifiedrl.so alone: deterministic policy gradient for a decision that ends at once. A log of
 * states s, actions a and rewards r lies in arrays of this program; the engine draws its batches from them where they are. Each step fits a critic,
 * min mean (Q(s, a) - r)^2, and moves the actor uphill on it, min -mean Q(s, mu(s)). The reward is highest where a = 0.6 tanh(s_0 - s_1), and that is
 * what the actor must have learned in the end, or the exit code is 1. docs/linking.md says how to build it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "unifiedrl.h"

enum { ROWS = 20000, STATE = 2, ACTION = 1, BATCH = 128, HIDDEN = 64, STEPS = 800, TESTED = 500 };

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
/* A list of numbers and its length, as unifiedrl_program_op takes them. */
#define IDS(...) (const int32_t[]){__VA_ARGS__}, COUNT(((const int32_t[]){__VA_ARGS__}))
#define INTEGERS(...) (const int64_t[]){__VA_ARGS__}, COUNT(((const int64_t[]){__VA_ARGS__}))
#define NOTHING NULL, 0

/* No call of the engine ends the process: each says what is wrong. */
#define CHECK(call)                                                           \
  do {                                                                        \
    if ((call) != UNIFIEDRL_OK) {                                             \
      fprintf(stderr, "step: line %d: %s\n", __LINE__, unifiedrl_error());    \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static int32_t tensor(unifiedrl_program* program, const char* name, int32_t kind, int64_t rows, int64_t columns) {
  int32_t id;
  CHECK(unifiedrl_program_tensor(program, name, kind, 1, rows, columns, &id));
  return id;
}

static int32_t work(unifiedrl_program* program, const char* name, int64_t rows, int64_t columns) {
  return tensor(program, name, UNIFIEDRL_TENSOR_WORK, rows, columns);
}

static int32_t hyper(unifiedrl_program* program, const char* name, double value) {
  int32_t id;
  CHECK(unifiedrl_program_hyper(program, name, value, &id));
  return id;
}

static float uniform(void) { /* in [0, 1) */
  static uint64_t state = 1;
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (float)(state >> 40) / 16777216.0f;
}

static float best(const float* state) { return 0.6f * tanhf(state[0] - state[1]); }

static float states[ROWS * STATE], actions[ROWS * ACTION], rewards[ROWS];
static uint8_t last[ROWS];

int main(int argc, char** argv) {
  const int64_t widths[] = {STATE, ACTION, 1};
  const float* const columns[] = {states, actions, rewards};
  const int64_t critic_sizes[] = {STATE + ACTION, HIDDEN, HIDDEN, 1}, actor_sizes[] = {STATE, HIDDEN, ACTION};
  const float one = 1.0f;
  unifiedrl_replay* replay;
  unifiedrl_program* p;
  unifiedrl_engine* engine;
  unifiedrl_policy* policy;
  unifiedrl_options options = {0};
  int32_t critic, actor;

  if (unifiedrl_abi_version() != UNIFIEDRL_ABI_VERSION) {
    fprintf(stderr, "step: the library has version %d, its header %d\n", unifiedrl_abi_version(), UNIFIEDRL_ABI_VERSION);
    return 1;
  }

  /* The log: memory of this program, which must stay until the engine is closed. */
  for (int row = 0; row < ROWS; row++) {
    float off;
    for (int i = 0; i < STATE; i++) states[row * STATE + i] = 4.0f * uniform() - 2.0f;
    actions[row] = 2.0f * uniform() - 1.0f;
    off = actions[row] - best(states + row * STATE);
    rewards[row] = -off * off;
    last[row] = 1;
  }
  CHECK(unifiedrl_replay_create(widths, COUNT(widths), &replay));
  CHECK(unifiedrl_replay_add(replay, columns, last, ROWS));

  /* The program of a step. */
  CHECK(unifiedrl_program_create(&p));
  CHECK(unifiedrl_program_network(p, "critic", 1, critic_sizes, COUNT(critic_sizes), UNIFIEDRL_LINEAR, &critic));
  CHECK(unifiedrl_program_network(p, "actor", 1, actor_sizes, COUNT(actor_sizes), UNIFIEDRL_TANH, &actor));
  {
    const int32_t none = UNIFIEDRL_NONE;
    const int32_t rows = tensor(p, "rows", UNIFIEDRL_TENSOR_ROWS, BATCH, 1);
    const int32_t s = work(p, "s", BATCH, STATE), a = work(p, "a", BATCH, ACTION), r = work(p, "r", BATCH, 1);
    const int32_t taken = work(p, "taken", BATCH, STATE + ACTION), chosen = work(p, "chosen", BATCH, STATE + ACTION);
    const int32_t q = work(p, "q", BATCH, 1), dq = work(p, "dq", BATCH, 1), loss = work(p, "loss", 1, 1);
    const int32_t q_tape = tensor(p, "q_tape", UNIFIEDRL_TENSOR_TAPE, BATCH, 2 * HIDDEN);
    const int32_t mu = work(p, "mu", BATCH, ACTION), mu_tape = tensor(p, "mu_tape", UNIFIEDRL_TENSOR_TAPE, BATCH, HIDDEN);
    const int32_t value = work(p, "value", BATCH, 1), dvalue = work(p, "dvalue", BATCH, 1);
    const int32_t value_tape = tensor(p, "value_tape", UNIFIEDRL_TENSOR_SIGNS, BATCH, 2 * HIDDEN);
    const int32_t weight = tensor(p, "weight", UNIFIEDRL_TENSOR_CONSTANT, 1, 1);
    const int32_t mean = work(p, "mean", BATCH, 1), spread = work(p, "spread", BATCH, 1), uphill = work(p, "uphill", BATCH, ACTION);
    const int32_t critic_norm = work(p, "critic_norm", 1, 1), actor_norm = work(p, "actor_norm", 1, 1);
    const int32_t rate = hyper(p, "rate", 3e-3), beta1 = hyper(p, "beta1", 0.9), beta2 = hyper(p, "beta2", 0.999);
    const int32_t epsilon = hyper(p, "epsilon", 1e-8), zero = hyper(p, "zero", 0.0);

    CHECK(unifiedrl_program_op(p, "sample", UNIFIEDRL_OP_SAMPLE, IDS(rows), NOTHING, INTEGERS(0), NOTHING));
    CHECK(unifiedrl_program_op(p, "s", UNIFIEDRL_OP_GATHER, IDS(rows, none, none, s), NOTHING, INTEGERS(0, 0), NOTHING));
    CHECK(unifiedrl_program_op(p, "a", UNIFIEDRL_OP_GATHER, IDS(rows, none, none, a), NOTHING, INTEGERS(1, 0), NOTHING));
    CHECK(unifiedrl_program_op(p, "r", UNIFIEDRL_OP_GATHER, IDS(rows, none, none, r), NOTHING, INTEGERS(2, 0), NOTHING));

    CHECK(unifiedrl_program_op(p, "taken", UNIFIEDRL_OP_CONCAT, IDS(s, a, taken), NOTHING, NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(p, "q", UNIFIEDRL_OP_MLP_FORWARD, IDS(taken, q, q_tape), IDS(critic), NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(p, "error", UNIFIEDRL_OP_SQUARED_ERROR, IDS(q, r, dq, loss), NOTHING, NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(p, "critic_backward", UNIFIEDRL_OP_MLP_BACKWARD, IDS(taken, q, q_tape, dq), IDS(critic), NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(
        p, "critic_adam", UNIFIEDRL_OP_ADAM, IDS(critic_norm), IDS(critic), INTEGERS(1), IDS(rate, beta1, beta2, epsilon, zero, zero)));

    CHECK(unifiedrl_program_op(p, "mu", UNIFIEDRL_OP_MLP_FORWARD, IDS(s, mu, mu_tape), IDS(actor), NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(p, "chosen", UNIFIEDRL_OP_CONCAT, IDS(s, mu, chosen), NOTHING, NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(p, "value", UNIFIEDRL_OP_MLP_FORWARD, IDS(chosen, value, value_tape), IDS(critic), NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(
        p, "objective", UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE, IDS(value, weight, dvalue, mean, spread), NOTHING, INTEGERS(1), IDS(zero)));
    CHECK(unifiedrl_program_op(
        p, "uphill", UNIFIEDRL_OP_MLP_BACKWARD_INPUT, IDS(value, value_tape, dvalue, uphill), IDS(critic), INTEGERS(STATE), NOTHING));
    CHECK(unifiedrl_program_op(p, "actor_backward", UNIFIEDRL_OP_MLP_BACKWARD, IDS(s, mu, mu_tape, uphill), IDS(actor), NOTHING, NOTHING));
    CHECK(unifiedrl_program_op(
        p, "actor_adam", UNIFIEDRL_OP_ADAM, IDS(actor_norm), IDS(actor), INTEGERS(1), IDS(rate, beta1, beta2, epsilon, zero, zero)));
    CHECK(unifiedrl_program_op(p, "critic_loss", UNIFIEDRL_OP_METRIC, IDS(loss), NOTHING, INTEGERS(0), NOTHING));

    options.seed = 1;
    CHECK(unifiedrl_engine_create(p, replay, argc > 1 ? argv[1] : "auto", &options, &engine));
    unifiedrl_program_close(p);
    CHECK(unifiedrl_tensor_write(engine, weight, &one, 1));
  }
  CHECK(unifiedrl_network_initialise(engine, critic, 1));
  CHECK(unifiedrl_network_initialise(engine, actor, 2));

  /* Training: one call runs many steps. */
  CHECK(unifiedrl_engine_run(engine, STEPS));
  {
    static float losses[STEPS];
    int64_t steps;
    CHECK(unifiedrl_engine_metrics(engine, losses, STEPS, &steps));
    printf("%lld steps on back end %s; loss of the critic %.4f -> %.4f\n", (long long)steps, unifiedrl_engine_backend(engine), losses[0],
           losses[steps - 1]);
    if (steps != STEPS || !(losses[STEPS - 1] < losses[0] / 10)) return 1;
  }

  /* The weights out, and what they do. */
  {
    const int64_t count = unifiedrl_network_size(engine, actor);
    float* parameters = malloc((size_t)count * sizeof(float));
    float mu[TESTED];
    double error = 0;
    if (parameters == NULL) return 1;
    CHECK(unifiedrl_network_read(engine, actor, UNIFIEDRL_PARAMETERS, parameters, count));
    unifiedrl_engine_close(engine);
    unifiedrl_replay_close(replay);
    CHECK(unifiedrl_policy_create(actor_sizes, COUNT(actor_sizes), UNIFIEDRL_TANH, parameters, NULL, NULL, 0, &policy));
    CHECK(unifiedrl_policy_run(policy, states, TESTED, mu));
    for (int row = 0; row < TESTED; row++) error += fabsf(mu[row] - best(states + row * STATE)) / TESTED;
    unifiedrl_policy_close(policy);
    free(parameters);
    printf("mean distance to the best action %.3f\n", error);
    return error < 0.08 ? 0 : 1;
  }
}
