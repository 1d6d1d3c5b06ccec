"""What all golden files share: networks, optimiser, the engine's random numbers, batches, the training loop and the file's form.

An algorithm is a subclass of `Algorithm` that says what a step computes; gradients come from autograd, so nothing here shares a derivation
with the engine, whose backward calls are written by hand. Every gradient of a first step is compared with central differences besides.
"""

import dataclasses
import json
import math

import numpy as np
import torch
from safetensors.numpy import save

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

BATCHES = 4  # step t (from 1) uses batch (t - 1) mod this
SNAPSHOTS = (1, 10, 100)
ROWS = 50_000  # of the replay that the test draws from
CLIP_EPSILON = 1e-6
ADAM = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}
TRAINING = dict(discount=0.9, target_rate=0.08, target_period=15, actor_rate=1e-4, critic_rate=3e-4, gradient_clip=0.0, normalise_returns=False)


def single(value):
    """The float32 value nearest to a number, so that a setting is the same in any precision."""
    return float(np.float32(value)) if isinstance(value, float) else value


@dataclasses.dataclass(frozen=True)
class Case:
    """One golden file."""

    algorithm: str  # as in training.algorithm
    name: str
    seed: int  # of the inputs; the engine's is chosen for its draws
    states: int
    actions: int
    hidden: tuple
    batch: int
    groups: int = 1
    pairs: int = 1  # of a list, which is then a row: states and actions are of all of them together
    explicit: bool = False  # next_state and done are columns; else the next row is next
    clip: bool = False
    normalise: bool = False
    training: dict = dataclasses.field(default_factory=dict)  # settings of all algorithms, over TRAINING
    own: dict = dataclasses.field(default_factory=dict)  # settings of this one, its section of the configuration

    def settings(self):
        """The configuration's sections that matter here, without the group weights."""
        training = TRAINING | {"algorithm": self.algorithm, "batch": self.batch, "hidden": list(self.hidden)} | self.training
        sections = {"training": training} | ({self.algorithm: self.own} if self.own else {})
        return {name: {key: single(value) for key, value in section.items()} for name, section in sections.items()}


# ---- networks --------------------------------------------------------------------------------------------------------


def tensor(array):
    """float64 tensor whose values are float32 values."""
    return torch.from_numpy(np.asarray(array, dtype=np.float32).astype(np.float64))


def make_net(rng, sizes, members, last_scale=1.0):
    """[(weight [E, in, out], bias [E, out]), ...], uniform in +-1/sqrt(in)."""
    net = []
    for index, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        bound = 1 / math.sqrt(fan_in) * (last_scale if index + 2 == len(sizes) else 1.0)
        weight = tensor(rng.uniform(-bound, bound, (members, fan_in, fan_out)))
        net.append((weight, tensor(rng.uniform(-bound, bound, (members, fan_out)))))
    return net


def forward(net, x, tanh=False):
    """x: [B, in] or [E, B, in]; returns [E, B, out]."""
    for index, (weight, bias) in enumerate(net):
        x = torch.matmul(x, weight) + bias.unsqueeze(1)
        if index + 1 < len(net):
            x = torch.relu(x)
    return torch.tanh(x) if tanh else x


def value(net, state, action):
    """Q(s, a) of every member, [E, B]."""
    return forward(net, torch.cat([state, action], -1))[..., 0]


def member_norm(gradients):
    """Euclidean norm over all parameters of each member, [E]."""
    return torch.sqrt(sum((g * g).flatten(1).sum(1) for layer in gradients for g in layer))


def gradient(loss, net):
    flat = iter(torch.autograd.grad(loss, [p for layer in net for p in layer]))
    return [[next(flat) for _ in layer] for layer in net]


