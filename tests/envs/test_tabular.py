"""What is met on a level, and how far it is: in NumPy and traced."""

import numpy as np

from envs import CoinRun, tabular

ROOM = """
    . . . # . . .
    . A . # . . C
    . . . . . . .
"""


def table():
    world = CoinRun(height=3, width=7, wall="random")
    level = world.read_level(ROOM + "gap: 2")
    return tabular.tabulate(world, type(level)(*(np.asarray(leaf)[None] for leaf in level)))


def test_steps_lead_as_far_as_they_are_let_and_not_past_what_stops_them():
    rows = table()
    everywhere = tabular.met(rows, rows.terminated)[0].reshape(3, 7)  # but for walls, and the coin, where it is over
    assert everywhere[:, 3].tolist() == [False, False, True] and everywhere.sum() == 18
    assert tabular.met(rows, rows.terminated, most=1)[0].nonzero()[0].tolist() == [1, 7, 8, 9, 15]
    gap = np.zeros_like(rows.terminated)
    gap[0, 17] = True
    assert not tabular.met(rows, gap)[0].reshape(3, 7)[:, 4:].any()


def test_distances_and_steps_left_by_hand():
    rows = table()
    assert tabular.distances(rows, 0)[0, rows.start[0]] == 7  # down, five to the right, up
    assert tabular.steps_left(rows, 0)[0, rows.start[0]].tolist() == [9, 7, 9, 7]
    traced = tabular.traced_steps_left(rows.next_state[0], rows.events[0, ..., 0], rows.terminated[0])
    np.testing.assert_array_equal(traced, tabular.steps_left(rows, 0)[0].astype(np.float32))
