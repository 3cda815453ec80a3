"""A world that shows a picture: the meadow of docs/worlds.md, three rows of it in three planes, and the time left."""

import jax.numpy as jnp

import envs
from envs import NUMBER, Channel, Feature, Image, Layout
from tests.envs.planted_faults import Meadow


class Pictured(Meadow):
    """The things stand in the middle row."""

    name = "pictured"

    @property
    def layout(self):
        things = Channel("agent"), Channel("berry", "berry"), Channel("sign", "sign")
        return Layout((Feature("late", NUMBER),), Image(3, self.width, things))

    def features(self, state, params):
        cells = jnp.stack([state.column, state.level.berry, state.level.sign])
        row = jnp.arange(self.width)[:, None] == cells[None]
        picture = jnp.stack([jnp.zeros_like(row), row, jnp.zeros_like(row)])
        return self.layout.observe({"image": picture, "late": state.time / params.max_steps_in_episode})


class Coloured(Pictured):
    """As a photograph: nothing of it can be hidden."""

    @property
    def layout(self):
        return Layout((), Image(3, self.width, (Channel("red"), Channel("green"), Channel("blue"))))

    def features(self, state, params):
        return envs.Observation(jnp.zeros(0, jnp.int32), jnp.zeros(0), super().features(state, params).image)
