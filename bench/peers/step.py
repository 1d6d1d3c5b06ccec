"""One UnifiedRL training step in PyTorch and JAX, for speed, memory and equality.

    python bench/peers/step.py --mode jax-scan --batch 256 --threads 1           # prints one JSON line
    python bench/peers/step.py --mode torch-compile --weights FILE.safetensors   # compares with FILE, see README.md

Modes: torch-eager, torch-compile, torch-graph, jax-jit, jax-scan. Everything a step needs is inside the timed region: drawing the rows,
gathering them, both losses, both backward passes, Adam, the target update when due. The actor's backward pass forms no weight gradients of the
critics. --chunk N computes the gradients in pieces of N rows (fewer bytes alive at once); --layout wide keeps the first layer of all critics
as one matrix, since they share their input. torch-graph records the compiled step, its draws included, as a CUDA graph.
--precision: bf16 keeps float32 weights and optimiser and computes the networks in bfloat16; tf32 is a GPU's. --serve answers requests, one JSON
object a line, so that several modes, batches and precisions take turns in one process (bench/gpu/run).
"""

import argparse
import gc
import json
import math
import os
import resource
import statistics
import sys
import time
from types import SimpleNamespace

GROUPS, MEMBERS, STATES, ACTIONS, HIDDEN = 2, 24, 128, 10, (256, 256)
REPLAY_ROWS = 50_000
MODES = ("torch-eager", "torch-compile", "torch-graph", "jax-jit", "jax-scan")

DEFAULTS = dict(
    groups=GROUPS,
    members=MEMBERS,
    gamma=0.9,
    eta=1.2,
    omega=1 / 0.3,
    theta=1 / 0.3,
    beta=1.0,
    target_rate=0.08,
    target_period=15,
    actor_learning_rate=1e-4,
    critic_learning_rate=3e-4,
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    critic_max_norm=0.0,
    actor_max_norm=0.0,
    box_form="continuous",
)
DEFAULTS["lambda"] = 0.2


def multiply_adds(arguments):
    """Of one row; matrix products only, without input gradients that nobody needs."""
    hidden, members = arguments.hidden, GROUPS * arguments.members
    products = lambda sizes: sum(i * o for i, o in zip(sizes, sizes[1:]))
    actor = (arguments.states, *hidden, arguments.actions)
    critic = (arguments.states + arguments.actions, *hidden, 1)
    above = products(critic[1:])
    critics = members * (4 * products(critic) + above + above + arguments.actions * hidden[0])
    return critics + 3 * products(actor) + products(actor[1:])


# ---- the losses, once for both libraries (xp holds the dozen functions that they name differently) ---------------------


class Losses:
    def __init__(self, xp, hyper, group_weights, wide):
        self.xp, self.h, self.group_weights, self.wide = xp, SimpleNamespace(**hyper), group_weights, wide
        self.lambda_ = hyper["lambda"]

    def forward(self, net, x, tanh=False):
        """x [B, in] -> [E, B, out]; the first weight is [E, in, out], or [in, E, out] for critics of the wide layout."""
        xp = self.xp
        x = xp.low(x)
        for index, (weight, bias) in enumerate(net):
            weight, bias = xp.low(weight), xp.low(bias)
            if index == 0 and self.wide and not tanh:
                inputs, members, outputs = weight.shape
                x = xp.matmul(x, weight.reshape(inputs, members * outputs)) + bias.reshape(1, members * outputs)
                x = xp.swapaxes(x.reshape(x.shape[0], members, outputs), 0, 1)
            else:
                x = xp.matmul(x, weight) + bias[:, None, :]
            if index + 1 < len(net):
                x = xp.relu(x)
        x = xp.full(x)
        return xp.tanh(x) if tanh else x

    def excess(self, a, low, high):
        raw = self.xp.maximum(a - high, low - a) / (high - low)
        return self.xp.where(raw > 0, raw, 0.0)

    def targets(self, target_actor, target_critic, b):
        xp, h = self.xp, self.h
        a = self.forward(target_actor, b["next_state"], tanh=True)[0]
        total = self.excess(a, b["next_box_low"], b["next_box_high"]).sum(1)
        phi = xp.where(total > 0, h.beta * xp.exp(-h.theta * total), 1.0)
        q = self.forward(target_critic, xp.concat([b["next_state"], a], 1))[..., 0]
        attenuated = xp.where(q > 0, phi * q, q)
        reward = b["reward"].T[:, None, :]
        y = reward + h.gamma * (1 - b["done"][:, 0]) * attenuated.reshape(h.groups, h.members, -1)
        return y.reshape(q.shape)

    def critic(self, critic, b, y, rows):
        """(sum over members, per member [E]); rows is the whole batch's size, of which b may be a part."""
        q = self.forward(critic, self.xp.concat([b["state"], b["action"]], 1))[..., 0]
        losses = ((q - y) ** 2).sum(1) / rows
        return losses.sum(), losses

    def actor(self, actor, critic, b, rows):
        """(loss, same)."""
        xp, h = self.xp, self.h
        a = self.forward(actor, b["state"], tanh=True)[0]
        q = self.forward(critic, xp.concat([b["state"], a], 1))[..., 0]
        q = q.reshape(h.groups, h.members, -1)
        mean = q.mean(1)
        deviation = xp.sqrt(((q - mean[:, None]) ** 2).mean(1) + 1e-8)
        x = self.excess(a, b["box_low"], b["box_high"])
        z = h.omega * x
        z = xp.where(z < 8.0, z, 8.0)
        penalty = xp.where(x > 0, xp.exp(z), 0.0) if h.box_form == "exact" else xp.expm1(z)
        value = (self.group_weights[:, None] * (self.lambda_ * deviation - mean)).sum()
        loss = (value + h.eta * penalty.sum()) / rows
        return loss, loss


