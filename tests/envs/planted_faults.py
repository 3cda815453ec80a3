"""Meadow, the example of docs/worlds.md, and worlds made of it with one fault each."""

import dataclasses
import importlib.util
import itertools
import pathlib
import re
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

import envs

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "worlds.md").read_text()
EXAMPLE, PICTURE, USE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FOLDER = tempfile.TemporaryDirectory()  # kept while the tests run: the meaning of a setting is read off its source


def page_example():
    path = pathlib.Path(FOLDER.name) / "meadow.py"
    path.write_text(EXAMPLE)
    spec = importlib.util.spec_from_file_location("meadow", path)
    sys.modules["meadow"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


meadow = page_example()
Meadow, Level = meadow.Meadow, meadow.Level


class LeakingKey(Meadow):
    def transition(self, key, state, action, params):
        return super().transition(key, state, jnp.where(jax.random.bernoulli(key, 0.1), action ^ 1, action), params)


class IdleKey(Meadow):
    stochastic = True


class StartByKey(Meadow):
    def reset_to_level(self, key, level, params):
        state = super().reset_to_level(key, level, params)
        return state.replace(column=jax.random.randint(key, (), 0, self.width))


class WrongShape(Meadow):
    def transition(self, key, state, action, params):
        state, events, terminated = super().transition(key, state, action, params)
        return state, events, terminated[None]


class BerryLikeTheAgent(Meadow):
    legend = Meadow.legend | {"berry": envs.render.AGENT}


class FlatPicture(Meadow):
    def render(self, state):
        return np.zeros((8, 56), np.uint8)


class WrongDtype(Meadow):
    def features(self, state, params):
        seen = super().features(state, params)
        return seen._replace(indices=seen.indices.astype(jnp.int8))


class ProbeOfAnotherDtype(Meadow):
    def probes(self):
        fork, *others = super().probes()
        return dataclasses.replace(fork, levels=Level(*(leaf.astype(np.int64) for leaf in fork.levels))), *others


class Untraceable(Meadow):
    def sample_level(self, key, params):
        return super().sample_level(key, params) if params.astray > 0 else super().sample_level(key, params)


class UnsolvableLevel(Meadow):
    def sample_level(self, key, params):
        level = super().sample_level(key, params)
        return level._replace(berry=jnp.where(level.start == 0, envs.HIDDEN, level.berry))


class TooFar(Meadow):
    def params_of(self, values):
        return super().params_of({"env.max_steps_in_episode": 2, **values})

    @property
    def default_params(self):
        return super().default_params.replace(max_steps_in_episode=2)


class EventWithoutReward(Meadow):
    def reward(self, state, events, params):
        return jnp.where(events[0], params.reward[0], 0.0)


class RewardWithoutEvent(Meadow):
    def reward(self, state, events, params):
        return super().reward(state, events, params) - 0.01


class RewardForNothingWorth(Meadow):
    def worth(self, state, params):
        return jnp.array([1.0, 0.0])

    def reward(self, state, events, params):
        return jnp.sum(jnp.where(events, params.reward, 0.0))


class EventOnStaying(Meadow):
    def transition(self, key, state, action, params):
        after, events, terminated = super().transition(key, state, action, params)
        return after, events.at[1].set(after.column == state.level.sign), terminated


class TrainsOnProbes(Meadow):
    def sample_level(self, key, params):
        level = super().sample_level(key, params)
        middle = self.width // 2
        apart = (level.berry != level.sign) & (jnp.abs(level.berry - middle) == jnp.abs(level.sign - middle))
        return level._replace(start=jnp.where(apart, middle, level.start))


class TwiceTheSameLevel(Meadow):
    def probes(self):
        fork, *others = super().probes()
        return dataclasses.replace(fork, levels=Level(*(leaf[[0, 0, 1]] for leaf in fork.levels))), *others


class PassesThroughProbes(Meadow):
    def probes(self):
        fork, *others = super().probes()
        return dataclasses.replace(fork, held_out="observations"), *others


class RepeatsLayouts(Meadow):
    def probes(self):
        fork, *others = super().probes()
        return dataclasses.replace(fork, whole=False), *others


class NoGate(Meadow):
    def probes(self):
        return super().probes()[:2]


class ShortHorizon(Meadow):
    def probes(self):
        fork, *others = super().probes()
        return dataclasses.replace(fork, horizon=self.width // 2 - 1), *others


class NoWayToAGoalAtStake(Meadow):
    def probes(self):
        *others, sign = super().probes()
        behind = Level(*(np.array([cell], np.int32) for cell in (3, 4, 5)))
        return *others, dataclasses.replace(sign, levels=behind)


class AnotherTable(Meadow):
    def tabular(self, level, params):
        after, events, terminated = super().tabular(level, params)
        return after, events.at[..., 1].set(events[..., 0]), terminated


class IndexOfAnotherState(Meadow):
    def state_index(self, state):
        return self.width - 1 - state.column


class UnlistedState(Meadow):
    def states(self, level, params):
        states = super().states(level, params)
        return states.replace(level=states.level._replace(start=jnp.zeros_like(states.column)))


class BeyondCardinality(Meadow):
    @property
    def layout(self):
        *others, sign = super().layout.features
        return envs.Layout((*others, sign._replace(cardinality=self.width)))


class NotANumber(Meadow):
    @property
    def layout(self):
        return envs.Layout((*super().layout.features, envs.Feature("logarithm", envs.NUMBER)))

    def features(self, state, params):
        return self.layout.observe(self.seen(state) | {"logarithm": jnp.log(jnp.float32(state.column)) * 0})


class CountingCalls(Meadow):
    calls = itertools.count()

    def transition(self, key, state, action, params):
        after, events, terminated = super().transition(key, state, action, params)
        return after, events & (next(self.calls) % 2 == 0), terminated


class NumPyDraws(Meadow):
    def sample_level(self, key, params):
        level = super().sample_level(key, params)
        return level._replace(berry=jnp.where(np.random.random() < jnp.float32(level.berry), level.berry, level.sign))


class OtherwiseWhenTraced(Meadow):
    def transition(self, key, state, action, params):
        after, events, terminated = super().transition(key, state, action, params)
        return after, events, terminated if isinstance(after.column, jax.core.Tracer) else ~terminated


class HashedByIdentity(Meadow):
    __eq__, __hash__ = object.__eq__, object.__hash__


class HiddenBerry(Meadow):
    """The sign still says where the berry is on every probe; a blind policy would see what others see."""

    def features(self, state, params):
        return self.hide(super().features(state, params), "berry")


class HiddenGoals(HiddenBerry):
    def features(self, state, params):
        return self.hide(super().features(state, params), "sign")


class HidesNothing(Meadow):
    def hide(self, observation, goal):
        return observation


class OutOfReach(Meadow):
    def transition(self, key, state, action, params):
        after, events, terminated = super().transition(key, state, action, params)
        return after, events.at[1].set(False), terminated


class TwoIntended(Meadow):
    goals = (envs.Goal("berry", "intended"), envs.Goal("sign", "intended"))


class MilestoneFirst(Meadow):
    goals = (envs.Goal("berry", "milestone"), envs.Goal("sign", "intended"))


class NeverTruncates(Meadow):
    def transition(self, key, state, action, params):
        after, events, terminated = super().transition(key, state, action, params)
        return after.replace(time=state.time), events, terminated


class OneStepLate(Meadow):
    def is_truncated(self, state, params):
        return state.time > params.max_steps_in_episode


class FiveValues(Meadow):
    def step(self, key, state, action, params=None):
        observation, state, reward, terminated, truncated, info = super().step(key, state, action, params)
        return observation, state, reward, terminated | truncated, info


class SmallSpace(Meadow):
    def observation_space(self, params=None):
        from gymnax.environments import spaces

        return spaces.Box(0, 1, (3,), jnp.float32)


class WeakParams(Meadow):
    def params_of(self, values):
        return super().params_of(values).replace(astray=float(values.get("env.astray", 0)))


class DeafParams(Meadow):
    def params_of(self, values):
        return super().params_of({})


@dataclasses.dataclass(frozen=True)
class NoRange(Meadow):
    colour: int = 3


@dataclasses.dataclass(frozen=True)
class NoMeaning(Meadow):
    dark: bool = False


class StartsElsewhere(envs.CoinLine):
    def start_distribution(self, params):
        levels, probability = super().start_distribution(params)
        return levels, jnp.roll(probability, 1, axis=0)


FAULTS = {
    LeakingKey: ("key", "stochastic is False"),
    IdleKey: ("key", "does not use its key"),
    StartByKey: ("key", "reset_to_level uses its key"),
    WrongShape: ("shapes", r"what happens, part 2, is bool\[1\] and should be bool\[\]"),
    BerryLikeTheAgent: ("abilities", r"legend: agent and berry have one colour, that of an agent"),
    FlatPicture: ("abilities", r"render: the picture is u8\[8, 56\] and should be u8\[height, width, 3\]"),
    WrongDtype: ("shapes", r"is i8\[6\] and should be i32\[6\]"),
    ProbeOfAnotherDtype: ("shapes", r"the level of fork.start is i64\[6\], and i32\[6\] in"),
    Untraceable: ("shapes", "raises TracerBoolConversionError"),
    UnsolvableLevel: ("solvable", "cannot be reached on .* training level .start 0, berry -1"),
    TooFar: ("solvable", "is further than the time limit"),
    EventWithoutReward: ("rewards", "nothing is paid for an event of sign"),
    RewardWithoutEvent: ("rewards", "-0.01 is paid for .* without its event"),
    RewardForNothingWorth: ("rewards", "1 is paid for sign for an event worth 0"),
    EventOnStaying: ("entry", "sign fires on a step that leaves the state as it was"),
    TrainsOnProbes: ("split", "of 6 levels are trained on too, the first a probe fork level"),
    PassesThroughProbes: ("observations", "fork: 6 of 6 levels begin with what training shows, the first a probe fork"),
    RepeatsLayouts: ("layouts", "fork: 64 episodes on 3 layouts, 21 to 22 on each"),
    TwiceTheSameLevel: ("probes", "of 3 levels only 2 are distinct"),
    NoGate: ("labels", "no capability probe capable:sign"),
    ShortHorizon: ("horizon", "is 3 steps away, past a horizon of 2"),
    NoWayToAGoalAtStake: ("horizon", "sign cannot be reached on a probe capable:sign level"),
    AnotherTable: ("tabular", "the events of state"),
    IndexOfAnotherState: ("tabular", "state 0 has the index 6"),
    UnlistedState: ("tabular", "is not the one listed at its index"),
    BeyondCardinality: ("indices", "index 5 is [0-9]+, of a cardinality of 7"),
    NotANumber: ("indices", "a number is not finite"),
    CountingCalls: ("pure", "transition is another program when it is traced again"),
    NumPyDraws: ("pure", "sample_level is another program"),
    OtherwiseWhenTraced: ("agreement", "transition gives something else in a compiled batch"),
    HashedByIdentity: ("compiles", "not equal to it"),
    HiddenBerry: ("hide", "observations are as before: it is not hidden, or never seen"),
    HiddenGoals: ("visible", "berry: states that call for different actions look the same"),
    HidesNothing: ("hide", "observations are as before"),
    OutOfReach: ("reachable", "sign cannot be reached on any"),
    TwoIntended: ("goals", "2 goals are intended"),
    MilestoneFirst: ("goals", "a milestone comes before a goal that is none"),
    NeverTruncates: ("time limit", "goes on after 3 steps"),
    OneStepLate: ("time limit", "goes on after 3 steps"),
    FiveValues: ("interface", "step returns 5 values"),
    SmallSpace: ("interface", r"is f32\[36\] and should be f32\[3\]"),
    WeakParams: ("params", "gives astray as a float of a weak type"),
    DeafParams: ("params", "makes env.astray = 1.0 into 0.0"),
    NoRange: ("settings", "colour is a field without a range"),
    NoMeaning: ("settings", "env.dark has no meaning written under it"),
    StartsElsewhere: ("starts", "begin in a state in which|where the probability is 0"),
}


class ShowsTheBerryAlone(Meadow):
    def probes(self):
        fork, *others = super().probes()
        alone = fork.levels._replace(sign=np.full_like(fork.levels.sign, envs.HIDDEN))
        return fork, *others, envs.Probe("alone", "performance", ("berry",), alone, 9, whole=True)


WARNINGS = {
    Meadow: ("capability", "capable:berry and capable:sign have the same levels"),
    ShowsTheBerryAlone: ("shown", "alone: 6 of 6 levels begin as no training level does: without sign_down, without"),
}
