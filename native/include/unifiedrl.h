/*
 * unifiedrl.h - the C ABI of the UnifiedRL training engine.
 *
 * A training step is a short straight-line *program* of operations over named tensors and networks. A program is built once, checked,
 * planned for one back end (an *engine*), and then run K steps per call. Inside run() nothing returns to the caller, and from the second step
 * on nothing allocates.
 *
 * Conventions
 *   - Tensors have the shape [members, rows, columns] = [E, B, F], row-major. A tensor with E = 1 is shared by all members of an ensemble.
 *   - Functions that can fail return a status; 0 is success. Those that give a number return -1 on failure, those that give a text "". After a
 *     failure unifiedrl_error() has the text, on the calling thread only. The close functions return nothing; a handle that is closed already,
 *     or of another kind, is left alone.
 *   - Handles are created and closed by the caller. Closing NULL is allowed. A handle is used by one thread at a time; different
 *     handles may be used by different threads. Programs may be closed once the engine has been created.
 *   - No function aborts, exits or throws across this boundary.
 *   - Networks are multi-layer perceptrons, all members of the same shape: y = f_n(... relu(x W_1 + b_1) ... W_n + b_n) with
 *     W_l of shape [E, in_l, out_l] and b_l of shape [E, out_l]. The flat layout of a network is W_1, b_1, W_2, b_2, ... (row-major).
 *   - A program holds at most 4,096 tensors, networks, hyper-parameters and ops each; a tensor or network section at most 2^42 elements.
 *   - Every hyper-parameter is finite and within float32; where 0 is excluded, at least the smallest normal float32, 1.2e-38.
 */
#ifndef UNIFIEDRL_H
#define UNIFIEDRL_H

#include <stdint.h>

#if defined(_WIN32)
#define UNIFIEDRL_API __declspec(dllexport)
#else
#define UNIFIEDRL_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface; a caller checks it against unifiedrl_abi_version() before anything else. */
#define UNIFIEDRL_ABI_VERSION 4

/* Status codes. */
#define UNIFIEDRL_OK 0
#define UNIFIEDRL_INVALID_ARGUMENT 1 /* a value, shape or handle is not usable; the text says which and why */
#define UNIFIEDRL_OUT_OF_MEMORY 2    /* the text says how much was wanted and for what */
#define UNIFIEDRL_UNAVAILABLE 3      /* the back end cannot work here; the text says why */
#define UNIFIEDRL_NOT_FINITE 4       /* a gradient stopped being finite; the text names op and step; see unifiedrl_engine_run */
#define UNIFIEDRL_MISMATCH 5         /* check back end: two back ends differ by more than the op's tolerance */
#define UNIFIEDRL_INTERNAL 6         /* a defect of the engine or of a library it uses */

/* Activations of a network's last layer; hidden layers use ReLU. */
#define UNIFIEDRL_LINEAR 0
#define UNIFIEDRL_TANH 1

/* Kinds of tensors. */
#define UNIFIEDRL_TENSOR_WORK 0     /* produced by one op and read by later ops of the same step; the engine owns its storage */
#define UNIFIEDRL_TENSOR_CONSTANT 1 /* written by the caller with unifiedrl_tensor_write, zero at first; read by ops */
#define UNIFIEDRL_TENSOR_ROWS 2     /* int64 row indices [1, B, 1] drawn by UNIFIEDRL_OP_SAMPLE */
/* Hidden activations that a forward pass leaves for its backward pass; columns = sum of hidden sizes, layer after layer. */
#define UNIFIEDRL_TENSOR_TAPE 3
/* Only whether each hidden unit is on (1, also where it is NaN) or off (0): enough for UNIFIEDRL_OP_MLP_BACKWARD_INPUT. */
#define UNIFIEDRL_TENSOR_SIGNS 4

