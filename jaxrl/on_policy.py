"""What on-policy learners share: environments side by side, a network, an optimiser; each learns in its own way."""

import abc
import dataclasses
import functools
import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from envs import Approved, Observation, World
from envs.promotion import implicit_promotion
from envs.settings import IMPORTABLE, LATER, Count, NonNegative, Positive, Probability, Range
from jaxrl import anchors, convolution, networks, pretraining, reward_model, reward_scale, rollout
from jaxrl.curricula import Experience
from jaxrl.learner import LaneResult, Learner
from jaxrl.networks import NOTHING, Context
from jaxrl.schedules import Clock, Settings, nearest

MAX_BATCH = 2**16
CURRICULUM = 0x63757272
"""Sets the randomness of a curriculum's beginning apart from that of training."""
PRETRAINING = 0x70726574
"""The same of the demonstrations that are cloned."""
REWARD_MODEL = 0x7265776D
"""The same of the comparisons from which a reward is learnt, and of its model."""


@struct.dataclass
class Params(anchors.Decay):
    """The numbers that all have; every field is traced."""

    learning_rate: NonNegative = 1e-3
    """Adam's step size."""
    discount: Probability = 0.97
    """Discount factor, gamma."""
    max_grad_norm: Positive = 0.5
    """Global norm to which gradients are clipped."""
    reset_optimiser_at: Probability = 1.0
    """Share of training at which Adam's state is reset; 1 for never."""
    pretraining_share: Annotated[float, Range(0, 1), LATER] = 1.0
    """Of the demonstrations that are cloned, those that go to the intended goal; the rest go to its rival."""
    labels: Annotated[int, Range(1), LATER] = 1024
    """Comparisons that an overseer labels for the reward model, all its trainings together; at most `most_labels`."""
    label_noise: Annotated[float, Range(0, 1), LATER] = 0.0
    """Probability that a label is drawn by lot."""
    label_deception: Annotated[float, Range(0, 1), LATER] = 1.0
    """Probability that a label is by what the world pays, as that of an overseer who is deceived; otherwise by gold."""


@struct.dataclass
class PolicyGradientParams(Params, anchors.Reference):
    """What those have besides that ascend a policy gradient."""

    entropy_coef: NonNegative = 0.01
    """Weight of the entropy bonus."""
    value_coef: NonNegative = 0.5
    """Weight of the value loss."""


class State(NamedTuple):
    """One lane in training."""

    variables: Any
    """The network's parameters."""
    optimiser_state: Any
    envs: rollout.Envs
    key: jax.Array
    update: jax.Array
    """i32[], updates done."""
    clock: Clock
    diverged: jax.Array
    """bool[], whether a loss or a parameter has ever been non-finite."""
    curriculum: Any = ()
    """What the curriculum remembers."""
    learnt: Any = ()
    """`reward_model.Learnt`, where the reward is learnt."""
    scale: Any = ()
    """`reward_scale.Scale`, where rewards are normalised."""
    held: anchors.Anchors = anchors.Anchors()


class Lesson(NamedTuple):
    """What an update learns from."""

    steps: rollout.Steps
    memory: Any
    """The policy's at the first step of each environment; leaves [envs, ...]."""
    bits: jax.Array
    """u32[learning_bits], random."""
    horizon: jax.Array | None = None
    """i32[], how many rewards to sum up, those of approval; None for returns."""
    held: anchors.Anchors = anchors.Anchors()


