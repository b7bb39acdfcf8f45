"""The code on every page of the documentation runs; what cannot run says why.

A block of Python is run after those before it on its page, in one namespace; a block of commands line by
line. Both find the files of `conftest.folder`, and train for three steps. Figures are rendered on the pages
of docs/start, one for each kind of data, and left blank on others. A block whose first line is
"```python fragment: reason" is left out. What a block prints is compared with the "```text" below it,
on pages that train nothing.
"""

import ast
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
from blank import blank_figures

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (ROOT / "docs").rglob("*.md")
    if page.relative_to(ROOT).parts[1] not in ("_build", "results")
)
BLOCK = re.compile(r"^( *)```(python|shell)([^\n]*)\n(.*?)^ *```$", flags=re.DOTALL | re.MULTILINE)
SHOWN = re.compile(
    r"^```python\n((?:(?!```).*\n)+)```\n\n```text\n((?:(?!```).*\n)+)```$", flags=re.MULTILINE
)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
LANGUAGES = {"python", "shell", "text", "bibtex", "toml", "css", "json"}


def blocks(page):
    """The language, what stands behind it, and the code of every block that could be run."""
    for indent, language, rest, code in BLOCK.findall((ROOT / page).read_text()):
        yield language, rest.strip(), re.sub(f"^{indent}", "", code, flags=re.MULTILINE)


def commands(code):
    """The commands of a block; a backslash at the end of a line continues it."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "pushforward", f"{line!r} is no command of ours: mark the block as a fragment"
            yield words[1:]


def outputs(page):
    """What blocks of Python print, by their code, as a page that trains nothing says it."""
    text = (ROOT / page).read_text()
    trains = any(call in text for call in ("pf.train", "pf.compare", "pushforward train"))
    return {} if trains else dict(SHOWN.findall(text))


def assert_printed(found, expected):
    """Numbers may differ by what rounding on another machine changes; all else is equal."""
    assert NUMBER.sub("0", found) == NUMBER.sub("0", expected)
    for one, other in zip(NUMBER.findall(found), NUMBER.findall(expected), strict=True):
        assert float(one) == pytest.approx(float(other), rel=0.02, abs=2e-3), f"{one} and {other} in {found}"


def trainings(page):
    """The folder of every training on a page, with the call without what may differ in one run."""
    for language, rest, code in blocks(page):
        if rest:
            continue
        if language == "shell":
            called = (words[1:] for words in commands(code) if words[0] == "train")
        else:
            called = (words_of(node) for node in ast.walk(ast.parse(code)) if trains(node))
        for recipe, data, *rest in called:
            options = dict(re.findall(r"--(\S+)((?: (?!--)\S+)*)", " ".join(rest)))
            out = options.pop("out", f"runs/{recipe}-{Path(data).stem}").strip()
            same = {"on-nonfinite", "progress"}
            yield out, (recipe, data, *sorted(pair for pair in options.items() if pair[0] not in same))


def trains(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pf.train"


def words_of(call):
    """A call of ``pf.train`` as words of a command."""
    given = [(f"--{part.arg}".replace("_", "-"), part.value) for part in call.keywords]
    words = [*call.args, *(word for pair in given for word in pair)]
    return [
        word if isinstance(word, str) else str(getattr(word, "value", None) or ast.unparse(word))
        for word in words
    ]


def test_no_two_pages_train_different_runs_in_one_folder():
    """Who follows both would be refused on the second one."""
    found = {}
    for page in PAGES:
        for out, call in trainings(page):
            found.setdefault(out, {}).setdefault(call, page)
    assert len(found) > 50
    assert {out: calls for out, calls in found.items() if len(calls) > 1} == {}


def has_code(page):
    """Whether a page has code that runs here; test_docs runs docs/extend, and tests what its pages define."""
    return "docs/extend/" not in page and any(not rest for _, rest, _ in blocks(page))


def slow_if_a_model(page):
    """Pages of models train each recipe once more, which takes minutes together."""
    return pytest.param(page, marks=[pytest.mark.slow] if "/models/" in page else [])


@pytest.mark.parametrize("page", [slow_if_a_model(page) for page in PAGES if has_code(page)])
def test_code_runs(page, folder, capped, capsys, command):
    names, printed = {"__name__": "__main__"}, outputs(page)
    with nullcontext() if page.startswith("docs/start/") else blank_figures():
        run_blocks(page, names, printed, capsys, command)


def run_blocks(page, names, printed, capsys, command):
    for language, rest, code in blocks(page):
        if rest:
            continue
        if language == "python":
            capsys.readouterr()
            exec(compile(code, page, "exec"), names)
            if code in printed:
                assert_printed(capsys.readouterr().out, printed[code])
        else:
            for words in commands(code):
                command(words)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_left_out_says_why(page):
    for _, rest, code in blocks(page):
        assert not rest or re.match(r"fragment: \S.{9,}", rest), f"{page}: {rest} before {code[:40]!r}"
    text = (ROOT / page).read_text()
    fences = re.findall(r"^ *(```+|:::+)([^\n]*)\n.*?^ *\1$", text, flags=re.DOTALL | re.MULTILINE)
    for _, kind in fences:
        word = kind.split(" ")[0] if kind else ""
        known = word in LANGUAGES or word.startswith("{")
        assert known, f"{page}: a block needs one of {sorted(LANGUAGES)}, found {kind!r}"
