#!/usr/bin/env python3
"""The engine through its C ABI: what the GPU suite (run) asks of it in a process of its own, whose end it survives. Needs only Python.

engine.py TASK [--library FILE] [--cuda FILE] [options]     prints one JSON line; exit code 1: the task failed

describe   back ends and what they run on
parity     --steps N       the CPU back end and --backend from equal weights in fp32: parameters after N steps
losses     --steps N       --backend in fp32, tf32 and bf16: mean losses of ten stretches of N steps in all
problem    --write FILE    N steps of --backend in --precision as a file in the golden format (bench/peers/README.md), for peers to compare with
steps      --steps N       runs N steps; with --calls as CUPTI sees them, through PyTorch; with --profiled for ncu --profile-from-start off
sweep      --steps N       runs N steps in every precision, fused and layer by layer, resident and streamed: under compute-sanitizer
replay     --mib M         uploads M MiB of rows, then streams as many
"""

import argparse
import array
import ctypes
import json
import math
import os
import random
import struct
import sys
import time
from pathlib import Path

FP32, TF32, BF16 = 0, 1, 2
PRECISIONS = {"fp32": FP32, "tf32": TF32, "bf16": BF16}
RESIDENT, STREAMED = 1, 2
WORK, CONSTANT, ROWS, TAPE, SIGNS = range(5)
(SAMPLE, GATHER, CONCAT, FORWARD, BACKWARD, BACKWARD_INPUT, MEMBER_SUM, ADD, ATTENUATION, TD_TARGET, SQUARED_ERROR, OBJECTIVE, PENALTY, ADAM,
 SOFT_UPDATE, METRIC) = range(1, 17)  # fmt: skip
LAST, NONE = -2, -1
LINEAR, TANH = 0, 1
GROUPS = 2
NETWORKS = ("actor", "target_actor", "critic", "target_critic")
# As in bench/peers/step.py, and of the same meaning there.
HYPERS = dict(gamma=0.9, beta=1.0, theta=1 / 0.3, eta=1.2, omega=1 / 0.3, target_rate=0.08, adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8)
HYPERS |= {"lambda": 0.2, "actor_learning_rate": 1e-4, "critic_learning_rate": 3e-4}
TARGET_PERIOD = 15


class Failure(Exception):
    pass


class Options(ctypes.Structure):  # unifiedrl_options
    _fields_ = [(k, ctypes.c_int32) for k in ("threads", "tile_rows", "materialise", "isa", "device", "precision", "replay", "size")]
    _fields_ += [("seed", ctypes.c_uint64)]


class Library:
    ABI_VERSION = 4

    def __init__(self, path, cuda=None, beside=()):
        for other in beside:
            ctypes.CDLL(other, ctypes.RTLD_GLOBAL)
        self.c = c = ctypes.CDLL(path)
        for name in ("error", "backend_name", "backend_description", "engine_description", "engine_backend"):
            getattr(c, f"unifiedrl_{name}").restype = ctypes.c_char_p
        for name in ("engine_bytes", "network_size", "engine_step"):
            getattr(c, f"unifiedrl_{name}").restype = ctypes.c_int64
        found = c.unifiedrl_abi_version()
        if found != self.ABI_VERSION:
            raise Failure(f"{path} has ABI version {found}, this script knows {self.ABI_VERSION}")
        if cuda:
            self("backend_load", b"cuda", os.fsencode(cuda))

    def __call__(self, name, *arguments):
        if getattr(self.c, f"unifiedrl_{name}")(*arguments) != 0:
            raise Failure(self.c.unifiedrl_error().decode())

    def backends(self):
        c = self.c
        text = lambda function, i: getattr(c, f"unifiedrl_backend_{function}")(i).decode()
        return {
            text("name", i): dict(score=c.unifiedrl_backend_score(i), description=text("description", i)) for i in range(c.unifiedrl_backend_count())
        }


def integers(kind, values):
    return (kind * max(1, len(values)))(*values)


