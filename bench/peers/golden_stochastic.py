"""Learners of Gaussian policies for the golden files (specification 6.7 and 6.8)."""

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


def case(algorithm, name, seed, **changes):
    return Case(algorithm, name, seed, **(dict(states=5, actions=3, hidden=(8, 8), batch=8) | changes))


IQL = dict(expectile=0.7, temperature=3.0, weight_cap=2.0, value_rate=3e-4)
AWAC = {"lambda": 0.5, "weight_cap": 2.0}
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
)
