"""DDPG, TD3, TD3+BC and ReBRAC for the golden files (specification 6.2 to 6.4 and 6.10)."""

import torch

from golden_common import Algorithm, Case, forward, make_net, member_norm, tensor, value

NORM_EPSILON = 1e-6


def without_bias(net):
    """The net with no bias in its last layer: then each of two critics is the smaller one somewhere."""
    net[-1][1].zero_()
    return net


class Ddpg(Algorithm):
    critics = 1

    def make_nets(self, rng):
        c = self.case
        actor, critic = (c.states, *c.hidden, c.actions), (c.states + c.actions, *c.hidden, 1)
        return {
            "actor": make_net(rng, actor, 1, 4.0),
            "target_actor": make_net(rng, actor, 1, 4.0),
            "critic": without_bias(make_net(rng, critic, self.critics, 3.0)),
            "target_critic": without_bias(make_net(rng, critic, self.critics, 3.0)),
        }

    def act(self, net, state):
        return forward(self.nets[net], state, tanh=True)[0]

    def learn_critics(self, batch, y):
        """Squared error of every critic against y [B]."""

        def errors():
            return (value(self.nets["critic"], batch["state"], batch["action"]) - y) ** 2

        self.keep(y=y, q=value(self.nets["critic"], batch["state"], batch["action"]), critic_loss=errors().mean(1))
        self.minimise(lambda: errors().mean(1).sum(), "critic")
        self.keep(critic_adam=member_norm(self.gradients["critic"]))
        self.track("target_critic")

    def learn_actor(self, batch, loss, period):
        mu = self.act("actor", batch["state"])
        self.keep(mu=mu, q_mu=value(self.nets["critic"], batch["state"], mu))
        self.minimise(loss, "actor", period=period)
        self.keep(actor_adam=member_norm(self.gradients["actor"]))
        self.track("target_actor")

    def reward(self, batch):
        return batch["reward"] @ self.weights

    def step(self, batch):
        state = batch["state"]
        next_action = self.act("target_actor", batch["next_state"])
        next_q = value(self.nets["target_critic"], batch["next_state"], next_action)[0]
        self.keep(weighted_reward=self.reward(batch), next_action=next_action, next_q=next_q)
        self.learn_critics(batch, self.target(self.reward(batch), batch["done"], next_q))
        self.learn_actor(batch, lambda: -value(self.nets["critic"], state, self.act("actor", state)).mean(), 1)


class Td3(Ddpg):
    critics = 2

    def smoothed_action(self, state):
        c = self.case
        noise = self.normal(0, 1, c.batch, c.actions, self.own["policy_noise"], self.own["noise_clip"])[0]
        action = (self.act("target_actor", state) + noise).clamp(-1, 1)
        self.keep(policy_noise=noise, smoothed_action=action)
        return action

    def step(self, batch):
        state = batch["state"]
        next_action = self.smoothed_action(batch["next_state"])
        next_q = value(self.nets["target_critic"], batch["next_state"], next_action)
        self.keep(next_q=next_q, least_next_q=next_q.min(0)[0])
        self.learn_critics(batch, self.target(self.reward(batch), batch["done"], next_q.min(0)[0]))
        weight = 1.0
        if "alpha" in self.own:
            weight = self.own["alpha"] / value(self.nets["critic"], state, self.act("actor", state))[0].abs().mean()
            self.keep(**{"lambda": weight})

        def loss():
            mu = self.act("actor", state)
            cloning = ((mu - batch["action"]) ** 2).mean() if "alpha" in self.own else 0.0
            return -weight * value(self.nets["critic"], state, mu)[0].mean() + cloning

        self.learn_actor(batch, loss, self.own["actor_period"])

    def check_coverage(self, batch):
        self.t = 1
        action = self.smoothed_action(batch["next_state"])
        noise = self.terms["policy_noise"].abs()
        limit = self.own["noise_clip"]
        assert (noise == limit).any() and (noise < limit).any(), "noise is cut nowhere, or everywhere"
        assert (action.abs() == 1).any() and (action.abs() < 1).any(), "actions are cut nowhere, or everywhere"
        q = value(self.nets["target_critic"], batch["next_state"], action)
        assert (q[0] < q[1]).any() and (q[0] > q[1]).any(), "one critic is always the smaller"


