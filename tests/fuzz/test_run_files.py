"""Whatever the files of a run hold, it opens or one typed error says what is wrong; memory stays bounded."""

import hashlib
import json
import resource
import shutil
import sys
import warnings
from contextlib import contextmanager, suppress
from functools import cache

import pytest
from damage import ANY_JSON, damaged, few, many, of_another_shape
from hypothesis import given
from hypothesis import strategies as st

import pushforward as pf
from pushforward.errors import DataError, PushforwardError
from pushforward.rng import Noise
from pushforward.runs.config import encode
from pushforward.runs.directory import RunDirectory
from pushforward.runs.latent_samplers import fit_gmm, read_sampler, sampler_key, save_sampler
from pushforward.runs.results import evaluation_key, read_results, write_results
from pushforward.runs.run import Run
from pushforward.text.vocabulary import Vocabulary
from pushforward.training.checkpoints import Checkpoints

MOST_MEMORY = 2**30  # bytes that reading the small files of these tests may take


@contextmanager
def opens_or_says_why():
    """Within, no error but one of the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(PushforwardError):
            yield


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    """All these inputs together take no more memory than is allowed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MOST_MEMORY


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps, in a folder of which every example gets the files anew."""
    rows = Noise(0).uniform(24, 5)
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Run, "overview", lambda run, *_: (run.path / "overview.png").write_bytes(b"\x89PNG IEND....")
        )
        pf.train("vae", rows.numpy(), out=folder / "run", steps=2, latent_dim=2, progress=False)
        shutil.copytree(folder / "run", folder / "whole")
        yield Files(folder / "run", folder / "whole", rows.numpy())


class Files:
    """The files of a run, and what they were."""

    def __init__(self, path, whole, rows):
        self.path, self.whole, self.rows = path, whole, rows
        self.config = RunDirectory(path).config()

    def anew(self):
        shutil.rmtree(self.path)
        shutil.copytree(self.whole, self.path)
        return self.path

    def rewrite(self, numbers=None, history=None):
        """The newest checkpoint with other contents, under a manifest that fits them."""
        checkpoints = Checkpoints(self.anew() / "checkpoints", self.config["id"])
        found, _ = checkpoints.newest()
        copies = found.copies | ({} if history is None else {"history.jsonl": history})
        checkpoints.write(found.step, found.tensors, found.numbers if numbers is None else numbers, copies)

    def open(self):
        with opens_or_says_why():
            assert pf.load(self.path).step == 2

    def resume(self):
        with opens_or_says_why():
            assert pf.resume(self.path, data=self.rows, progress=False).step == 2


@few
@given(st.data())
def test_config_under_a_sum_that_fits(run, data):
    config = data.draw(of_another_shape(run.config))
    (run.anew() / "config.json").write_bytes(encode(config))
    run.open()


@few
@given(st.data())
def test_config(run, data):
    place = run.anew() / "config.json"
    place.write_bytes(data.draw(damaged(place.read_bytes())))
    run.open()


@many
@given(st.data())
def test_manifest(run, data):
    place = run.anew() / "checkpoints" / "00000002" / "manifest.json"
    content = place.read_bytes()
    changed = of_another_shape(json.loads(content)).map(lambda value: json.dumps(value).encode())
    place.write_bytes(data.draw(changed | damaged(content)))
    with opens_or_says_why():
        assert Checkpoints(place.parents[1], run.config["id"]).newest()[0].step in (1, 2)


@few
@given(st.data())
def test_state_under_a_manifest_that_fits(run, data):
    numbers = Checkpoints(run.whole / "checkpoints").newest()[0].numbers
    changed = data.draw(of_another_shape(numbers).filter(lambda value: isinstance(value, dict)))
    run.rewrite(numbers=changed)
    run.resume()


@many
@given(st.data())
def test_history(run, data):
    place = run.anew() / "history.jsonl"
    place.write_bytes(data.draw(damaged(place.read_bytes())))
    with opens_or_says_why():
        assert all(isinstance(line["step"], int) for line in RunDirectory(run.path).history())


@few
@given(st.data())
def test_history_under_a_manifest_that_fits(run, data):
    lines = [json.loads(line) for line in (run.whole / "history.jsonl").read_text().splitlines()]
    changed = data.draw(of_another_shape(lines))
    lines = changed if isinstance(changed, list) else [changed]
    run.rewrite(history=b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    run.resume()


@many
@given(st.data())
def test_results(run, data):
    place, key = run.anew() / "evaluation.json", evaluation_key(2, 0, 100, "pca")
    results = {"features": {"sha256": "0"}, "reconstruction": {"error": 1.0}}
    write_results(run.path, key, ["reconstruction"], results)
    content = place.read_bytes()
    changed = of_another_shape(json.loads(content)).map(lambda value: json.dumps(value).encode())
    place.write_bytes(data.draw(changed | damaged(content)))
    read_results(run.path)
    assert write_results(run.path, key, ["reconstruction"], results)["reconstruction"] == {"error": 1.0}


@cache
def fitted():
    return fit_gmm(Noise(0).normal(40, 2), Noise(0), components=2)


@many
@given(st.data())
def test_sampler(tmp_path, data):
    key, folder = sampler_key(2, 0, "sum"), tmp_path / "samplers"
    save_sampler(folder, "gmm", fitted(), key)
    place = folder / "gmm-2.json"
    if data.draw(st.booleans()):
        place = place.with_suffix(".safetensors")
        about = json.loads((folder / "gmm-2.json").read_bytes())
        place.write_bytes(data.draw(damaged(place.read_bytes())))
        about["sha256"] = hashlib.sha256(place.read_bytes()).hexdigest()
        (folder / "gmm-2.json").write_text(json.dumps(about))
    else:
        content = place.read_bytes()
        changed = of_another_shape(json.loads(content)).map(lambda value: json.dumps(value).encode())
        place.write_bytes(data.draw(changed | damaged(content)))
    with opens_or_says_why():
        read_sampler(folder, "gmm", key)


VOCABULARY = Vocabulary.of(["the cat sat", "the hat"], vocab_size=40).text


@many
@given(
    of_another_shape(json.loads(VOCABULARY)).map(json.dumps)
    | damaged(VOCABULARY.encode()).map(lambda content: content.decode(errors="replace"))
    | ANY_JSON.map(json.dumps)
)
def test_vocabulary(text):
    with opens_or_says_why():
        vocabulary = Vocabulary(text)
        vocabulary.lines(vocabulary.tokens(["the cat"], 12))


def test_a_configuration_of_another_shape_says_what_is_wrong(run):
    (run.anew() / "config.json").write_bytes(encode(run.config | {"threads": "many"}))
    with pytest.warns(UserWarning, match="its threads should be of the type int, is 'many'; the copy"):
        pf.load(run.path)
    (run.anew() / "config.json").write_bytes(encode(run.config | {"own": [[]]}))
    with pytest.warns(UserWarning, match=r"its own should be names of parts, is \[\[\]\]; the copy"):
        pf.load(run.path)
    faults = {
        "shape": ([0], r"its shape and its numbers of rows are \(0, "),
        "variance": ("much", "its variance is 'much'"),
        "scaling": (None, "no description of data: AttributeError"),
    }
    for name, (value, message) in faults.items():
        data = run.config["data"] | {name: value}
        (run.anew() / "config.json").write_bytes(encode(run.config | {"data": data}))
        with pytest.raises(DataError, match=message):
            pf.load(run.path)


def test_results_of_unknown_metrics_are_no_results(tmp_path):
    about = {"metrics": [["fd"]], "features": {"sha256": "0"}}
    (tmp_path / "evaluation.json").write_text(json.dumps(about))
    assert read_results(tmp_path) == {}
