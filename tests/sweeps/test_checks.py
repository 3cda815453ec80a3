"""Every check can be run and says what it holds against what; one that has to fail fails; none is left out."""

import dataclasses
import functools
import json

import numpy as np
import pandas as pd
import pytest

from sweeps import load_spec
from sweeps.checks import CHECKS, Check, Result, Verdict, as_markdown, check, published, registry, running
from sweeps.cli import main
from sweeps.running import RunSummary

TEXTS = {
    "claim": "Weights stay.",
    "source": "A paper",
    "address": "https://example.org",
    "theirs": "0",
    "rule": "equal",
}


@pytest.mark.parametrize("one", CHECKS.values(), ids=CHECKS)
def test_a_check_says_everything_and_its_specs_are_accepted(one):
    for text in (one.name, one.claim, one.source, one.theirs, one.rule):
        assert text.strip() and "\n" not in text
    assert one.address.startswith("https://")
    assert one.specs
    for spec in one.specs:
        assert load_spec(spec).probe_at[-1] == 1


def test_equal_names_of_sweeps_mean_equal_specs():
    """Because checks share a folder by its name."""
    seen = {}
    for one in CHECKS.values():
        for spec in one.specs:
            assert seen.setdefault(spec["name"], spec) == spec


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr(registry, "CHECKS", {"taken": CHECKS["always-right"]})
    with pytest.raises(ValueError, match="taken: two checks have this name"):
        check("taken", **TEXTS, specs=CHECKS["always-right"].specs)(lambda folders: Verdict("", True))


def test_cleanrl_is_compared_under_the_settings_of_the_preset():
    (spec,) = CHECKS["cartpole-cleanrl"].specs
    assert load_spec(spec).fixed == load_spec("cartpole").fixed


@pytest.mark.slow
def test_checks_run_judge_and_exit_with_1_if_one_fails(monkeypatch, tmp_path, capsys):
    """A theorem end to end, and the same sweep held against a planted falsehood, nothing, and what cannot be judged."""
    theorem = CHECKS["always-right"]
    theorem = dataclasses.replace(theorem, specs=[theorem.specs[0] | {"factors": {"env.length": [4]}}])
    planted = {"always-right": theorem}
    monkeypatch.setattr(registry, "CHECKS", planted)
    monkeypatch.setattr(running, "CHECKS", planted)
    monkeypatch.setattr(running, "run", functools.partial(running.run, executor_name="inline"))

    def unjudgeable(folders):
        raise ValueError("no crossing")

    register = {name: check(name, **TEXTS, specs=theorem.specs) for name in ("false", "open", "unjudged")}
    register["false"](lambda folders: Verdict("1", theorem.judge(folders).ours.startswith("0.700000 at L = 4")))
    register["open"](lambda folders: Verdict("1.5", None))
    register["unjudged"](unjudgeable)
    monkeypatch.chdir(tmp_path)

    assert main(["checks", "always-right", "open"]) == 0
    out, err = capsys.readouterr()
    verdict, *texts = out.splitlines()
    assert verdict == f"pass  always-right: {theorem.claim}"
    assert texts[2].startswith("      ours:   0.600000 at L = 4 (oracle 1.000000); no interval")
    assert texts[3] == "open  open: Weights stay."
    assert err.startswith("chisel: 0 of 1 lanes are on disk")
    trained = (tmp_path / "results/checks/always-right/manifest.json").stat().st_mtime_ns

    assert main(["checks", "--page", "page.md", "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    found = [(one["name"], one["passed"]) for one in json.loads(out)]
    assert found == [("always-right", True), ("false", False), ("open", None), ("unjudged", False)]
    page = (tmp_path / "page.md").read_text()
    assert "**1 pass, 2 fail, 1 reported without a verdict.**" in page
    assert page.count("\n## ") == len(planted) + 3
    assert "cannot be judged: no crossing" in page
    assert (tmp_path / "results/checks/always-right/manifest.json").stat().st_mtime_ns == trained


def test_a_wrong_command_line_is_one_line(capsys):
    assert main(["checks", "always-rihgt"]) == 2
    assert capsys.readouterr() == ("", "always-rihgt: no check has this name; nearest: always-right.\n")
    assert main(["checks", "always-right", "--page", "page.md"]) == 2
    assert capsys.readouterr().err == "--page: writes a page of all checks; leave the names out.\n"


def test_a_sweep_that_could_not_be_trained_fails_its_check(monkeypatch, tmp_path):
    planted = {
        "one": Check("one", *TEXTS.values(), CHECKS["always-right"].specs, lambda folders: Verdict("fine", True))
    }
    monkeypatch.setattr(running, "CHECKS", planted)
    unlucky = RunSummary(tmp_path, 4, 0, failed={"shard": "no luck"})
    monkeypatch.setattr(running, "run", lambda *_, **__: unlucky)
    (result,) = running.run_checks(out=tmp_path)
    assert result.verdict == Verdict("not measured, 1 shards failed, the first: no luck", False)


def test_the_page_lists_a_failure_with_its_explanation():
    def result(name, passed, remark=""):
        one = Check(name, *TEXTS.values(), CHECKS["always-right"].specs, lambda folders: Verdict("", passed), remark)
        return Result(one, Verdict("1 [0, 2]", passed), {"platform": "cpu", "versions": {"jax": "1.2"}})

    page = as_markdown([result("good", True), result("bad", False, "Because."), result("odd", None)])
    assert "on a cpu with jax 1.2: **1 pass, 1 fail, 1 reported without a verdict.**" in page
    assert "- source: [A paper](https://example.org)" in page
    assert "- [bad](#bad): Because." in page
    assert "| [odd](#odd) | Weights stay. | reported, not judged |" in page


def test_the_return_of_the_last_episodes_weighs_points_by_their_episodes():
    curve = pd.DataFrame(
        {"update": [1, 2, 3, 4], "episodes": [50, 60, 0, 50], "return_mean": [0.0, 1.0, float("nan"), 3.0]}
    )
    assert published.last_episodes(curve, least=100) == pytest.approx((60 * 1 + 50 * 3) / 110)


def test_the_half_way_share_is_interpolated_and_may_lie_beyond():
    assert published.half_way(np.array([1, 1, 1, 0.6, 0.4, 0, 0])) == pytest.approx(0.075)
    assert published.half_way(np.ones(7)) == float("inf")
