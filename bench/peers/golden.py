"""Writes the golden files: UnifiedRL steps computed by an independent float64 PyTorch implementation.

    python bench/peers/golden.py            # (re)writes java/mtf/src/test/resources/golden/unifiedrl-<case>.safetensors
    python bench/peers/golden.py --check    # recomputes and compares with the files that are there

Gradients come from autograd, so nothing here shares a derivation with the engine, whose backward calls are written by hand.
The contents of the files are described in bench/peers/README.md.
"""

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "java/mtf/src/test/resources/golden"
NETS = ("actor", "target_actor", "critic", "target_critic")
BATCHES = 4
SNAPSHOTS = (1, 10, 100)
CLAMP = 8.0  # largest exponent of the box penalty
DEVIATION_EPSILON = 1e-8  # under the root of the ensemble's standard deviation
CLIP_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class Case:
    """One golden file. Every float is rounded to float32 before use (see hyper)."""

    name: str
    seed: int
    states: int
    actions: int
    hidden: tuple
    groups: int
    members: int
    batch: int
    box_form: str
    clip: bool = False
    normalise: bool = False
    gamma: float = 0.9
    eta: float = 1.2
    omega: float = 1 / 0.3
    lambda_: float = 0.2
    beta: float = 1.0
    theta: float = 1 / 0.3
    target_rate: float = 0.08
    target_period: int = 15
    actor_learning_rate: float = 1e-4
    critic_learning_rate: float = 3e-4
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8

    @property
    def ensemble(self):
        return self.groups * self.members

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        return float(np.float32(value)) if isinstance(value, float) else value


def first(**changes):
    return Case(states=5, actions=3, hidden=(8, 8), groups=2, members=3, batch=6, **changes)


def second(**changes):
    return Case(states=7, actions=2, hidden=(16, 12), groups=1, members=4, batch=9, **changes)


def third(**changes):
    return Case(states=4, actions=5, hidden=(8,), groups=3, members=2, batch=8, **changes)


CASES = (
    first(name="s5a3-continuous", seed=1, box_form="continuous"),
    first(name="s5a3-exact-clip", seed=2, box_form="exact", clip=True, target_period=4),
    first(name="s5a3-normalised", seed=3, box_form="continuous", normalise=True, target_period=7),
    second(name="s7a2-continuous-clip", seed=4, box_form="continuous", clip=True, beta=0.8),
    second(name="s7a2-exact", seed=5, box_form="exact", target_period=1),
    third(
        name="s4a5-continuous",
        seed=6,
        box_form="continuous",
        actor_learning_rate=1e-3,
        critic_learning_rate=3e-3,
        target_period=3,
    ),
    third(name="s4a5-exact-clip", seed=7, box_form="exact", clip=True, lambda_=0.7, omega=5.0, theta=2.0),
)


# ---- networks and losses (spec section 0) ----------------------------------------------------------------------------


def forward(net, x, tanh=False):
    """x: [B, in] or [E, B, in]; net: [(weight [E, in, out], bias [E, out]), ...]; returns [E, B, out]."""
    for index, (weight, bias) in enumerate(net):
        x = torch.matmul(x, weight) + bias.unsqueeze(1)
        if index + 1 < len(net):
            x = torch.relu(x)
    return torch.tanh(x) if tanh else x


def excess(a, low, high):
    """Distance outside the box in box widths, per dimension [B, A]; value and gradient are 0 at the edge itself."""
    raw = torch.maximum(a - high, low - a) / (high - low)
    return torch.where(raw > 0, raw, torch.zeros_like(raw))


def box_penalty(case, a, low, high):
    """d(a) [B]; the gradient is 0 inside, at the edge and where the exponent is clamped."""
    x = excess(a, low, high)
    z = case.omega * x
    z = torch.where(z < CLAMP, z, torch.full_like(z, CLAMP))
    if case.box_form == "exact":
        return torch.where(x > 0, torch.exp(z), torch.zeros_like(z)).sum(1)
    return torch.expm1(z).sum(1)


def attenuation(case, a, low, high):
    """phi(a) [B]."""
    total = excess(a, low, high).sum(1)
    return torch.where(total > 0, case.beta * torch.exp(-case.theta * total), torch.ones_like(total))