class Program:
    def __init__(self, library):
        self.native, self.handle, self.shapes = library, ctypes.c_void_p(), {}
        library("program_create", ctypes.byref(self.handle))

    def _id(self, name, *arguments):
        out = ctypes.c_int32()
        self.native(f"program_{name}", self.handle, *arguments, ctypes.byref(out))
        return out.value

    def tensor(self, name, members, rows, columns, kind=WORK):
        out = self._id("tensor", name.encode(), kind, *map(ctypes.c_int64, (members, rows, columns)))
        self.shapes[out] = (members, rows, columns)
        return out

    def network(self, name, members, sizes, activation):
        return self._id("network", name.encode(), ctypes.c_int64(members), integers(ctypes.c_int64, sizes), len(sizes), activation)

    def hyper(self, name, value):
        return self._id("hyper", name.encode(), ctypes.c_double(value))

    def op(self, name, code, t=(), n=(), i=(), h=()):
        lists = [x for kind, values in ((ctypes.c_int32, t), (ctypes.c_int32, n), (ctypes.c_int64, i), (ctypes.c_int32, h))
                 for x in (integers(kind, values), len(values))]  # fmt: skip
        self.native("program_op", self.handle, name.encode(), code, *lists)


class Engine:
    def __init__(self, program, backend, log, **options):
        self.native, self.program, self.handle = program.native, program, ctypes.c_void_p()
        options = Options(size=ctypes.sizeof(Options), seed=7, **options)
        self.native("engine_create", program.handle, log.handle, backend.encode(), ctypes.byref(options), ctypes.byref(self.handle))

    def run(self, steps):
        self.native("engine_run", self.handle, ctypes.c_int64(steps))

    def metrics(self, rows):
        """Those of the only slot."""
        values, count = array.array("f", bytes(4 * rows)), ctypes.c_int64()
        self.native("engine_metrics", self.handle, pointer(values), ctypes.c_int64(rows), ctypes.byref(count))
        return list(values[: count.value])

    def network(self, network):
        count = self.native.c.unifiedrl_network_size(self.handle, network)
        values = array.array("f", bytes(4 * count))
        self.native("network_read", self.handle, network, 0, pointer(values), ctypes.c_int64(count))
        return values

    def set_network(self, network, values):
        self.native("network_write", self.handle, network, 0, pointer(values), ctypes.c_int64(len(values)))

    def tensor(self, tensor):
        count = math.prod(self.program.shapes[tensor])
        values = array.array("f", bytes(4 * count))
        self.native("tensor_read", self.handle, tensor, pointer(values), ctypes.c_int64(count))
        return values

    def set_tensor(self, tensor, values):
        values = array.array("f", values)
        self.native("tensor_write", self.handle, tensor, pointer(values), ctypes.c_int64(len(values)))

    def description(self):
        return self.native.c.unifiedrl_engine_description(self.handle).decode()

    def bytes(self):
        return self.native.c.unifiedrl_engine_bytes(self.handle)

    def close(self):
        self.native.c.unifiedrl_engine_close(self.handle)
        self.handle = None


def pointer(values):
    return ctypes.c_void_p(values.buffer_info()[0])


class Replay:
    """Columns of float32 and the last-of-session flags; keeps them alive."""

    def __init__(self, library, widths, columns, last):
        self.columns, self.last, self.handle = columns, last, ctypes.c_void_p()
        library("replay_create", integers(ctypes.c_int64, widths), len(widths), ctypes.byref(self.handle))
        addresses = (ctypes.c_void_p * len(columns))(*(c.buffer_info()[0] for c in columns))
        library("replay_add", self.handle, addresses, pointer(last), ctypes.c_int64(len(last)))


def requests(library, a, rows):
    """Random requests: columns state, action, lower and upper edge of the box, reward."""
    source = random.Random(5)
    uniform = lambda count: array.array("f", (source.uniform(-1, 1) for _ in range(count)))
    centre = array.array("f", (0.5 * x for x in uniform(rows * a.actions)))
    edge = lambda side: array.array("f", (x + side * 0.15 for x in centre))
    columns = [uniform(rows * a.states), uniform(rows * a.actions), edge(-1), edge(1), uniform(rows * GROUPS)]
    last = array.array("B", (1 if i % 10 == 9 or i == rows - 1 else 0 for i in range(rows)))
    return Replay(library, (a.states, a.actions, a.actions, a.actions, GROUPS), columns, last)


