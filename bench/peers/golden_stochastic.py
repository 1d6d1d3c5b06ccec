"""Learners of Gaussian policies for the golden files (specification 6.7)."""

import math

import torch

from golden_common import Algorithm, Case, forward, make_net, member_norm, value


class Iql(Algorithm):
    rates = {"critic": "critic_rate", "value": "value_rate", "actor": "actor_rate", "log_deviation": "actor_rate"}
    targets = {"target_critic": "critic"}

    def __init__(self, case, rng):
        super().__init__(case, rng)
        self.training["value_rate"] = self.own["value_rate"]

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
        return nets

    def log_probability(self, batch):
        mean = forward(self.nets["actor"], batch["state"], tanh=True)[0]
        log_deviation = forward(self.nets["log_deviation"], torch.zeros(self.case.batch, 1))[0].clamp(-20, 2)
        z = (batch["action"] - mean) / log_deviation.exp()
        return (-z * z / 2 - log_deviation - math.log(2 * math.pi) / 2).sum(1)

    def v(self, state):
        return forward(self.nets["value"], state)[0, :, 0]

    def step(self, batch):
        state, action = batch["state"], batch["action"]
        target_q = value(self.nets["target_critic"], state, action).min(0)[0]
        next_v = self.v(batch["next_state"])
        advantage = target_q - self.v(state)
        weight = (self.own["temperature"] * advantage).exp().clamp(max=self.own["weight_cap"])
        y = self.target(batch["reward"] @ self.weights, batch["done"], next_v)

        def value_losses():
            u = target_q - self.v(state)
            return (self.own["expectile"] - (u < 0).double()).abs() * u * u

        def q_losses():
            return ((value(self.nets["critic"], state, action) - y) ** 2).mean(1)

        self.keep(next_v=next_v, least_target_q=target_q, v=self.v(state), weight=weight, value_loss=value_losses(), y=y)
        self.keep(q=value(self.nets["critic"], state, action), critic_loss=q_losses(), log_prob=self.log_probability(batch))
        self.minimise(lambda: value_losses().mean(), "value")
        self.minimise(lambda: q_losses().mean(), "critic")
        self.track("target_critic")
        self.minimise(lambda: -(weight * self.log_probability(batch)).mean(), "actor", "log_deviation")
        self.keep(critic_adam=member_norm(self.gradients["critic"]), actor_adam=member_norm(self.gradients["actor"]))

    def check_coverage(self, batch):
        q = value(self.nets["target_critic"], batch["state"], batch["action"])
        advantage = q.min(0)[0] - self.v(batch["state"])
        assert (q[0] < q[1]).any() and (q[0] > q[1]).any(), "one critic is always the smaller"
        assert (advantage > 0).any() and (advantage < 0).any(), "advantages have one sign"
        weight = (self.own["temperature"] * advantage).exp()
        cap = self.own["weight_cap"]
        assert (weight > cap).any() and (weight < cap).any(), "weights are cut nowhere, or everywhere"


def case(algorithm, name, seed, **changes):
    return Case(algorithm, name, seed, **(dict(states=5, actions=3, hidden=(8, 8), batch=8) | changes))


IQL = dict(expectile=0.7, temperature=3.0, weight_cap=2.0, value_rate=3e-4)
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
)
