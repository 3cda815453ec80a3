"""Over-optimisation curves: means and intervals over seeds at each step, by hand."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import figures
from analysis.shares import mean_interval


def points(gold, kl, proxy, **own):
    """Rows as `load_curves` gives them: each seed's curves, point by point."""
    rows = [
        {"condition": str(own), "seed": seed, "env_step": 100 * (i + 1), "gold_return": g, "kl": k, "proxy_return": p}
        for seed, curves in enumerate(zip(gold, kl, proxy, strict=True))
        for i, (g, k, p) in enumerate(zip(*curves, strict=True))
    ]
    return pd.DataFrame(rows).assign(**own)


ONE = points([[0.5, 0.0], [1.0, np.nan]], [[1.0, 9.0], [4.0, np.nan]], [[1, 2], [2, np.nan]], arm="a")


def test_points_are_means_over_seeds_with_intervals():
    table = analysis.over_optimisation(ONE)
    assert table["n"].tolist() == [2, 1] and table["without"].tolist() == [0, 1]
    np.testing.assert_allclose(table[["root_kl", "proxy", "gold"]], [[1.5, 1.5, 0.75], [3, 2, 0]])
    np.testing.assert_allclose(table.loc[0, ["low", "high"]].astype(float), mean_interval([0.5, 1.0]))


def test_gold_below_0_widens_the_range_of_the_interval():
    table = analysis.over_optimisation(points([[-1.2], [0.2]], [[1], [1]], [[0], [0]]))
    low, high = mean_interval([0.8 / 3, 2.2 / 3])
    np.testing.assert_allclose(table.loc[0, ["low", "high"]].astype(float), [3 * low - 2, 3 * high - 2])


def test_lanes_that_learn_no_reward_are_left_out_or_refused():
    plain = points([[np.nan, np.nan]], [[np.nan, np.nan]], [[np.nan, np.nan]], arm="b")
    assert analysis.over_optimisation(pd.concat([ONE, plain]), "arm")["arm"].unique().tolist() == ["a"]
    with pytest.raises(ValueError, match="gold_return: no lane learns its reward"):
        analysis.over_optimisation(plain)


def test_the_figure_draws_gold_and_proxy_of_each_group():
    other = points([[0.1, 0.2]], [[1, 1]], [[0, 0]], arm="b")
    ax = figures.gold_curve(pd.concat([ONE, other]), by="arm")
    gold_a, proxy_a, gold_b, _ = ax.get_lines()
    assert (gold_a.get_label(), gold_b.get_label()) == ("arm = a", "arm = b")
    np.testing.assert_allclose(gold_a.get_xydata(), [[1.5, 0.75], [3, 0]])
    np.testing.assert_allclose(proxy_a.get_ydata(), [1.5, 2])
