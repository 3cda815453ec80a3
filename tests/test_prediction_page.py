"""The comparisons of docs/studies/prediction.md, on made kernels and shares whose answers are known."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from analysis.prediction import PREDICTORS, Kernel, Pipeline, Pipelines, Stage

ROOT = Path(__file__).parents[1]
PREDICTION = (ROOT / "docs" / "studies" / "prediction.md").read_text()
_spec = importlib.util.spec_from_file_location("prediction_page", ROOT / "docs" / "prediction.py")
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)


def test_deviations_are_from_the_mean_of_the_seeds_that_decided():
    """Two pairs and three seeds; the third seed decided nothing of the second pair, where its share means nothing."""
    there = np.ones((2, 3, 2), bool)
    there[:, 2, 1] = False
    measured = np.array([[[0.1, 0.4], [0.2, 0.6], [0.3, 99]]] * 2)
    predicted = np.array([[[0.5, 0.2], [0.6, 0.4], [0.7, 0]], [[0.7, 0.4], [0.6, 0.2], [0.5, 0]]])
    np.testing.assert_allclose(page.along(measured, predicted, there), [1, -1])


@pytest.mark.slow
def test_the_page_on_a_predictor_of_ones_own_has_what_its_code_finds(monkeypatch, capsys):
    """On the tables that ship, and with the divergence of indifference that the page on predictors has."""
    monkeypatch.chdir(ROOT)
    text, names = (ROOT / "docs" / "own-predictor.md").read_text(), {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M):
        exec(block, names)
    assert "mine" in capsys.readouterr().out
    both = {"mine": names["fit"], "half": PREDICTORS["half"]}
    found = names["analysis"].compare_predictors(names["df"], names["pipelines"], ["three", "reversal"], both)
    mine, half, floor = found.round(3).to_dict("records")
    for kind in ("pipelines", "families"):
        assert f"{mine[kind]:.3f} " in text and f"[{mine[kind + '.low']:.3f}, {mine[kind + '.high']:.3f}]" in text
        said = f"{half[kind]:.3f} [{half[kind + '.low']:.3f}, {half[kind + '.high']:.3f}]"
        assert said in PREDICTION and f"{floor[kind]:.3f} [" in PREDICTION


def test_quotients_along_value_functions_by_hand():
    """Two kinds, red and blue; red is paid beside blue, so that its value is 1 on the row red - blue and 0 on others.

    K there is 2 of a mean diagonal of 3; along a colour, (1, 1, 0) or (-1, 0, 1), it is (2 + 3) / 2 and (2 + 4) / 2.
    """
    stage = Stage((1.0, 0.0), (0.0, 1.0), 1.0)
    pipelines = Pipelines(2, 1, (Pipeline("single-red", "single", (stage,)),))
    kernel = Kernel(np.ones((1, 2)), np.diag([2.0, 3, 4]).reshape(1, 1, 3, 1, 3), np.zeros((1, 1, 3)))
    (row,) = page.along_values(kernel, pipelines).to_dict("records")
    assert row["own"] == pytest.approx(2 / 3) and row["speed"] == pytest.approx(2 / 3)
    assert row["colour"] == pytest.approx((2.5 + 3) / 2 / 3) and row["shape"] == pytest.approx(3.5 / 3)
