"""Commands and Python in the code blocks of README and docs/, and whether they would work.

`python -m tests.documented` runs those of README, tutorial and how-to guides, the long ones too, in new folders;
`make release-check` includes it. With names of pages it runs those pages only. A comment above a block marks it:

    <!-- before release -->                     the whole block takes long
    <!-- before release: chisel run, make -->   commands that begin with these words do
    <!-- elsewhere -->                          needs a GPU, a cluster, a store or a registry, and is not run here

What has no mark is run by tests/test_documented.py. Every block of every page is checked for form.
"""

import ast
import functools
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "analysis" / "notebooks" / "results"
FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>before release|elsewhere)(?:: (?P<starts>.*?))? -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.S | re.M,
)
PACKAGES = ("analysis", "envs", "jaxrl", "sweeps")
PROGRAMS = ("chisel", "python", "make", "pip", "docker", "source", "export")
"""A block without a language is one of commands if its first line begins with one of these."""
PYTHON_TESTED = tuple(f"docs/{name}.md" for name in ("tutorial", "python", "worlds", "own-learner", "own-curriculum"))
"""Pages whose Python the tests of the tutorial, of examples and of curricula run, with fewer steps."""
EXAMPLES = {
    "meadow.py": "docs/worlds.md",
    "one_step.py": "docs/own-learner.md",
    "until_paid.py": "docs/own-curriculum.md",
}
"""The files that guides have one write, each the first Python of its page."""
COLUMNS = {"arm", "checkpoint", "pipeline", "learner.name", "curriculum.name"}
"""What figures take beside the settings that a sweep varies."""


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    mark: str
    """"", "before release" or "elsewhere"."""
    starts: tuple[str, ...]
    """Where not empty, the mark is for commands that begin with one of these only."""

    def commands(self) -> list["Command"]:
        """One for each program that a line of the block runs; none where it is no block of commands."""
        lines = list(logical_lines(self.text))
        if self.language or not lines or program(lines[0]) not in PROGRAMS:
            return []
        commands = []
        for line in lines:
            for part in split(line):
                text = shlex.join(part)
                marked = not self.starts or text.startswith(self.starts)
                commands.append(Command(self.page, tuple(part), self.mark if marked else ""))
        return commands


@dataclass(frozen=True)
class Command:
    page: str
    words: tuple[str, ...]
    """Without what is set in the environment before it."""
    mark: str

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def pages() -> list[str]:
    """Every page that is written by hand, as paths from the root."""
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def followed() -> list[str]:
    """The pages whose commands are run: README, tutorial and how-to guides, as the site's navigation has them."""
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    sections = {name: inside for section in navigation for name, inside in section.items()}
    guides = [one if isinstance(one, str) else next(iter(one.values())) for one in sections["How-to guides"]]
    of_site = [sections["Tutorial"], *(one for one in guides if isinstance(one, str) and "/" not in one)]
    return ["README.md", *(f"docs/{name}" for name in of_site)]


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.M),
            found["mark"] or "",
            tuple((found["starts"] or "").split(", ")) if found["starts"] else (),
        )
        for found in FENCE.finditer(text)
    ]


def inline(page: str) -> list[list[str]]:
    """The arguments of each `chisel ...` within the sentences of a page."""
    text = FENCE.sub("", (ROOT / page).read_text())
    return [shlex.split(found)[1:] for found in re.findall(r"`(chisel [^`\n|…]+)`", text)]


def last_heading(page: str) -> str:
    return re.findall(r"^## (.*)$", (ROOT / page).read_text(), re.M)[-1]


def logical_lines(text: str) -> Iterator[str]:
    """Lines of shell: one that ends in a backslash, or in the middle of a quotation, goes on in the next."""
    line = ""
    for part in text.replace("\\\n", " ").splitlines():
        line = f"{line}\n{part}" if line else part
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if words:
            yield line
        line = ""


def program(line: str) -> str:
    return Path(next(iter(next(split(line), [])), "")).name


