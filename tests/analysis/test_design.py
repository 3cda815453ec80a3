"""What decides the statistics is in the rows: conditions by their identity, pairs, and how many seeds were meant."""

import warnings

import pandas as pd
import pytest

import envs
from analysis import (
    compare,
    dose_response,
    effect_of_dose,
    exchangeability,
    figures,
    monotone,
    rates,
    shares,
    tipping_dose,
)
from analysis.design import SETTINGS, factors_of, pooled_factors, without_effect

LABELS = pd.CategoricalDtype(["intended", "mixed"], ordered=True)


def lanes(conditions: dict[str, dict], seeds: int = 8, **columns) -> pd.DataFrame:
    """Rows as `load` gives them, half of each condition intended; without attributes."""
    rows = [
        {"condition": condition, "master_seed": 0, "seed": seed, "world": "w", "learner": "ppo", "share.a": 0.5}
        | {"label": LABELS.categories[seed % 2], "return_total": float(seed), **own}
        for condition, own in conditions.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).astype({"label": LABELS}).assign(**columns)


TWO = {"c0": {"env.x": 1.0, "learner": "ppo"}, "c1": {"env.x": 1.0, "learner": "a2c"}}
CALLS = {
    "rates": lambda df: rates(df, "env.x"),
    "shares": lambda df: shares(df, "share.a", "env.x"),
    "monotone": lambda df: monotone(df, "env.x", "share.a"),
    "compare": lambda df: compare(df, "env.x", label="intended"),
    "tipping": lambda df: tipping_dose(df, "env.x", "intended"),
    "response": lambda df: dose_response(df, "env.x", "intended"),
    "effect": lambda df: effect_of_dose(df, "env.x", "return_total", "share.a"),
    "exchangeability": lambda df: exchangeability(df, ["share.a", "return_total"], "env.x"),
    "dose figure": lambda df: figures.dose_curve(df, "env.x", "intended"),
    "share figure": lambda df: figures.share_curve(df, "env.x", "share.a"),
    "stack": lambda df: figures.label_stack(df, "env.x"),
    "lines": lambda df: figures.seed_lines(df.assign(checkpoint=1.0), "share.a"),
    "training": lambda df: figures.training_curve(df.assign(update=1), "return_total"),
    "gold": lambda df: figures.gold_curve(df.assign(env_step=1, gold_return=0.5, proxy_return=1.0, kl=1.0)),
    "contingency": lambda df: figures.contingency_matrix(df.assign(keys="paired"), "env.x"),
    "histogram": lambda df: figures.share_histogram(df, "share.a", "env.x"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_group_of_several_conditions_is_told_whatever_was_declared(call):
    """The folders have no factor but env.x, and their learners differ."""
    df = lanes(TWO | {"c2": {"env.x": 2.0}})
    df.attrs["factors"] = ["env.x"]
    with pytest.warns(UserWarning, match=r"pooled over (env.x, )?learner: lanes of different conditions count alike"):
        CALLS[call](df)


def test_conditions_that_no_column_tells_apart_are_told_too():
    df = lanes({"c0": {}, "c1": {}})
    with pytest.warns(UserWarning, match="pooled over settings that no column shows"):
        rates(df)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates(df, "condition")


def test_rows_of_one_lane_are_told_where_they_would_count_as_seeds():
    df = pd.concat([lanes({"c0": {}}).assign(checkpoint=share) for share in (0.5, 1.0)], ignore_index=True)
    with pytest.warns(UserWarning, match="pooled over checkpoint"):
        shares(df, "share.a")
    assert pooled_factors(df, ["checkpoint"]) == []


def test_what_each_seed_draws_for_itself_is_no_condition():
    df = lanes({"c0": {"env.x": 1.0}, "c1": {"env.x": 2.0}})
    df["learner.learning_rate"] = df.index / 100
    df.attrs["factors"] = ["env.x", "learner.learning_rate"]
    assert factors_of(df) == ["env.x"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates(df, "env.x")


def test_pairs_and_stopping_outlive_a_merge():
    """McNemar's p of 0 gained and 5 lost is 2 / 2^5; the confidence sequence of 0 of 2 ends at 0.56, not at 0.66."""
    df = lanes({"c0": {"env.x": 1.0}, "c1": {"env.x": 2.0}}, 5, keys="paired", adaptive=True)
    df["label"] = pd.Categorical(["intended"] * 5 + ["mixed"] * 5, dtype=LABELS)
    merged = df.merge(pd.DataFrame({"seed": range(5), "more": 1}), on="seed")
    merged["return_total"] += merged["env.x"]
    merged.attrs.clear()
    with pytest.warns(UserWarning, match="seeds were added until intervals were narrow"):
        (row,) = compare(merged, "env.x", label="mixed").to_dict("records")
    assert row["p"] == 2 / 2**5
    sequence = rates(merged, "env.x", method="sequence")
    pd.testing.assert_frame_equal(rates(merged, "env.x"), sequence)
    with pytest.warns(UserWarning, match="keys were paired: intervals take"):
        tipping_dose(merged, "env.x", "intended")
    fixed = merged.assign(adaptive=False)
    assert (rates(fixed, "env.x")["high"] != sequence["high"]).any()


def test_every_setting_of_a_world_is_known_as_one():
    assert {key.partition(".")[0] for key in envs.settings("trash-room")} <= set(SETTINGS)
    assert factors_of(pd.DataFrame({"lives.moves": [0.0, 0.5], "ask.price": [0.1, 0.2], "share.coin": [0.0, 1.0]})) == [
        "lives.moves", "ask.price"
    ]  # fmt: skip


GRID = {f"{x}-{y}": {"env.x": x, "learner.y": y} for x in (1.0, 100.0) for y in (0.9999, 0.99995, 1.0)}


def test_a_factor_without_effect_is_told():
    df = lanes(GRID, keys="paired")
    df["return_total"] += df["learner.y"] * (df["learner.y"] < 0.99999)
    assert list(without_effect(df)) == [("env.x", "1", "100")]
    with pytest.warns(UserWarning, match="env.x: 1 and 100 gave identical lanes, seed by seed: it had no effect"):
        rates(df, ["env.x", "learner.y"])
    with pytest.warns(UserWarning, match="env.x: 1 and 100 gave identical lanes"):
        compare(df, "env.x", within="learner.y", label="intended")
    df["return_total"] = df["env.x"] + df["learner.y"].replace(0.99995, 0.9999)
    assert list(without_effect(df)) == [("learner.y", "0.9999", "0.99995")], "of three values two are as one"


def test_a_factor_that_has_an_effect_somewhere_or_unpaired_seeds_say_nothing():
    df = lanes(GRID, keys="paired")
    last = (df["env.x"] == 100) & (df["learner.y"] == 1) & (df["seed"] == 7)
    changed = df.assign(return_total=df["return_total"] + df["learner.y"] * 10 + last)
    assert list(without_effect(changed)) == []
    assert list(without_effect(df.assign(keys="independent"))) == []
    assert list(without_effect(df.drop(columns="return_total"))) == [], "equal labels alone are no evidence"
