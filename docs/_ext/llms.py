"""Writes docs/llms.txt, by which language models find their way: `python docs/_ext/llms.py`.

Its form is that of https://llmstxt.org: a title, a summary, and one line for each page, from the page's own
title and first sentence.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

DOCS = Path(__file__).parents[1]
SUMMARY = (
    "A PyTorch library to train and evaluate Wasserstein, adversarial and variational auto-encoders, GANs "
    "and moment-matching networks, on images, vectors, text and tables, from Python "
    "(`import pushforward as pf`) and from the command line (`pushforward train RECIPE DATA`)."
)
# Folders in the order of the site; "" are the pages beside them.
SECTIONS = {
    "start": "Start",
    "howto": "How to",
    "tutorials": "Tutorials",
    "models": "Models",
    "metrics": "Metrics and diagnoses",
    "ideas": "Ideas",
    "results": "Results",
    "extend": "Extend",
    "api": "API",
    "coming-from": "Coming from other libraries",
    "": "Other pages",
}


def address() -> str:
    """Where the site is."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Documentation"])


def pages() -> list[Path]:
    """All pages of the site, the first of each folder first."""
    found = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    shown = [path for path in found if path.relative_to(DOCS).parts[0] not in ("_build", "index.md")]
    return sorted(shown, key=lambda path: (path.parent, path.stem not in ("index", "README"), path.name))


def plain(text: str) -> str:
    """Markdown as a line of text."""
    text = re.sub(r"\{[\w:]+\}`~?([^`]+)`", r"\1", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"\*\*|(?<!\w)\*|\*(?!\w)", "", text).split())


def described(path: Path) -> tuple[str, str]:
    """The title of a page, and its first sentence."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    title = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    assert title, f"{path} has no title"
    rest = re.sub(r"^(```+|:::+).*?^\1$", "", text[title.end() :], flags=re.DOTALL | re.MULTILINE)
    blocks = (block.strip() for block in rest.split("\n\n"))
    first = next((block for block in blocks if block and block[0] not in "#|!<(:-"), "")
    sentence = re.match(r"(.+?[.?!:])(?= [A-Z*`\[]|$)", plain(first))
    return plain(title[1]), (sentence[1] if sentence else plain(first)).rstrip(":")


def link(path: Path) -> str:
    """Where a page is on the site."""
    return address() + path.relative_to(DOCS).with_suffix(".html").as_posix()


def llms() -> str:
    """The contents of llms.txt."""
    lines = ["# Pushforward", "", f"> {SUMMARY}", ""]
    for folder, heading in SECTIONS.items():
        here = [
            path for path in pages() if path.relative_to(DOCS).parts[:-1] == ((folder,) if folder else ())
        ]
        if not here:
            continue
        lines += [f"## {heading}", ""]
        for path in here:
            title, sentence = described(path)
            lines.append(f"- [{title}]({link(path)})" + (f": {sentence}" if sentence else ""))
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "llms.txt").write_text(llms(), encoding="utf-8")
