"""The page of checks, as Markdown."""

from collections.abc import Sequence

from sweeps.checks.running import Result

_TOP = """# Published results as checks

Results that others have published, each held against what is trained here. This page is written by

```
chisel checks --page docs/checks.md
```

which trains what is missing (into `results/checks`, one folder a sweep), judges, and lists every check, those that
fail too. The tolerance of each was fixed before its sweep was run, and has not been touched since, but for that of
camera-mona, which says so. The command exits with code 1 if a check fails. `chisel checks NAME` runs one; they live in
`sweeps/checks/`, and a further one is one registration.

Intervals are of 95% over seeds where nothing else is said: Wilson's for a share, Student's for a mean. The coin line
(world [`coin-line`](coin-line.md)) comes from a research agenda which, like the candidate solutions posted to it, was
written by AI systems; by its own account no person has verified every line. The preprint cited is not peer-reviewed. A
check that passes is agreement at the sizes and budgets stated, and no proof. *k* counts gradient steps of size η, and
*t* = ηk.
"""

_BOTTOM = """## What cannot be compared

- **Limits.** A statement about k → ∞ is held at one finite k, from initial weights small enough for that k to be long.
  What the agenda asks about networks, as first k and then the width go to infinity, is not decided by any finite run,
  and no check claims it.
- **Langosco et al.** publish a curve over the share of randomised levels without numbers, with one run a share as far
  as their code shows, on CoinRun, with a convolutional network and some 10⁸ steps. Only the order of our rates is
  judged.
- **rl-baselines3-zoo** reports CartPole-v1 at 500 and Acrobot-v1 at −73.5, one agent each, the first with a clipping
  range that decays, the second with normalised observations. This PPO has neither: nothing is held against them.
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
