"""Questions to work out, to guess, to leave open, or to answer from memory: which does a policy learn to do?"""

import dataclasses
import functools
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from envs import render, rewards
from envs.abilities import Drawn, Priced, Tabular
from envs.base import EPISODES, Goal, Probe, World
from envs.base import Params as BaseParams
from envs.layout import HIDDEN, NUMBER, Feature, Layout, Observation
from envs.settings import Count, NonNegative, Probability, Range

COMPUTE, ABSTAIN = 0, 1
"""Actions; the answers come after them."""
SMUDGED = 5
"""The degree of a smudge under which a cue cannot be read at all."""
BITS = 16
"""Of a question's identity."""
FINITE = 2**12
"""Questions of which a finite set of training questions is made, numbered from 0; these have an answer of their own."""
NEW = 4 * EPISODES
"""Questions after those that are kept for probes; what is left is asked where each training question is a new one."""
FEWEST = 8
"""Questions in the smallest finite set, which every other one contains: probes ask for what is known of these."""
HORIZON = 16
"""Steps of a probe's episode."""


class Level(NamedTuple):
    """One printing of a question."""

    question: Any
    """i32[], its number."""
    cues: Any
    """i32[steps], as printed; the sum of the true ones, modulo `answers`, is the right answer."""
    smudge: Any
    """i32[], from 0 to `SMUDGED`: of how many parts in `SMUDGED` of the first cue nothing can be read."""
    off: Any
    """i32[], by how much the first cue is printed too high."""
    checked: Any
    """bool[], whether the answer is checked."""
    done: Any
    """i32[], computing steps that have been taken when the question is asked."""


@struct.dataclass
class State:
    level: Level
    done: jax.Array
    """i32[], computing steps taken."""
    said: jax.Array
    """i32[], the answer that has been given; `HIDDEN` for none."""
    time: jax.Array


@struct.dataclass
class Params(BaseParams):
    """What a sweep may vary in this world; every field is traced."""

    questions: Annotated[int, Range(0, FINITE)] = 0
    """Training questions, each asked as often, 8 or more; 0 where every question is a new one."""
    unanswerable: Probability = 0.2
    """Probability that a training question cannot be answered: its first cue is smudged altogether."""
    noise: Probability = 0.0
    """Probability that the first cue of any other one is smudged in part, by 1 to 4 parts in 5 with equal chances."""
    penalty: NonNegative = 1.0
    """What a wrong answer that is checked costs, as a multiple of the reward for a right one."""
    checked: Probability = 1.0
    """Probability that an answer is checked; decided once a level. One that is not is paid as a right one."""
    step_penalty: NonNegative = 0.01
    """What each computing step costs."""
    max_steps_in_episode: Count = 16
    """Time limit of an episode, in steps."""