/* Sections of a network's state. */
#define UNIFIEDRL_PARAMETERS 0
#define UNIFIEDRL_GRADIENTS 1 /* of the last step, before clipping; readable only with `materialise` */
#define UNIFIEDRL_MOMENT1 2
#define UNIFIEDRL_MOMENT2 3

/*
 * Operations. `t[...]` are tensors, `n[...]` networks, `i[...]` integer attributes, `h[...]` hyper-parameter slots, in this order.
 * "none" stands for UNIFIEDRL_NONE. E, B, F as above; H is the sum of hidden sizes; m is the group size (member e is in group e / m).
 */
#define UNIFIEDRL_NONE (-1)

/* Draws B row numbers uniformly from the replay: Philox keyed by (seed, step, stream, b), with a multiply-shift map to [0, rows).
 * Equal streams draw equal rows. t: out rows [1,B,1] (ROWS), B at most 2^24.  i: stream, 0 to 2^31 - 1. */
#define UNIFIEDRL_OP_SAMPLE 1

/* Gathers a replay column: out[b] = (column[rows[b] + offset] - shift) * scale. With offset 1, rows that end their session read their own row.
 * Column UNIFIEDRL_LAST_COLUMN is the last-of-session flag as 0 or 1.
 * t: rows, shift [1,1,F] or none, scale [1,1,F] or none, out [1,B,F].  i: column, offset (0 or 1). */
#define UNIFIEDRL_OP_GATHER 2
#define UNIFIEDRL_LAST_COLUMN (-2)

/* out = [x, y] by columns. t: x [E,B,Fx], y [E,B,Fy], out [E,B,Fx+Fy]. */
#define UNIFIEDRL_OP_CONCAT 3

/* y = network(x). t: x [1 or E,B,in], y [E,B,out], tape (TAPE or SIGNS [E,B,H]) or none. n: network. */
#define UNIFIEDRL_OP_MLP_FORWARD 4

/* Parameter gradients of SUM(dy * y): the network's gradient section is overwritten. With h_0 = x, h_l the hidden activations and
 * dz_n = dy (dy (1 - y^2) below tanh): dW_l = SUM_b h_(l-1)^T dz_l, db_l = SUM_b dz_l, dz_l = [h_l > 0] (dz_(l+1) W_(l+1)^T). Members of
 * a shared x [1,B,in] still have their own gradients.
 * t: x, y (as in the forward pass; y is read only where the output is tanh), tape (TAPE), dy [E,B,out]. n: network. */
#define UNIFIEDRL_OP_MLP_BACKWARD 5

/* dx = gradient with respect to input columns [first, first + F): columns of dz_1 W_1^T, dz as in op 5; it is per member even where x was
 * shared. No parameter gradient is formed. i: first is 0 to in - 1, and first + F at most in.
 * t: y (as in the forward pass), tape (TAPE or SIGNS), dy [E,B,out], dx [E,B,F]. n: network. i: first. */
#define UNIFIEDRL_OP_MLP_BACKWARD_INPUT 6

/* out = SUM over members of x, in member order. t: x [E,B,F], out [1,B,F]. */
#define UNIFIEDRL_OP_MEMBER_SUM 7

/* out = x + y. t: x, y, out, all of one shape. */
#define UNIFIEDRL_OP_ADD 8

/* Attenuation outside the box (specification section 0): with excess x_k = max(a_k - hi_k, lo_k - a_k, 0) / (hi_k - lo_k),
 * phi = 1 if all x_k = 0, else beta * exp(-theta * SUM_k x_k). A box has lo <= hi; where lo = hi it is one point, and any action beside it
 * is infinitely far out: phi = 0 (beta where theta = 0). NaN in an action or edge gives NaN.
 * t: a [1,B,A], lo [1,B,A], hi [1,B,A], phi [1,B,1].  h: beta, theta, each at least 0. */
#define UNIFIEDRL_OP_ATTENUATION 9

