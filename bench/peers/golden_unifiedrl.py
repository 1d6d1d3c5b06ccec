"""UnifiedRL, its earlier form, v4, and EnhancedRL for the golden files (specification sections 0, 2.4 and 8.1)."""

import numpy as np
import torch

from golden_common import Algorithm, Case, forward, make_net, member_norm, tensor, value

CLAMP = 8.0  # largest exponent of the box penalty
DEVIATION_EPSILON = 1e-8  # under the root of the ensemble's standard deviation


def excess(a, low, high):
    """Distance outside the box in box widths, per dimension [B, A]; value and gradient are 0 at the edge itself."""
    raw = torch.maximum(a - high, low - a) / (high - low)
    return torch.where(raw > 0, raw, torch.zeros_like(raw))


def box_penalty(settings, a, low, high):
    """d(a) [B]; the gradient is 0 inside, at the edge and where the exponent is clamped."""
    x = excess(a, low, high)
    z = settings["omega"] * x
    z = torch.where(z < CLAMP, z, torch.full_like(z, CLAMP))
    if settings["penalty_form"] == "exact":
        return torch.where(x > 0, torch.exp(z), torch.zeros_like(z)).sum(1)
    return torch.expm1(z).sum(1)


def attenuation(settings, a, low, high):
    """phi(a) [B]."""
    total = excess(a, low, high).sum(1)
    return torch.where(total > 0, settings["beta"] * torch.exp(-settings["theta"] * total), torch.ones_like(total))


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


def check_penalty_gradient(settings, a, low, high):
    """Autograd against the formula of spec section 0 and against central differences."""
    a = a.detach().clone().requires_grad_()
    auto = torch.autograd.grad(box_penalty(settings, a, low, high).sum(), a)[0]
    above, below, width = a > high, a < low, high - low
    x = torch.clamp(torch.where(above, a - high, low - a), min=0) / width
    sign = above.double() - below.double()
    formula = torch.where(settings["omega"] * x < CLAMP, sign * settings["omega"] / width * torch.exp(settings["omega"] * x), 0.0)
    assert torch.allclose(auto, formula, rtol=1e-13, atol=0), "penalty: autograd differs from the formula"
    step = 1e-6
    smooth = (torch.abs(a - high) > 2 * step) & (torch.abs(a - low) > 2 * step)
    with torch.no_grad():
        for column in range(a.shape[1]):
            moved = torch.zeros_like(a)
            moved[:, column] = step
            slope = (box_penalty(settings, a + moved, low, high) - box_penalty(settings, a - moved, low, high)) / (2 * step)
            ok = smooth[:, column]
            worst = (slope - formula[:, column])[ok].abs() / (1 + formula[:, column][ok].abs())
            assert (worst < 1e-4).all(), "penalty: central differences disagree"


