"""The page of checks, as Markdown."""

from collections.abc import Sequence

from sweeps.checks.running import Result

_TOP = """# Checks of published results

After this page you know which published results training in Chisel reproduces, by which rule each was judged, and what
cannot be compared. Each check compares a result that others have published with what is trained here.

```
chisel checks --page docs/checks.md
```

This command trains what is missing (into `results/checks`, one folder for each sweep), judges, and writes this page.
The page lists every check, also those that fail; if one fails, the exit code is 1. `chisel checks NAME` runs one
check. Checks live in `sweeps/checks/`; to add one, register it there.

- **Rules.** The tolerance of each check was fixed before its sweep was run, and has not been changed since. The one
  exception is camera-mona, which says so.
- **Intervals** are 95% intervals over seeds unless stated otherwise: Wilson's for a share, Student's for a mean.
- **Sources.** The coin line (world [`coin-line`](coin-line.md)) comes from a research agenda. The agenda and the
  candidate solutions posted to it were written by AI systems, and by its own account no person has verified every
  line. The preprint cited is not peer-reviewed.
- **Meaning.** A check that passes is agreement at the sizes and budgets stated, and no proof.
- **Symbols.** *k* counts gradient steps of size η, and *t* = ηk.
"""

_BOTTOM = """## What cannot be compared

- **Limits.** A statement about k → ∞ is checked at one finite k, from initial weights small enough for that k to be
  long. The agenda asks about networks as first k and then the width go to infinity. No finite run decides that, and
  no check claims to.
- **Langosco et al.** publish a curve over the share of randomised levels without numbers. As far as their code shows,
  it has one run for each share, on CoinRun, with a convolutional network and some 10⁸ steps. We judge only the order
  of our rates.
- **rl-baselines3-zoo** reports CartPole-v1 at 500 and Acrobot-v1 at −73.5, one agent each. The first has a clipping
  range that decays, and the second has normalised observations. This PPO has neither, so we do not compare them.
- **PureJaxRL and rejax** publish curves and speeds, but no return on these environments that we could find.
- **bsuite** scores Catch by the regret over 10,000 episodes, which these tables do not hold.

## Where to go next

- [Reliability](reliability.md): how a sweep keeps its numbers.
- [Performance](performance.md): speed beside other libraries.
"""


def as_markdown(results: Sequence[Result]) -> str:
    """A section a check, in the order given, below a table of verdicts."""
    made_by = results[0].made_by
    versions = ", ".join(f"{package} {version}" for package, version in made_by["versions"].items())
    words = [result.verdict.word for result in results]
    counts = f"{words.count('pass')} pass, {words.count('FAIL')} fail, {words.count('open')} reported without a verdict"
    lines = [_TOP, f"Below, on a {made_by['platform']} with {versions}: **{counts}.**", ""]
    lines += ["| check | claim | verdict |", "|---|---|---|"]
    lines += [f"| [{r.check.name}](#{r.check.name}) | {_cell(r.check.claim)} | {_verdict(r)} |" for r in results]
    for result in results:
        lines += ["", f"## {result.check.name}", "", result.check.claim, ""]
        lines += [f"- source: [{result.check.source}]({result.check.address})"]
        lines += [f"- theirs: {result.check.theirs}", f"- rule: {result.check.rule}"]
        lines += [f"- ours: {result.verdict.ours}", f"- verdict: {_verdict(result)}"]
        if result.check.remark:
            lines += ["", result.check.remark]
    lines += ["", "## What failed", "", *(_failures(results) or ["Nothing."])]
    return "\n".join([*lines, "", _BOTTOM])


def _failures(results: Sequence[Result]) -> list[str]:
    failed = [result for result in results if result.verdict.passed is False]
    return [f"- [{one.check.name}](#{one.check.name}): {one.check.remark or 'not explained yet.'}" for one in failed]


def _verdict(result: Result) -> str:
    return {True: "passes", False: "**fails**", None: "reported, not judged"}[result.verdict.passed]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
