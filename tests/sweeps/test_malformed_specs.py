"""No spec, however malformed, ends in a traceback: exit code 2 and one line, or a spec that will do.

CHISEL_SPECS sets how many are drawn, for a longer run.
"""

import collections
import contextlib
import io
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import envs
import jaxrl
from sweeps.cli import main

TRIES = int(os.environ.get("CHISEL_SPECS", "100"))
SECONDS = 20.0
"""Nothing may take longer than this to be refused, on a busy machine."""
GOOD = {
    "name": "sweep",
    "world": "trash-room",
    "learner": "ppo",
    "seeds": 2,
    "precision": 0.2,
    "max_seeds": 8,
    "fixed.learner.total_steps": 4096,
    "schedules.learner.learning_rate.kind": "piecewise",
    "schedules.learner.learning_rate.at": [0.2, 0.5],
    "schedules.learner.learning_rate.to": [0.1, 0.2],
    "factors.env.button_live": [0.0, 1.0],
    "arms.near.learner.entropy_coef": [0.0, 0.1],
    "arms.far.learner.entropy_coef": 0.2,
    "sampled.learner.discount.low": 0.9,
    "sampled.learner.discount.high": 0.99,
    "probes.at": [0.0, 1.0],
    "run.chunk": 2,
}
SETTINGS = [*envs.settings("trash-room"), *jaxrl.settings("ppo")]

numbers = st.one_of(
    st.integers(-3, 40), st.sampled_from([2**31 - 1, 2**31, 10**6, 10**9, -(2**63), 10**40, 7**2000]),
    st.floats(), st.floats(0, 1),
)  # fmt: skip
WORDS = ["ppo", "coin-line", "cloning", "step", "linear", "piecewise", "paired", "log", "../x", "/abs", ".", ""]
SECTIONS = [
    "fixed", "factors", "arms.near", "arms.new", "sampled", "schedules", "stages.a", "pipelines.a", "probes", "run",
    "save", "x",
]  # fmt: skip
NAMES = [*SETTINGS, "at", "chunk", "shard_chunks", "policies", "learner", "env", ""]
names = st.one_of(
    st.sampled_from(WORDS), st.just("x" * 5000), st.text(max_size=12),
    st.text(st.characters(categories=["Cc", "Cf", "Zl", "So"]), max_size=4),
)  # fmt: skip
parts = st.one_of(names, st.sampled_from(["low", "high", "kind", "to"]))
values = st.recursive(
    st.one_of(numbers, names, st.booleans(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(parts, inner, max_size=3)),
    max_leaves=6,
)
of_sections = st.builds("{}.{}".format, st.sampled_from(SECTIONS), st.sampled_from(NAMES))
keys = st.one_of(st.sampled_from(list(GOOD)), of_sections, names)
symbols = st.text("[]{}='\"\\.\n#0e", max_size=4).map(str.encode)


def written(value: object) -> str:
    """As TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value.encode("utf-8", "replace").decode())
        case list():
            return f"[{', '.join(map(written, value))}]"
        case dict():
            return f"{{{', '.join(f'{written(key)} = {written(one)}' for key, one in value.items())}}}"
        case int():
            return hex(value) if value >= 2**64 else str(value)
    return str(value)


def as_toml(flat: dict) -> str:
    return "".join(f"{'.'.join(map(written, key.split('.')))} = {written(value)}\n" for key, value in flat.items())


@st.composite
def specs(draw) -> tuple[bytes, list[str]]:
    """A file, and what is given to --set."""
    flat = dict(GOOD)
    for _ in range(draw(st.integers(0, 2))):
        flat.pop(draw(st.sampled_from(list(GOOD))), None)
    for _ in range(draw(st.integers(0, 3))):
        flat[draw(keys)] = draw(values)
    content = as_toml(flat).encode()
    match draw(st.integers(0, 9)):
        case 0:
            content = draw(st.binary(max_size=60))
        case 1:
            place = draw(st.integers(0, len(content)))
            content = content[:place] + draw(st.one_of(st.binary(max_size=5), symbols)) + content[place:]
        case 2:
            content = content[: draw(st.integers(0, len(content)))]
    given = st.builds("{}={}".format, keys, st.one_of(values.map(written), st.text(max_size=8)))
    return content, draw(st.lists(st.one_of(given, st.text(max_size=8)), max_size=1))


class AcceptedError(Exception):
    """The spec was planned: the run would begin."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_malformed_spec_is_one_line_and_exit_code_2(tmp_path, monkeypatch):
    def accepted(folder: Path):
        raise AcceptedError

    monkeypatch.setattr("sweeps.layers._writing", accepted)
    monkeypatch.chdir(tmp_path)
    seen = collections.Counter()

    @settings(
        max_examples=TRIES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(specs())
    def one(spec):
        content, overrides = spec
        Path("spec.toml").write_bytes(content)
        command = ["run", "spec.toml", "--executor", "inline", "--out", "out"]
        out, err, began = io.StringIO(), io.StringIO(), time.monotonic()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([*command, *(f"--set={text}" for text in overrides)])
        except AcceptedError:
            seen["accepted"] += 1
            return
        assert (code, out.getvalue()) == (2, "")
        assert len(err.getvalue().splitlines()) == 1, err.getvalue()
        assert time.monotonic() - began < SECONDS
        seen["refused"] += 1

    one()
    print(dict(seen))
    assert seen["refused"] > TRIES / 2
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]