class UnifiedRl(Algorithm):
    @property
    def ensemble(self):
        return self.case.groups * self.training["critics_per_group"]

    def make_nets(self, rng):
        c = self.case
        states, actions = c.states // c.pairs, c.actions // c.pairs
        actor, critic = (states, *c.hidden, actions), (states + actions, *c.hidden, 1)
        nets = {
            "actor": make_net(rng, actor, 1),
            "target_actor": make_net(rng, actor, 1),
            "critic": make_net(rng, critic, self.ensemble, 2.0),
            "target_critic": make_net(rng, critic, self.ensemble, 2.0),
        }
        # The last action is exactly 0 in any precision, so a box edge at 0 is exactly hit (the first time).
        for name in ("actor", "target_actor"):
            weight, bias = nets[name][-1]
            weight[:, :, -1] = 0
            bias[:, -1] = 0
        # Far enough from zero for both signs of Q' in each group.
        bias = nets["target_critic"][-1][1]
        bias[:, 0] = tensor(bias[:, 0].numpy() + np.where(np.arange(self.ensemble) % 2 == 0, 0.25, -0.25))
        return nets

    @property
    def v4(self):
        return self.case.algorithm == "unifiedrl_v4"

    def each(self, x):
        """What networks see as a row: a request."""
        return x

    def listed(self, values, shown):
        """Values [E, rows] as the error sees them, [E, B]."""
        return values

    def averaged(self, losses, batch):
        """Mean of the actor's losses of all rows, [rows]."""
        return losses.mean()

    def act(self, net, state):
        return forward(self.nets[net], self.each(state), tanh=True)[0]

    def make_batch(self, rng, mean, inv_std):
        c, size = self.case, (self.case.batch, self.case.states)
        state, next_state = tensor(rng.normal(size=size)), tensor(rng.normal(size=size))
        low, high = make_boxes(rng, self.act("actor", (state - mean) * inv_std).numpy())
        next_low, next_high = make_boxes(rng, self.act("target_actor", (next_state - mean) * inv_std).numpy())
        action = low + (high - low) * tensor(rng.uniform(0.1, 0.9, low.shape))
        done = rng.permutation(c.batch) % 3 == 0
        return dict(
            state=state,
            next_state=next_state,
            action=tensor(action),
            box_low=low,
            box_high=high,
            next_box_low=next_low,
            next_box_high=next_high,
            reward=tensor(rng.normal(0.5, 1, (c.batch, c.groups))),
            done=tensor(done[:, None]),
        )

    def targets_of(self, batch):
        """Targets of all critics, [E, B]."""
        c = self.training
        next_action = self.act("target_actor", batch["next_state"])
        box = next_action, self.each(batch["next_box_low"]), self.each(batch["next_box_high"])
        next_q = value(self.nets["target_critic"], self.each(batch["next_state"]), next_action)
        if self.v4:
            distance = box_penalty(c, *box)
            future = next_q - self.own["target_penalty"] * distance
            self.keep(next_penalty=distance, lowered_q=future)
        else:
            phi = attenuation(c, *box)
            future = phi * next_q.clamp(min=0) + next_q.clamp(max=0)
            self.keep(phi=phi)
        future = self.listed(future, batch.get("next_shown"))
        reward = batch["reward"].T.repeat_interleave(c["critics_per_group"], 0)  # member e belongs to group e // m
        y = self.target(reward, batch["done"], future)
        self.keep(next_action=next_action, next_q=next_q, y=y)
        return y

    def actor_terms(self, batch):
        c, mu = self.training, self.act("actor", batch["state"])
        q = value(self.nets["critic"], self.each(batch["state"]), mu)
        grouped = q.view(self.case.groups, c["critics_per_group"], -1)
        mean = grouped.mean(1)
        deviation = torch.sqrt(((grouped - mean.unsqueeze(1)) ** 2).mean(1) + DEVIATION_EPSILON)
        penalty = box_penalty(c, mu, self.each(batch["box_low"]), self.each(batch["box_high"]))
        return mu, q, mean, deviation, penalty

    def actor_loss(self, batch):
        c, weights = self.training, self.weights
        _, _, mean, deviation, penalty = self.actor_terms(batch)
        return self.averaged(-(weights @ mean) + c["eta"] * penalty + c["lambda"] * (weights @ deviation), batch)

    def step(self, batch):
        y = self.targets_of(batch)

        def logged():
            return value(self.nets["critic"], self.each(batch["state"]), self.each(batch["action"]))

        def errors():
            return (self.listed(logged(), batch.get("shown")) - y) ** 2

        errors_before = errors().mean(1)
        self.keep(q=logged(), critic_loss=errors_before)
        self.minimise(lambda: errors().mean(1).sum(), "critic")
        self.track("target_critic")

        mu, q, mean, deviation, penalty = self.actor_terms(batch)
        box = self.each(batch["box_low"]), self.each(batch["box_high"])
        outside = excess(mu, *box) > 0
        self.keep(mu=mu, q_mu=q, objective__mean=mean.T, objective__deviation=deviation.T, penalty=penalty)
        self.keep(penalty__inside=(~outside.any(1)).double())
        if self.t == 1:
            check_penalty_gradient(self.training, mu, *box)
        # Differences cannot be taken across the edge, where the last action sits: the box moves away from it.
        away = dict(batch, box_low=batch["box_low"] - 1e-3, box_high=batch["box_high"] + 1e-3)
        if self.t == 1:
            self.losses = {"critic_loss": errors_before, "actor_loss": self.actor_loss(batch)}
        self.minimise(lambda: self.actor_loss(batch), "actor", smooth=lambda: self.actor_loss(away))
        self.track("target_actor")
        self.keep(critic_adam=member_norm(self.gradients["critic"]), actor_adam=member_norm(self.gradients["actor"]))

    def more(self, hypers):
        """What the peers (step.py) read of UnifiedRL's files: settings as hyper.*, losses of the first step."""
        if self.case.algorithm != "unifiedrl":
            return {}, {}  # they know no other
        c, t = self.case, self.training
        numbers = {key: t[key] for key in ("eta", "omega", "lambda", "beta", "theta", "batch", "target_rate", "target_period")}
        numbers |= {key: hypers[key] for key in ("adam_beta1", "adam_beta2", "adam_epsilon")}
        numbers |= dict(
            groups=c.groups,
            members=t["critics_per_group"],
            states=c.states,
            actions=c.actions,
            gamma=t["discount"],
            actor_learning_rate=t["actor_rate"],
            critic_learning_rate=t["critic_rate"],
            actor_max_norm=hypers["actor_clip"],
            critic_max_norm=hypers["critic_clip"],
        )
        tensors = {f"hyper.{key}": torch.tensor([float(number)]) for key, number in numbers.items()}
        tensors |= {f"step1.{name}": loss.detach() for name, loss in self.losses.items()}
        return tensors, {"box_form": t["penalty_form"]}

    def check_coverage(self, batch):
        omega = self.training["omega"]
        next_action = self.act("target_actor", batch["next_state"])
        next_q = value(self.nets["target_critic"], self.each(batch["next_state"]), next_action)
        open_rows = (batch["done"][:, 0] == 0).repeat_interleave(self.case.pairs)
        for a, low, high, rows in (
            (self.act("actor", batch["state"]), batch["box_low"], batch["box_high"], slice(None)),
            (next_action, batch["next_box_low"], batch["next_box_high"], open_rows),
        ):
            low, high = self.each(low), self.each(high)
            z = omega * excess(a, low, high)[rows]
            assert ((a == low) | (a == high)).any(), "no action at an edge"
            assert (z == 0).all(1).any() and ((z > 0) & (z < CLAMP)).any(), "not both inside and outside"
            assert (z > CLAMP).any(), "no clamped exponent"
        next_box = self.each(batch["next_box_low"]), self.each(batch["next_box_high"])
        outside = (excess(next_action, *next_box) > 0).any(1)
        assert (next_q[:, outside] > 0).any() and (next_q[:, outside] < 0).any(), "one sign of Q'"
        assert (outside & open_rows).any() and (~outside & open_rows).any() and (~open_rows).any()