class ReBrac(Td3):
    @property
    def rates(self):
        return {"actor": "actor_rate"} | {name: "critic_rate" for name in self.critic_names("critic")}

    @property
    def targets(self):
        return {"target_actor": "actor"} | {
            f"target_{name}": name for name in self.critic_names("critic")
        }

    def critic_names(self, prefix):
        hidden = len(self.case.hidden)
        return [f"{prefix}_layer{i}" for i in range(hidden + 1)] + [f"{prefix}_norm{i}" for i in range(hidden)]

    def make_nets(self, rng):
        c = self.case
        actor = (c.states, *c.hidden, c.actions)
        nets = {"actor": make_net(rng, actor, 1, 4.0), "target_actor": make_net(rng, actor, 1, 4.0)}
        sizes = (c.states + c.actions, *c.hidden, 1)
        for prefix in ("critic", "target_critic"):
            for index, pair in enumerate(zip(sizes, sizes[1:])):
                nets[f"{prefix}_layer{index}"] = make_net(rng, pair, 2)
            without_bias(nets[f"{prefix}_layer{len(c.hidden)}"])
            for index, units in enumerate(c.hidden):
                gain, bias = make_net(rng, (1, units), 2)[0]
                nets[f"{prefix}_norm{index}"] = [(tensor(1 + 0.3 * gain), tensor(0.3 * bias))]
        return nets

    def critic(self, prefix, state, action):
        """Linear, ReLU, layer normalisation, and so on; [2, B]."""
        x = torch.cat([state, action], -1)
        hidden = len(self.case.hidden)
        for index in range(hidden):
            x = torch.relu(forward(self.nets[f"{prefix}_layer{index}"], x))
            gain, bias = self.nets[f"{prefix}_norm{index}"][0]
            centred = x - x.mean(-1, keepdim=True)
            scale = torch.rsqrt((centred**2).mean(-1, keepdim=True) + NORM_EPSILON)
            x = centred * scale * gain + bias.unsqueeze(1)
        return forward(self.nets[f"{prefix}_layer{hidden}"], x)[..., 0]

    def step(self, batch):
        state, done = batch["state"], batch["done"]
        next_action = self.smoothed_action(batch["next_state"])
        next_q = self.critic("target_critic", batch["next_state"], next_action)
        distance = ((next_action - batch["next_action"]) ** 2).sum(1)
        lowered = next_q.min(0)[0] - self.own["critic_weight"] * distance
        y = self.target(self.reward(batch), done, lowered)
        self.keep(next_q=next_q, next_distance=distance, lowered_q=lowered, y=y)

        def errors():
            return (self.critic("critic", state, batch["action"]) - y) ** 2

        self.keep(q=self.critic("critic", state, batch["action"]), critic_loss=errors().mean(1))
        self.minimise(lambda: errors().mean(1).sum(), *self.critic_names("critic"))
        self.track(*self.critic_names("target_critic"))

        least = self.critic("critic", state, self.act("actor", state)).min(0)[0]
        weight = 1 / least.abs().mean()
        self.keep(mu=self.act("actor", state), least_q_mu=least)

        def loss():
            mu = self.act("actor", state)
            cloning = ((mu - batch["action"]) ** 2).sum(1).mean()
            return self.own["actor_weight"] * cloning - weight * self.critic("critic", state, mu).min(0)[0].mean()

        self.minimise(loss, "actor", period=self.own["actor_period"])
        self.keep(actor_adam=member_norm(self.gradients["actor"]))
        self.track("target_actor")

    def check_coverage(self, batch):
        self.t = 1
        q = self.critic("critic", batch["state"], self.act("actor", batch["state"]))
        assert (q[0] < q[1]).any() and (q[0] > q[1]).any(), "one critic is always the smaller"


FAST = dict(actor_rate=1e-3, critic_rate=3e-3)
SMOOTHING = dict(policy_noise=0.4, noise_clip=0.5, actor_period=2)


def case(algorithm, name, seed, **changes):
    return Case(algorithm, name, seed, **(dict(states=5, actions=3, hidden=(8, 8), batch=8) | changes))


CASES = (
    (Ddpg, case("ddpg", "log", 11, training=dict(target_period=1))),
    (Ddpg, case("ddpg", "groups-explicit", 12, groups=2, explicit=True, normalise=True, training=FAST)),
    (Td3, case("td3", "log-clip", 33, groups=2, clip=True, own=SMOOTHING, training=dict(target_period=2))),
    (Td3, case("td3", "explicit", 14, explicit=True, own=SMOOTHING | dict(actor_period=3), hidden=(16,), training=FAST)),
    (Td3, case("td3_bc", "log", 25, groups=3, own=SMOOTHING | dict(alpha=2.5), training=dict(target_period=2))),
    (Td3, case("td3_bc", "explicit", 16, explicit=True, normalise=True, own=SMOOTHING | dict(alpha=0.7), training=FAST)),
    (ReBrac, case("rebrac", "log", 17, groups=2, own=SMOOTHING | dict(actor_weight=1.0, critic_weight=1.0))),
    (
        ReBrac,
        case(
            "rebrac",
            "explicit",
            18,
            explicit=True,
            hidden=(16, 12, 10),
            own=SMOOTHING | dict(actor_weight=0.1, critic_weight=0.01),
            training=FAST | dict(target_period=2),
        ),
    ),
)
