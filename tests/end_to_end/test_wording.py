"""Messages in the words of where they appear: options are those of the command line there, else of Python."""

import ast
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App

import pushforward as pf
from pushforward.cli.application import app
from pushforward.cli.recipe_commands import OF_DATA, VERBS, prepare
from pushforward.data.spec import DataSpec
from pushforward.errors import ConfigError
from pushforward.recipes import RECIPES
from pushforward.report.progress import PlainProgress
from pushforward.tables.frames import table_of
from pushforward.tables.schema import Schema
from pushforward.text.vocabulary import Vocabulary
from pushforward.training import monitor
from pushforward.wording import on_command_line, option_name, spelling

ROOT = Path(pf.__file__).parent
SAID = re.compile(r"Error$|^warnings\.warn$|^Finding$|^check_memory$|^BoundedNetworks$|\.say$|^Silent$")
# These raise or say what only a caller in Python can bring about.
OF_PYTHON = ("conformance", "metrics", "_api.py", "recipes/recipe.py")


def written(node):
    """The text of a literal with X for what is filled in, or None."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
    if isinstance(node, ast.IfExp):
        return f"{written(node.body)}; {written(node.orelse)}"
    return None


def messages():
    """Every message and every advice of the package that a command can print, with where it is."""
    for path in sorted(ROOT.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name.startswith(OF_PYTHON):
            continue
        tree = ast.parse(path.read_text())
        for node in tree.body:  # constants become parts of messages
            if isinstance(node, ast.Assign) and not name.startswith("cli") and (text := written(node.value)):
                yield f"{name}:{node.lineno}", text
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and SAID.search(ast.unparse(node.func)):
                for text in filter(None, map(written, node.args)):
                    yield f"{name}:{node.lineno}", text


def option_names():
    """The names, in Python, of all options of all commands."""
    of_recipes = {one.name for recipe in RECIPES.values() for one in recipe.options if not one.python_only}
    functions = [one.default_command for one in app.subapps if isinstance(one, App)]
    of_commands = {
        parameter.name
        for function in functions
        if function is not None and function.__module__.startswith("pushforward.")
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    of_verbs = {name for verb in VERBS.values() for name in (*verb.run, *verb.machine, *verb.own)}
    return {*of_recipes, *of_commands, *of_verbs, *OF_DATA}


def spelt_by_hand(text):
    """The options that a text names itself: with a value, by an underscore, or by how it speaks of them."""
    said = text.partition("in Python")[0]
    names = sorted(option_names(), key=len, reverse=True)
    any_name, several = "|".join(names), "|".join(name for name in names if "_" in name)
    begins, ends = r"(?<![\w:,'-])", r"(?![\w'-])"
    rules = "must|is for|is available|cannot|needs|expected"
    advice = "(?:lower|raise|divide|multiply|use|take|give)(?: the)?|choose another|(?:the )?option"
    pattern = (
        rf"{begins}(?:{any_name})(?:=| ')|{begins}(?:{several}){ends}"
        rf"|(?:^|[:;,] |\bor |\band )(?:{any_name}) (?:{rules})\b|\b(?:{advice}) (?:{any_name}){ends}"
    )
    return [found[0] for found in re.finditer(pattern, re.sub("'[^']* [^']*'", "''", said))]


def test_every_message_leaves_the_spelling_of_options_to_the_place_where_it_appears():
    found = dict(messages())
    assert len(found) > 250
    spelt = {place: named for place, text in found.items() if (named := spelt_by_hand(text))}
    assert not spelt


@pytest.mark.parametrize(
    "text",
    ["n must be at least 1", "lower n", "use latent_dim X", "take features 'pca'", "pass weight='auto'",
     "X: batch_size is small", "needs labels; conditional is for images", "raise the weight"],
)  # fmt: skip
def test_options_that_a_message_names_itself_are_found(text):
    assert spelt_by_hand(text)


def spec_of(modality):
    shape = {"image": (1, 8, 8), "vector": (3,), "text": (16,), "table": (2,)}[modality]
    codec = Vocabulary.of(["the cat sat", "the hat"], 40) if modality == "text" else None
    if modality == "table":
        codec = Schema.of(table_of({"a": [1, 2], "b": ["x", "y"]}))
    classes = ("a", "b")
    return DataSpec("rows", shape, modality, modality == "image", classes, 100, 20, 5.0, codec)


def refused(recipe, spec, **options):
    with pytest.raises(ConfigError) as raised:
        recipe(spec, **options)
    return str(raised.value)


@pytest.mark.parametrize("name", RECIPES)
def test_a_value_that_an_option_cannot_have_is_refused_in_the_words_of_each_place(name):
    recipe = RECIPES[name]
    seen = 0
    for one in recipe.options:
        if one.python_only:
            continue
        spec = spec_of(one.modality or ("text" if name == "transfer-ae" else "image"))
        wrong = {one.name: object()}
        said = refused(recipe, spec, **wrong)
        with spelling(on_command_line):
            shown = refused(recipe, spec, **wrong)
        typed = on_command_line(one.name, ())
        assert said.startswith((f"{one.name} ", f"unknown {one.name} ")), said
        assert shown.startswith((f"{typed} ", f"unknown {typed} ")), shown
        assert shown == said.replace(one.name, typed, 1)
        seen += 1
    assert seen > 5


def test_no_message_in_python_holds_an_option_of_the_command_line():
    """But for commands, which are given as they are typed."""
    for place, text in messages():
        assert not re.search(r"(?<![\w-])--[a-z]", re.sub("pushforward .*", "", text)), (place, text)


def test_commands_that_a_message_gives_can_be_pasted(command, tmp_path):
    folder = tmp_path / "my runs" / "vae"
    words = ("train", "vae", "digits", "--out", folder, "--evaluate", "none")
    code, _, err = command(*words, "--steps", 2)
    assert code == 0
    assert f"to go on afterwards: pushforward resume '{folder}' --steps" in err
    code, _, err = command(*words, "--steps", 1)
    assert code != 0
    assert f"for example: pushforward resume '{folder}' --steps +1000" in err


def test_no_help_of_an_option_holds_a_line_break(command):
    for words in (["train", "wae-mmd"], ["resume"], ["compare"], ["sample"], ["evaluate"]):
        for help in helps_of(words).values():
            assert "\n" not in help
    code, _, err = command("resume", "run", "--steps")
    assert code == 2
    assert err.endswith("such as +2000, how many more\n")


def helps_of(words):
    """The help texts of the options of a command, as they are laid out in columns."""
    prepare(words)
    found = app[words[0]] if len(words) == 1 else app[words[0]][words[1]]
    return {
        one.name: one.parameter.help or "" for one in found.assemble_argument_collection(parse_docstring=True)
    }


def test_every_option_is_known_that_a_command_has(command):
    for words in (["train", "wae-mmd"], ["sample"], ["transfer"], ["compare"], ["evaluate"]):
        shown = re.findall(r"--([a-z][a-z-]+)", command(*words, "--help")[1])
        names = {name.removeprefix("no-").replace("-", "_") for name in shown}
        assert names - {"help", "version", "run"} <= option_names() | {"json"}, words


def test_what_looks_like_an_option_in_a_path_or_a_name_stays_as_it_is(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = "lower n_critic=2 (weight='auto'), n must be"
    for path in (named, f"{named}/rows.npy", "-alpha must be at most latent_dim=3.npy"):
        code, _, err = command("train", "wae-mmd", f"./{path}", "--steps", 1)
        assert code != 0
        assert f"./{path}" in err
    np.save(tmp_path / f"{named}.npy", np.zeros((4, 4, 4, 4, 4)))
    code, _, err = command("train", "wae-mmd", f"{named}.npy", "--steps", 1)
    assert code != 0
    assert f"{named}.npy" in err


@pytest.mark.parametrize(
    ("words", "python", "shown"),
    [
        (
            ["--latent-dim", "0"],
            {"latent_dim": 0},
            "{latent_dim} must be at least 1, got 0",
        ),
        (["--image-size", "9"], {"image_size": 9}, "{image_size} 9x9 is for images"),
        (["--conditional"], {"conditional": True}, "{conditional} needs labels"),
        (["--prior", "sphere", "--posterior", "gaussian"], {"prior": "sphere", "posterior": "gaussian"},
         "{posterior} gaussian needs {prior} normal"),
    ],
)  # fmt: skip
def test_the_same_error_in_both_places(words, python, shown, command, tmp_path):
    data = tmp_path / "rows.npy"
    np.save(data, np.random.default_rng(0).normal(size=(30, 3)))
    with pytest.raises(ConfigError) as raised:
        pf.train("wae-mmd", data, out=tmp_path / "run", steps=1, progress=False, **python)
    assert "--" not in str(raised.value)
    code, _, err = command("train", "wae-mmd", data, "--out", tmp_path / "run", "--steps", 1, *words)
    assert code != 0
    options = {name: f"--{name.replace('_', '-')}" for name in option_names()}
    assert shown.format(**options) in err


def test_errors_of_runs_are_worded_too(command, tmp_path, trained):
    """Errors that come from loading and sampling."""
    code, _, err = command("train", "wae-mmd", "digits", "--out", trained.path, "--steps", 3)
    assert code != 0
    assert "choose another --out, or --overwrite" in err
    code, _, err = command("sample", trained.path, "--label", 3)
    assert code != 0
    assert "train it with --conditional" in err
    code, _, err = command("sample", trained.path, "--out", tmp_path / "a.jpg")
    assert code != 0
    assert "--out must end in .npy or .png" in err


def test_warnings_and_lines_of_progress_are_worded_too(command, monkeypatch):
    from pushforward.runs import api

    def load(*_):
        PlainProgress("training").say(f"warning, step 3: raise {option_name('n_critic')}")
        said.append(warnings.formatwarning(f"{option_name('n_critic', 1)} is few", UserWarning, "a.py", 1))
        raise ConfigError(f"lower {option_name('n')}")

    said = []
    monkeypatch.setattr(api, "load", load)
    code, _, err = command("sample", "run")
    assert code == ConfigError.exit_code
    assert err == "warning, step 3: raise --n-critic\nerror: lower --n\n"
    assert said == ["warning: --n-critic 1 is few\n"]


def test_a_stored_warning_is_in_the_words_of_python_and_a_printed_one_in_those_of_the_place(
    command, tmp_path, monkeypatch
):
    """A warning is printed by the command that trains, and read in Python afterwards."""
    monkeypatch.setattr(monitor, "LOOKS", 1)
    monkeypatch.setattr(monitor, "FAR", -100.0)
    folder = tmp_path / "run"
    code, _, err = command("train", "wae-mmd", "digits", "--out", folder, "--steps", 5, "--evaluate", "none")
    assert code == 0, err
    assert "reconstructions; raise --weight" in err
    said = [text for line in pf.load(folder).history for text in line.get("warnings", [])]
    assert [text for text in said if text.endswith("reconstructions; raise weight")]