/* Temporal-difference target y_e = r_g + gamma * (1 - done) * (phi * max(q_e, 0) + min(q_e, 0)), g = e / m. phi may be none (1).
 * done is in [0, 1].
 * t: reward [1,B,G], done [1,B,1], phi [1,B,1] or none, q [E,B,1], y [E,B,1].  i: m (E = G * m).  h: gamma in [0, 1]. */
#define UNIFIEDRL_OP_TD_TARGET 10

/* loss_e = mean_B (q - y)^2 and its gradient dq = 2 (q - y) / B, for each member on its own.
 * t: q [E,B,1], y [E,B,1], dq [E,B,1], loss [E,1,1]. */
#define UNIFIEDRL_OP_SQUARED_ERROR 11

/* Ensemble objective -SUM_i w_i mean_i + lambda SUM_i w_i sd_i over G groups of m members, averaged over B, with its gradient:
 * mean_i = (1/m) SUM_j q_ij, sd_i = sqrt((1/m) SUM_j (q_ij - mean_i)^2 + 1e-8).
 * t: q [E,B,1], weight [1,1,G], dq [E,B,1], mean [1,B,G], sd [1,B,G].  i: m, a divisor of E.  h: lambda. */
#define UNIFIEDRL_OP_ENSEMBLE_OBJECTIVE 12

/* Box penalty eta * d(a), averaged over B, with its gradient. form 0 "continuous": d = SUM_k expm1(min(omega x_k, 8));
 * form 1 "exact": d = SUM_k [x_k > 0] exp(min(omega x_k, 8)). Both have the same gradient, 0 where clamped, and so
 * where the box has no width.
 * t: a, lo, hi [1,B,A], da [1,B,A], d [1,B,1] (without eta), inside [1,B,1] (1 where every x_k = 0).  i: form.  h: eta at least 0, omega above 0. */
#define UNIFIEDRL_OP_BOX_PENALTY 13

/* Adam on a network, after clipping the gradient of *each member* to the norm `clip` (0: no clipping). Bias corrections use -expm1(t log beta).
 * Decoupled decay subtracts rate * decay * parameter. A gradient that is not finite stops the run before anything of that member changes.
 * norm receives each member's gradient norm before clipping. The update takes place at every step t (counted from 1) with t % period == 0, and
 * is then Adam's update number t / period; at other steps only the norm is formed, and checked.
 * t: norm [E,1,1].  n: network.  i: period, at least 1.  h: rate, beta1, beta2, epsilon, decay, clip: rate, decay and clip at
 * least 0, rate * decay at most 1, beta1 and beta2 in [0, 1), epsilon above 0. */
#define UNIFIEDRL_OP_ADAM 14

/* target <- w * source + (1 - w) * target at every step t (counted from 1) with t % period == 0. n: target, source.  i: period, at least 1.
 * h: w in [0, 1]. */
#define UNIFIEDRL_OP_SOFT_UPDATE 15

/* Writes the mean over all elements of x into the metrics row of this step. t: x.  i: slot, 0 to 1,023, each once. */
#define UNIFIEDRL_OP_METRIC 16

/* ---- building blocks of other algorithms. An output called `share` or d... is a derivative that the backward calls multiply by what comes
 * from above. "Broadcast" means that each of a tensor's three sizes is the output's or 1. ---- */

/* out = scale * z, cut to [-limit, limit] where limit is above 0. z depends on (seed, step, stream, (e B + b) F + f) only: Philox, then in
 * double, distribution 0: standard normal by Box-Muller; 1: uniform in (-1, 1). t: out [E,B,F], of at most 2^24 elements.
 * i: stream (0 to 2^31 - 1), distribution.  h: scale and limit, each at least 0. */
#define UNIFIEDRL_OP_NOISE 17

/* out = min(max(x, low), high); inside = 1 where low <= x <= high, else 0: the derivative. NaN stays NaN, and is outside.
 * t: x, out, inside, all of one shape.  h: low, high, low at most high. */
