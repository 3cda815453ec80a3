"""What the site has beside the files of docs/: the README, the command, the API, notebooks, source files and formulas.

`mkdocs build` calls the functions named `on_...` (https://www.mkdocs.org/user-guide/plugins/#events).
"""

import argparse
import ast
import base64
import html
import posixpath
import re
import textwrap
from pathlib import Path

import griffe
import nbformat
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath, text_to_path
from mkdocs.structure.files import File

import sweeps.cli
from sweeps.cli.arguments import EXAMPLES
from sweeps.cli.arguments import parser as command_line

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "envs", "jaxrl", "sweeps")
LINK = re.compile(r"(\]\()([^)\s#]+)([^)\s]*\))")
SECTION = re.compile(r"\n+((?:Args|Raises):\n)")
RETURNS = re.compile(r"\n+Returns:\n((?:  .*(?:\n|$)|\n(?=  ))+)")
ITEM = re.compile(r"^([\w.]+(?:, [\w.]+)*):(?= )", re.M)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
STYLE = re.compile(r"<style.*?</style>\n?", re.S)
TABLE = re.compile(r"<table[^>]*>")
FONT = FontProperties(size=10, math_fontfamily="stix")
WRITTEN = {
    r"\le ": r"\leq ",
    r"\ge ": r"\geq ",
    r"\tfrac{": r"\frac{",
    r"\tfrac12": r"\frac{1}{2}",
    r"\frac12": r"\frac{1}{2}",
    r"\Big\{": r"\left\{",
    r"\Big\}": r"\right\}",
}
"""Of TeX, what matplotlib writes otherwise."""
BIG = r"\frac", r"\dfrac"
"""In a formula on a line of its own."""
LETTERS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C", Outline.CLOSEPOLY: "Z"}


class Sections(griffe.Extension):
    """Docstrings as the API reference reads them: sections apart, and what is returned as text, a line an item."""

    def on_instance(self, *, obj, **_):
        if obj.docstring is not None:
            text = RETURNS.sub(lambda found: "\n\n**Returns:**\n\n" + items(found[1]) + "\n", obj.docstring.value)
            obj.docstring.value = SECTION.sub(r"\n\n\1", text)


def items(section):
    """A section's text without its indentation, with each line that begins `name, name: …` an item of a list."""
    text = re.sub(r"\n {3,}", " ", textwrap.dedent(section))
    return ITEM.sub(r"\n- `\1`:", text)


def on_files(files, config):
    """Adds the pages that are made here, and one for each source file that a page links to."""
    made = {"index.md": (ROOT / "README.md").read_text("utf-8"), "cli.md": command()}
    made |= {f"api/{name}.md": public(name) for name in PACKAGES}
    for path in sorted(ROOT.glob("analysis/notebooks/*.ipynb")):
        page, pictures = notebook(path)
        made[f"notebooks/{path.stem}.md"] = page
        made |= pictures
    pages = {file.src_uri: file.content_string for file in files.documentation_pages()} | made
    for name, text in pages.items():
        linked = {target(name, link) for _, link, _ in LINK.findall(text)} if name.endswith(".md") else ()
        for source in linked:
            if source and place(source).startswith("source/"):
                code = (ROOT / source).read_text("utf-8")
                made[place(source)] = f"# {source}\n\n````{Path(source).suffix[1:]}\n{code}````\n"
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links to files outside docs/ into links to their pages here."""
    return LINK.sub(lambda link: link[1] + inside(page.file.src_uri, link[2]) + link[3], markdown)


def on_page_content(content, page, config, files):
    """Draws formulas, so that reading them needs neither a script nor the network."""
    return FORMULA.sub(lambda found: drawn(html.unescape(found[2]), found[1] == "div"), content)


def target(page, link):
    """The path from the root of the repository of the file that a link means; None where it means no file."""
    if ":" in link or not link:
        return None
    at = "README.md" if page == "index.md" else f"docs/{page}"
    if page.startswith("notebooks/"):
        at = f"analysis/{page}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(at), link))
    return path if (ROOT / path).is_file() else None


def place(path):
    """Where a file of the repository is in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith(".ipynb"):
        return f"notebooks/{Path(path).stem}.md"
    return "index.md" if path == "README.md" else f"source/{path}.md"