def tree_map(function, *trees):
    """Over a net, [(weight, bias), ...]."""
    return [tuple(function(*leaves) for leaves in zip(*layers)) for layers in zip(*trees)]


def leaves(net):
    return [p for layer in net for p in layer]


def adam(xp, net, grads, m, v, t, rate, max_norm, h, member_axes):
    """New (net, m, v); the gradient's norm is clipped for each member by itself."""
    if max_norm > 0:
        pieces = []
        for g, axis in zip(leaves(grads), leaves(member_axes)):
            pieces.append((g * g).sum(tuple(i for i in range(g.ndim) if i != axis)))
        scale = max_norm / (xp.sqrt(sum(pieces)) + 1e-6)
        scale = xp.where(scale < 1.0, scale, 1.0)
        shape = lambda g, axis: scale.reshape([-1 if i == axis else 1 for i in range(g.ndim)])
        grads = tree_map(lambda g, axis: g * shape(g, axis), grads, member_axes)
    correction1 = -xp.expm1(t * xp.log(h["adam_beta1"]))
    correction2 = -xp.expm1(t * xp.log(h["adam_beta2"]))
    m = tree_map(lambda m, g: h["adam_beta1"] * m + (1 - h["adam_beta1"]) * g, m, grads)
    v = tree_map(lambda v, g: h["adam_beta2"] * v + (1 - h["adam_beta2"]) * g * g, v, grads)
    step = lambda p, m, v: p - rate * (m / correction1) / (xp.sqrt(v / correction2) + h["adam_epsilon"])
    return tree_map(step, net, m, v), m, v


# ---- PyTorch ---------------------------------------------------------------------------------------------------------


