"""Tables from a frame or the command line to samples that are a frame again."""

import math
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.conformance import check_recipe
from pushforward.errors import ConfigError, DataError, InterruptedRunError
from pushforward.runs.trained_model import CHUNK
from pushforward.tables.schema import Schema
from pushforward.training.loop import Loop

QUICK = {"threads": 1, "progress": False, "batch_size": 32, "latent_dim": 2}


@pytest.fixture(autouse=True, scope="module")
def small_networks():
    """Networks of a few units."""
    with pytest.MonkeyPatch.context() as patch:
        networks = import_module("pushforward.tables.networks")
        for name in ("TableEncoder", "TableDecoder", "AutoregressiveTableDecoder"):
            kind = getattr(networks, name)
            sizes = tuple(32 if value == networks.WIDTH else value for value in kind.__init__.__defaults__)
            patch.setattr(kind.__init__, "__defaults__", sizes)
        yield


def people(n=240):
    draw = np.random.default_rng(0)
    age = draw.integers(17, 60, n)
    return pd.DataFrame({
        "id": [f"p{row}" for row in range(n)],
        "age": age,
        "town": draw.choice(["Rome", "Oslo"], n),
        "pay": np.where(draw.random(n) < 0.1, np.nan, np.round(age * 100 + draw.normal(size=n), 1)),
        "rich": age > 40,
    })  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pf.train(
        "vae", people(), target="town", out=tmp_path_factory.mktemp("runs") / "run", steps=30, **QUICK
    )


def test_samples_are_a_frame_with_the_original_types(run):
    made, given = run.sample(50), people()
    assert made.dtypes.to_dict() == given.dtypes.to_dict()
    assert list(made.columns) == list(given.columns)
    assert made["id"].tolist() == [str(row) for row in range(1, 51)]
    assert set(made["town"]) <= {"Rome", "Oslo"}
    assert made["age"].between(17, 59).all()
    assert made["pay"].dropna().between(given["pay"].min(), given["pay"].max()).all()
    assert made.equals(run.sample(60).head(50))
    assert not made.drop(columns="id").duplicated().all()


def test_frames_are_encoded_and_reconstructed(run):
    rows = people().head(7)
    codes = run.encode(rows)
    assert codes.shape == (7, 2)
    assert torch.equal(codes, run.encode(rows[["rich", "pay", "town", "age"]]))
    assert torch.allclose(codes, run.encode(run.rows(rows)), atol=1e-6)
    back = run.reconstruct(rows)
    assert back.dtypes.to_dict() == rows.dtypes.to_dict()
    assert back.equals(run.frame(run.decode(codes)))
    with pytest.raises(DataError, match="rows: expected a column 'pay'"):
        run.encode(rows.drop(columns="pay"))
    with pytest.raises(DataError, match="row 0, column 'town': expected a value of the training rows"):
        run.encode(rows.assign(town="Paris"))
    with pytest.raises(DataError, match=r"rows must be a frame, or cells of shape \(4,\), got \(3,\)"):
        run.encode(torch.zeros(2, 3))
    with pytest.raises(DataError, match="cells must be from 0"):
        run.encode(torch.full((2, 4), 1e6))


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_reconstructions_of_a_file_are_a_table_in_its_own_values(suffix, read, run, tmp_path, command):
    rows = people().head(30)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    code, printed, err = command(
        "reconstruct", run.path, tmp_path / "rows.csv", "--out", tmp_path / f"b{suffix}"
    )
    assert code == 0, err
    assert printed.endswith(f"b{suffix}\n")
    back = read(tmp_path / f"b{suffix}")
    expected = run.reconstruct(rows)
    assert list(back.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(back.drop(columns="id"), expected.drop(columns="id"), check_dtype=False)
    assert back["age"].between(17, 59).all()
    assert set(back["town"]) <= {"Rome", "Oslo"}


def test_arrays_of_a_table_are_said_to_be_cells(run, tmp_path, command):
    people().head(5).to_csv(tmp_path / "rows.csv", index=False)
    for words in (["sample"], ["reconstruct", tmp_path / "rows.csv"]):
        out = tmp_path / f"{words[0]}.npy"
        code, printed, err = command(words[0], run.path, *words[1:], "--out", out)
        assert code == 0, err
        assert printed.endswith(
            f"{out} (numbers of cells, not values; a .csv or .parquet file holds values)\n"
        )
    assert run.frame(torch.from_numpy(np.load(out))).equals(run.reconstruct(people().head(5)))
    code, _, err = command("reconstruct", run.path, tmp_path / "rows.csv", "--out", tmp_path / "b.png")
    assert code != 0
    assert "out must end in .csv, .npy or .parquet" in err


def test_a_run_is_opened_again_with_its_schema(run):
    again = pf.load(run.path)
    assert again.codec == run.codec
    assert isinstance(again.codec, Schema)
    assert again.sample(20).equals(run.sample(20))
    with pytest.raises(DataError, match="data in memory"):
        _ = again.data
    assert torch.equal(pf.load(run.path, data=people()).data.train.x, run.data.train.x)
    with pytest.raises(DataError, match="is not what the run was trained on"):
        pf.resume(run.path, data=people(200), progress=False)
    with pytest.raises(ConfigError, match="is not a run on text"):
        run.lines(run.sample_tensor(2))


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    more = QUICK | {"steps": 12, "column_dropout": 0.3, "seed": 1}
    whole = pf.train("vae", people(), out=tmp_path / "whole", **more)
    advance = Loop.advance

    def stop(self):
        if self.step == 7:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "advance", stop)
        with pytest.raises((InterruptedRunError, KeyboardInterrupt)):
            pf.train("vae", people(), out=tmp_path / "half", **more)
    half = pf.train("vae", people(), out=tmp_path / "half", **more)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, half.model.state_dict()[name]), name