#define UNIFIEDRL_OP_CLIP 18

/* out = a x + b y + c. t: x, y or none (broadcast), out [E,B,F].  h: a, b, c. */
#define UNIFIEDRL_OP_COMBINE 19

/* out = x * y. t: x, y (broadcast), out [E,B,F]. */
#define UNIFIEDRL_OP_MULTIPLY 20

/* out_g = w min_j q_gj + (1 - w) max_j q_gj over the m members of each of G groups; share = its derivative with respect to q (the first member
 * that attains an extreme has it). NaN in q gives NaN. t: q [E,B,F], out [G,B,F], share [E,B,F].  i: m (E = G * m).  h: w in [0, 1]. */
#define UNIFIEDRL_OP_GROUP_EXTREME 21

/* Reduces every n consecutive rows to one, and also all columns where out has one column: kind 0 sum, 1 mean, 2 max (first attained), 3
 * T log SUM exp(x / T). share = derivative with respect to x. NaN in x gives NaN.
 * t: x [E,B*n,F], out [E,B,1 or F], share [E,B*n,F].  i: n (at least 1), kind.  h: T above 0 (used by kind 3 only). */
#define UNIFIEDRL_OP_ROW_REDUCE 22
#define UNIFIEDRL_SUM 0
#define UNIFIEDRL_MEAN 1
#define UNIFIEDRL_MAX 2
#define UNIFIEDRL_LOG_SUM_EXP 3

/* out[e, b n + k, f] = x[e, b, f], k = 0 .. n - 1. t: x [E,B,F], out [E,B*n,F].  i: n, at least 1. */
#define UNIFIEDRL_OP_REPEAT 23

/* out = x, and below it y. t: x [E,Bx,F], y [E,By,F], out [E,Bx+By,F]. */
#define UNIFIEDRL_OP_CONCAT_ROWS 24

/* out[e, b, f] = x[first_member + e, first_row + b, first_column + f]. t: x, out.  i: first_member, first_row, first_column. */
#define UNIFIEDRL_OP_SLICE 25

/* out has x's elements in their order, under another division of each member into rows and columns. t: x [E,B,F], out [E,B',F'], B F = B' F'. */
#define UNIFIEDRL_OP_RESHAPE 26

/* Reparameterised draw from a diagonal Gaussian. head = (mean, log_std) by columns; sd = exp(min(max(log_std, low), high)), u = mean + sd * noise;
 * action = u, or tanh(u) with squash 1. log_prob is its log-density, SUM_k (-noise^2 / 2 - log sd - log(2 pi) / 2) and, with squash,
 * - SUM_k log(1 - tanh(u)^2) = - SUM_k 2 (log 2 - u - softplus(-2 u)).
 * t: head [E,B,2A], noise [E,B,A], action [E,B,A], log_prob [E,B,1].  i: squash.  h: low, high. */
#define UNIFIEDRL_OP_GAUSSIAN_SAMPLE 27

/* dhead = gradient of SUM (daction * action) + SUM (dlog_prob * log_prob) of op 27; nothing passes a log_std outside [low, high].
 * t: head, noise, action (as in op 27), daction [E,B,A] or none, dlog_prob [E,B,1] or none (not both), dhead [E,B,2A].  i: squash.  h: low, high. */
#define UNIFIEDRL_OP_GAUSSIAN_SAMPLE_BACKWARD 28

/* Log-density of given actions under op 27's distribution, and its derivative with respect to head. With squash, u = atanh of the action after it
 * was cut to +-(1 - 1e-6). t: head [E,B,2A], action [1 or E,B,A], log_prob [E,B,1], dhead [E,B,2A].  i: squash.  h: low, high. */
#define UNIFIEDRL_OP_GAUSSIAN_LOG_PROB 29

