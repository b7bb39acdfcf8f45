"""The command line: the verbs of Python under the same names."""

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

    from pushforward.runs.run import Run

app = App(
    name="pushforward",
    help="Generative models as two distributions that shall meet.",
    version_flags="--version",
)
train = App(name="train", help="Train a recipe on data; the same command again goes on where it was stopped.")
app.command(train)

JSON = Annotated[bool, Parameter(help="Print figures as JSON on standard output.", negative=())]
FEATURES = Annotated[
    str,
    Parameter(
        help="What samples are compared by: auto, pixels, pca, classifier, inception, a classifier's folder, "
        "or a .safetensors file of Inception's weights."
    ),
]
SAMPLER = Annotated[
    str,
    Parameter(
        help="What samples are decoded from: prior; mixture or flow, fitted to the codes of training rows."
    ),
]
SHOWN = 12  # lines of text that are printed as well as written
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
    from pushforward.runs.api import resume

    finish(resume(run, device=device), json)


@app.command
def sample(
    run: Path,
    *,
    n: int = 64,
    seed: int = 0,
    label: str | None = None,
    sampler: SAMPLER = "prior",
    out: Path | None = None,
    json: JSON = False,
) -> None:
    """Decode draws of the prior into a picture (.png) or an array (.npy).

    Arguments:
        run: The run's folder.
        n: How many.
        seed: Which draws.
        label: Number or name of the class that is asked for, of models that have classes.
        out: The file; samples.png in the run's folder by default, samples-mixture.png of a mixture.
    """
    from pushforward.runs.api import load

    loaded = load(run)
    name = "samples" if sampler == "prior" else f"samples-{sampler}"
    write(loaded, name, out, loaded.sample(n, seed, label, sampler, progress=True), json)


@app.command
def reconstruct(run: Path, *, n: int = 32, out: Path | None = None, json: JSON = False) -> None:
    """Show held-out rows beside their reconstructions.

    Arguments:
        run: The run's folder.
        n: How many rows.
        out: The file, .png or .npy; reconstructions.png in the run's folder by default.
    """
    from pushforward.errors import check_int
    from pushforward.runs.api import load

    loaded = load(run)
    x, y = loaded.data.test.batch(slice(0, check_int("n", n, least=1)))
    write_beside(loaded, "reconstructions", out, x, loaded.reconstruct(x, y), json)


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
    """Decode paths between the codes of held-out rows, or between draws of the prior if there are no codes.

    Arguments:
        run: The run's folder.
        n: How many paths.
        steps: Points on each.
        path: "linear" or "spherical"; by default what suits the prior.
        out: The file, .png or .npy; interpolations.png in the run's folder by default.
    """
    from pushforward.errors import check_int
    from pushforward.runs.api import load

    loaded = load(run)
    if loaded.model.has_encoder:
        x, y = loaded.data.test.batch(slice(0, 2 * check_int("n", n, least=1)))
        half = len(x) // 2
        labels = None if y is None else y[:half]
        decoded = loaded.interpolate(x[:half], x[half : 2 * half], steps, path, labels)
    else:
        ends = loaded.draw(2 * check_int("n", n, least=1))
        decoded = loaded.walk(ends[:n], ends[n:], steps, path)
    write(loaded, "interpolations", out, decoded.flatten(0, 1), json, columns=steps)


@app.command
def transfer(
    run: Path,
    *,
    to: str,
    guidance_scale: float = 1.0,
    lines: Path | None = None,
    n: int = 12,
    out: Path | None = None,
    json: JSON = False,
) -> None:
    """Tell rows under another label, such as lines in another style: each beside what becomes of it.

    Arguments:
        run: The run's folder, of a model that is told labels.
        to: Number or name of the label.
        guidance_scale: Above 1, how far rows lean away from how they would be told under their own label.
        lines: A text file, a line a row; held-out rows of other labels by default.
        n: How many held-out rows.
        out: The file, .txt, .png or .npy; transfer.txt (or .png, .npy) in the run's folder by default.
    """
    from pushforward.errors import check_int
    from pushforward.runs.api import load

    loaded = load(run)
    if lines is not None:
        given, note = loaded.read(lines)
        y = None
        if note:
            print(note, file=sys.stderr)
    else:
        given, y = loaded.others(to, check_int("n", n, least=1))
    write_beside(loaded, "transfer", out, given, loaded.transfer(given, to, y, guidance_scale), json)


