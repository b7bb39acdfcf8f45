"""The command line: help that is fast and fits the data, discovered commands, and one list of names."""

import json
import re
import subprocess
import sys

import pytest
from cyclopts import CoercionError

import pushforward as pf
from pushforward.cli import app
from pushforward.cli.defaults import BY_DATA, shown_defaults, written
from pushforward.cli.describe import describe
from pushforward.cli.described import FILE
from pushforward.cli.messages import message
from pushforward.cli.recipe_commands import VERBS, prepare
from pushforward.options import choices_of
from pushforward.recipes import RECIPES
from pushforward.report.images import mosaic
from pushforward.report.renderers import renderer_for

COMMANDS = {
    "train", "resume", "sample", "reconstruct", "interpolate", "transfer", "evaluate", "doctor", "report",
    "classifier", "compare", "list", "animate",
}  # fmt: skip


def option(name):
    return f"--{name.replace('_', '-')}"


def test_every_command_is_found(command):
    code, out, _ = command("--help")
    assert code == 0
    assert set(app) >= COMMANDS
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("words", [[], ["train"], ["train", "wae-mmd"], ["sample"]])
def test_help_does_not_load_torch(words):
    code = f"import sys; from pushforward.cli import main\ntry: main({[*words, '--help']})\n"
    code += "except SystemExit: pass\n"
    code += "heavy = {'torch', 'numpy', 'sklearn', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_package_can_be_imported_before_all_others():
    """Its modules import others from `pushforward`, which must not import all that is exported."""
    subprocess.run([sys.executable, "-c", "from pushforward.training import Loop"], check=True)


@pytest.mark.parametrize("recipe", ["vae", "wae-gan", "gan"])
def test_options_of_text_are_shown_for_text_alone(recipe, command, tmp_path):
    """They are there for a catalogue name, a file and a folder of text, and one line says so elsewhere."""
    (tmp_path / "lines.txt").write_text("one line\n")
    of_text = [one.name for one in RECIPES[recipe].options if one.modality == "text" and not one.python_only]
    for words in ((recipe,), (recipe, "digits"), (recipe, tmp_path / "none.npy")):
        code, out, _ = command("train", *words, "--help")
        assert code == 0
        assert not any(option(name) in out for name in of_text)
        assert ("Options for text" in out) == bool(of_text)
    if of_text:
        for data in ("phrases", tmp_path / "lines.txt", tmp_path):
            code, out, _ = command("train", recipe, data, "--help")
            assert code == 0
            assert all(option(name) in out for name in of_text)
            assert "Options for text" not in out


def test_recipes_are_listed_by_family(command):
    code, out, _ = command("list")
    assert code == 0
    for name, recipe in RECIPES.items():
        assert f"\n  {name} " in out
        assert out.index(recipe.family) < out.index(f"\n  {name} ")


def test_public_names_are_in_one_list():
    names = dir(pf)
    assert {"train", "compare", "Run", "WAE", "ARAE", "TransferAE", "Wasserstein", "DeepKernelMMD"} <= set(
        names
    )
    assert all(getattr(pf, name) is not None for name in names)
    assert set(pf.__all__) <= set(names)
    with pytest.raises(AttributeError, match="has no attribute 'WEA'"):
        _ = pf.WEA


def test_every_modality_has_a_renderer():
    assert {renderer_for(name).suffix for name in ("image", "vector")} == {".png", ".npy"}
    text = renderer_for("text", pf.open_dataset("phrases").vocabulary)
    assert text.suffix == ".txt"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_any_channels_are_shown(channels):
    import torch

    assert mosaic(torch.rand(4, channels, 5, 7), columns=2, scale=1).shape == (16, 20, 3)


def test_recipes_come_in_the_order_of_their_papers():
    """Families in turn, and in each what others build on comes before them."""
    names, families = list(RECIPES), list(dict.fromkeys(one.family for one in RECIPES.values()))
    assert [families.index(recipe.family) for recipe in RECIPES.values()] == sorted(
        families.index(recipe.family) for recipe in RECIPES.values()
    )
    for earlier, later in (("gan", "ebgan"), ("ebgan", "began"), ("wgan", "wgan-gp"), ("vae", "info-vae")):
        assert names.index(earlier) < names.index(later)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_summary_is_one_whole_sentence(recipe):
    assert recipe.summary.endswith(".")
    assert "\n" not in recipe.summary


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_help_says_what_every_choice_of_an_option_is(recipe):
    for one in recipe.options:
        words = set(re.findall(r"[\w-]+", one.help))
        assert {str(choice) for choice in choices_of(one.type, {})} <= words, one.name