class Step:
    """One UnifiedRL step as a program; ops and coefficients as in bench/peers/step.py. With `draws`, only the rows that it draws."""

    def __init__(self, library, a, draws=False):
        self.a, self.p = a, Program(library)
        B, E = a.batch, GROUPS * a.members
        p = self.p
        work = lambda name, members, columns: p.tensor(name, members, B, columns)
        self.rows = p.tensor("rows", 1, B, 1, ROWS)
        p.op("sample", SAMPLE, (self.rows,), i=(0,))
        self.batch = {}
        for name, column, offset, width in (
            ("state", 0, 0, a.states), ("next_state", 0, 1, a.states), ("action", 1, 0, a.actions), ("box_low", 2, 0, a.actions),
            ("box_high", 3, 0, a.actions), ("next_box_low", 2, 1, a.actions), ("next_box_high", 3, 1, a.actions), ("reward", 4, 0, GROUPS),
            ("done", LAST, 0, 1),
        ):  # fmt: skip
            self.batch[name] = work(name, 1, width)
            p.op(f"gather {name}", GATHER, (self.rows, NONE, NONE, self.batch[name]), i=(column, offset))
        if draws:
            return
        b, h = self.batch, {name: p.hyper(name, value) for name, value in (HYPERS | dict(decay=0.0, clip=0.0)).items()}
        self.sizes = dict(actor=(a.states, *a.hidden, a.actions), critic=(a.states + a.actions, *a.hidden, 1))
        self.networks = {}
        for name in NETWORKS:
            kind = name.split("_")[-1]
            self.networks[name] = p.network(name, E if kind == "critic" else 1, self.sizes[kind], TANH if kind == "actor" else LINEAR)
        n, H = self.networks, sum(a.hidden)
        rates = lambda name: [h[k] for k in (f"{name}_learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "decay", "clip")]
        norm = lambda name: p.tensor(f"{name}_norm", 1 if name == "actor" else E, 1, 1)
        adam = lambda name: p.op(f"{name} adam", ADAM, (norm(name),), (n[name],), (1,), rates(name))
        soft = lambda name: p.op(f"{name} target", SOFT_UPDATE, (), (n[f"target_{name}"], n[name]), (TARGET_PERIOD,), (h["target_rate"],))
        self.weights = p.tensor("weights", 1, 1, GROUPS, CONSTANT)
        next_action, phi, next_q, y = work("next_action", 1, a.actions), work("phi", 1, 1), work("next_q", E, 1), work("y", E, 1)
        sa, next_sa = work("state_action", 1, a.states + a.actions), work("next_state_action", 1, a.states + a.actions)
        q, dq = work("q", E, 1), work("dq", E, 1)
        tape, actor_tape, signs = p.tensor("tape", E, B, H, TAPE), p.tensor("actor_tape", 1, B, H, TAPE), p.tensor("signs", E, B, H, SIGNS)
        self.loss = p.tensor("loss", E, 1, 1)
        p.op("concat", CONCAT, (b["state"], b["action"], sa))
        p.op("next action", FORWARD, (b["next_state"], next_action, NONE), (n["target_actor"],))
        p.op("next concat", CONCAT, (b["next_state"], next_action, next_sa))
        p.op("attenuation", ATTENUATION, (next_action, b["next_box_low"], b["next_box_high"], phi), h=(h["beta"], h["theta"]))
        p.op("next q", FORWARD, (next_sa, next_q, NONE), (n["target_critic"],))
        p.op("target", TD_TARGET, (b["reward"], b["done"], phi, next_q, y), i=(a.members,), h=(h["gamma"],))
        p.op("q", FORWARD, (sa, q, tape), (n["critic"],))
        p.op("error", SQUARED_ERROR, (q, y, dq, self.loss))
        p.op("critic backward", BACKWARD, (sa, q, tape, dq), (n["critic"],))
        adam("critic")
        soft("critic")
        mu, smu, q_mu, dq_mu = work("mu", 1, a.actions), work("state_mu", 1, a.states + a.actions), work("q_mu", E, 1), work("dq_mu", E, 1)
        mean, deviation, d, inside = work("mean", 1, GROUPS), work("deviation", 1, GROUPS), work("d", 1, 1), work("inside", 1, 1)
        da_members, da_q, da_box, da = work("da_members", E, a.actions), *(work(k, 1, a.actions) for k in ("da_q", "da_box", "da"))
        p.op("mu", FORWARD, (b["state"], mu, actor_tape), (n["actor"],))
        p.op("mu concat", CONCAT, (b["state"], mu, smu))
        p.op("q mu", FORWARD, (smu, q_mu, signs), (n["critic"],))
        p.op("objective", OBJECTIVE, (q_mu, self.weights, dq_mu, mean, deviation), i=(a.members,), h=(h["lambda"],))
        p.op("to action", BACKWARD_INPUT, (q_mu, signs, dq_mu, da_members), (n["critic"],), (a.states,))
        p.op("sum", MEMBER_SUM, (da_members, da_q))
        p.op("penalty", PENALTY, (mu, b["box_low"], b["box_high"], da_box, d, inside), i=(0,), h=(h["eta"], h["omega"]))
        p.op("add", ADD, (da_q, da_box, da))
        p.op("actor backward", BACKWARD, (b["state"], mu, actor_tape, da), (n["actor"],))
        adam("actor")
        soft("actor")
        p.op("loss metric", METRIC, (self.loss,), i=(0,))

    def engine(self, backend, log, precision=FP32, **options):
        engine = Engine(self.p, backend, log, precision=precision, **options)
        for seed, name in enumerate(NETWORKS):
            self.p.native("network_initialise", engine.handle, self.networks[name], ctypes.c_uint64(seed + 1))
        for name in ("actor", "critic"):  # targets start as what they follow
            engine.set_network(self.networks[f"target_{name}"], engine.network(self.networks[name]))
        engine.set_tensor(self.weights, [1 / GROUPS] * GROUPS)
        return engine


def stretches(engine, steps):
    """Losses of each step, in calls that the metrics' ring holds."""
    out = []
    while steps > 0:
        part = min(steps, 500)
        engine.run(part)
        out += engine.metrics(part)
        steps -= part
    return out


# ---- tasks -----------------------------------------------------------------------------------------------------------


def parity(library, a):
    step, log = Step(library, a), requests(library, a, a.rows)
    engines = [step.engine(backend, log, threads=a.threads) for backend in ("cpu", a.backend)]
    start = {name: engines[0].network(step.networks[name]) for name in NETWORKS}
    losses = [stretches(engine, a.steps) for engine in engines]
    result = {"steps": a.steps, "networks": {}, "description": engines[1].description()}
    for name in NETWORKS:
        wanted, found = (engine.network(step.networks[name]) for engine in engines)
        norm = lambda x, y: math.sqrt(sum((p - q) ** 2 for p, q in zip(x, y)))
        size = math.sqrt(sum(p * p for p in wanted))
        moved = norm(wanted, start[name])
        difference = norm(found, wanted)
        result["networks"][name] = dict(relative=difference / size, of_change=difference / moved if moved else 0.0)
    result["parameters_relative"] = max(n["relative"] for n in result["networks"].values())
    result["losses_relative"] = max(abs(x - y) / max(abs(x), 1e-12) for x, y in zip(*losses))
    if not all(math.isfinite(x) for x in (result["parameters_relative"], result["losses_relative"])):
        raise Failure(f"not finite: {result}")
    if all(engines[0].network(step.networks[name]) == start[name] for name in NETWORKS):
        raise Failure("nothing was learned, so nothing was compared")
    return result


def losses(library, a):
    step, log = Step(library, a), requests(library, a, a.rows)
    means = {}
    for name, precision in PRECISIONS.items():
        engine = step.engine(a.backend, log, precision)
        values = stretches(engine, a.steps)
        engine.close()
        width = max(1, a.steps // 10)
        means[name] = [sum(values[k : k + width]) / width for k in range(0, width * (a.steps // width), width)]
    relative = lambda name: max(abs(x / y - 1) for x, y in zip(means[name], means["fp32"]))
    result = dict(steps=a.steps, means=means, tf32=relative("tf32"), bf16=relative("bf16"))
    if not all(math.isfinite(x) for values in means.values() for x in values):
        raise Failure(f"losses are not finite: {means}")
    if means["fp32"] == means["bf16"]:
        raise Failure("bf16 gave the bits of fp32: it was not used")
    return result


def problem(library, a):
    """Tensors of the golden format, float32."""
    step, draws = Step(library, a), Step(library, a, draws=True)
    log = requests(library, a, a.rows)
    tensors = {}
    engine = Engine(draws.p, "cpu", log, materialise=1)
    for t in range(a.steps):
        engine.run(1)
        for name, tensor in draws.batch.items():
            tensors[f"batch{t}.{name}"] = (draws.p.shapes[tensor][1:], engine.tensor(tensor))
    engine.close()
    engine = step.engine(a.backend, log, PRECISIONS[a.precision])
    layers(step, engine, "init", tensors)
    engine.run(1)
    tensors["step1.critic_loss"] = ((GROUPS * a.members,), engine.tensor(step.loss))
    engine.run(a.steps - 1)
    layers(step, engine, f"after{a.steps}", tensors)
    scalars = dict(HYPERS, groups=GROUPS, members=a.members, batch=a.batch, target_period=TARGET_PERIOD)
    for name, value in scalars.items():
        tensors[f"hyper.{name}"] = ((1,), array.array("f", [value]))
    write_safetensors(a.write, tensors, {"box_form": "continuous", "hidden": ",".join(map(str, a.hidden))})
    return dict(steps=a.steps, description=engine.description(), bytes=os.path.getsize(a.write))


def layers(step, engine, prefix, tensors):
    for name in NETWORKS:
        kind = name.split("_")[-1]
        values, at, members = engine.network(step.networks[name]), 0, 1 if kind == "actor" else GROUPS * step.a.members
        for layer, (i, o) in enumerate(zip(step.sizes[kind], step.sizes[kind][1:])):
            for part, shape in (("weight", (members, i, o)), ("bias", (members, o))):
                tensors[f"{prefix}.{name}.layer{layer}.{part}"] = (shape, values[at : at + math.prod(shape)])
                at += math.prod(shape)


def write_safetensors(path, tensors, metadata):
    header, at = {"__metadata__": metadata}, 0
    for name, (shape, values) in tensors.items():
        header[name] = dict(dtype="F32", shape=list(shape), data_offsets=[at, at + 4 * len(values)])
        at += 4 * len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors.values():
            values.tofile(file)


def steps(library, a):
    step, log = Step(library, a), requests(library, a, a.rows)
    engine = step.engine(a.backend, log, PRECISIONS[a.precision], replay=STREAMED if a.streamed else 0)
    result = dict(description=engine.description(), bytes=engine.bytes())
    engine.run(2)
    if a.calls:
        result |= calls(engine, a.steps)
    elif a.profiled:
        import torch

        torch.zeros(1, device="cuda")
        torch.cuda.profiler.start()
        engine.run(a.steps)
        torch.cuda.profiler.stop()
    else:
        started = time.perf_counter()
        engine.run(a.steps)
        result["steps_per_s"] = a.steps / (time.perf_counter() - started)
    last = engine.metrics(1024)[-1]
    if not math.isfinite(last):
        raise Failure(f"the loss is {last}")
    return result | dict(loss=last)


def sweep(library, a):
    """A few steps each way that there is: for checkers of memory and of races, which cover what runs."""
    log = requests(library, a, a.rows)
    seen = []
    for networks in ("fused", "layered"):
        os.environ["UNIFIEDRL_CUDA_NETWORKS"] = networks
        for precision, streamed in (("fp32", 0), ("tf32", 0), ("bf16", 0), ("bf16", STREAMED)):
            if (networks, precision) == ("fused", "fp32"):  # never is
                continue
            engine = Step(library, a).engine(a.backend, log, PRECISIONS[precision], replay=streamed)
            engine.run(a.steps)
            if not all(map(math.isfinite, engine.metrics(a.steps))):
                raise Failure(f"{networks}, {precision}: the loss is not finite")
            seen.append(engine.description())
            engine.close()
    return dict(runs=seen)


def calls(engine, steps):
    """Kernels and host calls of runs of `steps` and of eight times as many: what grows with steps happens within a run."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.zeros(1, device="cuda")
    seen = []
    for count in (steps, 8 * steps):
        engine.run(count)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as p:
            engine.run(count)
        kernels, host = {}, {}
        for e in p.profiler.kineto_results.events():
            if str(e.device_type()).endswith("CUDA"):
                name = e.name()
                entry = kernels.setdefault(name, [0, 0])
                entry[0] += 1
                entry[1] += e.duration_ns()
            elif e.name().startswith("cu"):
                host[e.name()] = host.get(e.name(), 0) + 1
        seen.append((count, kernels, host))
    (few, _, before), (many, kernels, after) = seen
    if not kernels:
        raise Failure("no kernel was seen: CUPTI does not work here")
    growth = lambda words: sum(n - before.get(k, 0) for k, n in after.items() if any(w in k for w in words))
    kernel_time = sum(ns for _, ns in kernels.values())
    heaviest = sorted(kernels.items(), key=lambda item: -item[1][1])[:8]
    return dict(
        launches_per_step=sum(n for n, _ in kernels.values()) / many,
        synchronisations_in_run=growth(("Synchronize", "StreamQuery", "EventQuery")) / (many - few),
        host_calls=after,
        kernel_us_per_step=kernel_time / many / 1e3,
        heaviest=[dict(kernel=k[:160], per_step=n / many, us_per_step=ns / many / 1e3, share=ns / kernel_time) for k, (n, ns) in heaviest],
    )


def replay(library, a):
    """Upload of a resident replay, and how fast a streamed one brings rows where there is nothing else to do."""
    width = a.states
    rows = max(16, a.mib * (1 << 20) // (4 * width))
    pattern = array.array("f", (math.sin(k) for k in range(1 << 16))).tobytes()
    column = array.array("f")
    column.frombytes(bytes(pattern) * (rows * width * 4 // len(pattern) + 1))
    last = array.array("B", bytes(rows - 1) + b"\1")
    few = Replay(library, (width,), [column], array.array("B", b"\1"))
    many = Replay(library, (width,), [column], last)
    p = Program(library)
    drawn, out = p.tensor("rows", 1, a.batch, 1, ROWS), p.tensor("out", 1, a.batch, width)
    p.op("sample", SAMPLE, (drawn,), i=(0,))
    p.op("gather", GATHER, (drawn, NONE, NONE, out), i=(0, 0))

    def seconds(log):
        started = time.perf_counter()
        Engine(p, a.backend, log, replay=RESIDENT).close()
        return time.perf_counter() - started

    seconds(few)  # the device's context
    base = min(seconds(few) for _ in range(3))
    upload = min(seconds(many) for _ in range(3)) - base
    engine = Engine(p, a.backend, many, replay=STREAMED, threads=a.threads)
    engine.run(a.steps)
    started = time.perf_counter()
    engine.run(a.steps)
    streamed = time.perf_counter() - started
    step_bytes = a.batch * width * 4
    return dict(
        description=engine.description(),
        upload_bytes=rows * width * 4,
        upload_bytes_per_s=rows * width * 4 / upload if upload > base / 10 else None,  # less is lost in the time of the rest
        step_bytes=step_bytes,
        streamed_steps_per_s=a.steps / streamed,
        streamed_bytes_per_s=a.steps * step_bytes / streamed,
    )


def describe(library, a):
    return dict(backends=library.backends())


def sizes(text):
    return tuple(int(size) for size in text.split(","))


def main():
    tasks = dict(describe=describe, parity=parity, losses=losses, problem=problem, steps=steps, sweep=sweep, replay=replay)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=tasks)
    parser.add_argument("--library", required=True, help="libunifiedrl.so")
    parser.add_argument("--beside", nargs="*", default=[], help="libraries that it needs, in order, where it does not find them itself")
    parser.add_argument("--cuda", help="libunifiedrl_cuda.so, or another library with a back end")
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--states", type=int, default=128)
    parser.add_argument("--actions", type=int, default=10)
    parser.add_argument("--hidden", type=sizes, default=(256, 256))
    parser.add_argument("--members", type=int, default=24)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--streamed", action="store_true")
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--profiled", action="store_true")
    parser.add_argument("--write")
    a = parser.parse_args()
    try:
        library = Library(a.library, a.cuda, a.beside)
        print(json.dumps(tasks[a.task](library, a)), flush=True)
    except (Failure, OSError, ImportError) as e:
        print(json.dumps({"error": str(e)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