@app.command
def evaluate(
    run: Path,
    *,
    rows: int = 10_000,
    seed: int = 0,
    features: FEATURES = "auto",
    sections: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    sampler: SAMPLER = "prior",
    json: JSON = False,
) -> None:
    """Judge a run on held-out data: samples, reconstructions, sharpness, and whether codes follow the prior.

    Arguments:
        run: The run's folder.
        rows: At most this many held-out rows, and as many samples.
        seed: Which rows, samples and codes are drawn.
        sections: Which questions: objective, reconstruction, samples, floor, sharpness, latent, classes,
            modes, text, transfer; and, on demand, likelihood, annealing, parzen and disentanglement.
    """
    from pushforward.evaluation import USUAL
    from pushforward.runs.api import load

    figures(load(run).evaluate(rows, seed, features, sections or USUAL, True, sampler), json)


@app.command
def doctor(run: Path, *, features: FEATURES = "auto", json: JSON = False) -> None:
    """Say why samples are bad, with the number behind each reason and the one thing to try next.

    Arguments:
        run: The run's folder.
    """
    from dataclasses import asdict

    from pushforward.runs.api import load

    found = load(run).doctor(features=features, progress=True)
    if json:
        show_json({"run": str(run), "findings": [asdict(finding) for finding in found]})
        return
    for finding in found:
        print(f"{finding.name}: {finding.words}")
    print(f"try next: {found[0].advice}" if found else "nothing was found that would explain bad samples")


@app.command
def report(run: Path, *, features: FEATURES = "auto", json: JSON = False) -> None:
    """Write one self-contained page of a whole run, that opens offline and on a phone.

    Arguments:
        run: The run's folder.
    """
    from pushforward.runs.api import load

    page = load(run).report(features, progress=True)
    if json:
        show_json({"run": str(run), "file": str(page)})
    else:
        print(f"the report of {run} lies in {page}")


@app.command
def classifier(
    data: str, *, data_dir: Path | None = None, size: int | None = None, json: JSON = False
) -> None:
    """Train and keep the small classifier whose features samples of a data set are compared by.

    The verbs that need it do this by themselves; what is kept already is not trained again.

    Arguments:
        data: A catalogue name, a folder of images or an array file, with labels.
        data_dir: Where catalogue data lie or are downloaded to.
        size: Side that images are brought to.
    """
    from dataclasses import asdict

    from pushforward.data import open_dataset
    from pushforward.features.classifier import classifier_folder, classifier_of
    from pushforward.report.progress import bar

    with bar("reading", True) as show:
        dataset = open_dataset(data, data_dir=data_dir, size=size, progress=show)
    with bar(f"classifier of {dataset.name}", True) as show:
        found = classifier_of(dataset, show)
    assert found.about is not None
    if json:
        show_json(asdict(found.about) | {"folder": str(classifier_folder(dataset))})
        return
    about = found.about
    print(
        f"classifier of {about.data}: accuracy {about.accuracy:.4f} on held-out rows, sha256 {about.sha256}"
    )
    print(f"it lies in {classifier_folder(dataset)}")


