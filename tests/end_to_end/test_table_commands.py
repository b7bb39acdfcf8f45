"""Samples under conditions and imputation from the command line."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.errors import ConfigError, DataError
from pushforward.tables.frames import table_of
from pushforward.tables.given import condition_of
from pushforward.tables.schema import Schema


def people(n=120):
    draw = np.random.default_rng(0)
    day = np.datetime64("2024-01-01") + draw.integers(0, 9, n)
    return pd.DataFrame({
        "age": draw.integers(17, 60, n),
        "town": draw.choice(["Rome", "Oslo"], n),
        "pay": np.where(draw.random(n) < 0.2, np.nan, np.round(draw.normal(size=n), 1)),
        "rich": draw.random(n) < 0.5,
        "day": day.astype("datetime64[us]"),
    })  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    people().to_csv(folder / "people.csv", index=False)
    return pf.train(
        "vae", folder / "people.csv", out=folder / "run", steps=2, latent_dim=2, batch_size=32, progress=False
    )


def test_samples_under_a_condition_are_those_of_python(run, tmp_path, command):
    out = tmp_path / "rows.csv"
    code, _, err = command(
        "sample", run.path, "--condition", "town=Rome", "age=20..40", "--n", 30, "--seed", 2, "--out", out
    )
    assert code == 0, err
    made = run.sample(30, seed=2, condition={"town": "Rome", "age": (20, 40)})
    assert pd.read_csv(out, parse_dates=["day"])["age"].equals(made["age"])
    assert set(pd.read_csv(out)["town"]) == {"Rome"}
    for word, wrong in (
        ("twon=Rome", "there is no modelled column 'twon': did you mean 'town'?"),
        ("town=Rom", "found 'Rom'; did you mean 'Rome'?"),
        ("town", "--condition must be column=value, got 'town'"),
        ("age=old", "expected integers as in training, found text such as 'old'"),
    ):
        code, _, err = command("sample", run.path, "--condition", word, "--out", out)
        assert code != 0
        assert wrong in " ".join(err.split())
    code, _, err = command("sample", run.path, "--condition", "town=Rome", "--sampler", "gmm")
    assert code != 0
    assert "--condition is for samples without label" in err


def test_words_of_a_condition_are_values_of_their_columns(run):
    words = ["age=20", "rich=true", "pay=", "day=2024-01-02..2024-01-05", "town=Rome", "town=Oslo"]
    found = condition_of(run.schema, words)
    assert found["age"] == 20
    assert found["rich"] is True
    assert found["pay"] is None
    assert [str(end.date()) for end in found["day"]] == ["2024-01-02", "2024-01-05"]
    assert found["town"] == ["Rome", "Oslo"]
    assert run.sample(20, condition=found)["day"].between("2024-01-02", "2024-01-05").all()
    with pytest.raises(ConfigError, match="takes one range of a column, got more for 'age'"):
        condition_of(run.schema, ["age=20..30", "age=50"])


def test_a_category_may_look_like_a_range_or_hold_an_equals_sign():
    schema = Schema.of(table_of({"code": ["1..2", "a=b", "1..2", "a=b"], "n": [1, 2, 2, 1]}))
    assert condition_of(schema, ["code=1..2", "n=1"]) == {"code": "1..2", "n": 1}
    assert condition_of(schema, ["code=a=b"]) == {"code": "a=b"}


def test_a_file_is_imputed_as_a_frame_is(run, tmp_path, command):
    rows = people(40)
    rows.loc[:9, "town"] = None
    rows["note"] = "kept"
    source = tmp_path / "holes.csv"
    rows.to_csv(source, index=False)
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        out = tmp_path / f"filled{suffix}"
        code, said, err = command("impute", run.path, source, "--out", out, "--candidates", 4)
        assert code == 0, err
        assert "40 rows" in said
        filled = read(out)
        assert list(filled.columns) == [*people().columns, "note"]
        assert not filled.isna().any().any()
        assert filled["age"].equals(rows["age"])
        assert filled["town"].tolist() == run.impute(rows, candidates=4)["town"].tolist()
    for arguments, wrong in (
        ([source, "--out", tmp_path / "filled.xlsx"], "--out must end in .csv or .parquet"),
        ([tmp_path / "holes.txt", "--out", tmp_path / "filled.csv"], "expected a table (.csv"),
        ([source, "--out", tmp_path / "f.csv", "--candidates", 0], "--candidates must be at least 1, got 0"),
    ):
        code, _, err = command("impute", run.path, *arguments)
        assert code != 0
        assert wrong in " ".join(err.split())


def test_an_unknown_category_names_the_nearest(run):
    with pytest.raises(DataError, match="found 'Osol'; did you mean 'Oslo'"):
        run.encode(people(3).assign(town="Osol"))
    with pytest.raises(DataError, match=r"found 'Paris'$"):
        run.encode(people(3).assign(town="Paris"))
