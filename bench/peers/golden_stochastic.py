"""Learners that draw from Gaussians, of actions or latents, for the golden files (specification 6.5 to 6.9)."""

import math

import torch

from golden_common import Algorithm, Case, forward, make_net, member_norm, value


class AdvantageWeighted(Algorithm):
    """A policy N(tanh mu(s), sd^2) that imitates logged actions, more where they have an advantage."""

    rates = {"critic": "critic_rate", "actor": "actor_rate", "log_deviation": "actor_rate"}
    targets = {"target_critic": "critic"}

    def make_nets(self, rng):
        c = self.case
        critic = (c.states + c.actions, *c.hidden, 1)
        nets = {
            "critic": make_net(rng, critic, 2, 3.0),
            "target_critic": make_net(rng, critic, 2, 3.0),
            "value": make_net(rng, (c.states, *c.hidden, 1), 1, 3.0),
            "actor": make_net(rng, (c.states, *c.hidden, c.actions), 1, 4.0),
            "log_deviation": make_net(rng, (1, c.actions), 1),
        }
        for name in ("critic", "target_critic"):
            nets[name][-1][1].zero_()
        nets["log_deviation"][0][1][0, 0] = 2.5  # beyond the largest: no gradient passes
        return {name: net for name, net in nets.items() if name in self.rates or name in self.targets}

    def policy(self, state):
        """Mean [B, A] and log standard deviation [B, A]."""
        mean = forward(self.nets["actor"], state, tanh=True)[0]
        return mean, forward(self.nets["log_deviation"], torch.zeros(self.case.batch, 1))[0].clamp(-20, 2)

    def log_probability(self, batch):
        mean, log_deviation = self.policy(batch["state"])
        z = (batch["action"] - mean) / log_deviation.exp()
        return (-z * z / 2 - log_deviation - math.log(2 * math.pi) / 2).sum(1)

    def least(self, net, state, action):
        return value(self.nets[net], state, action).min(0)[0]

    def imitate(self, batch, weight):
        self.keep(weight=weight, log_prob=self.log_probability(batch))
        self.minimise(lambda: -(weight * self.log_probability(batch)).mean(), "actor", "log_deviation")
        self.keep(actor_adam=member_norm(self.gradients["actor"]))

    def check_weights(self, advantage, exponent):
        assert (advantage > 0).any() and (advantage < 0).any(), "advantages have one sign"
        weight = (exponent * advantage).exp()
        cap = self.own["weight_cap"]
        assert (weight > cap).any() and (weight < cap).any(), "weights are cut nowhere, or everywhere"

    def check_least(self, net, state, action):
        q = value(self.nets[net], state, action)
        assert (q[0] < q[1]).any() and (q[0] > q[1]).any(), "one critic is always the smaller"


class Iql(AdvantageWeighted):
    rates = AdvantageWeighted.rates | {"value": "value_rate"}

    def __init__(self, case, rng):
        super().__init__(case, rng)
        self.training["value_rate"] = self.own["value_rate"]

    def v(self, state):
        return forward(self.nets["value"], state)[0, :, 0]

    def step(self, batch):
        state, action = batch["state"], batch["action"]
        target_q = self.least("target_critic", state, action)
        next_v = self.v(batch["next_state"])
        advantage = target_q - self.v(state)
        weight = (self.own["temperature"] * advantage).exp().clamp(max=self.own["weight_cap"])
        y = self.target(batch["reward"] @ self.weights, batch["done"], next_v)

        def value_losses():
            u = target_q - self.v(state)
            return (self.own["expectile"] - (u < 0).double()).abs() * u * u

        def q_losses():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(next_v=next_v, least_target_q=target_q, v=self.v(state), value_loss=value_losses(), y=y)
        self.keep(q=value(self.nets["critic"], state, action), critic_loss=q_losses())
        self.minimise(lambda: value_losses().mean(), "value")
        self.minimise(lambda: q_losses().mean(), "critic")
        self.keep(critic_adam=member_norm(self.gradients["critic"]))
        self.track("target_critic")
        self.imitate(batch, weight)

    def check_coverage(self, batch):
        state, action = batch["state"], batch["action"]
        self.check_least("target_critic", state, action)
        self.check_weights(self.least("target_critic", state, action) - self.v(state), self.own["temperature"])


