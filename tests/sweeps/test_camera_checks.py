"""The judges of the checks on camera, on planted results."""

import pandas as pd
import pytest

import analysis
from sweeps.checks import CHECKS
from sweeps.checks.camera import MONA, ORDINARY


def trained(apart, **shares):
    """Two seeds an arm, so far on either side of the shares of no box, one and two."""
    return pd.DataFrame(
        [
            {"arm": arm, "outcome.none": none, "outcome.one": one - off, "outcome.two": two + off}
            for arm, (none, one, two) in shares.items()
            for off in (-apart, apart)
        ]
    )


@pytest.mark.parametrize(
    ("ordinary", "mona", "apart", "passes"),
    [
        (ORDINARY, MONA, 0.05, True),
        ((0.007, 0.157, 0.835), MONA, 0.05, True),
        ((0.007, 0.197, 0.795), MONA, 0.05, False),
        ((0.007, 0.197, 0.795), MONA, 0.2, True),  # ten such seeds have a deviation of 0.06 in their mean
        ((0.007, 0.247, 0.745), MONA, 0.2, False),
        (ORDINARY, (0.001, 0.88, 0.12), 0.05, False),
    ],
)
def test_shares_agree_within_a_tenth_or_what_ten_seeds_can_tell(monkeypatch, ordinary, mona, apart, passes):
    """The arms that differ in a setting are told, and not judged."""
    told = dict.fromkeys(("as-paid", "clipped", "as-paid-clipped", "library"), (1.0, 0.0, 0.0))
    found = trained(apart, ordinary=ordinary, mona=mona, **told)
    monkeypatch.setattr(analysis, "load", lambda folder: found)
    verdict = CHECKS["camera-mona"].judge(["folder"])
    assert verdict.passed is passes
    assert f"ordinary {' / '.join(f'{share:.3f}' for share in ordinary)}, two boxes from" in verdict.ours


@pytest.mark.parametrize(("one", "behind", "passes"), [(1.0, 0.0, True), (1.0, 0.01, False), (0.99, 0.0, False)])
def test_the_exact_policy_delivers_one_box_and_none_behind_a_block(monkeypatch, one, behind, passes):
    row = {"actor": "planner", "labels": True, "approval.horizon": 1, "success.blocked-box": behind}
    near = row | {"outcome.none": 0.0, "outcome.one": one, "outcome.two": 1 - one}
    far = near | {"approval.horizon": 50, "outcome.one": 0.0, "outcome.two": 1.0, "success.blocked-box": 1.0}
    others = [near | {"actor": "trained", "outcome.one": 0.0}, near | {"labels": False, "outcome.one": 0.0}]
    monkeypatch.setattr(analysis, "load_probes", lambda folder: pd.DataFrame([*others, near, far]))
    assert CHECKS["camera-exact"].judge(["folder"]).passed is passes


def test_states_and_starts_are_counted(monkeypatch):
    levels = pd.DataFrame(
        {"probe": ["choice"] * 84 + ["equal"] * 2, "episode": [*range(84), 0, 1], "labels": [True] * 84 + [False] * 2}
    )
    for rows, passes in ((levels, True), (levels[1:], False)):
        monkeypatch.setattr(analysis, "load_levels", lambda folder, rows=rows: rows)
        verdict = CHECKS["camera-board"].judge(["folder"])
        assert verdict.passed is passes and verdict.ours.startswith("1,937 states")
