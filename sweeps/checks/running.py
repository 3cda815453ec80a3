"""Runs checks: trains what their sweeps lack, and judges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.folder import NoManifestError, read_manifest
from sweeps.checks.registry import CHECKS, Check, Verdict
from sweeps.running import run
from sweeps.spec import SpecError, nearest


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    verdict: Verdict
    made_by: dict[str, Any]
    """The platform, and the versions of what decides numbers."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        texts = {key: getattr(self.check, key) for key in ("name", "claim", "source", "address", "theirs", "rule")}
        return texts | {"ours": self.verdict.ours, "passed": self.verdict.passed, "remark": self.check.remark}


def run_checks(
    names: Sequence[str] = (), out: str | Path = "results/checks", workers: int | None = None, quiet: bool = False
) -> Iterator[Result]:
    """Runs checks one after the other, in the order of registration.

    Args:
      names: which; all of them by default.
      out: each sweep has a folder of its own in here, by its name; what is there already is not trained again.
      workers, quiet: as for `sweeps.run`.
    Raises:
      SpecError: no check has one of these names, or a folder holds another sweep.
    """
    for name in names:
        if name not in CHECKS:
            raise SpecError(name, f"no check has this name; nearest: {nearest(name, CHECKS)}.")
    chosen = [check for name, check in CHECKS.items() if name in names or not names]
    failed: dict[Path, dict[str, str]] = {}
    for check in chosen:
        folders = [Path(out) / spec["name"] for spec in check.specs]
        for spec, folder in zip(check.specs, folders, strict=True):
            if folder not in failed:
                failed[folder] = run(spec, folder, workers=workers, quiet=quiet).failed
        reasons = [reason for folder in folders for reason in failed[folder].values()]
        if reasons:
            verdict = Verdict(f"not measured, {len(reasons)} shards failed, the first: {reasons[0]}", False)
        else:
            try:
                verdict = check.judge(folders)
            except ValueError as error:  # a curve that never crosses, for one
                verdict = Verdict(f"cannot be judged: {error}", False)
        yield Result(check, verdict, _made_by(folders[0]))


def _made_by(folder: Path) -> dict[str, Any]:
    try:
        layer = read_manifest(folder).layers[-1]
    except NoManifestError:  # it failed before anything was written
        return {"platform": "unknown", "versions": {}}
    packages = {key: value for key, value in layer.versions.items() if key not in ("world", "learner")}
    return {"platform": layer.platform, "versions": packages}