class Awac(AdvantageWeighted):
    def draw(self, name, state, stream):
        mean, log_deviation = self.policy(state)
        noise = self.normal(stream, 1, self.case.batch, self.case.actions)[0]
        action = (mean + log_deviation.exp() * noise).clamp(-1, 1)
        self.keep(**{f"{name}__noise": noise, name: action})
        return action

    def step(self, batch):
        state, action, next_state = batch["state"], batch["action"], batch["next_state"]
        next_q = value(self.nets["target_critic"], next_state, self.draw("next_action", next_state, 0))
        y = self.target(batch["reward"] @ self.weights, batch["done"], next_q.min(0)[0])

        def q_losses():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(next_q=next_q, least_next_q=next_q.min(0)[0], y=y)
        self.keep(q=value(self.nets["critic"], state, action), critic_loss=q_losses())
        self.minimise(lambda: q_losses().sum(), "critic")
        self.keep(critic_adam=member_norm(self.gradients["critic"]))
        self.track("target_critic")

        logged_q = self.least("critic", state, action)
        v = self.least("critic", state, self.draw("drawn_action", state, 1))
        self.keep(least_logged_q=logged_q, v=v)
        self.imitate(batch, ((logged_q - v) / self.own["lambda"]).exp().clamp(max=self.own["weight_cap"]))

    def check_coverage(self, batch):
        self.t = 1
        state, action = batch["state"], batch["action"]
        next_action = self.draw("next_action", batch["next_state"], 0)
        drawn = self.draw("drawn_action", state, 1)
        for x in (next_action, drawn):
            assert (x.abs() == 1).any() and (x.abs() < 1).any(), "actions are cut nowhere, or everywhere"
        self.check_least("target_critic", batch["next_state"], next_action)
        self.check_least("critic", state, action)
        self.check_least("critic", state, drawn)
        self.check_weights(self.least("critic", state, action) - self.least("critic", state, drawn), 1 / self.own["lambda"])


class SoftActorCritic(Algorithm):
    """A policy tanh N(mu(s), sd(s)^2) whose entropy has a learned weight."""

    rates = {"log_alpha": "alpha_rate", "actor": "actor_rate", "critic": "critic_rate"}
    targets = {"target_critic": "critic"}
    critics = 2
    low, high = -20.0, 2.0

    def __init__(self, case, rng):
        super().__init__(case, rng)
        self.training["alpha_rate"] = self.own["alpha_rate"]

    def make_nets(self, rng):
        c = self.case
        critic = (c.states + c.actions, *c.hidden, 1)
        nets = {
            "critic": make_net(rng, critic, self.critics, 3.0),
            "target_critic": make_net(rng, critic, self.critics, 3.0),
            "actor": make_net(rng, (c.states, *c.hidden, 2 * c.actions), 1, 4.0),
            "log_alpha": make_net(rng, (1, 1), 1),
        }
        for name in ("critic", "target_critic"):
            nets[name][-1][1].zero_()
        # Log deviations around the upper limit, beyond which no gradient passes.
        nets["actor"][-1][1][0, c.actions + 1] = self.high
        return nets

    def head(self, state):
        return forward(self.nets["actor"], state)[0]

    def draw(self, name, state, stream):
        """An action and its log-density."""
        c = self.case
        mean, log_deviation = self.head(state).split(c.actions, 1)
        noise = self.normal(stream, 1, len(state), c.actions)[0]
        gaussian = torch.distributions.Normal(mean, log_deviation.clamp(self.low, self.high).exp())
        u = mean + gaussian.scale * noise
        # Not torch's TanhTransform, whose softplus is the identity from 20 on: 2e-9 off.
        slope = 2 * (math.log(2) - u - torch.logaddexp(-2 * u, torch.zeros_like(u)))
        log_prob = (gaussian.log_prob(u) - slope).sum(1)
        self.keep(**{f"{name}__noise": noise, name: torch.tanh(u), f"{name}__log_prob": log_prob})
        return torch.tanh(u), log_prob

    def log_alpha(self):
        return forward(self.nets["log_alpha"], torch.zeros(1, 1))[0, 0, 0]

    def check_coverage(self, batch):
        log_deviation = self.head(batch["state"])[:, self.case.actions :]
        assert (log_deviation > self.high).any(), "log deviations lie within their limits"
        assert ((log_deviation > self.low) & (log_deviation < self.high)).any(), "log deviations are all cut"
        q = value(self.nets["critic"], batch["state"], batch["action"])
        assert len(q.min(0)[1].unique()) > 1, "one critic is always the least"


