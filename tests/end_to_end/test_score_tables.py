"""Two tables are scored as tables, from any door, with training rows as the reference and copying."""

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.errors import ConfigError, DataError


def people(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    age = (40 + 10 * rng.normal(size=n) + shift).round(1)
    town = np.where(age + 5 * rng.normal(size=n) > 40, "Rome", "Oslo")
    return pd.DataFrame({"age": age, "town": town, "pay": (age * 50 + 100 * rng.normal(size=n)).round(2)})


TRAIN, REAL, GOOD, OFF = people(400, 0), people(200, 1), people(200, 2), people(200, 3, shift=8.0)


def test_a_good_table_is_close_and_another_is_not():
    good, off = (pf.score(REAL, made)["table"]["samples"] for made in (GOOD, OFF))
    assert good["ks"] < 0.15 < off["ks"]
    assert 0.3 < good["c2st_auc"] < 0.65 < off["c2st_auc"]
    assert "closer_than_held_out" not in good
    assert "reference" not in pf.score(REAL, GOOD)["table"]


def test_with_training_rows_there_are_a_reference_copying_and_use(tmp_path):
    found = pf.score(REAL, GOOD, train=TRAIN, target="town")
    assert 0.35 < found["table"]["samples"]["closer_than_held_out"] < 0.65
    assert found["table"]["reference"]["ks"] < 0.15
    assert found["table"]["samples"]["score"] == "AUC"
    assert found["table"]["samples"]["usefulness"] > 0.7
    assert any("closer than held-out" in line for line in repr(found).splitlines())
    copies = pf.score(REAL, TRAIN[:200], train=TRAIN)
    assert copies["table"]["samples"]["closer_than_held_out"] > 0.9
    assert "training rows are copied" in repr(copies)
    assert found["samples"]["fd"]["value"] > 0


def test_from_files_on_the_command_line(tmp_path, figures, command):
    TRAIN.to_csv(tmp_path / "train.csv", index=False)
    REAL.to_csv(tmp_path / "real.csv", index=False)
    GOOD.to_parquet(tmp_path / "made.parquet")
    files = [tmp_path / "real.csv", tmp_path / "made.parquet"]
    found = figures("score", *files, "--train", tmp_path / "train.csv")["table"]
    known = pf.score(REAL, GOOD, train=TRAIN)["table"]
    for key in ("ks", "total_variation", "closer_than_held_out"):
        assert found["samples"][key] == pytest.approx(known["samples"][key], rel=1e-6)
    code, out, err = command("score", *files, "--columns", "age=numeric")
    assert code == 0, err
    assert "column KS" in out


def test_the_schema_is_that_of_all_rows():
    """A category that occurs once would be left out if its row were held out at random."""
    rare = [REAL.assign(town=["Bern" if row == at else town for row, town in enumerate(REAL["town"])])
            for at in range(20)]  # fmt: skip
    for real in rare:
        made = GOOD.assign(town=["Bern", *GOOD["town"][1:]])
        assert pf.score(real, made, features="columns")["n_samples"] == 200


BAD = {
    "another column": (lambda: GOOD.rename(columns={"town": "city"}), DataError, "town"),
    "a category": (lambda: GOOD.assign(town="Bern"), DataError, "town"),
    "an array": (lambda: GOOD[["age", "pay"]].to_numpy(), DataError, "expected table data"),
    "few": (lambda: GOOD[:10], DataError, "expected at least 20 generated rows"),
    "text in numbers": (lambda: GOOD.assign(age="old"), DataError, "age"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_tables_that_do_not_fit(what):
    make, kind, message = BAD[what]
    with pytest.raises(kind, match=message):
        pf.score(REAL, make())


def test_target_is_a_column():
    with pytest.raises(ConfigError, match="tawn"):
        pf.score(REAL, GOOD, train=TRAIN, target="tawn")
    with pytest.raises(ConfigError, match="target is for tables"):
        pf.score(np.eye(30), np.eye(30), target="town")
