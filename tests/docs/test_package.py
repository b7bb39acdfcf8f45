"""What is released: both archives are built and checked; the wheel trains where nothing else is installed."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import pushforward as pf

ROOT = Path(__file__).parents[2]
HAS_UV = find_spec("uv") is not None
MISSING = [name for name in ("build", "twine") if find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; see the extra 'release'"),
]


def run(*words, cwd=ROOT, env=None):
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The wheel and the source archive; the wheel is built from the latter."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_the_archives_hold_the_package_and_no_more(archives):
    wheel, source = archives
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "pushforward",
        f"pushforward-{pf.__version__}.dist-info",
    }
    tracked = run("git", "ls-files", "pushforward").split()
    assert sorted(name for name in names if name.startswith("pushforward/")) == sorted(tracked)
    assert {"pushforward/py.typed", "pushforward/cli/recipes.json"} <= set(names)
    with tarfile.open(source) as archive:
        inside = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "pushforward", "tests"} <= inside
    assert not inside & {"runs", ".venv", "shared"}


def test_the_index_can_show_the_page(archives):
    run(sys.executable, "-m", "twine", "check", "--strict", *archives)


def test_it_installs_and_trains_where_nothing_else_is(archives, tmp_path):
    wheel, _ = archives
    bin_ = tmp_path / "env" / "bin"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_COMPILE"))}
    venv.create(tmp_path / "env", with_pip=not HAS_UV)
    install = [sys.executable, "-m", "uv", "pip", "install", "--python", bin_ / "python"]
    if not HAS_UV:  # which the Makefile installs where it can, and which takes a tenth of the time
        install = [bin_ / "python", "-m", "pip", "install"]
    run(*install, "--quiet", "-c", ROOT / "constraints.txt", wheel, env=env)
    assert pf.__version__ in run(bin_ / "pushforward", "--version", cwd=tmp_path, env=env)
    said = run(bin_ / "pushforward", "train", "wae-mmd", "digits", "--steps", "20", cwd=tmp_path, env=env)
    assert said.startswith("samples ")
    assert (tmp_path / "runs" / "wae-mmd-digits" / "overview.png").exists()