def split(line: str) -> Iterator[list[str]]:
    """The programs of a line with their arguments, without variables before them and files after `>`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;>")
    lexer.whitespace_split = True
    part: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("&|;"):
            while part and re.fullmatch(r"\w+=.*", part[0], re.S):
                del part[0]
            if ">" in part:
                del part[part.index(">") :]
            if part:
                yield part
            part = []
        else:
            part.append(word)


def faults(command: Command) -> list[str]:
    """What is wrong with a command, before anything would begin to work."""
    name, words = Path(command.words[0]).name, list(command.words[1:])
    check = {"chisel": of_chisel, "python": of_python, "make": of_make, "pip": of_pip, "docker": of_docker}
    if name not in PROGRAMS:
        return [f"{command}: no program that is known here"]
    return [f"{command}: {fault}" for fault in check.get(name, lambda *_: [])(words, command.page)]


def of_chisel(words: list[str], page: str) -> list[str]:
    from sweeps.cli.arguments import parser
    from sweeps.spec import PRESETS, SpecError, load_spec

    try:
        arguments = parser().parse_args(words)
        source = getattr(arguments, "spec", None)
        if source is not None and (ROOT / source).is_file():
            source = str(ROOT / source)
        elif source is not None and source.endswith(".toml"):
            source = specs(page).get(source)
            if source is None:
                return ["no TOML block of the page is this file"]
            if any(re.match(r"\w+:(?!//)", source.get(key, "")) for key in ("world", "learner", "curriculum")):
                return []  # one of the page's own
        if source is not None and source != "SPEC":
            load_spec(source, arguments.set)
    except SpecError as error:
        return [str(error)]
    folders = [*getattr(arguments, "folders", ()), *filter(None, [getattr(arguments, "folder", None)])]
    presets = [Path(folder).name for folder in folders if (PRESETS / f"{Path(folder).name}.toml").exists()]
    asked = [getattr(arguments, name, None) for name in ("x", "by", "rows", "columns")]
    flat = [key for one in asked if one for part in ([one] if isinstance(one, str) else one) for key in part.split(",")]
    flat += [one.partition("=")[0] for one in getattr(arguments, "where", ())]
    return [f"{preset} varies no {key}" for preset in presets for key in flat if key not in varied(preset)]


@functools.cache
def varied(preset: str) -> set[str]:
    """The settings that may differ between lanes of a preset."""
    from sweeps.spec import load_spec

    spec = load_spec(preset)
    arms = [key for arm in spec.arms.values() for key in (*arm.fixed, *arm.factors)]
    return COLUMNS | {*spec.factors, *spec.sampled, *spec.fixed, *arms}


def specs(page: str) -> dict[str, dict]:
    """The TOML blocks of a page that are whole specs, by the names of their files."""
    found = [block.text for block in blocks(page) if block.language == "toml"]
    whole = [tomllib.loads(text) for text in found if re.match(r"(#.*\n)?name = ", text)]
    files = {f"{spec['name']}.toml": spec for spec in whole}
    return files | ({"sweep.toml": whole[0]} if whole else {})


def of_python(words: list[str], page: str) -> list[str]:
    if words[0] == "-c":
        return [] if ast.parse(words[1]) else ["empty"]
    if words[0] != "-m":
        return [] if (ROOT / words[0]).is_file() else [f"{words[0]}: no such script"]
    if importlib.util.find_spec(words[1]) is None:
        return [f"{words[1]}: no such module"]
    if words[1] != "pytest":
        return []
    files = [ROOT / word for word in words if word.startswith("tests/")]
    missing = [f"{file.relative_to(ROOT)}: no such file" for file in files if not file.exists()]
    if not missing and "-k" in words and (wanted := words[words.index("-k") + 1]) not in files[0].read_text():
        missing.append(f"no test has {wanted!r} in its name")
    return missing


def of_make(words: list[str], page: str) -> list[str]:
    targets = re.findall(r"^(\S+):(?!=)", (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv"), re.M)
    return [f"no target {word}" for word in words if "=" not in word and word not in targets]


def of_pip(words: list[str], page: str) -> list[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [extra for word in words for found in re.findall(r"\[(.*)\]", word) for extra in found.split(",")]
    return [f"no extra {extra}" for extra in asked if extra not in extras]


def of_docker(words: list[str], page: str) -> list[str]:
    if words[0] == "build":
        file = ROOT / words[words.index("-f") + 1]
        return [] if file.is_file() else [f"{file.relative_to(ROOT)}: no such file"]
    (image,) = [place for place, word in enumerate(words) if word.startswith("chisel:")]
    return of_chisel(words[image + 1 :], page)


def of_block(block: Block) -> list[str]:
    """What is wrong with a block of Python: syntax, a module that is not here, or a name that a package has not."""
    try:
        tree = ast.parse(block.text)
    except SyntaxError as error:
        return [f"{block.page}:{block.line + (error.lineno or 0)}: {error.msg}"]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PACKAGES:
            found.append((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            found += [(str(node.module), alias.name) for alias in node.names]
    return [f"{block.page}:{block.line}: {module} has no {name}" for module, name in found if not has(module, name)]


def has(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


def prepare(page: str, folder: Path) -> None:
    """Puts into a folder what the commands of a page name: its specs, and the examples of guides."""
    for name, spec in specs(page).items():
        text = next(one.text for one in blocks(page) if one.language == "toml" and tomllib.loads(one.text) == spec)
        (folder / name).write_text(text)
    for name, guide in EXAMPLES.items():
        example = next(block.text for block in blocks(guide) if block.language == "python")
        (folder / name).write_text(example)


def arguments_of(command: Command) -> list[str]:
    """Of a `chisel` that is run here: a page is written where the command would serve it until Ctrl-C."""
    return [*command.words[1:], *(["--export", "browse.html"] if command.words[1] == "browse" else [])]


def main(chosen: list[str]) -> None:
    """Runs the long commands of pages, and the others between them, each page in a folder of its own."""
    failed = []
    for page in chosen or followed():
        with tempfile.TemporaryDirectory(prefix="chisel-page-") as name:
            prepare(page, Path(name))
            shutil.copytree(SHIPPED, Path(name) / "results" / "coin-run")
            commands = [command for block in blocks(page) for command in block.commands()]
            if page not in PYTHON_TESTED:
                here = [one for one in blocks(page) if one.language == "python" and one.mark != "elsewhere"]
                text = "\n".join(block.text for block in here)
                commands.append(Command(page, ("python", "-c", text), ""))
            failed += [str(command) for command in commands if command.mark != "elsewhere" and run(command, Path(name))]
    sys.exit("\n".join(["failed:", *failed]) if failed else None)


def run(command: Command, folder: Path) -> int:
    """Runs a command in a process of its own, and returns its exit code; what only changes a shell is left out."""
    name, words = Path(command.words[0]).name, list(command.words[1:])
    programs = {
        "chisel": [sys.executable, "-m", "sweeps.cli", *arguments_of(command)],
        "python": [sys.executable, *(str(ROOT / one) if one.endswith(".py") else one for one in words)],
        "make": ["make", *words],
    }
    if name not in programs:
        return 0
    print(command, flush=True)
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(programs[name], cwd=ROOT if name == "make" else folder, env=variables).returncode


if __name__ == "__main__":
    main(sys.argv[1:])
