"""The conformance kit: the page's example passes it, and each planted fault fails its own rule."""

import inspect
import re

import jax
import pytest

import envs
from envs.kit import RULES
from envs.trial import Trial
from tests.envs.pictured import Pictured
from tests.envs.planted_faults import (
    EXAMPLE,
    FAULTS,
    PAGE,
    PICTURE,
    USE,
    WARNINGS,
    BeyondCardinality,
    DeafParams,
    LeakingKey,
    Meadow,
    Untraceable,
    WrongDtype,
    WrongShape,
)


@pytest.fixture(autouse=True, scope="module")
def every_program_is_kept():
    """Planted faults have most of their programs in common."""
    option, before = "jax_persistent_cache_min_compile_time_secs", jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update(option, 0)
    yield
    jax.config.update(option, before)


def verdicts(findings):
    return {verdict: {one.rule for one in findings if one.verdict == verdict} for verdict in ("failed", "skipped")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "skipped"),
    [
        (Meadow(), {"starts", "observations"}),
        (Meadow(width=5), {"starts", "observations"}),
        (envs.CoinLine(length=5), {"hide"}),
        (envs.CoinLine(length=5, encoding="relative"), {"hide", "observations"}),
        (envs.CoinLine(length=5, encoding="one-hot"), set()),
        (Pictured(), {"starts", "observations"}),
        (
            envs.make("gymnax:CartPole-v1"),
            {
                "goals",
                "labels",
                "tabular",
                "starts",
                "reachable",
                "solvable",
                "horizon",
                "entry",
                "rewards",
                "visible",
                "hide",
                "observations",
            },
        ),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_world_that_conforms_passes_and_what_it_does_not_offer_is_skipped(world, skipped):
    assert verdicts(envs.require(world)) == {"failed": set(), "skipped": skipped}


def test_a_class_whose_source_python_cannot_find_as_in_a_notebook_owes_no_meanings():
    (rule,) = [one for one in RULES if one.name == "settings"]
    names: dict = {"__name__": "no_module"}
    exec(EXAMPLE, names)
    faults: list = []
    rule.look(Trial(names["Meadow"](), 1, 0), faults.append)
    assert faults == []


@pytest.mark.slow
@pytest.mark.parametrize("world", WARNINGS, ids=lambda world: world.__name__)
def test_what_makes_a_world_hard_to_read_is_a_warning_with_which_it_conforms(world):
    rule, said = WARNINGS[world]
    (found,) = [one for one in envs.require(world()) if one.verdict == "warned" and one.rule == rule]
    assert found.found.startswith(said) and found.advice


def test_findings_name_the_file_and_the_line_of_the_method():
    found, *_ = [one for one in envs.check(WrongShape()) if one.verdict == "failed"]
    line = inspect.getsourcelines(WrongShape.transition)[1]
    assert found.where == f"{inspect.getsourcefile(WrongShape)}:{line}" and f"({found.where})" in str(found)
    (found,) = [one for one in envs.check(Untraceable()) if one.verdict == "failed"]
    line = inspect.getsourcelines(Untraceable.sample_level)[1] + 1
    assert found.where == f"{inspect.getsourcefile(WrongShape)}:{line}"


@pytest.mark.parametrize(
    ("fault", "method", "said"),
    [
        (WrongShape, "transition", r"transition: what happens, part 2, is bool\[1\] and should be bool\[\]"),
        (WrongDtype, "features", r"features: the observation, part 1, is i8\[6\] and should be i32\[6\]"),
        (BeyondCardinality, None, "index 5 is [0-9]+, of a cardinality of 7"),
    ],
)
def test_a_sweep_of_a_world_that_breaks_the_contract_is_refused_in_one_line(fault, method, said):
    line = inspect.getsourcelines(getattr(fault, method) if method else fault)[1]
    where = rf"planted_faults\.py:{line}"
    with pytest.raises(ValueError, match=rf"^world: .*{where}: {said}.*; envs\.check\({fault.__name__}"):
        envs.check_contract(fault())


def test_what_passes_the_short_check_passes_at_once_where_the_kit_holds_it_already(monkeypatch):
    envs.check_contract(Meadow())
    monkeypatch.setitem(envs.check_contract.__globals__, "Trial", None)
    envs.check_contract(envs.make("coin-run", {"shaping.kind": "potential"}))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_fails_its_rule_and_no_other(fault):
    rule, said = FAULTS[fault]
    findings = [one for one in envs.check(fault()) if one.verdict == "failed"]
    assert {one.rule for one in findings} == {rule}, [str(one) for one in findings]
    assert any(re.search(said, one.found) for one in findings), [str(one) for one in findings]
    assert all(one.advice for one in findings)


def test_what_rests_on_a_failed_rule_is_skipped_and_says_so():
    found = {one.rule: str(one) for one in envs.check(LeakingKey())}
    assert found["tabular"] == "skipped: tabular: rests on key"
    assert found["solvable"] == "skipped: solvable: rests on tabular"
    assert found["rewards"].startswith("passed: ")


def test_every_rule_catches_a_fault_and_is_on_the_page():
    names = {rule.name for rule in RULES}
    assert {rule for rule, _ in (*FAULTS.values(), *WARNINGS.values())} == names
    assert set(re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)) == names


def test_require_raises_with_one_line_for_each_fault():
    with pytest.raises(ValueError, match="does not keep the contract") as error:
        envs.require(DeafParams())
    _, *lines = str(error.value).splitlines()
    said = ["env.max_steps_in_episode", "env.astray", "reward.berry", "reward.sign"]
    assert [re.match("failed: params: params_of makes (.*?) =", line)[1] for line in lines] == said


def test_the_page_draws_the_picture_that_it_shows(capsys):
    exec(PICTURE, {"Meadow": Meadow})
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert capsys.readouterr().out == shown


@pytest.mark.slow
def test_the_page_runs_the_kit(capsys):
    exec(USE, {"envs": envs, "Meadow": Meadow})
    printed = capsys.readouterr().out
    assert [line.split(": ")[1] for line in printed.splitlines()] == [rule.name for rule in RULES]