def test_the_help_shows_a_default_for_every_option_that_has_one(command):
    out = " ".join(command("train", "wae-mmd", "digits", "--help")[1].replace("│", " ").split())
    assert 'Defaults are those of preset "small".' in out
    for text in (
        "[default: imq]", "[default: --no-conditional]",
        "--weight-init FLOAT First value of the weight 'auto'. [default: 1]",
        "--latent-dim INT Dimensions of a code. [default: set by the preset and the data]",
        "--json Print the results as JSON on standard output. ╰",
    ):  # fmt: skip
        assert text in out


def test_defaults_of_the_help_are_what_a_preset_gives(digits):
    for name, recipe in RECIPES.items():
        found = shown_defaults(recipe, "image")
        settings = recipe.settings(**recipe.presets["small"](digits.spec))
        assert found.pop("steps") == f"about {settings.steps(digits.spec.n_train)}"
        for option_name, text in found.items():
            value = getattr(settings, option_name)
            assert text in (BY_DATA, written(option_name, value)), (name, option_name)


def test_what_the_command_line_says_of_recipes_is_what_they_are():
    """If this fails: python -m pushforward.cli.describe."""
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(describe()))


def test_names_in_angle_brackets_are_not_lost(command):
    assert "samples-<sampler>.png" in command("sample", "--help")[1]
    assert "runs/<recipe>-<data>" in command("train", "vae", "--help")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train wae-mmd digits --settings small", "unknown option --settings: did you mean --preset?"),
        ("train wae-mmd digits --batch 8", "unknown option --batch: did you mean --batch-size?"),
        ("train wgan digits --clip 1", "unknown option --clip: did you mean --weight-clip?"),
        ("train wgan-gp digits --penalty 1", "unknown option --penalty: did you mean --gp-weight?"),
        ("train gan digits --exchange", "unknown option --exchange: did you mean --non-saturating?"),
        ("train vae digits --label", "unknown option --label: did you mean --conditional"),
        (
            "train vae digits --zzz 1",
            "unknown option --zzz: pushforward train vae --help lists those there are",
        ),
        (
            "train wae-mmd digits --weight auto:5",
            "--weight must be a number or auto, got auto:5; see also --weight-init: first value of the "
            "weight 'auto'",
        ),
        (
            "train wae-mmd digits --kernel imk",
            "--kernel must be imq or gaussian, got imk: did you mean imq?",
        ),
        ("train wae-mmd digits --steps many", "--steps must be a whole number, got many"),
        ("train wae-mmd digits --steps none", "--steps must be a whole number, got none"),
        ("sample run --n 1e3", "--n must be a whole number, got 1e3"),
        ("compare vae --data digits --seeds 0 1.5", "--seeds must be a whole number, got 1.5"),
        ("train began digits --energy-power 1.5", "--energy-power must be 1 or 2, got 1.5"),
        ("transfer run", "transfer needs --to: number or name of the label"),
        ("transfer run --to", "transfer: --to needs a value: number or name of the label"),
        ("train vae", "train vae needs DATA: a name of the catalogue (pushforward list), a folder of images"),
        ("train vae digits other", "words that are not expected: other"),
    ],
)
def test_words_that_are_not_understood_are_named_in_the_terms_of_the_help(words, said, command):
    code, out, err = command(*words.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1
    assert not re.search(r"Literal|None|\bfloat\b|\bint\b|\bstr\b|\[|\]", err)


def whole_numbers():
    """The options that are whole numbers, by command and name, with the words of a command without them."""
    for verb in VERBS:
        prepare([verb])
    found = {}
    for words in [*([name] for name in app), *([verb, name] for verb in VERBS for name in RECIPES)]:
        one = app[words[0]] if len(words) == 1 else app[words[0]][words[1]]
        if not getattr(one.default_command, "__module__", "").startswith("pushforward."):
            continue
        options = list(one.assemble_argument_collection())
        needed = [
            [argument.name] * (argument.index is None) + ["x"] for argument in options if argument.required
        ]
        for argument in options:
            if re.search(r"\bint\b|Literal\[\d", str(argument.hint)):
                found[words[0], argument.name] = [*words, *(word for pair in needed for word in pair)]
    return found


def test_no_option_that_is_a_whole_number_takes_a_fraction():
    """Cyclopts rounds it: `--steps 1.5` trained 2 steps."""
    found = whole_numbers()
    assert found.keys() >= {("sample", "--n"), ("check", "--image-size"), ("train", "--energy-power")}
    for (_, name), words in found.items():
        with pytest.raises(CoercionError) as raised:
            app.parse_args([*words, name, "1.5"], exit_on_error=False, print_error=False)
        assert message(raised.value).startswith(f"{name} must be "), words
