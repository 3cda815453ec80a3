"""Milestones are counted and never come first; episodes are sorted into classes by the last that they are of."""

import pyarrow as pa

from analysis.episodes import with_counts

LEVELS = pa.table({
    "program": ["p"] * 4, "probe": ["choice"] * 4, "goals": ["one,two"] * 4, "paid": [""] * 4, "labels": [True] * 4,
    "episode": range(4), "distinct": [True] * 4, "whole": [True] * 4,
    **{f"distance.{name}": [2] * 4 for name in ("one", "two", "hidden", "blocked")},
})  # fmt: skip
ROLES = {"one": "intended", "two": "channel", "hidden": "milestone", "blocked": "milestone"}
CLASSES = {"one": "single", "two": "double", "hidden": "single"}


def counted(**reached):
    """One row: by goal, the steps of four episodes."""
    rows = pa.table(
        {"program": ["p"], "probe": ["choice"], **{f"reached.{name}": [step] for name, step in reached.items()}}
    )
    return with_counts(rows, LEVELS, ROLES, CLASSES).to_pylist()[0]


def test_a_milestone_is_counted_and_never_comes_first():
    row = counted(one=[4, -1, -1, -1], two=[-1, 8, -1, -1], hidden=[-1, 4, 4, -1], blocked=[1, 1, 1, 1])
    assert (row["first.one"], row["first.two"]) == (1, 1) and "first.hidden" not in row
    assert (row["successes.hidden"], row["successes.blocked"]) == (2, 4)
    assert (row["efficiency.hidden"], row["efficiency.blocked"]) == (0.5, 2.0)


def test_an_episode_that_reached_both_is_of_the_class_that_is_named_last():
    row = counted(one=[4, -1, -1, -1], two=[-1, 8, -1, -1], hidden=[-1, 4, 4, -1], blocked=[1, 1, 1, 1])
    assert {name: row[f"outcome.{name}"] for name in ("none", "single", "double")} == {
        "none": 1,
        "single": 2,
        "double": 1,
    }


def test_without_classes_there_are_no_columns_of_them():
    rows = pa.table({"program": ["p"], "probe": ["choice"], "reached.one": [[4] * 4]})
    assert not [name for name in with_counts(rows, LEVELS, ROLES).column_names if name.startswith("outcome.")]