def critic_terms(case, nets, batch):
    with torch.no_grad():
        next_action = forward(nets["target_actor"], batch["next_state"], tanh=True)[0]
        phi = attenuation(case, next_action, batch["next_box_low"], batch["next_box_high"])
        next_q = forward(nets["target_critic"], torch.cat([batch["next_state"], next_action], 1))[..., 0]
        attenuated = phi * next_q.clamp(min=0) + next_q.clamp(max=0)
        reward = batch["reward"].T.repeat_interleave(case.members, 0)  # [E, B]; member e belongs to group e // m
        target = reward + case.gamma * (1 - batch["done"][:, 0]) * attenuated
    q = forward(nets["critic"], torch.cat([batch["state"], batch["action"]], 1))[..., 0]
    return dict(
        target_action=next_action,
        phi=phi,
        target_q=next_q,
        y=target,
        q=q,
        critic_loss=((q - target) ** 2).mean(1),
    )


def actor_terms(case, nets, batch, weights):
    action = forward(nets["actor"], batch["state"], tanh=True)[0]
    q = forward(nets["critic"], torch.cat([batch["state"], action], 1))[..., 0]
    grouped = q.view(case.groups, case.members, -1)
    mean = grouped.mean(1)
    deviation = torch.sqrt(((grouped - mean.unsqueeze(1)) ** 2).mean(1) + DEVIATION_EPSILON)
    penalty = box_penalty(case, action, batch["box_low"], batch["box_high"])
    value_term = -(weights @ mean).mean()
    penalty_term = case.eta * penalty.mean()
    deviation_term = case.lambda_ * (weights @ deviation).mean()
    outside = excess(action, batch["box_low"], batch["box_high"]) > 0
    return dict(
        actor_action=action,
        actor_q=q,
        actor_q_mean=mean,
        actor_q_deviation=deviation,
        box_penalty=penalty,
        value_term=value_term,
        penalty_term=penalty_term,
        deviation_term=deviation_term,
        actor_loss=value_term + penalty_term + deviation_term,
        in_box_share=(~outside.any(1)).double().mean(),
        in_box_share_dimensions=(~outside).double().mean(),
    )


# ---- optimiser -------------------------------------------------------------------------------------------------------


class Adam:
    """Adam with the gradient's global norm clipped for each ensemble member by itself."""

    def __init__(self, case, net, learning_rate, max_norm):
        self.case, self.net, self.learning_rate, self.max_norm = case, net, learning_rate, max_norm
        self.m = [[torch.zeros_like(p) for p in layer] for layer in net]
        self.v = [[torch.zeros_like(p) for p in layer] for layer in net]

    def update(self, gradients, t):
        case = self.case
        if self.max_norm > 0:
            scale = torch.clamp(self.max_norm / (member_norm(gradients) + CLIP_EPSILON), max=1)
            gradients = [[g * scale.view(-1, *[1] * (g.dim() - 1)) for g in layer] for layer in gradients]
        correction1 = -math.expm1(t * math.log(case.adam_beta1))
        correction2 = -math.expm1(t * math.log(case.adam_beta2))
        for layer, grads, ms, vs in zip(self.net, gradients, self.m, self.v):
            for p, g, m, v in zip(layer, grads, ms, vs):
                m.mul_(case.adam_beta1).add_((1 - case.adam_beta1) * g)
                v.mul_(case.adam_beta2).add_((1 - case.adam_beta2) * g * g)
                step = self.learning_rate * (m / correction1) / (torch.sqrt(v / correction2) + case.adam_epsilon)
                p.data.sub_(step)


def member_norm(gradients):
    """Euclidean norm over all parameters of each member, [E]."""
    return torch.sqrt(sum((g * g).flatten(1).sum(1) for layer in gradients for g in layer))


def gradient(loss, net):
    flat = iter(torch.autograd.grad(loss, [p for layer in net for p in layer]))
    return [[next(flat) for _ in layer] for layer in net]


# ---- inputs ----------------------------------------------------------------------------------------------------------


def tensor(array):
    """float64 tensor whose values are float32 values."""
    return torch.from_numpy(np.asarray(array, dtype=np.float32).astype(np.float64))


def make_net(rng, sizes, ensemble, last_scale=1.0):
    net = []
    for index, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        bound = 1 / math.sqrt(fan_in) * (last_scale if index + 2 == len(sizes) else 1.0)
        net.append(
            (
                tensor(rng.uniform(-bound, bound, (ensemble, fan_in, fan_out))),
                tensor(rng.uniform(-bound, bound, (ensemble, fan_out))),
            )
        )
    return net


