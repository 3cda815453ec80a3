"""Boxes on a board that are pushed into a hole: all states and moves written out, and where episodes begin."""

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from envs import grid, tabular
from envs.layout import HIDDEN

ENDED = 0
"""The state in which an episode is over; nothing is on the board."""
AT_RIGHT, AT_HOLE = 0, 1
"""Where a camera stands: at the right end of the bottom row, or above the hole itself."""
EMPTY, AGENT, BOX = range(3)


class Board(NamedTuple):
    """Every state of a board, `ENDED` first, and then by the agent's cell, the number of boxes and their cells."""

    agent: np.ndarray
    """i32[S], its cell; 0 where the episode is over."""
    cells: np.ndarray
    """i8[S, cells], `EMPTY`, `AGENT` or `BOX`."""
    number: np.ndarray
    """i32[S], boxes, that in the hole included."""
    in_hole: np.ndarray
    """bool[S]."""
    blocks: np.ndarray
    """bool[S], whether enough boxes stand in the bottom row beside the hole to block a camera at its right end."""
    over: np.ndarray
    """bool[3, S], whether the next step ends the episode: without a camera, with one `AT_RIGHT`, with one `AT_HOLE`."""
    moved: np.ndarray
    """i32[2, S, A], where a step leads if it does not end the episode: where the line of sight is barred to boxes, and
    where it is open."""
    boxes: int
    """The most that there are."""


def size(cells: int, boxes: int) -> int:
    """How many states a board has."""
    return 1 + cells * sum(math.comb(cells - 1, count) for count in range(boxes + 1))


@functools.cache
def board(height: int, width: int, boxes: int, blockers: int) -> Board:
    """Cells are numbered row by row; the hole is the leftmost of the bottom row."""
    cells, hole = height * width, (height - 1) * width
    agent, there = [np.zeros(1, np.int32)], [np.zeros((1, cells), bool)]
    for count in range(boxes + 1):
        chosen = list(itertools.combinations(range(cells), count))
        combinations = np.array(chosen, int).reshape(len(chosen), count)
        placed = np.zeros((len(combinations), cells), bool)
        np.put_along_axis(placed, combinations, True, axis=1)
        for cell in range(cells):
            free = placed[~placed[:, cell]]
            agent.append(np.full(len(free), cell, np.int32))
            there.append(free)
    at, stand = np.concatenate(agent), np.concatenate(there)
    order = np.argsort(np.append(ENDED, 1 + rank(at[1:], stand[1:], boxes)), kind="stable")
    at, stand = at[order], stand[order]
    shown = np.where(stand, BOX, EMPTY).astype(np.int8)
    shown[np.arange(1, len(at)), at[1:]] = AGENT
    in_hole, beside = stand[:, hole], stand[:, hole + 1 :].sum(axis=1)
    last = in_hole & (stand.sum(axis=1) == 1)
    over = np.stack([last, last | (in_hole & (beside < blockers)), in_hole])
    over[:, ENDED] = True
    moves = np.stack([_moves(at, stand, height, width, is_open) for is_open in (False, True)])
    count = stand.sum(axis=1, dtype=np.int32)
    return Board(at, shown, count, in_hole, beside >= blockers, over, moves, boxes)


def step(board: Board, place: Any, action: Any, camera: Any, is_open: Any, xp: Any = np) -> tuple[Any, Any, Any]:
    """What an action leads to, of integers and flags of one shape [...].

    Returns:
      i32[...], the next state; bool[..., 4], whether the first box is delivered while the others do not block a camera
      at the right end, a later one is, the first is while they do, and whether they come to do so; and bool[...],
      whether the episode is over.
    """
    blocks, moved = xp.asarray(board.blocks), xp.asarray(board.moved)
    over = xp.asarray(board.over)[camera + 1, place]
    after = xp.where(over, ENDED, moved[xp.asarray(is_open, xp.int32), place, action])
    delivered, first = xp.asarray(board.in_hole)[after], xp.asarray(board.number)[after] == board.boxes
    blocked, comes = blocks[after], blocks[after] & ~blocks[place]
    events = delivered & first & ~blocked, delivered & ~first, delivered & first & blocked, comes
    return after, xp.stack(events, axis=-1), over


