"""The scikit-learn estimator keeps scikit-learn's promises."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import pushforward as pf
from pushforward.errors import ConfigError, DataError
from pushforward.sklearn import Autoencoder

X, Y = load_iris(return_X_y=True)
QUICK = Autoencoder(steps=3, latent_dim=2, random_state=0)


def name(value):
    return value.func.__name__ if hasattr(value, "func") else "autoencoder"


@pytest.mark.parametrize(("estimator", "check"), [*estimator_checks_generator(QUICK)], ids=name)
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder("ae", latent_dim=2, steps=400, random_state=0).fit(X)


def test_rows_come_back_in_their_own_units(fitted):
    back = fitted.inverse_transform(fitted.transform(X))
    assert back.shape == X.shape
    # Two principal directions leave 2.2 % of the variance.
    assert ((back - X) ** 2).sum() < 0.1 * ((X - X.mean(0)) ** 2).sum()
    assert np.allclose(fitted.transform(X), fitted.run_.encode(X).numpy())


def test_unusual_rows_score_lower(fitted):
    assert fitted.score_samples(X + 5).max() < fitted.score_samples(X).min()
    assert fitted.score(X) == pytest.approx(fitted.score_samples(X).mean())


def test_samples_are_a_function_of_the_seed(fitted):
    assert fitted.sample(5).shape == (5, 4)
    assert (fitted.sample(5) == fitted.sample(5)).all()


def test_all_rows_are_training_rows(fitted):
    assert len(fitted.run_.data.train) == len(X)


def test_frames_pipelines_searches_and_copies():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    codes = clone(QUICK).set_output(transform="pandas").fit_transform(frame)
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clone(QUICK)), {"autoencoder__latent_dim": [1, 2]}, cv=2
    )
    assert search.fit(X).best_params_["autoencoder__latent_dim"] in (1, 2)
    one = clone(QUICK).fit(X)
    assert (pickle.loads(pickle.dumps(one)).transform(X) == one.transform(X)).all()


def test_classes_are_inferred_from_few_labels():
    digits, labels = load_digits(return_X_y=True)
    y = np.where(np.arange(len(labels)) < 300, labels, -1)
    model = Autoencoder(
        "aae-semi-supervised", steps=30, random_state=0, options={"n_labels": 100}, shape=(1, 8, 8)
    ).fit(digits / 16, y)
    assert set(model.predict(digits[:20] / 16)) <= set(range(10))
    assert model.classes_.tolist() == list(range(10))
    assert not hasattr(QUICK, "predict")


def test_the_folder_is_a_run_like_any_other(tmp_path):
    Autoencoder(steps=3, out=tmp_path / "run", random_state=0).fit(X)
    assert pf.load(tmp_path / "run").step == 3


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (Autoencoder("gan", steps=1), ConfigError, "recipe must be one whose model encodes, got 'gan'"),
        (Autoencoder("wea", steps=1), ConfigError, "wea"),
        (Autoencoder(steps=1, options={"lamda": 1}), ConfigError, "lamda"),
        (Autoencoder("aae-semi-supervised", steps=1), DataError, "needs labels y, got None"),
        (Autoencoder(steps=1, shape=(1, 2, 3)), DataError, "needs rows of 6 values, got 4"),
        (Autoencoder(steps=0), ConfigError, "steps must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(estimator, error, message):
    with pytest.raises(error, match=message):
        estimator.fit(X)