/* kl = KL(N(mean, sd^2) | N(0, 1)) = SUM_k (mean^2 + sd^2 - 1 - 2 log sd) / 2 and its derivative with respect to head, sd as in op 27.
 * t: head [E,B,2A], kl [E,B,1], dhead [E,B,2A].  h: low, high. */
#define UNIFIEDRL_OP_GAUSSIAN_KL 30

/* out = min(exp(beta (x - y)), cap). t: x, y or none (0), out, all of one shape.  h: beta, cap above 0. */
#define UNIFIEDRL_OP_EXP_WEIGHT 31

/* Expectile loss of each row, |tau - [u < 0]| u^2 with u = q - v, and dv, the gradient of its mean over B.
 * t: q [1 or E,B,1], v [E,B,1], loss [E,B,1], dv [E,B,1].  h: tau in [0, 1]. */
#define UNIFIEDRL_OP_EXPECTILE 32

/* out = scale / max(mean of |x| over all elements, 1e-8). t: x [E,B,F], out [1,1,1].  h: scale. */
#define UNIFIEDRL_OP_NORMALISER 33

/* y = gain * (h - mean) / sqrt(variance + epsilon) + bias over the F columns of each row, variance the population's, with h = x, or max(x, 0)
 * with relu 1. stat = (mean, 1 / sqrt(variance + epsilon)). The network has the sizes (1, F) and is linear: its weight is the gain, its bias the bias.
 * t: x [E,B,F], y [E,B,F], stat [E,B,2].  n: network.  i: relu.  h: epsilon above 0. */
#define UNIFIEDRL_OP_LAYER_NORM 34

/* dx = gradient of SUM (dy * y) of op 34 with respect to x; with parameters 1 also the network's gradients, which are overwritten.
 * t: x, stat (as in op 34), dy [E,B,F], dx [E,B,F].  n: network.  i: relu, parameters. */
#define UNIFIEDRL_OP_LAYER_NORM_BACKWARD 35

/* Similarity of the members' gradients (EDAC): d = 1 / (E - 1) SUM_(i != j) cos(g_i, g_j) per row, where |g| is sqrt(SUM g^2 + 1e-10), and dg,
 * the gradient of its mean over B. t: g [E,B,A] (E at least 2), d [1,B,1], dg [E,B,A]. */
#define UNIFIEDRL_OP_DIVERSITY 36

/* Adds to the network's gradients those of SUM (direction * dx), where dx is what op 6 gives for the same dy: a second derivative. Hidden units
 * that are off stay so. An op 5 or 37 of the network comes before it in the step; its output is linear.
 * t: y, tape (TAPE), dy (as in op 6), direction [E,B,F].  n: network.  i: first. */
#define UNIFIEDRL_OP_MLP_BACKWARD_TANGENT 37

#define UNIFIEDRL_LAST_OP UNIFIEDRL_OP_MLP_BACKWARD_TANGENT /* ops have the codes 1 to this */

typedef struct unifiedrl_program unifiedrl_program;
typedef struct unifiedrl_replay unifiedrl_replay;
typedef struct unifiedrl_engine unifiedrl_engine;
typedef struct unifiedrl_policy unifiedrl_policy;

/* Precision of matrix products; parameters, moments and everything else are float32 throughout. */
#define UNIFIEDRL_FP32 0 /* float32 operands and sums */
#define UNIFIEDRL_TF32 1 /* operands rounded to 10 fraction bits, float32 sums */
#define UNIFIEDRL_BF16 2 /* operands and stored activations rounded to bfloat16, float32 sums */

/* Where rows of a replay lie for back ends with memory of their own; those of the host read them where they are and ignore this. */
#define UNIFIEDRL_REPLAY_AUTO 0     /* resident where they fit, else streamed */
#define UNIFIEDRL_REPLAY_RESIDENT 1 /* uploaded once, when the engine is created */
#define UNIFIEDRL_REPLAY_STREAMED 2 /* drawn rows are uploaded ahead of the steps that use them */

