"""Messages in the words of where they appear: options are those of the command line there, else of Python."""

import ast
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward.cli.entry import one_line_warnings
from pushforward.cli.wording import IN_PYTHON, in_options, option_names
from pushforward.errors import ConfigError

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
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and SAID.search(ast.unparse(node.func)):
                for text in filter(None, map(written, node.args)):
                    yield f"{name}:{node.lineno}", text


def in_the_spelling_of_python(text):
    """The options that a text holds as arguments or with an underscore, outside quotes and calls."""
    said = re.sub(r"'[^']*'", "''", text.partition(IN_PYTHON)[0])
    names = "|".join(sorted(option_names(), key=len, reverse=True))
    found = re.findall(rf"(?<![\w:,-])({names})\b(?!-)(=)?", said)
    return [name for name, equals in found if "_" in name or equals]


def test_no_message_of_the_command_line_holds_an_option_as_python_spells_it():
    found = list(messages())
    assert len(found) > 250
    spelt = {place: text for place, text in found if in_the_spelling_of_python(text)}
    assert len(spelt) > 15  # there is something to translate
    left = {place: in_options(text) for place, text in spelt.items()}
    assert not {place: text for place, text in left.items() if in_the_spelling_of_python(text)}


def test_no_message_in_python_holds_an_option_of_the_command_line():
    """But for commands, which are given as they are typed."""
    for place, text in messages():
        assert not re.search(r"(?<![\w-])--[a-z]", re.sub("pushforward .*", "", text)), (place, text)


def test_every_option_is_known_that_a_command_has(command):
    for words in (["train", "wae-mmd"], ["sample"], ["transfer"], ["compare"], ["evaluate"]):
        shown = re.findall(r"--([a-z][a-z-]+)", command(*words, "--help")[1])
        names = {name.removeprefix("no-").replace("-", "_") for name in shown}
        assert names - {"help", "version", "run"} <= option_names() | {"json"}, words


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("n must be at least 1, got 0", "--n must be at least 1, got 0"),
        ("weight must be a number or 'auto', got 'x'", "--weight must be a number or 'auto', got 'x'"),
        ("conditional needs labels, moons has none", "--conditional needs labels, moons has none"),
        ("lower n, or write them to a file", "lower --n, or write them to a file"),
        ("take features 'pca' or 'pixels'", "take --features pca or pixels"),
        ("choose another out, or overwrite=True", "choose another --out, or --overwrite"),
        ("leave out standardize=False", "leave out --no-standardize"),
        ("(weight='auto', weight_init=0.001)", "(--weight auto, --weight-init 0.001)"),
        ("or a file of them, as data=...", "or a file of them, as --data"),
        ("image_size=28x28 is for images", "--image-size 28x28 is for images"),
        ("Samples will be bad; raise the weight", "Samples will be bad; raise --weight"),
        ("use n_critic=1.", "use --n-critic 1."),
        # Words that are spelt as an option is, paths, cases and names are left alone.
        ("the weight of the discrepancy is 3", "the weight of the discrepancy is 3"),
        ("unknown sampler 'gmn': known: gmm, prior", "unknown sampler 'gmn': known: gmm, prior"),
        ("/tmp/latent_dim=2/n_critic cannot be read", "/tmp/latent_dim=2/n_critic cannot be read"),
        ("'wae-mmd:weight=3,latent_dim=2' is none", "'wae-mmd:weight=3,latent_dim=2' is none"),
        ("pass it, in Python: encoder=..., prior=...", "pass it, in Python: encoder=..., prior=..."),
        ("--latent-dim must be a number", "--latent-dim must be a number"),
    ],
)
def test_options_are_recognised_by_how_they_stand_in_a_sentence(said, shown):
    assert in_options(said) == shown


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
    from pushforward.report.progress import PlainProgress
    from pushforward.runs import api

    def load(*_):
        PlainProgress("training").say("warning, step 3: raise n_critic")
        raise ConfigError("lower n")

    with one_line_warnings():
        assert warnings.formatwarning("n_critic is 1", UserWarning, "a.py", 1) == "warning: --n-critic is 1\n"
    monkeypatch.setattr(api, "load", load)
    code, _, err = command("sample", "run")
    assert code == ConfigError.exit_code
    assert err == "warning, step 3: raise --n-critic\nerror: lower --n\n"