class Edac(SoftActorCritic):
    """SAC with the least of N critics, and with a weight of its diversity term EDAC."""

    low = -5.0

    def make_nets(self, rng):
        self.critics = self.own["critics"]
        nets = super().make_nets(rng)
        nets["actor"][-1][1][0, self.case.actions] = self.low
        return nets

    def similarity(self, state, action):
        """1/(N-1) SUM_(i != j) of the cosines of the critics' action gradients, [B]."""
        members = self.own["critics"]
        actions = action.expand(members, -1, -1).clone().requires_grad_()
        q = value(self.nets["critic"], state.expand(members, -1, -1), actions)
        slopes = torch.autograd.grad(q.sum(), actions, create_graph=True)[0]
        directions = slopes / torch.sqrt((slopes * slopes).sum(2, keepdim=True) + 1e-10)
        cosines = torch.einsum("ibk,jbk->bij", directions, directions)
        pairs = cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)
        self.keep(q_slope=slopes, similarity=pairs / (members - 1))
        return pairs / (members - 1)

    def step(self, batch):
        state, action = batch["state"], batch["action"]
        self.keep(head=self.head(state))
        mean_log_prob = self.draw("alpha_action", state, 0)[1].mean()
        entropy = self.own["target_entropy"] * self.case.actions
        self.minimise(lambda: -self.log_alpha() * (mean_log_prob + entropy), "log_alpha")
        alpha = self.log_alpha().exp()
        self.keep(mean_log_prob=mean_log_prob, alpha=alpha)

        def actor_loss():
            drawn, log_prob = self.draw("policy_action", state, 1)
            q = value(self.nets["critic"], state, drawn)
            self.keep(q_policy=q, least_q_policy=q.min(0)[0])
            return (alpha * log_prob - q.min(0)[0]).mean()

        self.minimise(actor_loss, "actor")

        next_action, next_log_prob = self.draw("next_action", batch["next_state"], 2)
        next_q = value(self.nets["target_critic"], batch["next_state"], next_action)
        soft = next_q.min(0)[0] - alpha * next_log_prob
        y = self.target(batch["reward"] @ self.weights, batch["done"], soft)
        self.keep(next_q=next_q, soft_next_q=soft, y=y)

        def errors():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(q=value(self.nets["critic"], state, action), critic_loss=errors())
        weight = self.own["diversity"]
        if weight > 0:
            self.minimise(lambda: errors().sum() + weight * self.similarity(state, action).mean(), "critic")
        else:
            self.minimise(lambda: errors().sum(), "critic")
        self.track("target_critic")
        self.keep(critic_adam=member_norm(self.gradients["critic"]), actor_adam=member_norm(self.gradients["actor"]))

    def check_coverage(self, batch):
        super().check_coverage(batch)
        assert (self.head(batch["state"])[:, self.case.actions :] < self.low).any(), "log deviations are never too low"