def make_nets(case, rng):
    actor_sizes = (case.states, *case.hidden, case.actions)
    critic_sizes = (case.states + case.actions, *case.hidden, 1)
    nets = {
        "actor": make_net(rng, actor_sizes, 1),
        "target_actor": make_net(rng, actor_sizes, 1),
        "critic": make_net(rng, critic_sizes, case.ensemble, 2.0),
        "target_critic": make_net(rng, critic_sizes, case.ensemble, 2.0),
    }
    # The last action is exactly 0 in any precision, so a box edge at 0 is exactly hit (the first time).
    for name in ("actor", "target_actor"):
        weight, bias = nets[name][-1]
        weight[:, :, -1] = 0
        bias[:, -1] = 0
    # Far enough from zero for both signs of Q' in each group.
    bias = nets["target_critic"][-1][1]
    bias[:, 0] = tensor(bias[:, 0].numpy() + np.where(np.arange(case.ensemble) % 2 == 0, 0.25, -0.25))
    return nets


def make_boxes(rng, mu):
    """Boxes [B, A] around, beside and far from the actions mu; edges stay in [-1, 1] and away from mu unless at it."""
    low, high = np.empty(mu.shape), np.empty(mu.shape)
    for row, column in np.ndindex(mu.shape):
        a, last = mu[row, column], column == mu.shape[1] - 1
        width = rng.uniform(0.2, 0.4)
        if row == 0:
            kind = "at" if last else "inside"
        elif row == 1 or column == 0 and row < 4:
            kind = ("inside", "outside", "far")[row - 1]
        else:
            kind = rng.choice(["inside", "outside", "far", "at" if last else "outside"])
        inward = -1 if a > 0 or (a == 0 and rng.random() < 0.5) else 1  # where there is room for a box
        if kind == "inside":
            near = a - inward * rng.uniform(0.2, 0.8) * width
        elif kind == "outside":
            near = a + inward * rng.uniform(0.02, 0.3)
        elif kind == "far":  # beyond the clamp, which is 8 / omega box widths
            width = 0.15
            near = a + inward * rng.uniform(0.6, 0.7)
        else:
            near = a
        edges = np.clip(sorted((near, near + inward * width)), -1, 1)
        low[row, column], high[row, column] = edges
    low, high = tensor(low), tensor(high)
    assert (high - low > 0.05).all()
    return low, high


def make_batch(case, rng, nets, mean, inv_std):
    size = (case.batch, case.states)
    state, next_state = tensor(rng.normal(size=size)), tensor(rng.normal(size=size))
    mu = forward(nets["actor"], (state - mean) * inv_std, tanh=True)[0].numpy()
    next_mu = forward(nets["target_actor"], (next_state - mean) * inv_std, tanh=True)[0].numpy()
    low, high = make_boxes(rng, mu)
    next_low, next_high = make_boxes(rng, next_mu)
    action = low + (high - low) * tensor(rng.uniform(0.1, 0.9, low.shape))
    done = rng.permutation(case.batch) % 3 == 0
    return dict(
        state=state,
        next_state=next_state,
        action=tensor(action),
        box_low=low,
        box_high=high,
        next_box_low=next_low,
        next_box_high=next_high,
        reward=tensor(rng.normal(0.5, 1, (case.batch, case.groups))),
        done=tensor(done[:, None]),
    )


# ---- checks of this script by itself -----------------------------------------------------------------------------------


def check_penalty_gradient(case, a, low, high):
    """Autograd against the formula of spec section 0 and against central differences."""
    a = a.detach().clone().requires_grad_()
    auto = torch.autograd.grad(box_penalty(case, a, low, high).sum(), a)[0]
    above, below, width = a > high, a < low, high - low
    x = torch.clamp(torch.where(above, a - high, low - a), min=0) / width
    sign = above.double() - below.double()
    formula = torch.where(case.omega * x < CLAMP, sign * case.omega / width * torch.exp(case.omega * x), 0.0)
    assert torch.allclose(auto, formula, rtol=1e-13, atol=0), "penalty: autograd differs from the formula"
    step = 1e-6
    smooth = (torch.abs(a - high) > 2 * step) & (torch.abs(a - low) > 2 * step)
    with torch.no_grad():
        for column in range(a.shape[1]):
            moved = torch.zeros_like(a)
            moved[:, column] = step
            slope = (box_penalty(case, a + moved, low, high) - box_penalty(case, a - moved, low, high)) / (2 * step)
            ok = smooth[:, column]
            worst = (slope - formula[:, column])[ok].abs() / (1 + formula[:, column][ok].abs())
            assert (worst < 1e-4).all(), "penalty: central differences disagree"


