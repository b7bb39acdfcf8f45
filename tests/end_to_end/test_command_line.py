"""The command line: help that is fast and fits the data, discovered commands, and one list of names."""

import subprocess
import sys

import pytest

import pushforward as pf
from pushforward.cli import app
from pushforward.recipes import RECIPES
from pushforward.report.images import mosaic
from pushforward.report.renderers import renderer_for

COMMANDS = {
    "train", "resume", "sample", "reconstruct", "interpolate", "transfer", "evaluate", "doctor", "report",
    "classifier", "compare", "list",
}  # fmt: skip


def option(name):
    return f"--{name.replace('_', '-')}"


def test_every_command_is_found(command):
    code, out, _ = command("--help")
    assert code == 0
    assert set(app) >= COMMANDS
    assert all(name in out for name in COMMANDS)


def test_help_does_not_load_torch():
    code = "import sys; from pushforward.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'numpy', 'sklearn', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


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