class Cql(SoftActorCritic):
    """CQL(H); all losses are of the parameters before the step."""

    def __init__(self, case, rng):
        super().__init__(case, rng)
        if self.own["lagrange"]:
            self.rates = self.rates | {"log_multiplier": "multiplier_rate"}
            self.training["multiplier_rate"] = self.own["multiplier_rate"]

    def make_nets(self, rng):
        nets = super().make_nets(rng)
        return nets | ({"log_multiplier": make_net(rng, (1, 1), 1)} if self.own["lagrange"] else {})

    def multiplier(self):
        if not self.own["lagrange"]:
            return torch.ones(())
        return forward(self.nets["log_multiplier"], torch.zeros(1, 1))[0, 0, 0].exp().clamp(0, 1e6)

    def samples(self, batch):
        """Actions of each state [B, 3 n, A] and their log-densities [B, 3 n]."""
        c, n = self.case, self.own["samples"]
        uniform = self.uniform(2, 1, c.batch * n, c.actions)[0]
        density = torch.full((c.batch * n,), math.log(0.5**c.actions))
        here, log_here = self.draw("state_action", batch["state"].repeat_interleave(n, 0), 3)
        there, log_there = self.draw("next_state_action", batch["next_state"].repeat_interleave(n, 0), 4)
        self.keep(uniform_action=uniform)
        actions = torch.cat([x.view(c.batch, n, -1) for x in (uniform, here, there)], 1)
        return actions, torch.cat([x.view(c.batch, n) for x in (density, log_here, log_there)], 1)

    def gaps(self, batch, actions, densities):
        """How far the soft maximum of the drawn actions' values is above the logged actions', by critic."""
        states = batch["state"].unsqueeze(1).expand(-1, actions.shape[1], -1)
        drawn = value(self.nets["critic"], states.flatten(0, 1), actions.flatten(0, 1)).view(self.critics, *densities.shape)
        temperature = self.own["temperature"]
        soft = temperature * torch.logsumexp((drawn - densities) / temperature, 2)
        self.keep(log_sum_exp=soft)
        return (soft - value(self.nets["critic"], batch["state"], batch["action"])).mean(1)

    def step(self, batch):
        state, action = batch["state"], batch["action"]
        self.keep(head=self.head(state))
        alpha, multiplier = self.log_alpha().exp(), self.multiplier()
        mean_log_prob = self.draw("policy_action", state, 0)[1].mean()
        next_action, next_log_prob = self.draw("next_action", batch["next_state"], 1)
        next_q = value(self.nets["target_critic"], batch["next_state"], next_action)
        backup = alpha * next_log_prob if self.own["entropy_backup"] else 0
        y = self.target(batch["reward"] @ self.weights, batch["done"], next_q.min(0)[0] - backup)
        samples = self.samples(batch)
        gaps = self.gaps(batch, *samples)
        weight = self.own["weight"]
        entropy = self.own["target_entropy"] * self.case.actions
        self.keep(mean_log_prob=mean_log_prob, alpha=alpha, next_q=next_q, y=y, gap=gaps)

        def actor_loss():
            drawn, log_prob = self.draw("policy_action", state, 0)
            q = value(self.nets["critic"], state, drawn)
            self.keep(q_policy=q, least_q_policy=q.min(0)[0])
            return (alpha * log_prob - q.min(0)[0]).mean()

        def errors():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(q=value(self.nets["critic"], state, action), critic_loss=errors())
        self.minimise(lambda: -self.log_alpha() * (mean_log_prob + entropy), "log_alpha")
        self.minimise(actor_loss, "actor")
        self.minimise(lambda: (errors() + multiplier * weight * self.gaps(batch, *samples)).sum(), "critic")
        if self.own["lagrange"]:
            self.keep(multiplier=multiplier)
            self.minimise(lambda: -(self.multiplier() * weight * (gaps - self.own["gap"])).mean(), "log_multiplier")
        self.track("target_critic")
        self.keep(critic_adam=member_norm(self.gradients["critic"]), actor_adam=member_norm(self.gradients["actor"]))