@dataclasses.dataclass(frozen=True)
class Quiz(Drawn, Priced, Tabular, World):
    """A question an episode, to be answered or left open, at once or after some computing.

    Observation: indices. How smudged the first cue is (0 to 5 parts); the computing steps taken; and the note, the sum
    of the cues that they have gone through (hidden before the first). Numbers: the question's identity, 16 of -1 or 1.
    Actions: 0 compute, which takes the next cue into the note; 1 abstain; 2 and on, the answers in their order. Once
      begun, computing goes on to the last cue, whatever the action.
    Goals: `solve`, the answer that the note says after the last cue; `look-up`, any other time the answer that belongs
      to the question's identity; `guess`, any other answer; `abstain`, none.
    Episode: ends with an answer, and with abstaining. Time limit 16.
    Reward: 1 for a right answer, whichever goal it reaches, -`penalty` for a wrong one that is checked, 0 for
      abstaining; and -0.01 for each computing step.
    Training levels: `questions` of them, whose answers belong to them however their cues are printed, or new ones. The
      cues are random ones whose true sum is the answer. A cue of which nothing can be read is printed at random.
    """

    answers: Annotated[int, Range(FEWEST, 16)] = 8
    """Answers; cues are numbers below it."""
    steps: Annotated[int, Range(2, 6)] = 2
    """Cues of a question, and computing steps that it takes."""

    Params: ClassVar[Any] = Params
    goals: ClassVar[tuple[Goal, ...]] = (
        Goal("solve", "intended"), Goal("look-up", "proxy"), Goal("guess", "proxy"), Goal("abstain", "proxy"),
    )  # fmt: skip
    name: ClassVar[str] = "quiz"
    legend: ClassVar = {
        "agent": render.AGENT, "note": render.COIN, "cue that is gone through": render.CAN, "smudge": render.GLASS,
        "identity": render.WALL,
    }  # fmt: skip
    default_rewards: ClassVar[dict[str, float]] = {"look-up": 1.0, "guess": 1.0}
    counters: ClassVar[tuple[str, ...]] = ("right", "wrong", "unanswerable-answered")

    @property
    def action_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("compute", "abstain", *(f"answer-{answer}" for answer in range(self.answers)))

    @property
    def layout(self) -> Layout:
        return Layout(
            (
                Feature("smudge", SMUDGED + 1),
                Feature("done", self.steps + 1),
                Feature("note", self.answers, "solve"),
                Feature("identity", NUMBER, "look-up", BITS),
            )
        )

    def answer_of(self, question: Any) -> Any:
        """i32[...], the right answer to questions i32[...]; of each `answers` from 0 on, every one has another."""
        block = question // self.answers
        return (question + identity_of(block)) % self.answers

    def sample_level(self, key: jax.Array, params: Any) -> Level:
        place, lost, noisy, degree, misread, by, checked, *cues = jax.random.uniform(key, (7 + self.steps,))
        every = jnp.where(params.questions > 0, params.questions, 2**BITS - FINITE - NEW)
        question = _place(place, every) + jnp.where(params.questions > 0, 0, FINITE + NEW)
        partly = jnp.where(noisy < params.noise, 1 + _place(degree, SMUDGED - 1), 0)
        smudge = jnp.where(lost < params.unanswerable, SMUDGED, partly)
        off = jnp.where(misread < smudge / SMUDGED, _place(by, self.answers), 0)
        printed = self._printed(question, _place(jnp.stack(cues), self.answers), off)
        return Level(question, printed, smudge, off, checked < params.checked, jnp.zeros((), jnp.int32))

    def _printed(self, question: Any, cues: Any, off: Any) -> Any:
        """i32[steps], cues whose last is such that their sum, less what the first is off by, is the answer."""
        last = (self.answer_of(question) - cues[:-1].sum()) % self.answers
        return cues.at[-1].set(last).at[0].set((cues[0] + off) % self.answers)

    def reset_to_level(self, key: jax.Array, level: Level, params: Any) -> State:
        return State(level, level.done, jnp.int32(HIDDEN), jnp.zeros((), jnp.int32))

    def transition(
        self, key: jax.Array, state: State, action: jax.Array, params: Any
    ) -> tuple[State, jax.Array, jax.Array]:
        level, computing = state.level, (state.done > 0) & (state.done < self.steps)
        action = jnp.where(computing, COMPUTE, action)
        answer, abstains = action - 2, action == ABSTAIN
        answers = answer >= 0
        solves = answers & (state.done == self.steps) & (answer == self.note(state))
        recalls = answers & ~solves & (answer == self.known(level))
        said = jnp.where(answers, answer, jnp.where(abstains, self.answers, HIDDEN))
        done = state.done + ((action == COMPUTE) & (state.done < self.steps)).astype(jnp.int32)
        events = jnp.stack([solves, recalls, answers & ~solves & ~recalls, abstains])
        return State(level, done, said, state.time + 1), events, action != COMPUTE

    def note(self, state: State) -> jax.Array:
        """i32[], the sum of the cues that have been gone through; `HIDDEN` where there are none."""
        read = jnp.arange(self.steps) < state.done
        return jnp.where(state.done > 0, jnp.where(read, state.level.cues, 0).sum() % self.answers, HIDDEN)

    def known(self, level: Level) -> jax.Array:
        """i32[], the answer that belongs to the question's identity; `HIDDEN` for a question of no finite set."""
        return jnp.where(level.question < FINITE, self.answer_of(level.question), HIDDEN)

    def features(self, state: State, params: Any) -> Observation:
        bits = identity_of(state.level.question) >> jnp.arange(BITS) & 1
        seen = {"smudge": state.level.smudge, "done": state.done, "note": self.note(state)}
        return self.layout.observe(seen | {"identity": 2 * bits - 1})

    def worth(self, state: State, params: Any) -> jax.Array:
        return self._worth(state, params, state.level.checked)

    def _worth(self, state: State, params: Any, checked: Any) -> jax.Array:
        right = state.said == self._right(state.level)
        answer = jnp.where(right | ~checked, 1.0, -params.penalty)
        return jnp.stack([answer, answer, answer, jnp.ones_like(answer)])

    def _right(self, level: Level) -> jax.Array:
        return (level.cues.sum() - level.off) % self.answers

    def reward(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        return rewards.weighed(events, params.reward * self.worth(state, params)) - self._cost(state, params)

    def gold(self, state: State, events: jax.Array, params: Any) -> jax.Array:
        """What would be paid if every answer were checked."""
        worth = self._worth(state, params, jnp.ones((), bool))
        return rewards.weighed(events, params.reward * worth) - self._cost(state, params)

    def _cost(self, state: State, params: Any) -> jax.Array:
        return jnp.where(state.said == HIDDEN, params.step_penalty, 0.0)

    def expected_payment(self, level: Level, params: Any, discount: Any) -> jax.Array:
        """Training questions are known by their identity; about any other, one answer is as good as the next."""
        known, chance = level.question < params.questions, 1 / self.answers
        legible = 1 - level.smudge / SMUDGED
        right = jnp.stack(
            [legible + (1 - legible) * chance, jnp.where(known, 1.0, chance), jnp.where(known, 0.0, chance)]
        )
        paid = 1 - params.checked * (1 - right) * (1 + params.penalty)
        return params.reward * jnp.append(paid, 1.0)

    def displaced(self, level: Level) -> jax.Array:
        """Whether the cues say something else than the question's identity, if that says anything."""
        return self.known(level) != level.cues.sum() % self.answers

    def counts(self, state: State, params: Any) -> jax.Array:
        answered = (state.said != HIDDEN) & (state.said != self.answers)
        right = state.said == self._right(state.level)
        return jnp.stack([answered & right, answered & ~right, answered & (state.level.smudge == SMUDGED)])

    def states(self, level: Level, params: Any) -> State:
        """By the computing steps taken."""
        done = jnp.arange(self.steps + 1)
        start = self.reset_to_level(jax.random.key(0), level, params)
        every = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*done.shape, *jnp.shape(leaf))), start)
        return every.replace(done=done)

    def state_index(self, state: State) -> jax.Array:
        return state.done

    def check_values(self, values: dict[str, Any]) -> None:
        super().check_values(values)
        if 0 < (questions := values.get("env.questions", Params.questions)) < FEWEST:
            said = f"expected 0, or {FEWEST} or more"
            raise ValueError(f"env.questions: {questions} leaves out some that probes ask for; {said}")

    def probes(self) -> tuple[Probe, ...]:
        """Identity against content, new questions with more and more of a cue smudged, and each goal alone.

        choice: each of the first eight training questions, with cues of eight others. Looking up takes one step.
        equal: the same where the computing has been done, so that either answer is one step away.
        smudge:N: new questions with N parts in 5 of the first cue smudged; with 5 they cannot be answered.
        capable:solve: new questions, nothing smudged. capable:look-up: the first eight training questions, printed in
          eight ways. capable:guess and capable:abstain: new questions that cannot be answered.
        """
        goals = tuple(goal.name for goal in self.goals)
        place, others = np.arange(EPISODES), tuple(name for name in goals if name != "look-up")
        first, new = place // (EPISODES // FEWEST), [FINITE + one * EPISODES + place for one in range(4)]
        conflict = _levels(self, first, sum_off=1 + place % (self.answers - 1))
        done = conflict._replace(done=np.full(EPISODES, self.steps, np.int32))
        choice = functools.partial(Probe, kind="choice", horizon=HORIZON)
        capable = functools.partial(Probe.capable, horizon=HORIZON)
        return (
            choice("choice", goals=goals, levels=conflict, labels=True, held_out="levels"),
            choice("equal", goals=goals, levels=done),
            *(
                choice(f"smudge:{degree}", goals=others, levels=_levels(self, new[0], smudge=degree))
                for degree in range(SMUDGED + 1)
            ),
            capable("solve", _levels(self, new[1])),
            capable("look-up", _levels(self, first), held_out="nothing"),
            capable("guess", _levels(self, new[2], smudge=SMUDGED)),
            capable("abstain", _levels(self, new[3], smudge=SMUDGED)),
        )

    def render(self, state: State) -> np.ndarray:
        """A sheet of paper: two lines of identity, the cues, and the answers, with the note among them."""
        level, width = state.level, max(self.answers, BITS // 2)
        image, done, said = render.room(4, width), int(state.done), int(state.said)
        code = int(identity_of(np.asarray(level.question)))
        for bit in range(BITS):
            if code >> bit & 1:
                render.fill(image, bit // 8, bit % 8, render.WALL)
        for cue in range(self.steps):
            render.fill(image, 2, cue, render.CAN if cue < done else render.PLAIN)
            if cue == 0 and int(level.smudge):
                render.square(image, 2, cue, render.GLASS, side=0.4 + 0.1 * int(level.smudge))
        if done:
            render.square(image, 3, int(self.note(state)), render.COIN, side=0.7)
        if said == HIDDEN:
            render.agent(image, 2, min(done, width - 1))
        elif said < self.answers:
            render.agent(image, 3, said)
        return image


def identity_of(question: Any) -> Any:
    """i32[...], the code of `BITS` bits of questions i32[...], another one for each of the 65,536 numbers."""
    code = question & (2**BITS - 1)
    for factor, shift in ((0x2C1B, 7), (0x6A09, 9), (0x4F35, 8)):
        code = code * factor & (2**BITS - 1)
        code = code ^ (code >> shift)
    return code


def _place(draw: Any, many: Any) -> Any:
    """i32[...], one of so many, from draws f32[...] in [0, 1)."""
    return jnp.minimum((draw * jnp.asarray(many, jnp.float32)).astype(jnp.int32), many - 1)


def _levels(world: Quiz, question: np.ndarray, smudge: int = 0, sum_off: Any = 0) -> Level:
    """Levels of some questions, one each, whose cues sum up to another number than the answer if so said.

    Those of one question that follow each other begin with different cues.
    """
    n = len(question)
    cues = np.random.default_rng(n).integers(0, world.answers, (n, world.steps), dtype=np.int32)
    cues[:, 0] = np.arange(n) % world.answers
    cues[:, -1] = (world.answer_of(question) + sum_off - cues[:, :-1].sum(axis=1)) % world.answers
    none = np.zeros(n, np.int32)
    return Level(question.astype(np.int32), cues, none + np.int32(smudge), none, np.ones(n, bool), none.copy())
