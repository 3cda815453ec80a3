"""The effect of a dose by what was assigned, where what policies are like moves dose and outcome together."""

import numpy as np
import pandas as pd
import pytest

from analysis import effect_of_dose
from analysis.instrument import instrumented


def seeds(random: np.random.Generator, n: int, strength: float) -> pd.DataFrame:
    """The effect is 0.5; a regression of outcome on dose finds about 1.2."""
    assigned, like, more, noise = np.repeat([0.0, 1.0], n // 2), *random.normal(size=(3, n))
    dose = strength * assigned + 0.8 * like + 0.5 * more
    return pd.DataFrame({"forced": assigned, "dose": dose, "y": 0.5 * dose + like + 0.5 * noise})


def test_it_is_walds_estimate_and_the_ends_are_just_not_rejected():
    df = seeds(np.random.default_rng(0), 200, 2.0)
    row = effect_of_dose(df, "forced", "dose", "y").iloc[0]
    off, on = (df[df["forced"] == value] for value in (0, 1))
    gain, paid = on["y"].mean() - off["y"].mean(), on["dose"].mean() - off["dose"].mean()
    assert row["per_assignment"] == pytest.approx(paid) and row["estimate"] == pytest.approx(gain / paid)
    assert row["low"] < 0.5 < row["high"] and not row["weak"] and row["note"] == ""
    for end in (row["low"], row["high"]):
        left = [part["y"] - end * part["dose"] for part in (off, on)]
        # HC3 of two groups: the squared deviations over (n - 1)^2, whatever the group.
        error = sum(((one - one.mean()) ** 2).sum() / (len(one) - 1) ** 2 for one in left)
        assert (left[1].mean() - left[0].mean()) ** 2 / error == pytest.approx(3.889, abs=2e-3)  # F(1, 198)


@pytest.mark.parametrize(("n", "strength"), [(32, 1.0), (128, 0.3), (128, 0.0)])
def test_its_interval_covers_however_weak_the_instrument(n, strength):
    random = np.random.default_rng(1)
    found = [instrumented(*seeds(random, n, strength).to_numpy().T) for _ in range(1000)]
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.94
    if strength == 0:
        assert np.mean([np.isinf(one.high) and one.weak for one in found]) >= 0.93


def test_an_assignment_that_does_not_move_the_dose_is_said_to_be_none():
    df = pd.DataFrame({"forced": [0, 0, 0, 1, 1, 1], "dose": [1, 2, 3] * 2, "y": [0, 1, 0, 1, 1, 0]})
    row = effect_of_dose(df, "forced", "dose", "y").iloc[0]
    assert row["weak"] and (row["low"], row["high"]) == (-np.inf, np.inf) and row["note"].startswith("unbounded")
    with pytest.raises(ValueError, match="forced: expected at least two values"):
        effect_of_dose(df.assign(forced=1), "forced", "dose", "y")
    with pytest.raises(ValueError, match="label: not numbers; make a label a column of truths"):
        effect_of_dose(df.assign(label="intended"), "forced", "dose", "label")
    with pytest.raises(ValueError, match="nearest: forced"):
        effect_of_dose(df, "force", "dose", "y")
