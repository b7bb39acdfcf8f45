"""The command line: the verbs of :mod:`pushforward.run` under the same names."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import App, CycloptsError, Group, Parameter

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.run import Run

app = App(
    name="pushforward",
    help="Generative models as two distributions that shall meet.",
    version_flags="--version",
)
train = App(name="train", help="Train a recipe on data; the same command again goes on where it was stopped.")
app.command(train)

JSON = Annotated[bool, Parameter(help="Print figures as JSON on standard output.", negative=())]
OF_PYTHON_ONLY = {"encoder", "decoder", "critic"}  # modules: a command line cannot name them
OF_TRAINING = ("out", "seed", "steps", "epochs", "minutes")
OF_MACHINE = ("data_dir", "size", "device", "threads", "overwrite")


@app.command
def resume(run: Path, *, device: str | None = None, json: JSON = False) -> None:
    """Go on with a run that was stopped, bit for bit as if it had not been.

    Arguments:
        run: The run's folder.
        device: Where to go on, if not where the run began.
    """
    from pushforward.run import resume

    finish(resume(run, device=device), json)


@app.command
def sample(run: Path, *, n: int = 64, seed: int = 0, out: Path | None = None, json: JSON = False) -> None:
    """Decode draws of the prior into a picture (.png) or an array (.npy).

    Arguments:
        run: The run's folder.
        n: How many.
        seed: Which draws.
        out: The file; samples.png in the run's folder by default.
    """
    from pushforward.run import load

    loaded = load(run)
    write(loaded, "samples", out, loaded.sample(n, seed), json)


@app.command
def reconstruct(run: Path, *, n: int = 32, out: Path | None = None, json: JSON = False) -> None:
    """Show held-out rows beside their reconstructions.

    Arguments:
        run: The run's folder.
        n: How many rows.
        out: The file, .png or .npy; reconstructions.png in the run's folder by default.
    """
    from pushforward.errors import whole
    from pushforward.report.pictures import pairs
    from pushforward.run import load

    loaded = load(run)
    x = loaded.data.test.batch(slice(0, whole("n", n, least=1))).x
    write(loaded, "reconstructions", out, pairs(x, loaded.reconstruct(x)), json, columns=8)


@app.command
def interpolate(
    run: Path,
    *,
    n: int = 8,
    steps: int = 10,
    path: str | None = None,
    out: Path | None = None,
    json: JSON = False,
) -> None:
    """Decode paths between the codes of held-out rows.

    Arguments:
        run: The run's folder.
        n: How many paths.
        steps: Points on each.
        path: "linear" or "spherical"; by default what suits the prior.
        out: The file, .png or .npy; interpolations.png in the run's folder by default.
    """
    from pushforward.errors import whole
    from pushforward.run import load

    loaded = load(run)
    x = loaded.data.test.batch(slice(0, 2 * whole("n", n, least=1))).x
    half = len(x) // 2
    decoded = loaded.interpolate(x[:half], x[half : 2 * half], steps, path)
    write(loaded, "interpolations", out, decoded.flatten(0, 1), json, columns=steps)


@app.command
def evaluate(run: Path, *, rows: int = 10_000, seed: int = 0, json: JSON = False) -> None:
    """Judge a run on held-out data: reconstruction, sharpness, and whether codes follow the prior.

    Arguments:
        run: The run's folder.
        rows: At most this many held-out rows.
        seed: Which samples and codes are drawn.
    """
    from pushforward.run import load

    figures(load(run).evaluate(rows, seed, progress=True), json)


@app.command(name="list")
def list_(*, json: JSON = False) -> None:
    """Name the recipes and the data sets."""
    from pushforward.data import CATALOGUE
    from pushforward.recipes import RECIPES

    recipes = {name: summary(recipe) for name, recipe in RECIPES.items()}
    data = {name: entry.about for name, entry in CATALOGUE.items()}
    if json:
        show_json({"recipes": recipes, "data": data})
        return
    for title, names in (("recipes", recipes), ("data", data)):
        print(f"{title}:")
        for name, words in names.items():
            print(f"  {name:<15} {words}")
    print("data may also be a folder of images, or a .npy or .npz file")


# --------------------------------------------------------------------------- train, recipe by recipe


def summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").splitlines()[0]


def helps(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring says of each argument."""
    from docstring_parser import parse

    described = parse(inspect.getdoc(function) or "").params
    return {argument.arg_name: argument.description or "" for argument in described}


