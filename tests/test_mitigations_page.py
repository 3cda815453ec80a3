"""The verdicts of docs/mitigations.py, on made shares whose answers are known."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

_spec = importlib.util.spec_from_file_location(
    "mitigations_page", Path(__file__).parents[1] / "docs" / "mitigations.py"
)
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)

SEEDS = 32


def lanes(**shares):
    """Arms of 32 seeds; those of `narrow` are all incapable."""
    rows = [
        {"arm": arm.replace("_", "-"), "seed": seed, "share": share, "capable": arm != "narrow"}
        for arm, values in shares.items()
        for seed, share in enumerate(np.broadcast_to(values, SEEDS))
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_each_arm_is_held_against_the_baseline_seed_by_seed_and_against_its_own_control():
    base = np.linspace(0, 0.5, SEEDS)
    table = page.compared(
        lanes(baseline=base, cloned=base + 0.2, kl=base + 0.2, entropy=base[::-1], decay=0.0, narrow=base + 0.5)
    ).set_index(["arm", "against"])
    assert table["verdict"].to_dict() == {
        ("cloned", "baseline"): "helps",
        ("decay", "baseline"): "harms",
        ("entropy", "baseline"): "no difference shown",
        ("kl", "baseline"): "helps",
        ("narrow", "baseline"): "incapable",
        ("kl", "cloned"): "no difference shown",
    }
    np.testing.assert_allclose(table.loc[("cloned", "baseline"), "difference"], 0.2)
    assert table.loc[("kl", "cloned"), ["low", "high"]].tolist() == sorted(table.loc[("kl", "cloned"), ["low", "high"]])
    assert (table["n"] == SEEDS).all()


def test_p_values_are_of_all_sign_flips_and_corrected_for_the_family():
    change = np.array([1.0, 2, 3])  # of 8 flips, two are as far from 0
    assert page.sign_flips(change) == 0.25 and page.sign_flips(np.zeros(3)) == 1
    one = page.compared(lanes(baseline=np.linspace(0, 0.5, SEEDS), decay=0.3))
    two = page.compared(lanes(baseline=np.linspace(0, 0.5, SEEDS), decay=0.3, entropy=0.3))
    np.testing.assert_allclose(two["p_holm"], 2 * one["p_holm"][0])