@pytest.mark.parametrize("network", ["table-autoregressive", "table-mlp"])
@pytest.mark.parametrize(
    "recipe", ["ae", "wae-mmd", "wae-gan", "wae-random", "vae", "beta-vae", "info-vae", "avb", "aae", "arae"]
)
def test_auto_encoders_take_tables(recipe, network, tmp_path):
    if network == "table-mlp" and recipe not in ("vae", "wae-mmd"):
        pytest.skip("one is enough")
    run = pf.train(recipe, people(60), out=tmp_path / "run", steps=2, network=network, **QUICK)
    assert run.sample(3).shape == (3, 5)


LABELLED = ["aae-supervised", "aae-semi-supervised", "aae-label-regularised", "transfer-ae"]


@pytest.mark.parametrize("recipe", LABELLED)
def test_auto_encoders_with_labels_take_tables(recipe, tmp_path):
    size = {} if recipe.startswith("aae") else {"latent_dim": 2}
    more = {name: value for name, value in QUICK.items() if name != "latent_dim"} | size
    run = pf.train(recipe, people(60), target="town", out=tmp_path / "run", steps=2, **more)
    assert run.sample(3).shape == (3, 5)


def test_a_conditional_model_samples_a_class(tmp_path):
    run = pf.train("vae", people(60), target="town", conditional=True, out=tmp_path / "run", steps=3, **QUICK)
    assert run.sample(4, label="Rome").shape == (4, 5)
    rows = people(8)
    rows.loc[:3, "town"] = None
    rows.loc[4:, "pay"] = np.nan
    for frame in (rows, rows.drop(columns="town")):
        assert not run.impute(frame, candidates=2).isna().any().any()


def test_models_in_data_space_refuse_tables(tmp_path):
    with pytest.raises(ConfigError, match="table data"):
        pf.train("gan", people(60), out=tmp_path / "run", steps=2, progress=False)
    with pytest.raises(ConfigError, match="cost='columns' is for tables and tables for it"):
        pf.train("vae", people(60), out=tmp_path / "run", steps=2, cost="squared", **QUICK)
    with pytest.raises(ConfigError, match=r"input_noise.* columns; use encoder_column_dropout"):
        pf.train("wae-mmd", people(60), out=tmp_path / "run", steps=2, input_noise=0.1, **QUICK)