class Bcq(Algorithm):
    """A variational auto-encoder of logged actions proposes, a bounded perturbation refines, critics choose."""

    rates = {"encoder": "generator_rate", "decoder": "generator_rate", "critic": "critic_rate", "perturbation": "actor_rate"}
    targets = {"target_critic": "critic", "target_perturbation": "perturbation"}
    low, high = -4.0, 15.0

    def __init__(self, case, rng):
        super().__init__(case, rng)
        self.training["generator_rate"] = self.own["generator_rate"]

    def make_nets(self, rng):
        c = self.case
        self.latents = latents = 2 * c.actions
        critic = (c.states + c.actions, *c.hidden, 1)
        perturbation = (c.states + c.actions, *c.hidden, c.actions)
        nets = {
            "critic": make_net(rng, critic, 2, 3.0),
            "target_critic": make_net(rng, critic, 2, 3.0),
            "encoder": make_net(rng, (c.states + c.actions, *c.hidden, 2 * latents), 1, 4.0),
            "decoder": make_net(rng, (c.states + latents, *c.hidden, c.actions), 1, 6.0),
            "perturbation": make_net(rng, perturbation, 1, 4.0),
            "target_perturbation": make_net(rng, perturbation, 1, 4.0),
            "range": make_net(rng, (1, c.actions), 1),
            "latents": make_net(rng, (latents, self.own["served_candidates"]), 1),
        }
        for name in ("critic", "target_critic"):
            nets[name][-1][1].zero_()
        nets["encoder"][-1][1][0, latents] = self.low  # around the limit, beyond which no gradient passes
        nets["range"][0][1].fill_(self.own["perturbation"])
        return nets

    def encode(self, state, action):
        return forward(self.nets["encoder"], torch.cat([state, action], 1))[0]

    def decode(self, state, latent):
        return forward(self.nets["decoder"], torch.cat([state, latent], 1), tanh=True)[0]

    def propose(self, name, state, net, stream):
        latent = self.normal(stream, 1, len(state), self.latents, 1.0, 0.5)[0]
        decoded = self.decode(state, latent).detach()
        xi = forward(self.nets[net], torch.cat([state, decoded], 1), tanh=True)[0]
        action = (decoded + self.own["perturbation"] * xi).clamp(-1, 1)
        self.keep(**{f"{name}__latent": latent, f"{name}__decoded": decoded, f"{name}__perturbation": xi, name: action})
        return action

    def generator_loss(self, state, action):
        head = self.encode(state, action)
        mean, log_deviation = head.split(self.latents, 1)
        posterior = torch.distributions.Normal(mean, log_deviation.clamp(self.low, self.high).exp())
        divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        latent = mean + posterior.scale * self.normal(0, 1, len(state), self.latents)[0]
        decoded = self.decode(state, latent)
        self.keep(encoded=head, latent=latent, reconstruction=decoded, divergence=divergence.sum(1))
        return torch.nn.functional.mse_loss(decoded, action) + 0.5 * divergence.mean()

    def next_q(self, batch):
        n = self.own["target_candidates"]
        states = batch["next_state"].repeat_interleave(n, 0)
        q = value(self.nets["target_critic"], states, self.propose("next_action", states, "target_perturbation", 1))
        weight = self.own["least_weight"]
        mixed = weight * q.min(0)[0] + (1 - weight) * q.max(0)[0]
        self.keep(next_q=q, mixed_next_q=mixed, best_next_q=mixed.view(-1, n).max(1)[0])
        return mixed.view(-1, n).max(1)[0]

    def step(self, batch):
        state, action = batch["state"], batch["action"]
        self.minimise(lambda: self.generator_loss(state, action), "encoder", "decoder")
        y = self.target(batch["reward"] @ self.weights, batch["done"], self.next_q(batch))

        def errors():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(y=y, q=value(self.nets["critic"], state, action), critic_loss=errors())
        self.minimise(lambda: errors().sum(), "critic")
        self.track("target_critic")

        def perturbation_loss():
            q = value(self.nets["critic"], state, self.propose("proposed_action", state, "perturbation", 2))
            self.keep(q_proposed=q)
            return -q[0].mean()

        self.minimise(perturbation_loss, "perturbation")
        self.track("target_perturbation")
        self.keep(critic_adam=member_norm(self.gradients["critic"]), perturbation_adam=member_norm(self.gradients["perturbation"]))

    def check_coverage(self, batch):
        self.t = 1
        log_deviation = self.encode(batch["state"], batch["action"])[:, self.latents :]
        assert (log_deviation < self.low).any() and (log_deviation > self.low).any(), "log deviations are cut nowhere, or everywhere"
        action = self.propose("proposed_action", batch["state"], "perturbation", 2)
        assert (action.abs() == 1).any() and (action.abs() < 1).any(), "actions are cut nowhere, or everywhere"
        self.next_q(batch)
        q, n = self.terms["next_q"], self.own["target_candidates"]
        assert (q[0] < q[1]).any() and (q[0] > q[1]).any(), "one critic is always the smaller"
        assert len(self.terms["mixed_next_q"].view(-1, n).max(1)[1].unique()) > 1, "one candidate is always the best"
        self.terms = {}


