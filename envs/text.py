"""Levels and states of rooms as text: a picture of characters, and a line for each value that is not as usual.

    A . # C     the agent and a coin, with a wall between them
    gap: 1      another field of the level

Cells stand apart by spaces; a cell with several things has all their characters. `.` is an empty cell, `#` a wall, `A`
the agent and, where a state has left it, `s` the start.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs.layout import HIDDEN

EMPTY, WALL, AGENT, START = ".#As"


def show(world: Any, it: Any) -> str:
    """See `Room.show`."""
    level = getattr(it, "level", it)
    here = int(level.start) if level is it else int(world.cell(it))
    cells = [WALL * bool(wall) for wall in world.walls(level)]
    cells[here] += AGENT
    if here != int(level.start):
        cells[int(level.start)] += START
    for name, characters in world.symbols.items():
        for character, cell in zip(characters, np.ravel(getattr(level, name)), strict=True):
            if cell != HIDDEN:
                cells[int(cell)] += character
    usual = {name: np.broadcast_to(value, np.shape(getattr(level, name))) for name, value in world.plain.items()}
    lines = _unusual({name: getattr(level, name) for name in usual}, usual)
    if level is not it:
        lines += _unusual(_rest(it), _rest(_begun(world, level)))
    wide = max(map(len, cells))
    tokens = [(cell or EMPTY).ljust(wide) for cell in cells]
    rows = [tokens[first : first + world.width] for first in range(0, world.cells, world.width)]
    return "\n".join([*(" ".join(row).rstrip() for row in rows), *lines])


def read_level(world: Any, text: str) -> Any:
    """See `Room.read_level`."""
    cells, values = _parsed(world, text)
    if strange := sorted(values.keys() - world.plain.keys()):
        raise ValueError(f"levels of {world.name} have no value called {strange[0]}")
    return _level(world, cells, values, START if START in "".join(cells) else AGENT)


def read_state(world: Any, text: str) -> Any:
    """See `Room.read_state`."""
    cells, values = _parsed(world, text)
    level = _level(world, cells, values, START if START in "".join(cells) else AGENT)
    here = _where(cells, AGENT)
    begun = _begun(world, level)
    rest = _rest(begun)
    if strange := sorted(values.keys() - rest.keys() - world.plain.keys()):
        raise ValueError(f"{world.name} has no value called {strange[0]}")
    state = begun.replace(row=jnp.int32(here // world.width), column=jnp.int32(here % world.width))

    def changed(path, leaf):
        name = _name(path)
        return _read(values[name], leaf) if name in rest and name in values else leaf

    return jax.tree_util.tree_map_with_path(changed, state)


def _begun(world: Any, level: Any) -> Any:
    return world.reset_to_level(jax.random.key(0), jax.tree.map(jnp.asarray, level), world.default_params)


def _rest(state: Any) -> dict[str, Any]:
    """What a state has beside its level and its cell, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(state.replace(level=(), row=(), column=()))
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _unusual(values: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in values.items():
        value = np.asarray(value)
        if not np.array_equal(value, np.asarray(usual[name])):
            said = value.astype(int) if value.dtype == bool else value
            lines.append(f"{name}: {' '.join(map(str, np.ravel(said).tolist()))}")
    return lines


def _read(said: str, like: Any) -> jax.Array:
    """The numbers of a line, as an array of the shape and dtype of another."""
    dtype, shape = np.asarray(like).dtype, np.shape(like)
    numbers = [float(word) for word in said.split()]
    if len(numbers) not in (1, np.prod(shape, dtype=int)):
        raise ValueError(f"{said!r} has {len(numbers)} numbers, and should have {np.prod(shape, dtype=int)}")
    return jnp.asarray(np.broadcast_to(np.reshape(numbers, shape if len(numbers) > 1 else ()), shape).astype(dtype))


def _parsed(world: Any, text: str) -> tuple[list[str], dict[str, str]]:
    """The cells of a text, and its other lines by name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    rows, rest = [line.split() for line in lines if ": " not in line], [line for line in lines if ": " in line]
    if [len(row) for row in rows] != [world.width] * world.height:
        raise ValueError(f"{world.name} has {world.height} rows of {world.width} cells")
    cells = [cell for row in rows for cell in row]
    known = {EMPTY, WALL, AGENT, START, *"".join(world.symbols.values())}
    if strange := sorted(set("".join(cells)) - known):
        raise ValueError(f"{world.name} has no {strange[0]!r}; it has {' '.join(sorted(known))}")
    return cells, dict(line.split(": ", 1) for line in rest)


def _where(cells: list[str], character: str) -> int:
    """The one cell that holds a character; `HIDDEN` where none does."""
    found = [place for place, cell in enumerate(cells) if character in cell]
    if len(found) > 1:
        raise ValueError(f"{character!r} is in {len(found)} cells")
    return found[0] if found else HIDDEN


def _level(world: Any, cells: list[str], values: dict[str, str], start: str) -> Any:
    """The level that cells and lines describe, with the shapes and dtypes of the world's own."""
    shapes = jax.eval_shape(world.sample_level, jax.eval_shape(lambda: jax.random.key(0)), world.default_params)
    walls = np.array([WALL in cell for cell in cells])
    found: dict[str, Any] = {}
    for name, like in shapes._asdict().items():
        if name == "start":
            place = _where(cells, start)
            if place == HIDDEN:
                raise ValueError("there is no agent")
            found[name] = jnp.int32(place)
        elif name in world.symbols:
            places = [_where(cells, character) for character in world.symbols[name]]
            found[name] = jnp.asarray(np.reshape(places, like.shape), like.dtype)
        elif name == "walls":
            found[name] = jnp.asarray(walls)
        else:
            usual = np.broadcast_to(world.plain[name], like.shape).astype(like.dtype)
            found[name] = _read(values[name], usual) if name in values else jnp.asarray(usual)
    level = type(shapes)(**found)
    if (world.walls(level) != walls).any():
        raise ValueError(f"{world.name} has its walls elsewhere on this level")
    return level