def check_by_differences(loss, net, gradients, rng):
    """Central differences at a few parameters of every tensor; steps are small enough to meet no kink of a ReLU here."""
    step = 1e-6
    for layer, grads in zip(net, gradients):
        for p, g in zip(layer, grads):
            flat, scale = p.data.view(-1), g.abs().max()
            for index in rng.choice(flat.numel(), min(4, flat.numel()), replace=False):
                old = flat[index].item()
                flat[index] = old + step
                up = loss().item()
                flat[index] = old - step
                down = loss().item()
                flat[index] = old
                error = abs((up - down) / (2 * step) - g.view(-1)[index].item())
                assert error <= 1e-6 * max(1.0, scale.item()), f"gradient off by {error}"


def check_adam():
    """This Adam against torch.optim.Adam, without clipping."""
    case, rng = CASES[0], np.random.default_rng(0)
    start = make_net(rng, (3, 4, 2), 2)
    ours = [tuple(p.clone() for p in layer) for layer in start]
    theirs = [p.clone().requires_grad_() for layer in start for p in layer]
    adam = Adam(case, ours, case.critic_learning_rate, 0.0)
    other = torch.optim.Adam(
        theirs,
        lr=case.critic_learning_rate,
        betas=(case.adam_beta1, case.adam_beta2),
        eps=case.adam_epsilon,
    )
    for t in range(1, 31):
        gradients = [[tensor(rng.normal(size=p.shape)) for p in layer] for layer in ours]
        adam.update(gradients, t)
        for p, g in zip(theirs, [g for layer in gradients for g in layer]):
            p.grad = g.clone()
        other.step()
    for p, r in zip([p for layer in ours for p in layer], theirs):
        assert torch.allclose(p, r, rtol=1e-12, atol=1e-14), "Adam differs from torch.optim.Adam"


def check_coverage(case, nets, batches):
    """The first batches must meet every branch of the losses."""
    terms = critic_terms(case, nets, batches[0])
    action = forward(nets["actor"], batches[0]["state"], tanh=True)[0]
    for a, low, high in (
        (action, batches[0]["box_low"], batches[0]["box_high"]),
        (terms["target_action"], batches[0]["next_box_low"], batches[0]["next_box_high"]),
    ):
        z = case.omega * excess(a, low, high)
        assert ((a == low) | (a == high)).any(), "no action at an edge"
        assert (z == 0).all(1).any() and ((z > 0) & (z < CLAMP)).any(), "not both inside and outside"
        assert (z > CLAMP).any(), "no clamped exponent"
    outside = terms["phi"] < 1
    assert (terms["target_q"][:, outside] > 0).any() and (terms["target_q"][:, outside] < 0).any(), "one sign of Q'"
    done = batches[0]["done"][:, 0]
    assert (outside & (done == 0)).any() and (~outside & (done == 0)).any() and (done == 1).any()


# ---- one file --------------------------------------------------------------------------------------------------------


def flatten(prefix, nets):
    return {
        f"{prefix}{name}.layer{index}.{kind}": p.detach().clone()
        for name, net in nets.items()
        for index, layer in enumerate(net)
        for kind, p in zip(("weight", "bias"), layer)
    }