/* Options of an engine. Zero means the default throughout. */
/* Results of the CPU back end do not depend on the number of threads. They do depend, by rounding, on tile_rows (sums over a batch are formed
 * tile by tile), whose default follows the machine's cache, and on isa: fix both to have the same bits on another machine. */
typedef struct unifiedrl_options {
  int32_t threads;     /* worker threads including the caller; default: processors this process may use (affinity, cgroup share); at most 1,024 */
  int32_t tile_rows;   /* batch rows worked on at a time, a multiple of 16; default: chosen from the cache size */
  int32_t materialise; /* 1: keep every intermediate tensor whole so that it can be read (slower, more memory) */
  int32_t isa;         /* vectorised loops: 0 best, 1 baseline, 2 AVX2, 3 AVX-512; more than the processor has is refused */
  int32_t device;      /* index of the device, for back ends that may have several; back ends that run on the host have only 0 */
  int32_t precision;   /* UNIFIEDRL_FP32, _TF32 or _BF16; a back end that lacks it refuses */
  int32_t replay;      /* UNIFIEDRL_REPLAY_AUTO, _RESIDENT or _STREAMED */
  int32_t size;        /* sizeof(unifiedrl_options) as the caller knows it, or 0 for this version's; sizes that are not known are refused */
  uint64_t seed;       /* key of every random draw */
} unifiedrl_options;

/* ---- errors and versions ---- */

UNIFIEDRL_API int32_t unifiedrl_abi_version(void);
/* Text of the last failure on this thread, outermost context first; "" if none. Valid until the next call on this thread. */
UNIFIEDRL_API const char* unifiedrl_error(void);
/* Name of a status code. */
UNIFIEDRL_API const char* unifiedrl_status_name(int32_t status);

/* ---- back ends ---- */

/* Number of back ends: those built in, then those loaded. It never falls, and an index keeps its name. */
UNIFIEDRL_API int32_t unifiedrl_backend_count(void);
UNIFIEDRL_API const char* unifiedrl_backend_name(int32_t index);
/* Score by which "auto" chooses; 0 when it cannot work here, and then unifiedrl_backend_description says why. */
UNIFIEDRL_API int32_t unifiedrl_backend_score(int32_t index);
/* One line: what it runs on (processor, instruction set, library versions), or why it cannot. Valid until the next call on this thread. */
UNIFIEDRL_API const char* unifiedrl_backend_description(int32_t index);
/* Loads a back end from a shared library (unifiedrl_backend.h) and lists it under `name`, which has no ',', ':' or '=' in it and is not "auto". The
 * library stays loaded for the life of the process. One that does not load, is of another version or gives no table is listed too, with score 0 and the
 * reason as its description; the status is then UNAVAILABLE. A name that is taken is refused (INVALID_ARGUMENT), unless its load failed: then this
 * call takes its place. May be called on any thread at any time. `path` is looked up as the system does it: without a slash, in its search path. */
UNIFIEDRL_API int32_t unifiedrl_backend_load(const char* name, const char* path);

/* ---- programs ---- */

UNIFIEDRL_API int32_t unifiedrl_program_create(unifiedrl_program** program);
UNIFIEDRL_API void unifiedrl_program_close(unifiedrl_program* program);
/* Adds a tensor; *id counts from 0 in order of addition. All sizes at least 1. */
UNIFIEDRL_API int32_t unifiedrl_program_tensor(
    unifiedrl_program* program, const char* name, int32_t kind, int64_t members, int64_t rows, int64_t columns, int32_t* id);
/* Adds a network with sizes[0] inputs, sizes[1 .. count-2] hidden units and sizes[count-1] outputs; count is 2 to 8. */
UNIFIEDRL_API int32_t unifiedrl_program_network(
    unifiedrl_program* program, const char* name, int64_t members, const int64_t* sizes, int32_t count, int32_t activation, int32_t* id);