class Torch:
    def __init__(self, problem, arguments):
        import torch

        self.torch, self.arguments, self.h = torch, arguments, problem.hyper
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(0)
        self.device = arguments.device
        low = arguments.precision == "bf16"
        if self.device == "cuda":
            torch.set_float32_matmul_precision("high" if arguments.precision == "tf32" else "highest")
        xp = SimpleNamespace(
            matmul=torch.matmul,
            swapaxes=torch.swapaxes,
            relu=torch.relu,
            tanh=torch.tanh,
            maximum=torch.maximum,
            where=torch.where,
            exp=torch.exp,
            expm1=torch.expm1,
            sqrt=torch.sqrt,
            concat=torch.cat,
            log=math.log,
            low=(lambda x: x.to(torch.bfloat16)) if low else (lambda x: x),
            full=(lambda x: x.float()) if low else (lambda x: x),
        )
        self.xp = xp
        tensor = lambda a: torch.from_numpy(a.copy()).to(self.device)
        self.losses = Losses(xp, self.h, tensor(problem.group_weights), arguments.layout == "wide")
        self.axes = {k: tree_map(lambda _: 0, n) for k, n in problem.nets.items()}
        for name in ("critic", "target_critic") if arguments.layout == "wide" else ():
            self.axes[name][0] = (1, 0)
        self.nets = {k: tree_map(tensor, n) for k, n in problem.nets.items()}
        self.data = [{k: tensor(a) for k, a in b.items()} for b in problem.batches]
        if arguments.layout == "wide":
            for name in ("critic", "target_critic"):
                weight, bias = self.nets[name][0]
                self.nets[name][0] = (weight.transpose(0, 1).contiguous(), bias)
        self.t = 0
        self.time = torch.zeros((), dtype=torch.float64, device=self.device)
        self.graphs = {}
        self.compiled = arguments.mode in ("torch-compile", "torch-graph")
        if self.compiled:
            self.m = {k: tree_map(torch.zeros_like, self.nets[k]) for k in ("actor", "critic")}
            self.v = {k: tree_map(torch.zeros_like, self.nets[k]) for k in ("actor", "critic")}
            options = {"max_autotune": True} if arguments.autotune else None
            if arguments.chunk:
                self.critic_part = torch.compile(self.critic_part, dynamic=False, options=options)
                self.actor_part = torch.compile(self.actor_part, dynamic=False, options=options)
                self.update = torch.compile(self.update, dynamic=False, options=options)
            else:
                self.body = torch.compile(self.body, dynamic=False, fullgraph=True, options=options)
        else:
            for name in ("actor", "critic"):
                for p in leaves(self.nets[name]):
                    p.requires_grad_()
            adam_ = lambda name: torch.optim.Adam(
                leaves(self.nets[name]),
                lr=self.h[f"{name}_learning_rate"],
                betas=(self.h["adam_beta1"], self.h["adam_beta2"]),
                eps=self.h["adam_epsilon"],
                fused=True,
            )
            self.optimisers = {name: adam_(name) for name in ("actor", "critic")}

    def gradient(self, loss, net):
        """((loss, aux), gradients) of loss(net)."""
        torch = self.torch
        if self.compiled:
            grads, (_, aux) = torch.func.grad_and_value(loss, has_aux=True)(net)
            return aux, grads
        total, aux = loss(net)
        flat = iter(torch.autograd.grad(total, leaves(net)))
        return aux.detach(), [tuple(next(flat) for _ in layer) for layer in net]

    def critic_part(self, nets, b, rows):
        with self.torch.no_grad():
            y = self.losses.targets(nets["target_actor"], nets["target_critic"], b)
        return self.gradient(lambda net: self.losses.critic(net, b, y, rows), nets["critic"])

    def actor_part(self, nets, b, rows):
        return self.gradient(lambda net: self.losses.actor(net, nets["critic"], b, rows), nets["actor"])

    def update(self, name, net, m, v, grads, t):
        h = self.h
        new = adam(self.xp, net, grads, m, v, t, h[f"{name}_learning_rate"], h[f"{name}_max_norm"], h, self.axes[name])
        for old, values in zip((net, m, v), new):
            tree_map(lambda p, q: p.copy_(q), old, values)

    def body(self, nets, m, v, b, t):
        rows = b["state"].shape[0]
        critic_loss, grads = self.critic_part(nets, b, rows)
        self.update("critic", nets["critic"], m["critic"], v["critic"], grads, t)
        actor_loss, grads = self.actor_part(nets, b, rows)
        self.update("actor", nets["actor"], m["actor"], v["actor"], grads, t)
        return critic_loss, actor_loss

    def in_chunks(self, part, b):
        rows, chunk = b["state"].shape[0], self.arguments.chunk or b["state"].shape[0]
        total = None
        for start in range(0, rows, chunk):
            piece = {k: a[start : start + chunk] for k, a in b.items()}
            loss, grads = part(self.nets, piece, rows)
            if total is None:
                total = (loss.clone(), grads)
            else:
                total[0].add_(loss)
                self.torch._foreach_add_(leaves(total[1]), leaves(grads))
        return total

    def clip(self, name, grads):
        if self.h[f"{name}_max_norm"] > 0:
            axes = leaves(self.axes[name])
            others = lambda g, axis: tuple(i for i in range(g.ndim) if i != axis)
            norm = sum((g * g).sum(others(g, axis)) for g, axis in zip(grads, axes)).sqrt()
            scale = (self.h[f"{name}_max_norm"] / (norm + 1e-6)).clamp(max=1)
            grads = [g * scale.reshape([-1 if i == axis else 1 for i in range(g.ndim)]) for g, axis in zip(grads, axes)]
        return grads

    def step(self, b):
        self.t += 1
        return self.advance(b, self.t % self.h["target_period"] == 0)

    def advance(self, b, with_targets):
        self.time.add_(1)
        if self.compiled and not self.arguments.chunk:
            result = self.body(self.nets, self.m, self.v, b, self.time)
        else:
            result = []
            for name, part in (("critic", self.critic_part), ("actor", self.actor_part)):
                loss, grads = self.in_chunks(part, b)
                if self.compiled:
                    self.update(name, self.nets[name], self.m[name], self.v[name], grads, self.time)
                else:
                    for p, g in zip(leaves(self.nets[name]), self.clip(name, leaves(grads))):
                        p.grad = g
                    self.optimisers[name].step()
                result.append(loss)
        if with_targets:
            with self.torch.no_grad():
                for name in ("actor", "critic"):
                    ours, targets = leaves(self.nets[name]), leaves(self.nets[f"target_{name}"])
                    self.torch._foreach_lerp_(targets, ours, self.h["target_rate"])
        return result

    def recorded(self, name, function):
        """Runs function, which advances by one step, from the second time on as a CUDA graph of this name."""
        torch = self.torch
        if self.device != "cuda":
            return function()
        if name not in self.graphs:
            state = [self.time, *(p for nets in (self.nets, self.m, self.v) for net in nets.values() for p in leaves(net))]
            saved = [p.clone() for p in state]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    function()
            torch.cuda.current_stream().wait_stream(side)
            for p, q in zip(state, saved):
                p.copy_(q)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                result = function()
            self.graphs[name] = graph, result
        graph, result = self.graphs[name]
        graph.replay()
        return result

    def run_given(self, steps):
        if self.arguments.mode != "torch-graph":
            return [self.numbers(*self.step(self.data[t % len(self.data)])) for t in range(steps)]
        out, fixed = [], {k: a.clone() for k, a in self.data[0].items()}
        for t in range(steps):
            for key, values in self.data[t % len(self.data)].items():
                fixed[key].copy_(values)
            self.t += 1
            due = self.t % self.h["target_period"] == 0
            out.append(self.numbers(*self.recorded(("given", due), lambda: self.advance(fixed, due))))
        return out

    def numbers(self, critic_loss, actor_loss):
        return critic_loss.tolist(), actor_loss.item()

    def load_replay(self, replay):
        self.replay = {k: self.torch.from_numpy(a).to(self.device) for k, a in replay.items()}

    def draw(self):
        index = self.torch.randint(REPLAY_ROWS - 1, (self.arguments.batch,), device=self.device)
        rows = {k: self.torch.index_select(a, 0, index) for k, a in self.replay.items()}
        following = index + 1
        for key in ("state", "box_low", "box_high"):
            rows[f"next_{key}"] = self.torch.index_select(self.replay[key], 0, following)
        return rows

    def run_sampled(self, steps):
        for _ in range(steps):
            if self.arguments.mode == "torch-graph":
                self.t += 1
                due = self.t % self.h["target_period"] == 0
                result = self.recorded(("sampled", due), lambda: self.advance(self.draw(), due))
            else:
                result = self.step(self.draw())
        return float(result[1])

    def warm_up(self):
        """Everything that is compiled or recorded once."""
        if self.arguments.mode == "torch-graph":
            for due in (False, True):
                self.recorded(("sampled", due), lambda: self.advance(self.draw(), due))
        return self.run_sampled(1)

    def device_bytes(self):
        return self.torch.cuda.max_memory_allocated() if self.device == "cuda" else None

    def close(self):
        torch = self.torch
        self.__dict__.clear()
        gc.collect()
        torch._dynamo.reset()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def arrays(self, name):
        net = tree_map(lambda p: p.detach(), self.nets[name])
        if self.arguments.layout == "wide" and "critic" in name:
            net[0] = (net[0][0].transpose(0, 1), net[0][1])
        return tree_map(lambda p: p.cpu().numpy(), net)


