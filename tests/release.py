"""The release checklist: what has to be so before a version is tagged and uploaded.

`make release-check` runs it. The quick items come first; the pages' long commands (tests/documented.py) take hours, and
building and trying out the wheel (tests/wheel.py) minutes. The suite itself is `.ci/run`, and `make pythons` the
supported versions of Python and jax.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FINAL = re.compile(r"\d+\.\d+\.\d+")
HEADING = re.compile(r"^## (.*)\n", re.M)


def main() -> None:
    version = str(project(ROOT)["version"])
    faults = [*version_faults(ROOT), *changelog_faults(ROOT), *repository_faults(ROOT, version)]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{version}: version, citation, changelog and repository are ready", flush=True)
    subprocess.run([ROOT / ".venv" / "bin" / "python", "-m", "tests.documented"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "tests" / "wheel.py"], check=True)
    for kind in ("-py3-none-any.whl", ".tar.gz"):
        if not (path := ROOT / "dist" / f"chisel_rl-{version}{kind}").is_file():
            sys.exit(f"{path}: was not built")
    print(f"Ready. Left to do: git tag v{version}, push the tag, upload dist/chisel_rl-{version}*.")


def project(root: Path) -> dict[str, object]:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def version_faults(root: Path) -> list[str]:
    """The version is a final one, and the citation has it too, as it has the licence."""
    about, citation = project(root), (root / "CITATION.cff").read_text()
    cited = dict(re.findall(r"^(version|license): (.+)$", citation, re.M))
    faults = []
    if not FINAL.fullmatch(str(about["version"])):
        faults.append(f"pyproject.toml: version {about['version']} is no release; expected three numbers")
    for name, value in cited.items() | {(name, "") for name in ("version", "license") if name not in cited}:
        if value != about[name]:
            faults.append(f"CITATION.cff: {name} is {value or 'missing'}; pyproject.toml has {about[name]}")
    return sorted(faults)


def changelog_faults(root: Path) -> list[str]:
    """The newest entry is the version's, with a date and text; above it only an empty `Unreleased`."""
    version, text = project(root)["version"], (root / "CHANGELOG.md").read_text()
    _, *parts = HEADING.split(text)
    entries = list(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))
    if entries and entries[0] == ("Unreleased", ""):
        del entries[0]
    title, body = entries[0] if entries else ("nothing", "")
    if not re.fullmatch(rf"{re.escape(str(version))} \(\d{{4}}-\d\d-\d\d\)", title):
        return [f"CHANGELOG.md: begins with {title}; expected `## {version} (YEAR-MONTH-DAY)`"]
    return [] if body else [f"CHANGELOG.md: the entry of {version} is empty"]


def repository_faults(root: Path, version: str) -> list[str]:
    """Everything is committed, and no tag has the version already."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout

    faults = [f"{line[3:]}: is not committed" for line in git("status", "--porcelain").splitlines()]
    return faults + [f"v{version}: this tag is there already; raise the version"] * bool(
        git("tag", "-l", f"v{version}")
    )


if __name__ == "__main__":
    main()