/* Adds a hyper-parameter slot with its first value. It may change between runs. */
UNIFIEDRL_API int32_t unifiedrl_program_hyper(unifiedrl_program* program, const char* name, double value, int32_t* id);
/* Appends an operation, fully checked: existence, kinds, shapes, order of definition. */
UNIFIEDRL_API int32_t unifiedrl_program_op(
    unifiedrl_program* program, const char* name, int32_t op, const int32_t* tensors, int32_t tensor_count, const int32_t* networks,
    int32_t network_count, const int64_t* integers, int32_t integer_count, const int32_t* hypers, int32_t hyper_count);

/* ---- replay ---- */

/* An experience store over memory that the caller keeps mapped until the replay and every engine that uses it are closed. */
UNIFIEDRL_API int32_t unifiedrl_replay_create(const int64_t* widths, int32_t columns, unifiedrl_replay** replay);
/* Memory of the columns must stay mapped until the last engine that uses the replay is closed too. */
UNIFIEDRL_API void unifiedrl_replay_close(unifiedrl_replay* replay);
/* Adds a segment of rows: columns[c] points at float32 [rows, widths[c]], last at one byte per row (0 or 1, the final one must be 1). Refused while
 * an engine uses the replay. Column addresses are multiples of 4. Boxes and other values are not looked at. */
UNIFIEDRL_API int32_t unifiedrl_replay_add(
    unifiedrl_replay* replay, const float* const* columns, const uint8_t* last, int64_t rows);
/* Same with addresses as integers, for callers that hold them so. */
UNIFIEDRL_API int32_t unifiedrl_replay_add_addresses(unifiedrl_replay* replay, const int64_t* columns, int64_t last, int64_t rows);
UNIFIEDRL_API int64_t unifiedrl_replay_rows(const unifiedrl_replay* replay);

/* ---- engines ---- */

/* backend: "auto", "cpu", "reference" (double), "reference32", a name that was loaded, or "check:A,B" which runs two and compares every op.
 * replay may be NULL for programs that draw nothing. Closing a replay that an engine uses takes effect with the last such engine. */
UNIFIEDRL_API int32_t unifiedrl_engine_create(
    const unifiedrl_program* program, const unifiedrl_replay* replay, const char* backend, const unifiedrl_options* options,
    unifiedrl_engine** engine);
UNIFIEDRL_API void unifiedrl_engine_close(unifiedrl_engine* engine);
/* Name of the back end that was chosen; valid until the engine is closed. */
UNIFIEDRL_API const char* unifiedrl_engine_backend(const unifiedrl_engine* engine);
/* One line: what this engine runs with (instruction set, rows of a tile, threads); valid until the engine is closed. */
UNIFIEDRL_API const char* unifiedrl_engine_description(const unifiedrl_engine* engine);
/* Runs `steps` steps, up to step 2^40 in all. On failure the step that failed is named; steps before it are complete. After
 * UNIFIEDRL_NOT_FINITE that step is half done: ops before the failing one took effect, and some members of its network may have been updated
 * (which ones depends on the back end; the member at fault is not). Runs are then refused until parameters are written, initialised, or
 * unifiedrl_engine_set_step is called. */
UNIFIEDRL_API int32_t unifiedrl_engine_run(unifiedrl_engine* engine, int64_t steps);
/* Steps completed since creation or since unifiedrl_engine_set_step; draws and bias corrections depend on it. */
UNIFIEDRL_API int64_t unifiedrl_engine_step(const unifiedrl_engine* engine);
/* step is 0 to 2^40. */
UNIFIEDRL_API int32_t unifiedrl_engine_set_step(unifiedrl_engine* engine, int64_t step);
UNIFIEDRL_API int32_t unifiedrl_engine_set_hyper(unifiedrl_engine* engine, int32_t id, double value);
/* Metric rows of completed steps not yet drained, oldest first, at most max_rows; *rows receives their number. A row has one float per
 * metric slot. The ring holds 1,024 rows; older ones are overwritten. */