class Adam:
    """Adam with the gradient's global norm clipped for each ensemble member by itself."""

    def __init__(self, net, rate, max_norm=0.0):
        self.net, self.rate, self.max_norm = net, rate, max_norm
        self.m = [[torch.zeros_like(p) for p in layer] for layer in net]
        self.v = [[torch.zeros_like(p) for p in layer] for layer in net]

    def update(self, gradients, t):
        beta1, beta2, epsilon = (single(ADAM[f"adam_{key}"]) for key in ("beta1", "beta2", "epsilon"))
        if self.max_norm > 0:
            scale = torch.clamp(self.max_norm / (member_norm(gradients) + CLIP_EPSILON), max=1)
            gradients = [[g * scale.view(-1, *[1] * (g.dim() - 1)) for g in layer] for layer in gradients]
        correction1, correction2 = -math.expm1(t * math.log(beta1)), -math.expm1(t * math.log(beta2))
        for layer, grads, ms, vs in zip(self.net, gradients, self.m, self.v):
            for p, g, m, v in zip(layer, grads, ms, vs):
                m.mul_(beta1).add_((1 - beta1) * g)
                v.mul_(beta2).add_((1 - beta2) * g * g)
                p.data.sub_(self.rate * (m / correction1) / (torch.sqrt(v / correction2) + epsilon))


# ---- the engine's random numbers -------------------------------------------------------------------------------------

SAMPLE, NOISE = 1, 3  # uses of random numbers