def trainer(name: str, recipe: Callable[..., Any], verb: Callable[..., Run]) -> Callable[..., None]:
    """A command whose options are the arguments of a recipe and those of training."""

    def command(data: str, **options: Any) -> None:
        as_json = options.pop("json", False)
        given = {key: value for key, value in options.items() if value is not None}
        finish(verb(name, data, **given), as_json)

    parameters = [inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    annotations: dict[str, Any] = {"data": Annotated[str, Parameter(help=helps(verb)["data"])]}
    of_model = [key for key in inspect.signature(recipe).parameters if key not in {"data", *OF_PYTHON_ONLY}]
    sources = (
        (recipe, of_model, "Model"),
        (verb, OF_TRAINING, "Run"),
        (verb, OF_MACHINE, "Data and machine"),
    )
    for function, names, group in sources:
        words, hints = helps(function), get_type_hints(function)
        for key in names:
            default = inspect.signature(function).parameters[key].default
            hint = {"out": Path | None, "data_dir": Path | None, "size": int | None}.get(key, hints[key])
            parameters.append(inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default))
            annotations[key] = Annotated[hint, Parameter(help=words.get(key), group=Group(group))]
    parameters.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False))
    annotations["json"] = JSON
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    command.__doc__ = summary(recipe)
    return command


def register_recipes() -> None:
    """Gives ``train`` a command for every recipe. It imports torch, so only ``train`` asks for it."""
    from pushforward.recipes import RECIPES
    from pushforward.run import train as verb

    for name, recipe in RECIPES.items():
        if name not in train:
            train.command(trainer(name, recipe, verb), name=name)


# ---------------------------------------------------------------------------------------- printing


def finish(run: Run, as_json: bool) -> None:
    """Judges a finished run, and says where everything lies."""
    result = run.evaluate(progress=True)
    figures(result | {"sheet": str(run.path / "sheet.png")}, as_json)


def figures(result: dict[str, Any], as_json: bool) -> None:
    """Prints an evaluation."""
    if as_json:
        show_json(result)
        return
    latent = result["latent"]

    def row(name: str, value: str, remark: str) -> None:
        print(f"{name:<16} {value:<44} {remark}")

    def words(values: dict[str, float], between: str) -> str:
        return between.join(f"{name} {value:.4g}" for name, value in values.items())

    error = result["reconstruction"]["squared_error"]
    row("squared error", f"{error:.4g}", f"a row; {result['rows']} held-out rows, data in {result['range']}")
    row("objective", words(result["objective"], " + "), "the formula's terms, codes drawn")
    if "negative_elbo" in result:
        row("-ELBO", f"{result['negative_elbo']:.4g} nats", "one draw of the code a row")
    if "sharpness" in result:
        sharp = words(result["sharpness"], "  ")
        row("sharpness", sharp, f"variance of the Laplacian, range {result['range']}")
    gaps = f"mean {latent['mean']:.3g}  covariance {latent['covariance']:.3g}"
    row("codes", gaps, "largest gaps to the prior's")
    row("codes' MMD²", f"{latent['mmd']:.3g}", f"seven scales, {latent['rows']} codes; 0 is perfect")
    tests = "  ".join(f"{test['p_value']:.3g} ({test['rows']} codes)" for test in latent["tests"])
    row("two-sample test", f"p = {tests}", "the chance of such an MMD² if codes followed the prior")
    if "sheet" in result:
        print(f"the run lies in {result['run']}, its picture sheet in {result['sheet']}")


def write(
    run: Run, name: str, out: Path | None, rows: Tensor, as_json: bool, columns: int | None = None
) -> None:
    """Writes rows as a picture or an array, and says where."""
    import numpy as np

    from pushforward.errors import ConfigError, OutputError
    from pushforward.report.pictures import are_images, picture

    drawable = are_images(run.shape)
    out = out or run.path / f"{name}.{'png' if drawable else 'npy'}"
    if out.suffix not in (".png", ".npy"):
        raise ConfigError(f"out must end in .png or .npy, got {out}")
    if out.suffix == ".png" and not drawable:
        raise ConfigError(f"rows of shape {run.shape} are no pictures; let out end in .npy")
    try:
        if out.suffix == ".png":
            picture(rows, columns).save(out)
        else:
            np.save(out, rows.numpy())
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error
    if as_json:
        show_json({"run": str(run.path), "file": str(out), "shape": list(rows.shape)})
    else:
        print(f"{name} of {run.path}: {tuple(rows.shape)} in {out}")


def show_json(result: dict[str, Any]) -> None:
    """Prints a result for programs."""
    print(json.dumps(result, indent=1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; bad input ends in one line and a non-zero exit."""
    from pushforward.errors import PushforwardError

    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if tokens[:1] == ["train"]:
        register_recipes()
    try:
        app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        fail(" ".join(str(error).split()), 2)
    except PushforwardError as error:
        fail(str(error), error.exit_code)
    except OSError as error:  # a disk that is full, a folder that may not be written
        fail(" ".join(str(error).split()), 74)
    except KeyboardInterrupt:
        fail("stopped", 130)


def fail(message: str, code: int) -> None:
    """Ends with one line on standard error."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
