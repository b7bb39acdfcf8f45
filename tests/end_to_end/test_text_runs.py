"""Text from the command line to the report: lines in, lines out."""

import signal
from importlib import import_module

import pytest
import torch
from speed import quick

import pushforward as pf
from pushforward.data.phrases import phrases
from pushforward.errors import ConfigError, DataError, InterruptedRunError
from pushforward.training.loop import Loop

QUICK = {"threads": 1, "progress": False, "batch_size": 32}


@pytest.fixture(autouse=True, scope="module")
def fewer_lines():
    """A language model of a thousand lines will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("pushforward.evaluation.groups.text"), "SAMPLES", 1000)
        yield


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """A model conditional on the style, long enough to say something."""
    folder = tmp_path_factory.mktemp("runs") / "transfer"
    return pf.train(
        "transfer-ae", "phrases", out=folder, steps=60, latent_dim=16, paired_fraction=1.0, **QUICK
    )


def test_a_run_on_text_writes_lines(styled):
    made = styled.sample(5)
    assert made.shape == (5, 32)
    lines = styled.lines(made)
    assert len(lines) == 5
    assert all(isinstance(line, str) for line in lines)
    assert torch.equal(styled.sample(3), made[:3])


def test_lines_can_be_handed_over_as_lines(styled):
    line = "my brother know a red rose often ."
    assert styled.encode(line).shape == (1, 16)
    assert torch.allclose(styled.encode([line, "i love the sea ."])[:1], styled.encode(line), atol=1e-5)
    back = styled.transfer([line], "old")
    assert torch.equal(back, styled.decode(styled.encode(line), torch.tensor([1])))
    assert torch.equal(back, styled.transfer([line], 1))
    strong = styled.transfer([line], "old", guidance_scale=3)
    # of two labels the line was of the other one
    assert torch.equal(strong, styled.transfer([line], "old", [0], guidance_scale=3))
    assert torch.equal(styled.transfer([line], "old", guidance_scale=0), styled.reconstruct([line], [0]))
    with pytest.raises(ConfigError, match="guidance_scale must be at least 0, got -1"):
        styled.transfer([line], "old", guidance_scale=-1)
    with pytest.raises(ConfigError, match="unknown label 'olde': did you mean 'old'"):
        styled.transfer([line], "olde")
    with pytest.raises(DataError, match="line 1: expected 1 to 31 tokens"):
        styled.encode("very " * 40)
    with pytest.raises(DataError, match=r"lines of text must have shape \(N,\), got \(2, 2\)"):
        styled.encode([["the", "cat"], ["a", "dog"]])


def test_it_opens_again_with_its_vocabulary(styled):
    again = pf.load(styled.path)
    assert again.vocabulary == styled.vocabulary
    assert torch.equal(again.sample(4), styled.sample(4))
    assert list((styled.path / "samples").glob("*.txt"))


@pytest.mark.slow
def test_it_is_evaluated_next_to_copying(styled):
    found = styled.evaluate(n_samples=200)
    text, moved = found["text"], found["transfer"]
    assert 0 <= text["reconstruction"]["bleu"] <= 100
    assert text["reference"]["reverse_perplexity"] < text["samples"]["reverse_perplexity"]
    assert moved["style_classifier_accuracy"] > 0.9
    for style in ("to_plain", "to_old"):
        copied = moved[style]["copied"]
        assert copied["source_bleu"] == pytest.approx(100)
        assert copied["style_accuracy"] < 0.1
        assert set(moved[style]["made"]) == {"style_accuracy", "source_bleu", "reference_bleu"}
        assert list(moved[style]) == ["made", "guidance scale 2", "guidance scale 5", "copied"]
    assert found["reconstruction"]["wrong_tokens"]["value"] > 0
    assert found["features"]["name"] == "words"


@pytest.mark.slow
def test_the_report_shows_lines(styled, rendering):
    with rendering():
        page = styled.report().read_text()
    line = styled.lines(styled.sample(1))[0]
    assert line in page
    assert "held-out lines, each with its reconstruction" in page
    assert (styled.path / "overview.png").exists()


@pytest.mark.slow
def test_resuming_text_is_exact(tmp_path, monkeypatch):
    """Stopped half way and resumed, with word dropout and a warm-up, the weights are the same bits."""
    more = {"steps": 12, "latent_dim": 8, "word_dropout": 0.3, "warmup": 8, **QUICK}
    whole = pf.train("vae", "phrases", out=tmp_path / "whole", **more)
    advance = Loop.advance

    def interrupted(loop):
        if loop.step == 5:
            signal.raise_signal(signal.SIGTERM)
        return advance(loop)

    monkeypatch.setattr(Loop, "advance", interrupted)
    with pytest.raises(InterruptedRunError):
        pf.train("vae", "phrases", out=tmp_path / "half", **more)
    monkeypatch.setattr(Loop, "advance", advance)
    half = pf.resume(tmp_path / "half", progress=False)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, half.model.state_dict()[name]), name


OPTIONS = [
    ("ae", {"encoder_word_dropout": 0.2}),
    ("vae", {"free_bits": 0.1, "warmup": 4}),
    ("wae-mmd", {}),
    ("wae-mmd", {"network": "transformer"}),
    ("wae-gan", {}),
    ("wae-random", {"variance_penalty": "kl"}),
    ("aae", {"encoder_word_dropout": 0.3, "token_replacement": 0.0}),  # the denoising one
    ("aae-clustering", {"n_clusters": 3, "encoder_word_dropout": 0.2}),
    ("info-vae", {"word_dropout": 0.3}),
    ("arae", {}),
    ("gmmn-ae", {}),
]


@pytest.mark.parametrize(("recipe", "more"), quick(OPTIONS, OPTIONS[3], OPTIONS[9]))
def test_recipes_take_text(recipe, more, tmp_path):
    run = pf.train(recipe, "phrases", out=tmp_path / "run", steps=3, latent_dim=8, **more, **QUICK)
    assert len(run.lines(run.sample(4))) == 4
    back = run.reconstruct(run.data.test.x[:3])
    assert back.shape == (3, 32)
    found = run.evaluate(n_samples=40, metrics=("objective", "reconstruction", "latent"))
    assert found["objective"]["terms"]["reconstruction"] > 0


def test_the_command_line_reads_and_writes_text(command, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for pair in phrases(200) for line in pair))
    folder = tmp_path / "run"
    code, out, err = command(
        "train", "arae", path, "--steps", 4, "--latent-dim", 8, "--batch-size", 16, "--threads", 1,
        "--out", folder, "--evaluate", "full",
    )  # fmt: skip
    assert code == 0, err
    assert "BLEU" in out
    assert "latent fit  " in out
    code, out, err = command("sample", folder, "--n", 5)
    assert code == 0, err
    written = (folder / "samples.txt").read_text()
    assert len(written.splitlines()) == 5
    assert written in out
    for verb in ("reconstruct", "interpolate"):
        code, out, err = command(verb, folder, "--n", 2)
        assert code == 0, err
    written = (folder / "reconstructions.txt").read_text().split("\n\n")
    assert len([block for block in written if block.strip()]) == 2
    code, _, err = command("sample", folder, "--out", tmp_path / "s.png")
    assert code == 78
    assert "out must end in .npy or .txt" in err
    code, _, err = command("transfer", folder, "--to", "old")
    assert code == 78
    assert "arae decodes without a label, so that rows cannot be rewritten under another" in err
    assert "train another recipe with --conditional, such as wae-mmd, or transfer-ae" in err


def test_transfer_from_the_command_line(command, styled, tmp_path):
    code, _, err = command("transfer", styled.path, "--to", "old", "--n", 3)
    assert code == 0, err
    text = (styled.path / "transfer.txt").read_text().strip()
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert len(blocks) == 3
    assert all(len(block) == 2 for block in blocks)
    mine, out = tmp_path / "mine.txt", tmp_path / "out.txt"
    mine.write_text("i love the sea .\n\nwe fear my heart .\n")
    code, _, err = command(
        "transfer", styled.path, "--to", "old", "--guidance-scale", 2, "--lines", mine, "--out", out
    )
    assert code == 0, err
    assert "left out 1 empty of 3 lines" in err
    assert out.read_text().startswith("i love the sea .\n")


def test_lines_that_do_not_fit_are_left_out_and_counted(styled, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("i love the sea .\n\n" + "very " * 40 + "\n")
    x, note = styled.read(mine)
    assert styled.lines(x) == ["i love the sea ."]
    assert note.startswith("left out 1 empty and 1 of more than 31 tokens of 3 lines")
    mine.write_text("\n")
    with pytest.raises(DataError, match="no line has 1 to 31 tokens"):
        styled.read(mine)


def test_the_doctor_measures_text_in_features(styled):
    """No symptom reads token numbers as values."""
    assert "scale of the data" not in {finding.name for finding in styled.doctor()}


def test_the_label_predictability_of_codes_is_measured(styled):
    found = styled.evaluate(n_samples=300, metrics=("classes",))["classes"]
    assert 0.4 < found["label_predictability"]["value"] <= 1


@pytest.mark.slow
def test_the_likelihood_of_text(tmp_path):
    """The importance-weighted bound is above the evidence lower bound, and below 0."""
    run = pf.train("vae", "phrases", out=tmp_path / "run", steps=5, latent_dim=4, **QUICK)
    found = run.evaluate(n_samples=60, metrics=("objective", "likelihood"))
    bound = found["likelihood"]["log_likelihood"]["value"]
    assert -found["objective"]["negative_elbo"] - 1 < bound < 0


@pytest.mark.slow
def test_a_comparison_of_text_takes_a_max_length(tmp_path):
    found = pf.compare(
        ["ae", "wae-mmd"], "phrases", seeds=[0], out=tmp_path, steps=2, max_length=24, latent_dim=4,
        progress=False, metrics=("objective", "text"),
    )  # fmt: skip
    table = found.tables["phrases"]
    assert "reconstruction BLEU" in table.head
    last = [cell.text for cell in table.rows[-1]]
    assert last[0] == "train reference"
    assert (
        float(last[table.head.index("reverse perplexity")]) > 1
    )  # of training lines in the place of samples
    run = pf.load(tmp_path / "phrases-ae-0")
    assert run.lines(run.sample(1))[0] in (tmp_path / "report.html").read_text()


def test_bad_text_ends_in_one_line(command, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"one\ntwo \xfe\nthree\n")
    code, _, err = command("train", "ae", tmp_path / "bad.txt", "--out", tmp_path / "run")
    assert code == 65
    assert "expected UTF-8, found byte 0xfe at offset 8, in line 2" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()