def philox(key, low, high):
    """Philox4x32-10: four uint32 for every counter (low, high: uint64 arrays)."""
    mask = np.uint64(0xFFFFFFFF)
    low, high = np.broadcast_arrays(np.asarray(low, np.uint64), np.asarray(high, np.uint64))
    c = [low & mask, low >> np.uint64(32), high & mask, high >> np.uint64(32)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & mask,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & mask,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def drawn_rows(seed, step, batch):
    b = np.arange(batch, dtype=np.uint64)
    x = philox(seed, np.uint64(step) ^ (b << np.uint64(40)), np.uint64(SAMPLE << 32))
    return [(((int(x0) << 32) | int(x1)) * ROWS) >> 64 for x0, x1 in zip(x[0], x[1])]


def disjoint(seed, batch):
    """Whether no two samples of a step share a row or a following row."""
    for step in range(1, max(SNAPSHOTS) + 1):
        rows = drawn_rows(seed, step, batch)
        used = {r + i for r in rows for i in (0, 1)}
        if len(used) < 2 * batch or max(used) >= ROWS:
            return False
    return True


# ---- an algorithm ----------------------------------------------------------------------------------------------------


class Algorithm:
    """A step, and what it starts from. Subclasses fill `nets`, `rates` and `columns`, and write `step`."""

    # Networks that Adam moves, with the setting that is its rate.
    rates = {"actor": "actor_rate", "critic": "critic_rate"}
    # Target networks and what they follow.
    targets = {"target_actor": "actor", "target_critic": "critic"}

    def __init__(self, case, rng):
        self.case = case
        self.settings = case.settings()
        self.training = self.settings["training"]
        self.own = self.settings.get(case.algorithm, {})
        self.nets = self.make_nets(rng)
        self.seed = next(seed for seed in range(1, 10_000) if disjoint(seed, case.batch))
        self.rng = rng
        self.t = 0
        self.terms, self.gradients = {}, {}
        self.adams = {}

    def make_nets(self, rng):
        """All networks by name, in the engine's order."""
        raise NotImplementedError

    def make_batch(self, rng, mean, inv_std):
        """Raw columns by name; those of what follows are named next_."""
        c = self.case
        return dict(
            state=tensor(rng.normal(size=(c.batch, c.states))),
            next_state=tensor(rng.normal(size=(c.batch, c.states))),
            action=tensor(rng.uniform(-0.9, 0.9, (c.batch, c.actions))),
            next_action=tensor(rng.uniform(-0.9, 0.9, (c.batch, c.actions))),
            reward=tensor(rng.normal(0.5, 1, (c.batch, c.groups))),
            done=tensor((rng.permutation(c.batch) % 3 == 0)[:, None]),
        )

    def more(self, hypers):
        """Further tensors and metadata of the file, for other readers than the test."""
        return {}, {}

    def check_coverage(self, batch):
        """Asserts that the first batch meets every branch of the losses."""

    def step(self, batch):
        """One whole step, by `minimise` and `track`; terms of the first one are kept under the engine's names for them."""
        raise NotImplementedError

    def keep(self, **terms):
        if self.t == 1:
            self.terms |= {name.replace("__", "."): x.detach().clone() for name, x in terms.items()}

    def noise(self, stream, members, rows, columns):
        """Two words of random bits in (0, 1) for every element."""
        i = np.arange(members * rows * columns, dtype=np.uint64)
        x = philox(self.seed, np.uint64(self.t) ^ (i << np.uint64(40)), np.uint64((NOISE << 32) | stream))
        return [((word.astype(np.float64) + 0.5) / 2.0**32).reshape(members, rows, columns) for word in x[:2]]

    def normal(self, stream, members, rows, columns, scale=1.0, limit=0.0):
        """The engine's normal noise, [members, rows, columns]."""
        u = self.noise(stream, members, rows, columns)
        z = torch.from_numpy(scale * np.sqrt(-2 * np.log(u[0])) * np.cos(2 * np.pi * u[1]))
        return z.clamp(-limit, limit) if limit > 0 else z

    def uniform(self, stream, members, rows, columns, scale=1.0):
        """The engine's uniform noise in (-scale, scale), [members, rows, columns]."""
        return torch.from_numpy(scale * (2 * self.noise(stream, members, rows, columns)[0] - 1))

    def minimise(self, loss, *names, period=1, smooth=None):
        """Adam on networks at every step that `period` divides. `smooth` is the loss where differences can be taken of it."""
        for name in names:
            for layer in self.nets[name]:
                for p in layer:
                    p.requires_grad_()
        flat = [p for name in names for layer in self.nets[name] for p in layer]
        self.checked(smooth or loss, flat)
        all_gradients = iter(torch.autograd.grad(loss(), flat))
        for name in names:
            gradients = [[next(all_gradients) for _ in layer] for layer in self.nets[name]]
            for layer in self.nets[name]:
                for p in layer:
                    p.requires_grad_(False)
            if self.t == 1:
                self.gradients[name] = gradients
            if name not in self.adams:
                # A clip leaves half of the members as they are at first.
                norm = member_norm(gradients)
                limit = single(norm.quantile(0.5).item() * (0.5 if len(norm) == 1 else 1)) if self.case.clip else 0.0
                self.adams[name] = Adam(self.nets[name], self.training[self.rates[name]], limit)
            if self.t % period == 0:
                self.adams[name].update(gradients, self.t // period)

    def checked(self, loss, parameters, step=1e-6):
        """Autograd against central differences at a few parameters; steps are small enough to meet no kink here."""
        if self.t != 1:
            return
        for p, g in zip(parameters, torch.autograd.grad(loss(), parameters)):
            flat, scale = p.data.view(-1), g.abs().max()
            for index in self.rng.choice(flat.numel(), min(4, flat.numel()), replace=False):
                old = flat[index].item()
                flat[index] = old + step
                up = loss().item()
                flat[index] = old - step
                down = loss().item()
                flat[index] = old
                error = abs((up - down) / (2 * step) - g.reshape(-1)[index].item())
                rounding = 1e-15 * abs(up) / step  # of the loss itself
                assert error <= 1e-6 * max(1.0, scale.item()) + rounding, f"gradient off by {error}"

    def track(self, *names):
        """Soft update of target networks when it is due."""
        if self.t % self.training["target_period"]:
            return
        w = self.training["target_rate"]
        for name in names:
            for layer, target_layer in zip(self.nets[self.targets[name]], self.nets[name]):
                for p, target in zip(layer, target_layer):
                    target.copy_(w * p.detach() + (1 - w) * target)

    def target(self, reward, done, next_value):
        """r + gamma (1 - done) next_value; [..., B]."""
        return reward + self.training["discount"] * (1 - done[:, 0]) * next_value


# ---- one file --------------------------------------------------------------------------------------------------------


def flatten(prefix, nets):
    return {
        f"{prefix}{name}.layer{index}.{kind}": p.detach().clone()
        for name, net in nets.items()
        for index, layer in enumerate(net)
        for kind, p in zip(("weight", "bias"), layer)
    }


def compute(case, kind):
    """All tensors of a golden file and its metadata; `kind` is the algorithm's class."""
    rng = np.random.default_rng(case.seed)
    algorithm = kind(case, rng)
    mean, inv_std, reward_scale = torch.zeros(case.states), torch.ones(case.states), torch.ones(case.groups)
    if case.normalise:
        mean, inv_std = tensor(rng.normal(0, 0.5, case.states)), tensor(rng.uniform(0.5, 2, case.states))
        reward_scale = tensor(rng.uniform(0.3, 3, case.groups))
    algorithm.weights = weights = tensor(rng.uniform(0.4, 1.2, case.groups))
    raw = [algorithm.make_batch(rng, mean, inv_std) for _ in range(BATCHES)]
    columns = [key for key in raw[0] if not key.startswith("next_") and key != "done"]
    if case.explicit:
        columns += [key for key in raw[0] if key.startswith("next_")] + ["done"]
    else:
        for b in raw:  # the last row of a session has no next one: the engine reads it again, and masks what it gives
            for key in columns:
                if f"next_{key}" in b:
                    b[f"next_{key}"] = torch.where(b["done"] == 1, b[key], b[f"next_{key}"])
    batches = [
        dict(
            b,
            state=(b["state"] - mean) * inv_std,
            next_state=(b["next_state"] - mean) * inv_std,
            reward=b["reward"] * reward_scale,
        )
        for b in raw
    ]
    algorithm.check_coverage(batches[0])
    out = {f"batch{i}.{key}": x for i, b in enumerate(raw) for key, x in b.items()}
    out |= {"state_mean": mean, "state_inv_std": inv_std, "reward_scale": reward_scale, "group_weights": weights}
    out |= flatten("init.", algorithm.nets)
    for t in range(1, max(SNAPSHOTS) + 1):
        algorithm.t = t
        algorithm.step(batches[(t - 1) % BATCHES])
        if t == 1:
            out |= {f"step1.tensor.{name}": x for name, x in algorithm.terms.items()}
            out |= flatten("step1.gradient.", algorithm.gradients)
        if t in SNAPSHOTS:
            out |= flatten(f"after{t}.", algorithm.nets)
        if t == 10:
            out |= flatten("after10.first_moment.", {name: adam.m for name, adam in algorithm.adams.items()})
            out |= flatten("after10.second_moment.", {name: adam.v for name, adam in algorithm.adams.items()})

    config = case.settings()
    config["training"]["group_weights"] = weights.tolist()
    hypers = {key: single(number) for key, number in ADAM.items()} | {
        f"{algorithm.rates[name].removesuffix('_rate')}_clip": adam.max_norm for name, adam in algorithm.adams.items()
    }
    metadata = {
        "format": "unifiedrl-golden-2",
        "case": case.name,
        "config": json.dumps(config),
        "hypers": json.dumps(hypers),
        "columns": json.dumps([[key, raw[0][key].shape[1]] for key in columns]),
        "batches": str(BATCHES),
        "seed": str(algorithm.seed),
    }
    tensors, texts = algorithm.more(hypers)
    out, metadata = out | tensors, metadata | texts
    arrays = {key: np.ascontiguousarray(np.atleast_1d(x.detach().numpy())) for key, x in out.items()}
    assert all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values())
    inputs = ("batch", "init", "hyper", "state_", "reward_", "group_")
    for key, array in arrays.items():
        assert not key.startswith(inputs) or (array == array.astype(np.float32)).all(), f"{key} is no float32"
    return dict(sorted(arrays.items())), metadata


def serialise(arrays, metadata):
    """safetensors bytes whose metadata are in order, so that the same numbers give the same file."""
    data = save(arrays, metadata)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    assert len(text) <= length
    return data[:8] + text.ljust(length) + data[8 + length :]
