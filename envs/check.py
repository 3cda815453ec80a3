"""The conformance kit: what `envs.base` asks of a world, tried out on one before anything is trained on it."""

import dataclasses
import inspect
import pathlib
import sysconfig
import traceback
from typing import Any, Literal

from envs.base import World
from envs.kit import RULES, Rule
from envs.trial import NotOfferedError, Trial
from envs.wrapper import Wrapper

AT_START = ("goals", "shapes", "probes", "indices")
"""Rules that `check_contract` tries."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one rule of `check`, or one fault that it found."""

    rule: str
    verdict: Literal["passed", "failed", "warned", "skipped"]
    """Skipped: the world does not offer what the rule needs, or a rule that this one rests on failed. A world that is
    warned of conforms."""
    found: str
    advice: str = ""
    """What to do where it failed."""
    where: str = ""
    """Where it failed: `file:line`."""

    def __str__(self) -> str:
        said = f"{self.verdict}: {self.rule}: {self.found}"
        return said + (f"; {self.advice} ({self.where})" if self.advice else "")


def check(world: World, levels: int = 200, seed: int = 0) -> list[Finding]:
    """Tests that a world keeps its contract. Takes some seconds and trains nothing.

    Args:
      levels: training levels that are played and written out; a hundred times as many are compared with the probes.
      seed: of the levels and of the walks over them.
    Returns:
      a finding for each rule that holds or could not be tried, and one for each fault, in the order of `RULES`. What is
      sampled can only be found where it is sampled: no fault in two hundred levels is no proof.
    """
    trial, findings = Trial(world, levels, seed), []
    for rule in RULES:
        if broken := [name for name in rule.rests_on if name in trial.broken]:
            trial.broken.add(rule.name)
            findings.append(Finding(rule.name, "skipped", f"rests on {broken[0]}"))
            continue
        faults, otherwise = _faults(rule, trial)
        if faults:
            trial.broken.add(rule.name)
        findings += faults or [otherwise]
    return findings


def _faults(rule: Rule, trial: Trial) -> tuple[list[Finding], Finding]:
    """The faults that a rule finds, and what it says where there are none."""
    found: list[tuple[str, str]] = []

    def fault(what: str, of: str = "") -> None:
        found.append((what, _defined(trial.world, of or rule.of)))

    verdict: Literal["passed", "skipped"] = "passed"
    said = ""
    try:
        said = rule.look(trial, fault)
    except NotOfferedError as reason:
        verdict, said = "skipped", str(reason)
    except Exception as error:  # whatever a world raises is a fault of that world
        what = f"raises {type(error).__name__}: {_first_line(error)}"
        found.append((what, _raised(error) or _defined(trial.world, rule.of)))
    wrong: Literal["failed", "warned"] = "warned" if rule.warns else "failed"
    faults = [Finding(rule.name, wrong, what, rule.advice, where) for what, where in found]
    return faults, Finding(rule.name, verdict, said)


def _defined(world: World, name: str) -> str:
    """`file:line` of a world's method, or of its class where it only inherits it; empty where there is no file."""
    found = inspect.unwrap(_function(vars(type(world)).get(name, type(world))))
    try:
        return f"{inspect.getsourcefile(found)}:{inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return ""


def _function(found: Any) -> Any:
    return found.fget if isinstance(found, property) else getattr(found, "__func__", found)


def _raised(error: Exception) -> str:
    """`file:line` of the last line of the user's through which an error came; empty where there is none."""
    ours = str(pathlib.Path(__file__).parent)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "<" not in frame.filename]
    own = [one for one in frames if not one.filename.startswith(ours) and not _installed(one.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _installed(path: str) -> bool:
    return "site-packages" in path or path.startswith(sysconfig.get_path("stdlib"))


def require(world: World, levels: int = 200, seed: int = 0) -> list[Finding]:
    """`check`, for a test: raises ValueError, with one line for each fault, where a world does not conform."""
    findings = check(world, levels, seed)
    if faults := [str(finding) for finding in findings if finding.verdict == "failed"]:
        raise ValueError(f"{world!r} does not keep the contract of a world\n" + "\n".join(faults))
    return findings


def check_contract(world: World) -> None:
    """A short `check` for the start of a sweep: shapes, dtypes and index ranges, on traced and on a few sampled steps.

    Chisel's own worlds are held to the whole kit by its tests, and pass at once.

    Raises:
      ValueError, in one line with the file and line of the world, where one of the rules fails.
    """
    while isinstance(world, Wrapper):
        world = world.inner
    if type(world).__module__.partition(".")[0] == __package__:
        return
    trial = Trial(world, levels=4, seed=0)
    for rule in RULES:
        if rule.name in AT_START and (faults := _faults(rule, trial)[0]):
            raise ValueError(f"world: {faults[0].where}: {faults[0].found}; {_advice(world)}")


def _advice(world: World) -> str:
    return f"envs.check({type(world).__name__}()) tries out all that a world promises"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