class EnhancedRl(UnifiedRl):
    """A row is a list of pairs; networks see pairs, the error sees sums over those of a list that were shown."""

    def each(self, x):
        return x.reshape(len(x) * self.case.pairs, -1)

    def listed(self, values, shown):
        return (values * shown.flatten()).view(len(values), -1, self.case.pairs).sum(2)

    def averaged(self, losses, batch):
        return (losses * batch["shown"].flatten()).mean()

    def make_batch(self, rng, mean, inv_std):
        rows = self.case.batch
        batch = {key: x.reshape(rows, -1) for key, x in super().make_batch(rng, mean, inv_std).items()}
        for name in ("shown", "next_shown"):  # short pages show a first few
            items = rng.integers(1, self.case.pairs + 1, rows)
            items[: self.case.pairs] = np.arange(1, self.case.pairs + 1)[:rows]
            batch[name] = tensor(np.arange(self.case.pairs) < items[:, None])
        return batch


COEFFICIENTS = {"eta": 1.2, "omega": 1 / 0.3, "lambda": 0.2, "beta": 1.0, "theta": 1 / 0.3}


def case(name, seed, shape, form, algorithm="unifiedrl", pairs=1, clip=False, normalise=False, own=None, **training):
    return Case(
        algorithm,
        name,
        seed,
        pairs=pairs,
        clip=clip,
        normalise=normalise,
        training=COEFFICIENTS | {"penalty_form": form, "critics_per_group": shape["critics"]} | training,
        own=own or {},
        **{key: number for key, number in shape.items() if key != "critics"},
    )


FIRST = dict(states=5, actions=3, hidden=(8, 8), groups=2, critics=3, batch=6)
SECOND = dict(states=7, actions=2, hidden=(16, 12), groups=1, critics=4, batch=9)
THIRD = dict(states=4, actions=5, hidden=(8,), groups=3, critics=2, batch=8)
V4 = dict(algorithm="unifiedrl_v4", own=dict(target_penalty=1.2))
LISTS = dict(states=3 * 4, actions=3 * 2, hidden=(8, 8), groups=2, critics=3, batch=6)
ONE_GROUP = dict(states=2 * 3, actions=2 * 3, hidden=(12,), groups=1, critics=2, batch=8)
PAIRS = dict(algorithm="enhancedrl")

CASES = tuple(
    (EnhancedRl if c.algorithm == "enhancedrl" else UnifiedRl, c)
    for c in (
        case("s5a3-continuous", 1, FIRST, "continuous"),
        case("s5a3-exact-clip", 2, FIRST, "exact", clip=True, target_period=4),
        case("s5a3-normalised", 3, FIRST, "continuous", normalise=True, target_period=7),
        case("s7a2-continuous-clip", 4, SECOND, "continuous", clip=True, beta=0.8),
        case("s7a2-exact", 5, SECOND, "exact", target_period=1),
        case("s4a5-continuous", 6, THIRD, "continuous", actor_rate=1e-3, critic_rate=3e-3, target_period=3),
        case("s4a5-exact-clip", 7, THIRD, "exact", clip=True, omega=5.0, theta=2.0, **{"lambda": 0.7}),
        case("s5a3-continuous", 1, FIRST, "continuous", **V4),
        case("s4a5-exact", 7, THIRD, "exact", target_period=3, **V4),
        case("l3s4a2-normalised", 8, LISTS, "continuous", normalise=True, pairs=3, own=dict(critics_per_group=3), **PAIRS),
        case("l2s3a3-exact-clip", 9, ONE_GROUP, "exact", clip=True, pairs=2, beta=0.8, own=dict(critics_per_group=2), **PAIRS),
    )
)
