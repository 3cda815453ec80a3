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
    found = [instrumented(*seeds(random, n, strength).to_numpy().T) for _ in range(300)]
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.93
    if strength == 0:
        assert np.mean([np.isinf(one.high) and one.weak for one in found]) >= 0.9


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


def test_seeds_that_all_agree_have_an_interval_with_a_width():
    """Of 32 in each arm none has the outcome: four more seeds are one with and one without it in each arm.

    With doses of 0 and 10 on average the interval is that of the difference, over 10; Agresti and Caffo's error of
    it is the root of 2 x (1/34)(33/34)/34.
    """
    dose = np.concatenate([np.tile([-1.0, 1.0], 16), np.tile([9.0, 11.0], 16)])
    found = instrumented(np.repeat([0.0, 1.0], 32), dose, np.zeros(64))
    half = 1.999 * np.sqrt(2 * (1 / 34) * (33 / 34) / 34) / 10
    assert found.estimate == 0 and not found.weak and found.note == ""
    assert (found.low, found.high) == pytest.approx((-half, half), rel=0.02)
    apart = instrumented(np.repeat([0.0, 1.0], 32), dose, np.repeat([0.0, 1.0], 32))
    assert apart.low < 0.09 < 0.105 < apart.high


def test_doses_that_all_agree_are_not_known_without_error():
    found = instrumented(np.repeat([0.0, 1.0], 4), np.repeat([0.0, 1.0], 4), np.repeat([0.0, 1.0], 4))
    assert found.first_stage_f == pytest.approx(21.6) and found.low < 0.5 and found.high > 2


def test_what_bounds_nothing_is_said_to():
    one, random = np.repeat([0.0, 1.0], [15, 1]), np.random.default_rng(0)
    alone = instrumented(one, one * 10 + random.normal(size=16), one)
    assert np.isnan(alone.first_stage_f) and alone.weak and alone.high == np.inf and "a single seed" in alone.note
    arms = np.repeat([0.0, 1.0], 8)
    same = instrumented(arms, arms * 10 + random.normal(size=16), np.full(16, 7.0))
    assert same.high == np.inf and same.note.startswith("unbounded: all outcomes are the same")
    still = instrumented(arms, np.full(16, 3.0), arms)
    assert still.high == np.inf and still.note.startswith("unbounded: the assignment may not move the dose")
    few = instrumented(arms[5:-5], arms[5:-5], arms[5:-5])
    assert few.n == 6 and few.note.startswith("few: below 8 seeds")


@pytest.mark.parametrize(("n", "rates"), [(8, (0.0, 0.05)), (8, (0.02, 0.1)), (16, (0.0, 0.5)), (64, (0.0, 0.05))])
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_the_effect_on_a_rate_is_covered(n, rates, share):
    """400 data sets each; a quarter of the seeds, or half, are in the second arm."""
    random = np.random.default_rng(0)
    arm = (np.arange(n) >= n * (1 - share)).astype(float)
    dose = arm * 10 + random.normal(size=(400, n))
    has = random.random((400, n)) < np.where(arm > 0, rates[1], rates[0])
    found = [instrumented(arm, *both) for both in zip(dose, has.astype(float), strict=True)]
    truth = (rates[1] - rates[0]) / 10
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.91, "400 data sets know it to 0.02"
    assert min(one.high - one.low for one in found) > 0