# ---- JAX -------------------------------------------------------------------------------------------------------------


class Jax:
    def __init__(self, problem, arguments):
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp, self.arguments, self.h = jax, jnp, arguments, problem.hyper
        low = arguments.precision == "bf16"
        if arguments.device == "cuda":
            names = dict(fp32="highest", tf32="tensorfloat32", bf16=None)
            jax.config.update("jax_default_matmul_precision", names[arguments.precision])
        xp = SimpleNamespace(
            matmul=jnp.matmul,
            swapaxes=jnp.swapaxes,
            relu=jax.nn.relu,
            tanh=jnp.tanh,
            maximum=jnp.maximum,
            where=jnp.where,
            exp=jnp.exp,
            expm1=jnp.expm1,
            sqrt=jnp.sqrt,
            concat=jnp.concatenate,
            log=jnp.log,
            low=(lambda x: x.astype(jnp.bfloat16)) if low else (lambda x: x),
            full=(lambda x: x.astype(jnp.float32)) if low else (lambda x: x),
        )
        self.xp = xp
        self.losses = Losses(xp, self.h, jnp.asarray(problem.group_weights), arguments.layout == "wide")
        self.axes = {k: tree_map(lambda _: 0, n) for k, n in problem.nets.items()}
        nets = {k: tree_map(jnp.asarray, n) for k, n in problem.nets.items()}
        if arguments.layout == "wide":
            for name in ("critic", "target_critic"):
                weight, bias = nets[name][0]
                nets[name][0] = (jnp.swapaxes(weight, 0, 1), bias)
                self.axes[name][0] = (1, 0)
        zeros = lambda: {k: tree_map(jnp.zeros_like, nets[k]) for k in ("actor", "critic")}
        self.state = dict(nets=nets, m=zeros(), v=zeros(), t=jnp.zeros((), jnp.int32), key=jax.random.key(0))
        self.data = [{k: jnp.asarray(a) for k, a in b.items()} for b in problem.batches]
        self.given = jax.jit(self.body, donate_argnums=0)
        length = arguments.scan if arguments.mode == "jax-scan" else 1
        self.length = length

        def sampled(state, replay):
            if length == 1:
                return self.sampled(state, replay)
            return jax.lax.scan(lambda s, _: self.sampled(s, replay), state, None, length=length)

        self.many = jax.jit(sampled, donate_argnums=0)

    def in_chunks(self, part, b):
        """part(piece) -> (loss, grads), summed over the pieces of the batch."""
        rows, chunk = b["state"].shape[0], self.arguments.chunk
        if not chunk or chunk == rows:
            return part(b)
        pieces = {k: a.reshape(rows // chunk, chunk, *a.shape[1:]) for k, a in b.items()}
        first = self.jax.eval_shape(part, {k: a[0] for k, a in pieces.items()})
        zero = self.jax.tree.map(lambda s: self.jnp.zeros(s.shape, s.dtype), first)
        add = lambda total, piece: (self.jax.tree.map(self.jnp.add, total, part(piece)), None)
        return self.jax.lax.scan(add, zero, pieces)[0]

    def body(self, state, b):
        jax, h, losses = self.jax, self.h, self.losses
        nets, m, v, t, rows = dict(state["nets"]), dict(state["m"]), dict(state["v"]), state["t"] + 1, b["state"].shape[0]

        def critic_part(piece):
            y = losses.targets(nets["target_actor"], nets["target_critic"], piece)
            grads, loss = jax.grad(losses.critic, has_aux=True)(nets["critic"], piece, y, rows)
            return loss, grads

        def actor_part(piece):
            grads, loss = jax.grad(losses.actor, has_aux=True)(nets["actor"], nets["critic"], piece, rows)
            return loss, grads

        result = []
        for name, part in (("critic", critic_part), ("actor", actor_part)):
            loss, grads = self.in_chunks(part, b)
            rate, norm = h[f"{name}_learning_rate"], h[f"{name}_max_norm"]
            nets[name], m[name], v[name] = adam(
                self.xp, nets[name], grads, m[name], v[name], t, rate, norm, h, self.axes[name]
            )
            result.append(loss)
        targets = {k: nets[k] for k in ("target_actor", "target_critic")}
        soft = lambda n: tree_map(lambda p, q: q + h["target_rate"] * (p - q), nets[n], nets[f"target_{n}"])
        targets = jax.lax.cond(
            t % h["target_period"] == 0,
            lambda: {f"target_{n}": soft(n) for n in ("actor", "critic")},
            lambda: targets,
        )
        return dict(state, nets=nets | targets, m=m, v=v, t=t), tuple(result)

    def sampled(self, state, replay):
        key, draw = self.jax.random.split(state["key"])
        index = self.jax.random.randint(draw, (self.arguments.batch,), 0, REPLAY_ROWS - 1)
        rows = {k: a[index] for k, a in replay.items()}
        rows |= {f"next_{k}": replay[k][index + 1] for k in ("state", "box_low", "box_high")}
        return self.body(dict(state, key=key), rows)

    def run_given(self, steps):
        out = []
        for t in range(steps):
            self.state, (critic, actor) = self.given(self.state, self.data[t % len(self.data)])
            out.append((critic.tolist(), float(actor)))
        return out

    def load_replay(self, replay):
        self.replay = {k: self.jnp.asarray(a) for k, a in replay.items()}

    def run_sampled(self, steps):
        for _ in range(steps // self.length):
            self.state, (_, actor) = self.many(self.state, self.replay)
        return float(actor.reshape(-1)[-1])

    def warm_up(self):
        return self.run_sampled(self.length)

    def device_bytes(self):
        return (self.jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")

    def close(self):
        jax = self.jax
        self.__dict__.clear()
        gc.collect()
        jax.clear_caches()

    def arrays(self, name):
        import numpy as np

        net = list(self.state["nets"][name])
        if self.arguments.layout == "wide" and "critic" in name:
            net[0] = (net[0][0].swapaxes(0, 1), net[0][1])
        return tree_map(np.asarray, net)


# ---- problems --------------------------------------------------------------------------------------------------------


def random_problem(arguments):
    """The benchmark's nets; every member starts differently."""
    import numpy as np

    rng = np.random.default_rng(0)

    def net(sizes, ensemble):
        uniform = lambda fan_in, shape: (rng.uniform(-1, 1, shape) / fan_in**0.5).astype(np.float32)
        return [(uniform(i, (ensemble, i, o)), uniform(i, (ensemble, o))) for i, o in zip(sizes, sizes[1:])]

    actor = net((arguments.states, *arguments.hidden, arguments.actions), 1)
    critic = net((arguments.states + arguments.actions, *arguments.hidden, 1), GROUPS * arguments.members)
    nets = dict(actor=actor, target_actor=actor, critic=critic, target_critic=critic)
    weights = np.full(GROUPS, 1 / GROUPS, np.float32)
    hyper = dict(DEFAULTS, members=arguments.members)
    return SimpleNamespace(nets=nets, hyper=hyper, group_weights=weights, batches=[])


def random_replay(arguments):
    import numpy as np

    rng = np.random.default_rng(1)
    normal = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
    centre = np.tanh(0.3 * normal(REPLAY_ROWS, arguments.actions))
    low, high = np.maximum(centre - 0.15, -1), np.minimum(centre + 0.15, 1)
    return dict(
        state=normal(REPLAY_ROWS, arguments.states),
        action=low + (high - low) * rng.random((REPLAY_ROWS, arguments.actions), dtype=np.float32),
        box_low=low.astype(np.float32),
        box_high=high.astype(np.float32),
        reward=normal(REPLAY_ROWS, GROUPS),
        done=(rng.random((REPLAY_ROWS, 1)) < 0.1).astype(np.float32),
    )


def load_problem(path):
    """A file in the golden format; tensors may be F32 or F64."""
    import numpy as np

    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    values = lambda e: np.frombuffer(data[slice(*e["data_offsets"])], {"F32": "<f4", "F64": "<f8"}[e["dtype"]]).reshape(e["shape"])
    tensors = {k: values(e) for k, e in header.items()}
    get32 = lambda key: tensors[key].astype(np.float32)
    hyper = dict(DEFAULTS)
    for key in hyper:
        if f"hyper.{key}" in tensors:
            value = tensors[f"hyper.{key}"].item()
            hyper[key] = int(value) if isinstance(DEFAULTS[key], int) else value
    hyper["box_form"] = metadata.get("box_form", hyper["box_form"])
    nets = {}
    for name in ("actor", "target_actor", "critic", "target_critic"):
        count = sum(k.startswith(f"init.{name}.") and k.endswith(".weight") for k in tensors)
        pair = lambda l: (get32(f"init.{name}.layer{l}.weight"), get32(f"init.{name}.layer{l}.bias"))
        nets[name] = [pair(layer) for layer in range(count)]
    mean, inv_std = tensors.get("state_mean", 0.0), tensors.get("state_inv_std", 1.0)
    batches = []
    for index in range(sum(k.startswith("batch") and k.endswith(".state") for k in tensors)):
        prefix = f"batch{index}."
        b = {k[len(prefix) :]: get32(k) for k in tensors if k.startswith(prefix)}
        for key in ("state", "next_state"):
            b[key] = ((b[key] - mean) * inv_std).astype(np.float32)
        b["reward"] = (b["reward"] * tensors.get("reward_scale", 1.0)).astype(np.float32)
        batches.append(b)
    weights = tensors.get("group_weights", np.full(hyper["groups"], 1 / hyper["groups"])).astype(np.float32)
    return SimpleNamespace(nets=nets, hyper=hyper, group_weights=weights, batches=batches, tensors=tensors)


def compare(engine, problem, arguments):
    """Runs --steps steps from the file's weights; differences to whatever of the file's results there is.

    Losses: relative. Parameters: root mean square of the difference over that of the whole change since the start, per net, since single
    parameters whose gradient is about 0 move by Adam's sign and may differ by two learning rates a step in float32.
    """
    import numpy as np

    results = engine.run_given(arguments.steps)
    tensors, losses, parameters = problem.tensors, {}, {}
    relative = lambda found, wanted: float(np.max(np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-3)))
    for key, index in (("critic_loss", 0), ("actor_loss", 1)):
        if f"step1.{key}" in tensors:
            losses[key] = relative(np.asarray(results[0][index]), tensors[f"step1.{key}"])
    written = {}
    for name in problem.nets:
        difference = change = 0.0
        complete = True
        for layer, pair in enumerate(engine.arrays(name)):
            for kind, found in zip(("weight", "bias"), pair):
                key = f"{name}.layer{layer}.{kind}"
                written[f"after{arguments.steps}.{key}"] = np.ascontiguousarray(found)
                if f"after{arguments.steps}.{key}" in tensors:
                    wanted = tensors[f"after{arguments.steps}.{key}"]
                    difference += ((found - wanted) ** 2).sum()
                    change += ((wanted - tensors[f"init.{key}"]) ** 2).sum()
                else:
                    complete = False
        if complete and change > 0:
            parameters[name] = float((difference / change) ** 0.5)
    if arguments.write:
        from safetensors.numpy import save_file

        written["step1.critic_loss"] = np.asarray(results[0][0], dtype=np.float64)
        written["step1.actor_loss"] = np.asarray([results[0][1]], dtype=np.float64)
        save_file(written, arguments.write)
    worst_loss, worst_parameter = max(losses.values(), default=None), max(parameters.values(), default=None)
    equal = (worst_loss or 0) <= arguments.loss_tolerance and (worst_parameter or 0) <= arguments.parameter_tolerance
    return dict(
        mode=arguments.mode,
        steps=arguments.steps,
        compared=sorted(losses) + sorted(parameters),
        loss_difference=worst_loss,
        parameter_difference=worst_parameter,
        equal=equal if losses or parameters else None,
        last_critic_loss_sum=sum(results[-1][0]),
        last_actor_loss=results[-1][1],
    )


def warm(engine, arguments):
    """Compiles; returns seconds."""
    engine.load_replay(random_replay(arguments))
    started = time.perf_counter()
    engine.warm_up()
    return time.perf_counter() - started


def measure(engine, arguments, compile_s):
    unit = getattr(engine, "length", 1)
    count = 1
    while True:  # until the clock sees it
        started = time.perf_counter()
        last = engine.run_sampled(unit * count)
        once = (time.perf_counter() - started) / count
        if once * count > 0.02:
            break
        count *= 4
    steps = unit * max(1, round(arguments.seconds / arguments.repeats / once))
    rates = []
    for _ in range(arguments.repeats):
        begin = time.perf_counter()
        last = engine.run_sampled(steps)
        rates.append(steps / (time.perf_counter() - begin))
    if not last == last:
        raise SystemExit("the loss is not a number")
    median = statistics.median(rates)
    device = engine.device_bytes()
    return dict(
        mode=arguments.mode,
        batch=arguments.batch,
        threads=arguments.threads,
        chunk=arguments.chunk,
        layout=arguments.layout,
        autotune=arguments.autotune,
        precision=arguments.precision,
        steps_per_s=round(median, 4),
        steps_per_s_min=round(min(rates), 4),
        steps_per_s_max=round(max(rates), 4),
        gflops=round(median * 2 * multiply_adds(arguments) * arguments.batch / 1e9, 2),
        peak_rss_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        device_mib=None if device is None else round(device / 2**20),
        compile_s=round(compile_s, 1),
    )


def measure_limits(arguments):
    """What a step is judged against, by PyTorch: matrix products in TFLOP/s, and copies from page-locked memory to the device in bytes/s."""
    import torch

    cuda = arguments.device == "cuda"
    size = 8192 if cuda else 512

    def seconds(function, least):
        """Of one call: the best of five stretches of at least `least` seconds."""
        wait = torch.cuda.synchronize if cuda else lambda: None
        function()
        wait()
        count, best = 1, math.inf
        for _ in range(5):
            while True:
                started = time.perf_counter()
                for _ in range(count):
                    function()
                wait()
                taken = time.perf_counter() - started
                if taken >= least:
                    break
                count = max(2 * count, math.ceil(count * least / max(taken, 1e-6)))
            best = min(best, taken / count)
        return best

    result = dict(product_size=size)
    for precision in ("fp32", "tf32", "bf16"):
        if cuda:
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(size, size, device=arguments.device).to(kind) for _ in range(2))
        result[f"{precision}_tflops"] = 2 * size**3 / seconds(lambda: torch.matmul(a, b), 0.1 if cuda else 0.02) / 1e12
    count = 1 << (28 if cuda else 22)
    host = torch.ones(count, dtype=torch.uint8, pin_memory=cuda)
    there = torch.empty(count, dtype=torch.uint8, device=arguments.device)
    result["pinned_copy_bytes_per_s"] = count / seconds(lambda: there.copy_(host, non_blocking=True), 0.1 if cuda else 0.01)
    return result


def serve(parser, defaults):
    """Requests from standard input, answers to what was standard output: {"do": "measure" | "prepare" | "compare" | "limits" | "close", options}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    engines = {}
    for line in sys.stdin:
        request = json.loads(line)
        action = request.pop("do")
        arguments = argparse.Namespace(**(vars(defaults) | request))
        arguments.hidden = tuple(arguments.hidden)
        kind = Torch if arguments.mode.startswith("torch") else Jax
        try:
            if action == "limits":
                answer = measure_limits(arguments)
            elif action == "close":
                for engine, _ in engines.values():
                    engine.close()
                engines, answer = {}, {}
            elif action == "compare":
                problem = load_problem(arguments.weights)
                engine = kind(problem, arguments)
                answer = compare(engine, problem, arguments)
                engine.close()
            else:
                key = tuple(getattr(arguments, k) for k in ("mode", "batch", "precision", "scan", "chunk", "layout"))
                if key not in engines:
                    engine = kind(random_problem(arguments), arguments)
                    engines[key] = engine, warm(engine, arguments)
                answer = {} if action == "prepare" else measure(engines[key][0], arguments, engines[key][1])
        except (Exception, SystemExit) as e:  # one mode's failure is an answer: others go on
            answer = {"error": f"{type(e).__name__}: {e}".strip().splitlines()[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)


def sizes(text):
    return tuple(int(size) for size in text.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--states", type=int, default=STATES)
    parser.add_argument("--actions", type=int, default=ACTIONS)
    parser.add_argument("--hidden", type=sizes, default=HIDDEN)
    parser.add_argument("--members", type=int, default=MEMBERS, help=f"critics in each of the {GROUPS} groups")
    parser.add_argument("--chunk", type=int, default=0, help="rows per piece of the batch; 0: the whole batch")
    parser.add_argument("--layout", choices=("batched", "wide"), default="batched")
    parser.add_argument("--autotune", action="store_true", help="torch-compile: inductor's max_autotune")
    parser.add_argument("--scan", type=int, default=4, help="jax-scan: steps per call")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="time to measure in all, after compiling")
    parser.add_argument("--weights", help="compare with this file (golden format) instead of measuring")
    parser.add_argument("--steps", type=int, default=1, help="steps to compare after")
    parser.add_argument("--write", help="write losses and parameters after --steps to this safetensors file")
    parser.add_argument("--loss-tolerance", type=float, default=1e-4)
    parser.add_argument("--parameter-tolerance", type=float, default=1e-2)
    parser.add_argument("--serve", action="store_true", help="answer requests; --mode says whose they are")
    arguments = parser.parse_args()
    if arguments.chunk and arguments.batch % arguments.chunk:
        parser.error(f"--chunk must divide --batch {arguments.batch}, found {arguments.chunk}")
    if arguments.device == "cpu":
        if hasattr(os, "sched_setaffinity"):  # XLA sizes its pool by the affinity; the others are bound alike
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
        if arguments.threads == 1:
            os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        os.environ["JAX_PLATFORMS"] = "cpu"
    else:
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # others use the device too
        os.environ["JAX_PLATFORMS"] = "cuda"  # fails where JAX has no GPU, instead of measuring the host
    if arguments.serve:
        serve(parser, arguments)
        return 0
    kind = Torch if arguments.mode.startswith("torch") else Jax
    if arguments.weights:
        problem = load_problem(arguments.weights)
        result = compare(kind(problem, arguments), problem, arguments)
    else:
        engine = kind(random_problem(arguments), arguments)
        result = measure(engine, arguments, warm(engine, arguments))
    print(json.dumps(result), flush=True)
    return 0 if result.get("equal", True) in (True, None) else 1


if __name__ == "__main__":
    sys.exit(main())