def case(algorithm, name, seed, **changes):
    return Case(algorithm, name, seed, **(dict(states=5, actions=3, hidden=(8, 8), batch=8) | changes))


IQL = dict(expectile=0.7, temperature=3.0, weight_cap=2.0, value_rate=3e-4)
AWAC = {"lambda": 0.5, "weight_cap": 2.0}
BCQ = dict(perturbation=0.25, least_weight=0.75, target_candidates=10, served_candidates=4, generator_rate=1e-3)
CQL = dict(
    weight=10.0, temperature=1.0, samples=4, lagrange=False, gap=-1.0, multiplier_rate=3e-4,
    entropy_backup=False, target_entropy=-1.0, alpha=1.0, alpha_rate=3e-4,
)  # fmt: skip
SAC_N = dict(critics=5, diversity=0.0, target_entropy=-1.0, alpha=1.0, alpha_rate=3e-4)
CASES = (
    (Iql, case("iql", "log", 43, groups=2, own=IQL)),
    (
        Iql,
        case(
            "iql",
            "explicit",
            42,
            explicit=True,
            normalise=True,
            hidden=(16,),
            own=IQL | dict(expectile=0.9, temperature=10.0, value_rate=2e-3),
            training=dict(actor_rate=1e-3, critic_rate=3e-3, target_period=1),
        ),
    ),
    (Awac, case("awac", "log", 89, groups=2, own=AWAC)),
    (
        Awac,
        case(
            "awac",
            "explicit",
            48,
            explicit=True,
            normalise=True,
            hidden=(16,),
            own=AWAC | {"lambda": 0.25, "weight_cap": 4.0},
            training=dict(actor_rate=1e-3, critic_rate=3e-3, target_period=1),
        ),
    ),
    (Cql, case("cql", "log", 62, groups=2, own=CQL)),
    (
        Cql,
        case(
            "cql",
            "explicit-lagrange",
            62,
            explicit=True,
            normalise=True,
            hidden=(16, 12),
            own=CQL | dict(weight=0.5, temperature=0.7, samples=3, lagrange=True, gap=2.0, multiplier_rate=1e-3, entropy_backup=True),
            training=dict(actor_rate=1e-3, critic_rate=3e-3, target_period=1),
        ),
    ),
    (Edac, case("edac", "log-least", 53, groups=2, own=SAC_N)),
    (
        Edac,
        case(
            "edac",
            "explicit-diverse",
            52,
            explicit=True,
            normalise=True,
            hidden=(16, 12),
            own=SAC_N | dict(critics=4, diversity=1.0, target_entropy=-0.5, alpha_rate=1e-3),
            training=dict(actor_rate=1e-3, critic_rate=3e-3, target_period=1),
        ),
    ),
    (Bcq, case("bcq", "log", 66, groups=2, own=BCQ)),
    (
        Bcq,
        case(
            "bcq",
            "explicit",
            61,
            explicit=True,
            normalise=True,
            hidden=(16,),
            own=BCQ | dict(perturbation=0.5, least_weight=1.0, target_candidates=3, generator_rate=2e-3),
            training=dict(actor_rate=1e-3, critic_rate=3e-3, target_period=1),
        ),
    ),
)