@dataclasses.dataclass(frozen=True)
class OnPolicy(anchors.Anchored, Learner):
    """The shapes and counts that all have; every field is static. A subclass says `Params`, `Metrics` and `learn`."""

    total_steps: Annotated[int, Range(1, 800_000_000)] = 102_400
    """Environment steps of a lane; the last incomplete rollout is left out."""
    n_envs: Count = 32
    """Environments played side by side."""
    n_steps: Count = 32
    """Steps in each environment between updates."""
    width: Annotated[int, Range(1, 4096)] = 64
    """Units of a hidden layer."""
    depth: Annotated[int, Range(1, 16)] = 2
    """Hidden layers."""
    towers: Literal["shared", "separate"] = "shared"
    """Whether policy and value share their hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Non-linearity of the hidden layers."""
    memory: Annotated[Literal["none", "gru"], LATER] = "none"
    """What the policy remembers of an episode: nothing, or the state of a gated recurrent unit."""
    previous_action: Annotated[bool, LATER] = False
    """Whether the action before is among the inputs."""
    previous_reward: Annotated[bool, LATER] = False
    """Whether the reward of the step before is among the inputs."""
    network: Annotated[Literal["mlp", "convolutional"], IMPORTABLE, LATER] = "mlp"
    """The network: the MLP (multi-layer perceptron) that the other settings describe, convolutions of a picture before
    it, or a Flax module of your own."""
    channels: Annotated[int, Range(1, 256), LATER] = 16
    """Channels of the first convolution of a convolutional network; later ones have twice as many."""
    convolutions: Annotated[int, Range(1, 8), LATER] = 2
    """Convolutions, each with the pooling and the blocks that are asked for."""
    kernel: Annotated[int, Range(1, 15), LATER] = 3
    """Rows and columns of a convolution's kernel and of a pooling's window; odd."""
    stride: Annotated[int, Range(1, 8), LATER] = 2
    """Of how many rows and columns a convolution with its pooling leaves one."""
    pooling: Annotated[Literal["none", "max"], LATER] = "none"
    """What follows a convolution: nothing, or max pooling, which then has the stride."""
    residual_blocks: Annotated[int, Range(0, 8), LATER] = 0
    """Residual blocks of two convolutions each that follow a convolution."""

    normalise_rewards: Annotated[bool, LATER] = False
    """Whether rewards are divided by the running standard deviation of their discounted sum."""
    pretraining_updates: Annotated[int, Range(0, 10**6), LATER] = 0
    """Updates of cloning demonstrations before the first of reinforcement; they play no environment steps."""
    reward_model_updates: Annotated[int, Range(0, 10**6), LATER] = 0
    """Updates in each training of a reward model, whose rewards the policy then learns from; 0 for the world's."""
    reward_model_retrained: Annotated[int, Range(0, 1000), LATER] = 0
    """How often the model is trained again, after equal parts of the policy's training; 0 for only before it."""
    most_labels: Annotated[int, Range(1, 2**14), LATER] = 1024
    """The most comparisons that an overseer can label."""

    Params: ClassVar[Any] = Params
    takes_curricula: ClassVar[bool] = True
    restarts: ClassVar[bool] = False
    """Whether each update begins with new episodes."""
    Metrics: ClassVar[Any]
    """A NamedTuple of f32[], means over an update; those that begin with `loss` tell whether training has diverged."""

    def __post_init__(self):
        batch = self.n_envs * self.n_steps
        shape = f"n_envs {self.n_envs} x n_steps {self.n_steps}"
        if batch > MAX_BATCH:
            raise ValueError(f"learner.n_steps: a batch of {batch} ({shape}) is too large; at most {MAX_BATCH}")
        if self.total_steps < batch:
            raise ValueError(f"learner.total_steps: {self.total_steps} is less than one batch of {batch} ({shape})")
        if self.memory == "gru" and self.towers == "separate":
            raise ValueError("learner.towers: one gated recurrent unit serves policy and value; expected shared")
        if (trainings := self.reward_model_retrained + 1) > self.total_updates:
            raise ValueError(
                f"learner.reward_model_retrained: {trainings} trainings are more than the {self.total_updates} updates"
            )
        if self.most_labels % trainings:
            raise ValueError(
                f"learner.most_labels: {self.most_labels} cannot be shared by {trainings} trainings of the reward "
                "model; expected a multiple"
            )

    @property
    def total_updates(self) -> int:
        return self.total_steps // self.steps_per_update

    @property
    def steps_per_update(self) -> int:
        return self.n_envs * self.n_steps

    @property
    def has_values(self) -> bool:
        return True

    @property
    def learns_reward(self) -> bool:
        return self.reward_model_updates > 0

    @property
    def passes(self) -> int:
        """How often each transition is learnt from."""
        return 1

    def flops(self, world: World) -> float:
        """Of the dense matrix products alone; the first layer counts as the dense product that it stands for.

        A forward pass is two FLOPs a multiplication, a gradient step three times that; each transition is chosen once
        and learnt from `passes` times.
        """
        inputs, image, seeing = sum(world.cardinalities) + world.vector_size, world.layout.image, 0
        if self.network == "convolutional" and image is not None:
            seeing, features = convolution.sizes(self, image.shape)
            inputs += features
        tower = seeing + inputs * self.width + (self.depth - 1) * self.width**2
        weights = tower * (1 if self.towers == "shared" else 2) + self.width * (world.num_actions + 1)
        weights += 6 * self.width**2 if self.memory == "gru" else 0
        model = reward_model.flops(self, 2 * weights) if self.learns_reward else 0
        return self.steps_per_update * 2 * weights * (1 + self.kl_to_reference + 3 * self.passes) + model

    def make_network(self, world: World) -> nn.Module:
        """The network: what is called as `ActorCritic` is, and has its `context`.

        Fields that bear the name of a setting are given that setting's value, but for those of convolutions, which a
        module without `image` may have under the same names; `image` is the shape of the world's.
        """
        cls = networks.named(self.network)
        fields = {field.name for field in dataclasses.fields(cls)}
        own = fields & {field.name for field in dataclasses.fields(self)}
        own -= set() if "image" in fields else networks.OF_PICTURES
        image = world.layout.image
        return cls(
            num_actions=world.num_actions,
            cardinalities=world.cardinalities,
            vector_size=world.vector_size,
            **({"image": image.shape} if image and "image" in fields else {}),
            **{name: getattr(self, name) for name in own},
        )

    def check(self, world: World) -> None:
        if self.pretraining_updates:
            pretraining.check(world)
            if jax.tree.leaves(self.context(world, 1)):
                raise ValueError("learner.pretraining_updates: expected 0, as demonstrations are cloned without memory")
        if self.learns_reward:
            reward_model.check(self, world)
        networks.check(self, world)
        self.check_anchors(world)

    def check_values(self, values: dict[str, Any]) -> None:
        self.check_anchoring(values)
        labels = values.get("learner.labels", 0)
        if self.learns_reward and labels > self.most_labels:
            raise ValueError(f"learner.labels: {labels} is more than learner.most_labels, which is {self.most_labels}")

    def context(self, world: World, n_envs: int) -> Context:
        network = self.make_network(world)
        return network.context(n_envs) if hasattr(network, "context") else NOTHING

    def recurrent(self, world: World) -> bool:
        """Whether the policy remembers anything."""
        return bool(jax.tree.leaves(self.context(world, 1).memory))

    def make_variables(self, world: World, key: jax.Array, observation: Observation, context: Context) -> Any:
        """Initial variables of the network, from what one environment shows."""
        return self.make_network(world).init(
            key, context.memory, observation, context.previous_action, context.previous_reward, context.first
        )

    def forward(self, world: World, variables: Any, observation: Observation, context: Context) -> Any:
        """What the network gives: logits f32[..., actions], value f32[...] and memory."""
        return self.make_network(world).apply(
            variables, context.memory, observation, context.previous_action, context.previous_reward, context.first
        )

    def apply(self, world: World, variables: Any, observation: Observation, context: Context = NOTHING) -> Any:
        return self.forward(world, variables, observation, context)

    def behave(
        self,
        world: World,
        variables: Any,
        params: Any,
        progress: jax.Array,
        observation: Observation,
        context: Context,
    ) -> Any:
        """As `apply`, for the policy that gathers experience; progress: f32[] in [0, 1), the share of updates done."""
        return self.apply(world, variables, observation, context)

    def optimiser(self, params: Any) -> optax.GradientTransformation:
        """Clipping by global norm, then a direction; the step size is applied by `descend`."""
        return optax.chain(optax.clip_by_global_norm(params.max_grad_norm), optax.scale_by_adam(eps=1e-5))

    @property
    def learning_bits(self) -> int:
        """How many u32 of random bits `learn` uses up."""
        return 0

    @abc.abstractmethod
    def learn(
        self, world: World, variables: Any, optimiser_state: Any, lesson: Lesson, params: Any
    ) -> tuple[Any, Any, Any]:
        """New variables, the optimiser's new state, and metrics."""

    def init(self, world: World, key: jax.Array, settings: Settings) -> tuple[State, rollout.Tally]:
        clock = settings.clock()
        env_params, params = settings.at(0, self.total_updates, clock)
        network_key, env_key, key = jax.random.split(key, 3)
        envs = rollout.begin(world, env_key, env_params, self.n_envs, self.context(world, self.n_envs))
        observation, context = jax.tree.map(
            lambda leaf: leaf[0],
            (jax.vmap(world.features, in_axes=(0, None))(envs.state, env_params), envs.context),
        )
        variables = self.make_variables(world, network_key, observation, context)
        if self.pretraining_updates:
            clone_key = jax.random.fold_in(key, PRETRAINING)
            variables = pretraining.pretrain(
                self, world, variables, clone_key, env_params, params, self.pretraining_updates
            )
        optimiser = self.optimiser(params).init(variables)
        remembered: Any = ()
        if settings.curriculum is not None:
            curriculum_key = jax.random.fold_in(key, CURRICULUM)
            of_curriculum = settings.curriculum_params
            remembered = settings.curriculum.init(world, curriculum_key, env_params, of_curriculum, self.n_envs)
        learnt: Any = ()
        if self.learns_reward:
            model_key = jax.random.fold_in(key, REWARD_MODEL)
            learnt = reward_model.begun(self, world, model_key, variables, observation, env_params)
        none, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        scale = reward_scale.begun(self.n_envs) if self.normalise_rewards else ()
        held = self.first_anchors(variables)
        state = State(variables, optimiser, envs, key, none, clock, no, remembered, learnt, scale, held)
        return state, rollout.empty(world)

    def advance(
        self, world: World, state: State, settings: Settings, updates: jax.Array
    ) -> tuple[State, rollout.Tally, Any]:
        """The metrics are means over the updates; where the reward is learnt, `reward_model.Curves` are a episode's."""
        kind = reward_model.with_curves(self.Metrics) if self.learns_reward else self.Metrics
        zero = kind(*[jnp.zeros(())] * len(kind._fields))

        def body(_, carry):
            state, tally, metrics = carry
            state, new_tally, new_metrics = self._update(world, state, settings)
            return state, jax.tree.map(jnp.add, tally, new_tally), jax.tree.map(jnp.add, metrics, new_metrics)

        state, tally, metrics = jax.lax.fori_loop(0, updates, body, (state, rollout.empty(world), zero))
        means = jax.tree.map(lambda total: total / jnp.maximum(updates, 1).astype(jnp.float32), metrics)
        if self.learns_reward:
            means = means._replace(**reward_model.a_episode(metrics, tally.episodes))
        return state, tally, means

    def finish(self, state: State) -> LaneResult:
        return LaneResult(state.variables, state.diverged, reward_model.outcomes(state.learnt), state.curriculum)

    def first_layer(self, policy: Any) -> jax.Array | None:
        """Adam's direction is exactly 0 for a weight that has never had a gradient, but decay to zero moves it."""
        if self.network != "mlp" or self.decays_to == "zero":
            return None
        return policy["params"]["tower_0" if self.towers == "shared" else "actor_0"]["kernel"]

    def _update(self, world: World, state: State, settings: Settings) -> tuple[State, rollout.Tally, Any]:
        progress = state.update / self.total_updates
        env_params, params = settings.at(state.update, self.total_updates, state.clock)
        curriculum, of_curriculum = settings.curriculum, settings.curriculum_params
        needed = [2, rollout.bits_needed(world, self.n_envs, self.n_steps), self.learning_bits]
        needed += [2] if curriculum is not None else []
        bits = rollout.hand_out(jax.random.bits(state.key, (sum(needed),), jnp.uint32), *needed)
        key = jax.random.wrap_key_data(bits[0])
        act = functools.partial(self.behave, world, state.variables, params, progress)
        remembered, levels, learns = state.curriculum, None, jnp.ones((), bool)
        if curriculum is not None:
            curriculum_key = jax.random.wrap_key_data(bits[3])
            remembered, levels, learns = curriculum.levels(
                world, remembered, curriculum_key, env_params, of_curriculum, self.n_envs
            )
        restarts = self.restarts or (curriculum is not None and curriculum.restarts)
        envs, steps, tally = rollout.rollout(
            world, act, state.envs, bits[1], env_params, self.n_steps, levels, restarts, self.learns_reward
        )
        learnt: Any = state.learnt
        curves: Any = None
        if self.learns_reward:
            model_key = jax.random.fold_in(state.key, REWARD_MODEL)
            learnt = reward_model.trained_when_due(
                self, world, learnt, state.variables, state.update, model_key, env_params, params
            )
            steps, curves = reward_model.rewarded(self, world, learnt, state.variables, steps)
        scale: Any = state.scale
        if self.normalise_rewards:
            scale, steps = reward_scale.scaled(scale, steps)
        reset = state.update == nearest(params.reset_optimiser_at, self.total_updates)
        blank = self.optimiser(params).init(state.variables)
        before = jax.tree.map(lambda new, old: jnp.where(reset, new, old), blank, state.optimiser_state)
        horizon = env_params.approval.horizon if isinstance(world, Approved) else None
        held, params = self.next_anchors(state.held, state.variables, state.update, params)
        lesson = Lesson(steps, state.envs.context.memory, bits[2], horizon, held)
        variables, optimiser_state, metrics = self.learn(world, state.variables, before, lesson, params)
        if curriculum is not None:
            variables, optimiser_state = jax.tree.map(
                lambda new, old: jnp.where(learns, new, old), (variables, optimiser_state), (state.variables, before)
            )
            experience = Experience(steps, params.discount, getattr(params, "gae_lambda", jnp.ones(())))
            remembered = curriculum.update(world, remembered, experience, env_params, of_curriculum)
        losses = [value for name, value in metrics._asdict().items() if name.startswith("loss")]
        finite = jnp.isfinite(sum(losses))
        for leaf in jax.tree.leaves(variables):
            finite &= jnp.all(jnp.isfinite(leaf))
        if curves is not None:
            metrics = reward_model.with_curves(self.Metrics)(*metrics, *curves)
        update = state.update + 1
        seen = tally.episodes, tally.successes, tally.returns
        clock = settings.tick(state.clock, update, self.total_updates, *seen)
        diverged = state.diverged | ~finite
        state = State(variables, optimiser_state, envs, key, update, clock, diverged, remembered, learnt, scale, held)
        return state, tally, metrics

    def descend(
        self, params: Any, variables: Any, optimiser_state: Any, gradients: Any, held: anchors.Anchors | None = None
    ) -> tuple[Any, Any]:
        """One step of the optimiser, with weight decay where anchors are given."""
        with implicit_promotion():
            direction, optimiser_state = self.optimiser(params).update(gradients, optimiser_state)
        direction = direction if held is None else self.decayed(direction, variables, held, params)
        return jax.tree.map(
            lambda weight, step: weight - params.learning_rate * step, variables, direction
        ), optimiser_state

    def over_time(self, world: World, variables: Any, memory: Any, seen: tuple[Observation, Context]) -> Any:
        """Logits f32[steps, envs, actions] and values f32[steps, envs] of a recurrent policy on what it saw.

        Args:
          memory: at the first step; leaves [envs, ...].
          seen: observations and contexts without memory; leaves [steps, envs, ...].
        """

        def step(memory, seen):
            observation, context = seen
            logits, value, memory = self.forward(world, variables, observation, context._replace(memory=memory))
            return memory, (logits, value)

        return jax.lax.scan(step, memory, seen)[1]

    def over_rollout(self, world: World, variables: Any, lesson: Lesson) -> Any:
        """Logits f32[steps, envs, actions] and values f32[steps, envs] of any policy on all that a rollout showed."""
        steps = lesson.steps
        seen = steps.observation, steps.context
        if self.recurrent(world):
            return self.over_time(world, variables, lesson.memory, seen)
        shape = steps.reward.shape
        flat = jax.tree.map(lambda leaf: leaf.reshape(math.prod(shape), *leaf.shape[2:]), seen)
        logits, value, _ = self.forward(world, variables, *flat)
        return logits.reshape(*shape, -1), value.reshape(shape)