def inside(page, link):
    path = target(page, link)
    return posixpath.relpath(place(path), posixpath.dirname(page) or ".") if path else link


def notebook(path):
    """A notebook as Markdown, and its pictures by path."""
    parts, pictures = [], {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                name = f"{path.stem}-{len(pictures)}.png"
                pictures[f"notebooks/{name}"] = base64.b64decode(data["image/png"])
                parts.append(f"![What the code above draws]({name})")
            elif "text/html" in data:
                parts.append(TABLE.sub("<table>", STYLE.sub("", data["text/html"])))
            else:
                parts.append("```\n" + data["text/plain"].rstrip() + "\n```")
    return "\n\n".join(parts) + "\n", pictures


def public(package):
    """A page with the public names of a package, each documented from where it is defined."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
    homes = {
        one.asname or one.name: f"{node.module}.{one.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for one in node.names
    }
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [one.id for one in node.targets if isinstance(one, ast.Name)] == ["__all__"]
    ]
    parts = [f"# {package}", ast.get_docstring(tree)]
    for name in sorted(names, key=str.casefold):
        full = f"{package}.{name}"
        parts.append(f"::: {homes.get(name, full)}\n    options:\n      heading: {full}\n      toc_label: {name}")
    return "\n\n".join(parts) + "\n"


def command():
    """The reference of the command line, from its parser."""
    parser = command_line()
    (verbs,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    parts = ["# The chisel command", parser.description, sweeps.cli.__doc__.split("\n\n", 1)[1]]
    for name, verb in verbs.choices.items():
        usage = verb.format_usage().removeprefix("usage: ").replace(" [-h]", "")
        parts += [f"## {name}", verb.description, f"```\n{usage}```", "| argument | meaning |\n|---|---|"]
        for action in verb._actions[1:]:  # the first is --help
            shown = " ".join([", ".join(action.option_strings), *_value(action)]).strip()
            text = (action.help or "").replace("|", "\\|")
            parts[-1] += f"\n| `{shown}` | {text} |"
        if name in EXAMPLES:
            parts.append("```\n" + "\n".join(EXAMPLES[name]) + "\n```")
    return "\n\n".join(parts) + "\n"


def _value(action):
    if action.nargs == 0:
        return []
    return [action.metavar or ("{" + ",".join(action.choices) + "}" if action.choices else action.dest.upper())]


def drawn(tex, block):
    """A formula as SVG in the colour of the text, on its line; the TeX is what is read aloud."""
    written = " ".join(tex.split())
    for theirs, ours in WRITTEN.items():
        written = written.replace(theirs, ours)
    text = f"${written.replace(BIG[0], BIG[1]) if block else written}$"
    width, height, depth = text_to_path.get_text_width_height_descent(text, FONT, ismath=True)
    outline = "".join(
        LETTERS[code]
        + " ".join(f"{-x if place % 2 else x:.2f}" for place, x in enumerate(points) if code != Outline.CLOSEPOLY)
        for points, code in TextPath((0, 0), text, prop=FONT).iter_segments(curves=True, simplify=False)
    )
    em = FONT.get_size_in_points()
    style = f"width:{width / em:.3f}em;height:{height / em:.3f}em;vertical-align:{-depth / em:.3f}em;fill:currentColor"
    box = f"0 {depth - height:.2f} {width:.2f} {height:.2f}"
    picture = (
        f'<svg role="img" aria-label="{html.escape(tex)}" viewBox="{box}" style="{style}"><path d="{outline}"/></svg>'
    )
    return f'<p style="overflow-x:auto">{picture}</p>' if block else picture