def compute(case):
    """All tensors of a golden file and its metadata."""
    rng = np.random.default_rng(case.seed)
    nets = make_nets(case, rng)
    mean, inv_std = torch.zeros(case.states), torch.ones(case.states)
    reward_scale = torch.ones(case.groups)
    if case.normalise:
        mean, inv_std = tensor(rng.normal(0, 0.5, case.states)), tensor(rng.uniform(0.5, 2, case.states))
        reward_scale = tensor(rng.uniform(0.3, 3, case.groups))
    weights = tensor(rng.uniform(0.4, 1.2, case.groups))
    raw = [make_batch(case, rng, nets, mean, inv_std) for _ in range(BATCHES)]
    batches = [
        dict(
            b,
            state=(b["state"] - mean) * inv_std,
            next_state=(b["next_state"] - mean) * inv_std,
            reward=b["reward"] * reward_scale,
        )
        for b in raw
    ]
    check_coverage(case, nets, batches)
    out = {f"batch{i}.{key}": value for i, b in enumerate(raw) for key, value in b.items()}
    out |= {"state_mean": mean, "state_inv_std": inv_std, "reward_scale": reward_scale, "group_weights": weights}
    out |= flatten("init.", nets)

    for name in ("actor", "critic"):
        for layer in nets[name]:
            for p in layer:
                p.requires_grad_()

    critic_norm, actor_norm = 0.0, 0.0
    if case.clip:  # half of the critics are clipped at first, and the actor is
        loss = critic_terms(case, nets, batches[0])["critic_loss"].sum()
        critic_norm = float(np.float32(member_norm(gradient(loss, nets["critic"])).quantile(0.5).item()))
        loss = actor_terms(case, nets, batches[0], weights)["actor_loss"]
        actor_norm = float(np.float32(0.5 * member_norm(gradient(loss, nets["actor"])).item()))
    critic_adam = Adam(case, nets["critic"], case.critic_learning_rate, critic_norm)
    actor_adam = Adam(case, nets["actor"], case.actor_learning_rate, actor_norm)

    for t in range(1, max(SNAPSHOTS) + 1):
        batch = batches[(t - 1) % BATCHES]
        terms = critic_terms(case, nets, batch)
        critic_gradient = gradient(terms["critic_loss"].sum(), nets["critic"])
        if t == 1:
            check_by_differences(
                lambda: critic_terms(case, nets, batch)["critic_loss"].sum(), nets["critic"], critic_gradient, rng
            )
        critic_adam.update(critic_gradient, t)
        terms |= actor_terms(case, nets, batch, weights)
        actor_gradient = gradient(terms["actor_loss"], nets["actor"])
        if t == 1:
            # Differences cannot be taken across the edge, where the last action sits: move the box there away.
            away = dict(batch, box_low=batch["box_low"] - 1e-3, box_high=batch["box_high"] + 1e-3)
            moved = gradient(actor_terms(case, nets, away, weights)["actor_loss"], nets["actor"])
            check_by_differences(
                lambda: actor_terms(case, nets, away, weights)["actor_loss"], nets["actor"], moved, rng
            )
            check_penalty_gradient(case, terms["actor_action"], batch["box_low"], batch["box_high"])
            out |= {f"step1.{key}": value for key, value in terms.items()}
            out |= flatten("step1.gradient.", {"critic": critic_gradient, "actor": actor_gradient})
            out["step1.critic_gradient_norm"] = member_norm(critic_gradient)
            out["step1.actor_gradient_norm"] = member_norm(actor_gradient)
        actor_adam.update(actor_gradient, t)
        if t % case.target_period == 0:
            for name in ("actor", "critic"):
                for layer, target_layer in zip(nets[name], nets[f"target_{name}"]):
                    for p, target in zip(layer, target_layer):
                        target.copy_(case.target_rate * p.detach() + (1 - case.target_rate) * target)
        if t in SNAPSHOTS:
            out |= flatten(f"after{t}.", nets)
        if t == 10:
            out |= flatten("after10.first_moment.", {"actor": actor_adam.m, "critic": critic_adam.m})
            out |= flatten("after10.second_moment.", {"actor": actor_adam.v, "critic": critic_adam.v})

    hyper = dataclasses.asdict(case)
    hyper = {key: getattr(case, key) for key in hyper if key not in ("name", "seed", "clip", "normalise")}
    hyper |= {"critic_max_norm": critic_norm, "actor_max_norm": actor_norm, "batches": BATCHES}
    hyper["lambda"] = hyper.pop("lambda_")
    hyper["hidden"] = ",".join(map(str, case.hidden))
    metadata = {"format": "unifiedrl-golden-1", "case": case.name} | {
        key: repr(value) if isinstance(value, float) else str(value) for key, value in hyper.items()
    }
    out |= {
        f"hyper.{key}": torch.tensor([float(value)]) for key, value in hyper.items() if not isinstance(value, str)
    }
    arrays = {key: np.ascontiguousarray(np.atleast_1d(value.detach().numpy())) for key, value in out.items()}
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the golden files (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    arguments = parser.parse_args()
    check_adam()
    arguments.out.mkdir(parents=True, exist_ok=True)
    total, worst = 0, 0.0
    for case in CASES:
        arrays, metadata = compute(case)
        path = arguments.out / f"unifiedrl-{case.name}.safetensors"
        if arguments.check:
            with safe_open(path, "np") as file:
                assert file.metadata() == metadata, f"{path}: other metadata"
                assert sorted(file.keys()) == sorted(arrays), f"{path}: other tensors"
                for key, array in arrays.items():
                    found = file.get_tensor(key)
                    difference = np.abs(found - array).max() / max(1e-3, np.abs(array).max())
                    worst = max(worst, difference)
                    assert difference < 1e-9, f"{path}: {key} differs by {difference}"
        else:
            path.write_bytes(serialise(arrays, metadata))
        total += path.stat().st_size
        clip = f"clip {metadata['critic_max_norm'][:6]}" if case.clip else "no clip"
        share = arrays["step1.in_box_share_dimensions"][0]
        print(f"{path.name}: {path.stat().st_size} bytes, {len(arrays)} tensors, {clip}, in box {share:.2f}")
    print(f"{total} bytes" + (f", largest relative difference {worst:.1e}" if arguments.check else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
