"""The comparisons of docs/pipelines.py, on made tables of preferences whose answers are known."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
_spec = importlib.util.spec_from_file_location("pipelines_page", DOCS / "pipelines.py")
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)


RULES = ("order", "persistence", "inhibition", "salience", "optimiser")


def going_by(*scores):
    """f64[seeds, kinds, kinds]: for each seed, kinds in the order of a score; of equals each half of 16 episodes."""
    return np.stack([8 + 8 * np.sign(score[:, None] - score[None]) for score in np.array(scores, float)])


COLOUR, SHAPE = np.divmod(np.arange(24), 6)
BY_COLOUR, BY_SHAPE = -COLOUR, -SHAPE


@pytest.mark.slow
def test_the_page_has_the_numbers_of_the_shipped_table_of_preferences():
    """34 numbers: means with their intervals, shares of choices, and counts of comparisons."""
    found = page.wins(str(DOCS / "studies" / "pipelines"))
    text = (DOCS / "pipelines.md").read_text().replace("\N{MINUS SIGN}", "-")

    def mean(terms):
        every = [(weight / len(terms), *rest) for some in terms for weight, *rest in some]
        return str(page.contrast(found, "mean", every))

    def order(pairs):
        both = [(f"two-{a}-{b}", f"two-{b}-{a}", page.conflict(a, b)) for a, b in pairs]
        return mean([[(1, there, 1.0, measure), (-1, back, 1.0, measure)] for there, back, measure in both])

    def persistence(pairs):
        both = [(a, b, page.pull(a, [b])) for pair in pairs for a, b in (pair, pair[::-1])]
        return mean([[(1, f"two-{a}-{b}", 1.0, m), (-1, f"single-{b}", 0.5, m)] for a, b, m in both])

    colours, shapes = ("red", "green", "violet"), ("square", "disc", "ring")
    across = list(itertools.product(colours, shapes))
    within = [*itertools.combinations(colours, 2), *itertools.combinations(shapes, 2)]
    inhibition, salience = page.inhibition(found)[-1], page.salience(found)
    expected = [order(across + within), order(across), order(within)]
    expected += [persistence(across + within), persistence(across), persistence(within), str(inhibition)]
    expected += [str(salience[-1]), *(f"{one.value:.2f}" for one in salience if one.name.startswith("colours x"))][:3]
    for first, second in (("red", "square"), ("square", "red")):
        measure = page.pull(first, [second])
        for pipeline, at in ((f"two-{first}-{second}", 1.0), (f"single-{second}", 0.5)):
            expected.append(f"{np.nanmean(measure(found[pipeline, at])):.2f}")
    verdicts = page.verdicts({rule: getattr(page, rule)(found) for rule in RULES})
    assert verdicts["order"].startswith("matters in 12 of 15") and verdicts["optimiser"] == "no difference in 6 of 12"
    expected += ["12 of 15 pairs", "6 of 12 comparisons"]
    assert len(expected) == 16 and not [one for one in expected if one not in text]


def test_pulls_and_conflicts_of_made_policies():
    table = going_by(BY_COLOUR, BY_SHAPE, np.zeros(24))
    np.testing.assert_array_equal(page.pull("red")(table), [1.0, 0.5, 0.5])
    np.testing.assert_array_equal(page.pull("square", ["red"])(table)[[1, 2]], [1.0, 0.5])
    np.testing.assert_array_equal(page.conflict("red", "square")(table), [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(page.conflict("green", "red")(table), [0.0, 0.5, 0.5])
    assert np.isnan(page.pull("red")(np.zeros((1, 24, 24)))).all(), "nothing was decided"


def test_a_contrast_is_a_sum_of_means_with_the_interval_of_welch():
    """Two seeds each, 1 and 0.5 less 0 and 0.5: 0.5, by hand with variance 1/16 + 1/16, 2 degrees of freedom."""
    found = {("a", 1.0): going_by(BY_COLOUR, np.zeros(24)), ("b", 1.0): going_by(BY_SHAPE, np.zeros(24))}
    measure = page.conflict("red", "square")
    one = page.contrast(found, "x", [(1, "a", 1.0, measure), (-1, "b", 1.0, measure)])
    wide = 4.302652729911275 * np.sqrt(1 / 8)
    assert (one.value, one.low, one.high) == pytest.approx((0.5, 0.5 - wide, 0.5 + wide))
    same = page.contrast(found, "x", [(1, "a", 1.0, measure), (-1, "a", 1.0, measure)])
    assert (same.value, same.low, same.high) == (0, 0, 0), "of the same seeds, a difference is taken seed by seed"


def test_the_rules_read_the_preset():
    """Every pipeline that a comparison asks for is in the preset, and policies that go by what came last follow."""
    from sweeps.spec import load_spec

    scores = {name: np.array([HAS_OF[name][kind] for kind in range(24)], float) for name in HAS_OF}
    rng, found = np.random.default_rng(0), {}
    for pipeline, one in load_spec("pipelines").pipelines.items():
        last = one.stages[-1].split("_")[0]
        score = scores.get(last, np.zeros(24))
        for at in (0.5, 1.0):
            found[pipeline, at] = going_by(*(score + 1e-3 * rng.random(24) for _ in range(3)))
    every = {rule: getattr(page, rule)(found) for rule in RULES}
    assert [len(rows) for rows in every.values()] == [16, 31, 5, 6, 12]
    assert all(one.value == pytest.approx(-1) for one in every["order"]), "what came last won"
    assert abs(every["persistence"][-1].value) < 0.1
    said = page.verdicts(every)
    assert said["order"] == "matters in 15 of 15 pairs; as a whole: yes"
    assert said["persistence"] == said["inhibition"] == said["salience"] == "no"


HAS_OF = {name: page.HAS[place] for name, place in page.FEATURES.items()}