@app.command
def compare(
    *what: str,
    data: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    seeds: Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())] = None,
    out: Path = Path("runs/comparison"),
    rows: int = 10_000,
    features: FEATURES = "auto",
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    settings: str | None = None,
    latent_dim: int | None = None,
    data_dir: Path | None = None,
    size: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    json: JSON = False,
) -> None:
    """Train recipes on data with several seeds on one budget, judge all alike, and put them side by side.

    What is finished is not done again: the same command goes on where it was stopped.

    Arguments:
        what: Recipes, with settings of their own as in wae-mmd:weight=auto,latent_dim=16; or folders of runs.
        data: What to learn from; several are compared one by one.
        seeds: One run for each; 0 1 2 by default.
        out: The folder of tables, page and runs.
        rows: At most this many held-out rows, and as many samples, in every judgement.
        steps: Budget of each run in updates.
        epochs: Budget of each run in passes over the data.
        minutes: Budget of each run in time.
        settings: Which row of defaults, for all recipes.
        latent_dim: Dimensions of a code, for all recipes.
        data_dir: Where catalogue data lie or are downloaded to.
        size: Side that images are brought to.
        device: Where to train: auto, cpu, cuda, ...
        threads: Threads of a CPU.
    """
    from pushforward.runs.compare import compare

    options: dict[str, Any] = dict(
        steps=steps, epochs=epochs, minutes=minutes, settings=settings, latent_dim=latent_dim, data_dir=data_dir,
        size=size, device=device, threads=threads,
    )  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    found = compare(what, data, seeds=seeds or (0, 1, 2), out=out, rows=rows, features=features, **given)
    if json:
        print((found.path / "comparison.json").read_text(), end="")
        return
    for name, table in found.tables.items():
        print(f"{name}\n{table.text()}\n{table.note}")
    print(f"tables, figures and report lie in {found.path}")


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
    print("data may also be a folder of images or of text files, or a .npy, .npz or .txt file")


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
    from pushforward.runs.api import train as verb

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
    from pushforward.evaluation.table import extractor, lines

    found = list(lines(result))
    print(extractor(result))
    for name in result["sections"]:
        if name not in result:
            print(f"{name}: this model or its data cannot answer")
    names, values = (max((len(line[i]) for line in found), default=0) for i in (0, 1))
    for name, value, words in found:
        print(f"{name:<{names}}  {value:<{values}}  {words}")
    terms = " + ".join(
        f"{name} {value:.4g}" for name, value in result.get("objective", {}).get("terms", {}).items()
    )
    if terms:
        print(f"objective = {terms}, codes drawn")
    for test in result.get("latent", {}).get("tests", ()):
        chance = f"the chance of such an MMD² of {test['rows']} codes if codes followed the prior"
        print(f"p = {test['p_value']:.3g}: {chance}")
    moved = result.get("transfer", {})
    for name in (key for key in moved if key.startswith("to_")):
        for who, row in moved[name].items():
            shown = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in row.items())
            print(f"{name.replace('_', ' ')}, {who}: {shown}")
    if moved:
        print(f"the judge of style is right on {moved['judge']:.1%} of real lines; BLEU: {moved['settings']}")
    for name, score in result.get("parzen", {}).items():
        print(f"Parzen, {name}: {score['mean']:.1f} ± {score['error']:.1f} nats (never to be ranked by)")
    if "sheet" in result:
        print(f"the run lies in {result['run']}, its picture sheet in {result['sheet']}")


def write(
    run: Run, name: str, out: Path | None, rows: Tensor, as_json: bool, columns: int | None = None
) -> None:
    """Writes rows as a picture or an array, and says where."""
    import numpy as np

    from pushforward.errors import ConfigError, OutputError
    from pushforward.report.pictures import are_images, picture

    usual = ".png" if are_images(run.shape) else ".txt" if run.vocabulary else ".npy"
    out = out or run.path / f"{name}{usual}"
    if out.suffix not in (usual, ".npy"):
        raise ConfigError(f"out must end in {' or '.join(sorted({usual, '.npy'}))}, got {out}")
    try:
        if out.suffix == ".png":
            picture(rows, columns).save(out)
        elif out.suffix == ".txt":
            ends = ["\n\n" if columns and place % columns == 0 else "\n" for place in range(1, len(rows) + 1)]
            lines = [line + end for line, end in zip(run.lines(rows), ends, strict=True)]
            out.write_text("".join(lines), encoding="utf-8")
        else:
            np.save(out, rows.numpy())
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}") from error
    if as_json:
        show_json({"run": str(run.path), "file": str(out), "shape": list(rows.shape)})
    else:
        print(f"{name} of {run.path}: {tuple(rows.shape)} in {out}")
        if out.suffix == ".txt":
            print("".join(lines[:SHOWN]), end="")


def write_beside(run: Run, name: str, out: Path | None, given: Tensor, made: Tensor, as_json: bool) -> None:
    """Writes rows, each beside what became of it."""
    from pushforward.report.pictures import pairs

    write(run, name, out, pairs(given, made), as_json, 2 if run.vocabulary else 8)


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
