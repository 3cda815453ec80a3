"""A goal is told from what knows it, on policies that were held out, and not from what does not."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.decoding import concordance

SEEDS = 40


def policies(seed=0):
    """Policies of two conditions whose share of a goal is in a column; in another, only the condition."""
    generator = np.random.default_rng(seed)
    df = pd.DataFrame({"x": np.repeat([0.0, 1.0], SEEDS), "seed": np.tile(np.arange(SEEDS), 2)})
    noise = generator.normal(size=(2 * SEEDS, 12))
    share = np.clip(0.2 + 0.5 * df["x"] + 0.2 * generator.normal(size=2 * SEEDS), 0, 1)
    known = pd.DataFrame(noise, columns=[f"noise{i}" for i in range(12)])
    known["knows"], known["condition"] = share + 0.02 * noise[:, 0], df["x"] + 0.1 * noise[:, 1]
    return df.assign(share=share, intended=share > 0.5, **known)


DF = policies()
NOISE = [name for name in DF.columns if name.startswith("noise")]


def test_what_knows_the_goal_tells_it_and_noise_is_left_aside():
    found = analysis.decoded(DF, ["knows", *NOISE], "share").iloc[0]
    assert found["policies"] == 2 * SEEDS and found["concordance"] > 0.9
    assert found["low"] > 0.75 and found["p"] == 1 / 201


def test_a_label_is_told_as_a_share_is():
    found = analysis.decoded(DF, ["knows"], "intended", by=["x"])
    assert found["x"].to_list() == [0.0, 1.0] and (found["concordance"] > 0.95).all()
    positive = DF.groupby("x")["intended"].sum().to_numpy()
    assert (found["pairs"] == positive * (SEEDS - positive)).all()
    assert (found["low"] < found["concordance"]).all() and (found["high"] <= 1).all()


def test_a_condition_alone_tells_nothing_within_conditions():
    """Where every fold has a regression of its own, slopes by condition tell which labels it went without."""
    over_all = analysis.decoded(DF, ["condition"], "share").iloc[0]
    within = analysis.decoded(DF, ["condition"], "share", by=["x"])
    assert over_all["concordance"] > 0.7
    assert (analysis.decoded(DF, ["x"], "share", by=["x"])["concordance"] == 0.5).all()
    assert ((within["low"] < 0.5) & (within["high"] > 0.5)).all()


def test_random_labels_give_chance():
    found = [analysis.decoded(policies(seed)[SEEDS:], NOISE, "share", permutations=50) for seed in range(3)]
    assert all(one["low"][0] < 0.5 < one["high"][0] for one in found)
    assert all(abs(one["permuted"][0] - 0.5) < 0.04 for one in found)


def test_a_condition_that_was_held_out_is_told_where_the_rule_is_the_same():
    found = analysis.decoded(DF, ["knows", *NOISE], "share", hold_out="x", by=["x"])
    assert (found["concordance"] > 0.85).all()
    turned = DF.assign(knows=np.where(DF["x"] == 0, DF["knows"], -DF["knows"]))
    assert (analysis.decoded(turned, ["knows"], "share", hold_out="x", by=["x"])["concordance"] < 0.1).all()


def test_pairs_are_judged_by_the_other_folds():
    """In one fold, the feature that tells the target in the others tells the opposite."""
    fold, target = np.arange(2 * SEEDS) % 3, DF[["share"]].to_numpy()
    knows = np.where((fold == 2)[:, None], -target, target)
    pairs, found = concordance(knows, target, fold, (fold == 2).astype(int))
    assert pairs[1] > 300 and found[1, 0] == 0


def test_the_interval_has_a_width_where_all_pairs_are_in_order_and_covers_chance():
    few = DF[DF["x"] == 1].head(12).assign(knows=lambda df: df["share"])
    found = analysis.decoded(few, ["knows"], "share", folds=4).iloc[0]
    assert found["concordance"] == found["high"] == 1 and 0.6 < found["low"] < 0.95


def test_concordance_is_the_share_of_pairs_in_order_within_groups():
    # Folds 0 and 1 are judged by fold 2, in which the target rises with the feature.
    feature = np.array([[1.0], [2.0], [2.0], [0.0], [-1.0], [1.0]])
    target = np.array([[0.0], [1.0], [0.0], [0.0], [0.0], [1.0]])
    fold = np.array([0, 0, 1, 1, 2, 2])
    pairs, found = concordance(feature, target, fold, np.array([0, 0, 0, 0, 1, 1]))
    assert pairs.tolist() == [3, 1] and found[0].tolist() == pytest.approx([(1 + 0.5 + 1) / 3])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(features=["knws"]), "no column named 'knws'; nearest: knows"),
        (dict(features=["lacking"]), "lacking: 1 policies lack it or another feature; leave either out"),
        (dict(hold_out="one"), "one: has one value or none among the policies; expected two or more to hold out"),
    ],
)
def test_what_cannot_be_told_is_refused(change, said):
    lacking = DF["share"].mask(DF.index == 3)
    with pytest.raises(ValueError, match=said):
        analysis.decoded(DF.assign(lacking=lacking, one=1), **dict(features=["knows"], target="share") | change)