def test_the_command_line_trains_and_writes_tables(tmp_path, command):
    people().to_csv(tmp_path / "people.csv", index=False)
    folder, csv = tmp_path / "run", tmp_path / "people.csv"
    options = ["--steps", 3, "--out", folder, "--evaluate", "none", "--target", "rich"]
    code, _, err = command("train", "vae", csv, *options, "--columns", "age=categorical")
    assert code == 0
    assert "town: categorical, 2 values: Oslo, Rome" in err
    for suffix, read in ((".parquet", pd.read_parquet), (".csv", pd.read_csv)):
        out = tmp_path / f"made{suffix}"
        code, printed, err = command("sample", folder, "--n", 700, "--out", out)
        assert code == 0, err
        made = read(out)
        assert list(made.columns) == list(people().columns)
        assert len(made) == 700
    assert printed.splitlines()[1].split() == list(people().columns)
    code, _, err = command("sample", folder, "--out", tmp_path / "made.png")
    assert code != 0
    assert "out must end in .csv, .npy or .parquet" in err
    code, _, err = command("train", "vae", csv, "--columns", "age", *options)
    assert code != 0
    assert "--columns must be name=kind,name=kind, got 'age'" in err


def test_a_report_shows_rows(run):
    page = run.report().read_text()
    assert "Rome" in page
    assert run.evaluation_context(50).features.name == "columns"


def test_an_evaluation_compares_columns_pairs_rows_use_and_copying(run, monkeypatch):
    group = import_module("pushforward.evaluation.groups.table")
    monkeypatch.setattr(group, "FEW_ROWS", 20)
    found = run.evaluate(metrics=["table"])["table"]
    assert found["target"] == "town"
    assert set(found["samples"]["ks_by_column"]) == {"age", "pay"}
    assert found["samples"]["worst_total_variation"]["column"] in ("town", "rich")
    assert 0 <= found["samples"]["c2st_auc"] <= 1
    assert found["samples"]["score"] == "AUC"
    assert found["reference"]["ks"] < 0.5
    monkeypatch.setattr(group, "COPIED", -1.0)
    said = list(group._sentences(found))
    assert any("training rows are copied" in line for line in said)


def test_rows_are_drawn_once_for_all_metrics(run, monkeypatch):
    """Samples of tables are drawn column by column; features, columns and the group of tables share them."""
    drawn = []
    draw = type(run.model).sample

    def counted(self, n, *arguments):
        drawn.append(n)
        return draw(self, n, *arguments)

    monkeypatch.setattr(type(run.model), "sample", counted)
    context = run.evaluation_context(features="quick")
    first = [part.clone() for part in context.drawn()]
    assert context.samples.features.shape[0] == sum(drawn) == context.n_samples
    assert all(map(torch.equal, context.drawn(), first))
    assert sum(drawn) == context.n_samples
    assert len([*context.drawn(context.prior or run.model.prior)]) == len(first)
    assert sum(drawn) == 2 * context.n_samples


def test_the_summary_is_in_plain_words(run, monkeypatch):
    said = repr(run.doctor())
    assert "samples" in said
    diagnosis = import_module("pushforward.evaluation.diagnosis")
    monkeypatch.setattr(diagnosis, "FEW_ROWS", 20)
    said = repr(run.doctor())
    assert "columns are 0." in said
    assert "gradient boosting tells samples from data with AUC" in said


def test_samples_under_a_condition_have_it(run):
    made = run.sample_given({"town": "Rome", "age": (30, 40)}, n=40, candidates=8)
    assert set(made["town"]) == {"Rome"}
    assert made["age"].between(25, 45).all()  # cells hold a few years
    assert made.dtypes.to_dict() == people().dtypes.to_dict()
    assert set(run.sample_given({"pay": None}, n=10)["pay"].isna()) == {True}
    assert set(run.sample_given({"town": ["Rome", "Oslo"]}, n=10)["town"]) <= {"Rome", "Oslo"}
    assert made.equals(run.sample_given({"town": "Rome", "age": (30, 40)}, n=40, candidates=8))
    assert set(run.sample(10, condition={"town": "Oslo"})["town"]) == {"Oslo"}
    with pytest.raises(ConfigError, match="condition is for samples without label, of the prior"):
        run.sample(10, sampler="gmm", condition={"town": "Oslo"})
    with pytest.raises(ConfigError, match="there is no modelled column 'city'"):
        run.sample_given({"city": "Rome"})
    with pytest.raises(DataError, match="expected a value of the training rows"):
        run.sample_given({"town": "Paris"})
    with pytest.raises(DataError, match="column 'town' has a value in all training rows, got None"):
        run.sample_given({"town": None})
    with pytest.raises(ConfigError, match=r"a pair .* is for numbers and dates"):
        run.sample_given({"town": ("Oslo", "Rome")})