UNIFIEDRL_API int32_t unifiedrl_engine_metrics(unifiedrl_engine* engine, float* destination, int64_t max_rows, int64_t* rows);
/* Number of metric slots. */
UNIFIEDRL_API int32_t unifiedrl_engine_metric_slots(const unifiedrl_engine* engine);
/* Bytes that the engine holds for parameters, optimiser state and work space. */
UNIFIEDRL_API int64_t unifiedrl_engine_bytes(const unifiedrl_engine* engine);

/* Elements of one section of a network; every section has the same layout and size. */
UNIFIEDRL_API int64_t unifiedrl_network_size(const unifiedrl_engine* engine, int32_t network);
UNIFIEDRL_API int32_t unifiedrl_network_read(const unifiedrl_engine* engine, int32_t network, int32_t section, float* destination, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_network_write(unifiedrl_engine* engine, int32_t network, int32_t section, const float* source, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_network_read64(const unifiedrl_engine* engine, int32_t network, int32_t section, double* destination, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_network_write64(unifiedrl_engine* engine, int32_t network, int32_t section, const double* source, int64_t count);
/* Fills a network's parameters: weights and biases uniform in +-1/sqrt(in), each member and layer from its own stream of `seed`. */
UNIFIEDRL_API int32_t unifiedrl_network_initialise(unifiedrl_engine* engine, int32_t network, uint64_t seed);

/* Constant tensors may be written; tensors of the last step may be read where the back end kept them (see `materialise`). */
UNIFIEDRL_API int32_t unifiedrl_tensor_write(unifiedrl_engine* engine, int32_t tensor, const float* source, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_tensor_write64(unifiedrl_engine* engine, int32_t tensor, const double* source, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_tensor_read(const unifiedrl_engine* engine, int32_t tensor, float* destination, int64_t count);
UNIFIEDRL_API int32_t unifiedrl_tensor_read64(const unifiedrl_engine* engine, int32_t tensor, double* destination, int64_t count);

/* ---- inference ---- */

/* A frozen single-member network for serving: parameters in the flat layout above, inputs normalised as (x - shift) * scale when given.
 * One thread at a time per handle; unifiedrl_policy_run allocates nothing. Needs no back end. isa as in unifiedrl_options. */
UNIFIEDRL_API int32_t unifiedrl_policy_create(
    const int64_t* sizes, int32_t count, int32_t activation, const float* parameters, const float* shift, const float* scale,
    int32_t isa, unifiedrl_policy** policy);
UNIFIEDRL_API void unifiedrl_policy_close(unifiedrl_policy* policy);
/* y[rows, out] = network(x[rows, in]); rows at least 0; x and y do not overlap. */
UNIFIEDRL_API int32_t unifiedrl_policy_run(unifiedrl_policy* policy, const float* x, int64_t rows, float* y);

/* ---- measurement ---- */

/* Best of `repeats` float32 matrix products of n x n x n on `threads` threads, in GFLOP/s: the machine's limit beside which a step is
 * judged. n is 1 to 16,384, threads 1 to 1,024, repeats at least 1. Both measuring functions need the CPU back end (else UNAVAILABLE). */
UNIFIEDRL_API int32_t unifiedrl_measure_sgemm(int64_t n, int32_t threads, int32_t repeats, double* gflops);
/* Gathers `rows` random rows `repeats` times from a replay column and copies as many bytes with memcpy; both in bytes per second.
 * The replay has rows; rows is 1 to 2^24, repeats at least 1. */
UNIFIEDRL_API int32_t unifiedrl_measure_gather(
    const unifiedrl_replay* replay, int32_t column, int64_t rows, int32_t repeats, uint64_t seed, double* gather, double* copy);

#ifdef __cplusplus
}
#endif
#endif
