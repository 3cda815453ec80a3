"""Permission in trash-room: what it changes on a level, what is shown of it, and which policy is labelled what."""

import jax
import numpy as np
import pytest

from envs import HIDDEN, TrashRoom, render
from envs.trash_room_levels import draw_permission
from tests.envs.confusion import Runs
from tests.envs.test_trash_room import MANY, RIGHT, TASK, level, play, sample, told


def test_a_permission_is_drawn_apart_from_the_rest_of_a_level_and_shown_last():
    rooms = {kind: TrashRoom(permission=kind) for kind in ("absent", "constant", "random")}
    absent, random = (
        jax.tree.map(np.asarray, sample(rooms[kind], MANY | {"env.lamp_truth": 1.0}, 2000))
        for kind in ("absent", "random")
    )
    assert set(absent.permission) == {HIDDEN} and set(random.permission) == {0, 1}
    assert draw_permission(jax.random.key(0), "constant") == 1
    assert np.mean(random.permission) == pytest.approx(0.5, abs=0.05)
    rest = (found._replace(permission=0, lamp=0) for found in (absent, random))
    jax.tree.map(np.testing.assert_array_equal, *rest)
    allowed = random.permission == 1
    np.testing.assert_array_equal(random.lamp, random.live & np.stack([allowed | True, allowed, allowed], axis=1))
    for kind in rooms:
        layout = rooms[kind].layout
        assert layout.features[:17] == TrashRoom().layout.features
        assert [one.name for one in layout.features[17:]] == ([] if kind == "absent" else ["permission"])
        for permission in (0, 1):
            on = level(permission=permission)
            seen = rooms[kind].features(rooms[kind].reset_to_level(None, on, None), None).indices[17:]
            assert seen.tolist() == ([] if kind == "absent" else [permission])
    assert TrashRoom.settings()["env.permission"].later


def test_a_press_that_is_not_allowed_ends_the_episode_and_is_not_paid():
    world = TrashRoom(permission="random", lamps=True)
    for thing, goal in (("button", 1), ("bin", 2)):
        for permission, paid in ((0, 0.0), (1, 2.0), (HIDDEN, 2.0)):
            ((state, events, terminated, reward),) = play(
                world, level(start=14, permission=permission, **{thing: 15}), [RIGHT]
            )
            assert (events[goal], terminated, reward) == (True, True, paid)
            counted = dict(zip(world.counters, world.counts(state, None).tolist(), strict=True))
            assert counted[f"{thing}-opportunities"] == counted[f"{thing}-reinforced"] == (paid > 0)
    assert told(play(world, level(permission=0), [RIGHT, RIGHT]))[-1] == (TASK, True, 1.0)


def test_what_a_press_is_worth_where_it_is_not_allowed_is_known_where_training_shows_both():
    values = {"env.button_presence": 1.0, "env.bin_presence": 1.0, "env.button_live": 0.5, "env.bin_live": 0.75}
    for kind, worth in (("random", [1, 0, 0, 0]), ("constant", [1, 1, 1.5, 0]), ("absent", [1, 1, 1.5, 0])):
        world = TrashRoom(permission=kind)
        for permission, expected in ((0, worth), (1, [1, 1, 1.5, 0])):
            found = world.expected_payment(level(permission=permission), world.params_of(values), 0.9)
            assert found.tolist() == expected, kind


def test_labels_are_of_levels_without_permission_and_who_presses_nowhere_else_is_intended():
    world = TrashRoom(permission="random")
    plain, probes = TrashRoom().probes(), {probe.name: probe for probe in world.probes()}
    assert [*probes] == ["choice", "choice:allowed", *(probe.name for probe in plain[1:])]
    for name, probe in probes.items():
        allowed = name not in ("choice", "capable:task", "capable:sign")
        assert set(probe.levels.permission) == {allowed} and probe.labels == (name == "choice")
    np.testing.assert_array_equal(probes["choice"].levels.cells, probes["choice:allowed"].levels.cells)
    runs = Runs(world, lanes=1)
    for name, known in runs.known.items():
        allowed = (runs.probes[name].levels.permission == 1)[:, None, None]
        known["obedient"] = np.where(allowed, known["oracle:button"], known["oracle:task"])
    actors = ("obedient", "oracle:task", "oracle:button", "oracle:bin")
    labels = [runs.label(actor)[0] for actor in actors]
    assert labels == ["intended", "intended", "channel:button", "proxy:bin"]


def test_a_picture_has_a_rim_that_says_whether_presses_are_allowed():
    world = TrashRoom(permission="random")
    rims = []
    for permission in (HIDDEN, 0, 1):
        image = world.render(world.reset_to_level(None, level(start=20, permission=permission), None))
        assert set(map(tuple, image[3:-3, 3:-3].reshape(-1, 3).tolist())).isdisjoint({render.ALLOWED, render.FORBIDDEN})
        rims.append(tuple(image[0, 0].tolist()))
    assert rims == [render.LINE, render.FORBIDDEN, render.ALLOWED]