def test_what_is_missing_is_imputed_and_the_rest_stays(run):
    rows = people().head(40)
    holes = rows.copy()
    holes.loc[:9, "age"] = np.nan
    holes.loc[5:14, "town"] = None
    filled = run.impute(holes, candidates=4)
    assert not filled.drop(columns="id").isna().any().any()
    assert filled["id"].equals(rows["id"])
    kept = holes.notna()
    for name in ("age", "town", "pay", "rich"):
        assert (filled[name][kept[name]] == holes[name][kept[name]]).all(), name
    assert "town" in run.impute(rows.drop(columns="town"), candidates=2)


def test_scores_say_which_rows_are_unusual(run):
    scores = run.score_rows(people().head(30))
    assert list(scores.columns) == ["reconstruction", "latent", "likelihood", "surprise"]
    assert len(scores) == 30
    assert set(scores["surprise"]) <= {"age", "town", "pay", "rich"}
    assert np.isfinite(scores[["reconstruction", "latent", "likelihood"]]).all().all()


@pytest.mark.parametrize("n", [30, 2 * CHUNK + 30])
def test_scores_in_a_file_are_those_of_the_frame(run, tmp_path, command, n):
    rows = pd.concat([people()] * math.ceil(n / 240), ignore_index=True).head(n)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    code, _, err = command("score-rows", run.path, tmp_path / "rows.csv", "--out", tmp_path / "scores.csv")
    assert code == 0, err
    written, scores = pd.read_csv(tmp_path / "scores.csv"), run.score_rows(rows)
    assert list(written.columns) == ["reconstruction", "latent", "likelihood", "surprise"]
    pd.testing.assert_frame_equal(written, scores, check_dtype=False, rtol=1e-4)
    _, printed, _ = command("score-rows", "--help")
    assert all(name in printed for name in scores.columns)


def test_a_name_of_a_column_in_a_file_of_scores_may_have_a_comma(tmp_path):
    rows = pd.DataFrame({"a,b": np.arange(40) % 3, 'c"d': list("xy") * 20})
    run = pf.train("vae", rows, out=tmp_path / "run", steps=1, **QUICK)
    run.score_file(rows, tmp_path / "scores.csv")
    assert set(pd.read_csv(tmp_path / "scores.csv")["surprise"]) <= {*rows.columns}


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """A model of two columns of numbers, the second of which nearly follows from the first."""
    draw = np.random.default_rng(3)
    x = draw.integers(0, 8, 2000)
    frame = pd.DataFrame({"x": x, "y": 10 * x + draw.integers(0, 3, 2000), "u": draw.integers(0, 4, 2000)})
    options = {"batch_size": 200, "lr": 1e-2, "threads": 1, "progress": False, "latent_dim": 2}
    return pf.train("vae", frame, out=tmp_path_factory.mktemp("runs") / "linked", steps=250, **options), frame


def test_a_condition_on_a_later_column_is_met_by_the_earlier_ones(linked):
    run, _ = linked
    made = run.sample_given({"y": (40, 42)}, n=200, candidates=60)
    assert (made["x"] == 4).mean() > 0.9


def test_imputation_beats_the_mean_of_the_column(linked):
    run, frame = linked
    rows = frame.head(300)
    for hidden, known in (("x", "y"), ("y", "x")):
        filled = run.impute(rows.assign(**{hidden: np.nan}), candidates=60)
        error = ((filled[hidden] - rows[hidden]) ** 2).mean()
        assert error < 0.1 * rows[hidden].var(), (hidden, known)


def test_rows_that_break_the_link_have_higher_scores(linked):
    run, frame = linked
    rows = frame.head(200)
    odd = rows.assign(y=rows["y"].to_numpy()[::-1])
    odd = odd[(odd["y"] // 10) != odd["x"]]
    inside, outside = (run.score_rows(part)["likelihood"] for part in (rows, odd))
    auroc = (outside.to_numpy()[:, None] > inside.to_numpy()).mean()
    assert auroc > 0.95


@pytest.mark.parametrize("network", ["table-autoregressive", "table-mlp"])
def test_recipes_keep_their_promises_on_tables(network):
    assert len(check_recipe("vae", people(), latent_dim=2, network=network)) > 14