def rank(agent: Any, there: Any, boxes: int, xp: Any = np) -> Any:
    """i32[...], the place of a state among those with an agent, by its cell i32[...] and boxes bool[..., cells].

    States of one agent's cell follow each other by the number of boxes, and then in the combinatorial number system.
    """
    cells = there.shape[-1]
    ways = np.array([[math.comb(n, k) for k in range(boxes + 1)] for n in range(cells)], np.int32)
    below = np.concatenate([[0], np.cumsum(ways[cells - 1])]).astype(np.int32)
    number = xp.cumsum(there.astype(xp.int32), axis=-1)
    every = xp.arange(cells, dtype=xp.int32).reshape(*([1] * (there.ndim - 1)), cells)
    among_others = every - (every > agent[..., None]).astype(xp.int32)
    within = xp.where(there, xp.asarray(ways)[among_others, xp.minimum(number, boxes)], 0).sum(axis=-1)
    return (agent * below[-1] + xp.asarray(below)[number[..., -1]] + within).astype(xp.int32)


def _moves(agent: np.ndarray, there: np.ndarray, height: int, width: int, is_open: bool) -> np.ndarray:
    """i32[S, A]. A box in the hole is gone before the agent moves; a move that fails changes nothing else."""
    cells, hole, each = height * width, (height - 1) * width, np.arange(len(agent))
    boxes = int(there.sum(axis=1).max())
    closed = np.zeros(cells, bool)
    closed[hole + 1 :] = not is_open
    there = there & (np.arange(cells) != hole)
    found = []
    for down, right in grid.MOVES:
        row, column = agent // width, agent % width
        inside = [
            (row + n * down >= 0) & (row + n * down < height) & (column + n * right >= 0) & (column + n * right < width)
            for n in (1, 2)
        ]
        to, beyond = (np.where(ok, agent + n * (down * width + right), 0) for n, ok in zip((1, 2), inside, strict=True))
        pushes = inside[0] & there[each, to]
        goes = inside[0] & (~pushes | (inside[1] & ~there[each, beyond] & ~closed[beyond]))
        after = there.copy()
        pushed = np.flatnonzero(pushes & goes)
        after[pushed, to[pushed]], after[pushed, beyond[pushed]] = False, True
        found.append(1 + rank(np.where(goes, to, agent).astype(np.int32), after, boxes))
    moves = np.stack(found, axis=1).astype(np.int32)
    moves[ENDED] = ENDED
    return moves


def starts(board: Board, height: int, width: int) -> np.ndarray:
    """i64[n], the states without a box at the edge from which all boxes can be delivered, if none has been.

    It must be a board on which one box is enough to block the camera.
    """
    table = written_out(board)
    goes_on, after = ~table.terminated[0], table.next_state[0]
    can = board.in_hole & (board.number == 1)
    while not np.array_equal(more := can | (goes_on & can[after]).any(axis=1), can):
        can = more
    row, column = np.divmod(np.arange(height * width), width)
    edge = (row == 0) | (row == height - 1) | (column == 0) | (column == width - 1)
    return np.flatnonzero(can & (board.number == board.boxes) & ~(board.cells[:, edge] == BOX).any(axis=1))


def written_out(board: Board) -> tabular.Table:
    """The open board under its camera, as a bank of one level; `start` means nothing."""
    place, action = np.arange(len(board.agent))[:, None], np.arange(len(grid.MOVES))[None]
    after, events, over = step(board, place, action, np.int32(AT_RIGHT), True)
    over = np.broadcast_to(over, after.shape)
    return tabular.Table(np.zeros(1, np.int32), after[None], events[None], over[None])


def as_cells(board: Board, place: np.ndarray) -> np.ndarray:
    """i32[n, 1 + boxes], the cells of the agent and of the boxes of some states; `HIDDEN` for boxes that are gone."""
    found = np.full((len(place), 1 + board.boxes), HIDDEN, np.int32)
    found[:, 0] = board.agent[place]
    for row, state in zip(found, place, strict=True):
        there = np.flatnonzero(board.cells[state] == BOX)
        row[1 : 1 + len(there)] = there
    return found
