"""The promises of a model, one function each; a broken one raises :class:`ConformanceError`."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.conformance.subject import Subject, differing, expect, same_bits, state_of
from pushforward.errors import listed
from pushforward.models.base import Model
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training.checkpoints import Checkpoints

STEPS = 3  # before and after a run is stopped
Check = Callable[[Subject], None]


def every_parameter_has_a_player(s: Subject) -> None:
    """Every trainable parameter is updated by a player, and players update nothing but the model's own."""
    model = s.fresh()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    players = list(model.players())
    called = [player.name for player in players]
    expect(len(set(called)) == len(called), "players of different names", ", ".join(called))
    for player in players:
        owned = [id(parameter) for parameter in player.parameters]
        expect(len(set(owned)) == len(owned), f"each parameter once in the player {player.name}", "one twice")
        strange = sum(place not in names for place in owned)
        expect(not strange, f"the player {player.name} to own parameters of the model", f"{strange} others")
    owned_by_any = {id(parameter) for player in players for parameter in player.parameters}
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    left_out = [name for name in trainable if id(model.get_parameter(name)) not in owned_by_any]
    expect(not left_out, "a player for every parameter", f"none for {listed(left_out, 3)}")


def a_critic_shares_no_parameter(s: Subject) -> None:
    """The parameters of a discrepancy are its critic's: no player that minimises it may update them."""
    model = s.fresh()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for comparison in model.comparisons():
        for parameter in comparison.discrepancy.parameters():
            owners = [p.name for p in model.players() if any(parameter is own for own in p.parameters)]
            found = f"{', '.join(owners)} for {names.get(id(parameter))}"
            expect(len(owners) == 1, f"one player for each parameter of {comparison.name}", found)


def a_player_changes_its_parameters_alone(s: Subject) -> None:
    """An update of a player changes some of its own parameters, and no parameter of another player."""
    loop = s.loop()
    x, y = s.rows()
    for state in loop.player_states:
        before = {name: value.detach().clone() for name, value in loop.model.named_parameters()}
        with loop.updating(state):
            state.descend(state.player.loss(s.square(loop.model, state.player, x, y)), step=0)
        changed = differing(before, dict(loop.model.named_parameters()))
        others = [name for name in changed if id(loop.model.get_parameter(name)) not in state.owned]
        who = f"the update of the player {state.player.name}"
        expect(not others, f"{who} to change its own parameters only", f"{listed(others, 3)} changed")
        expect(bool(changed), f"{who} to change a parameter", "none changed")


def losses_are_finite_scalars(s: Subject) -> None:
    """Every term is one finite number of the model's type, in float32 and float64, whatever the batch.

    Batches are of 2 rows, of an odd number, of all, and of rows that are all the same.
    """
    for dtype in (torch.float32, torch.float64):
        x, y = s.rows(dtype=dtype)
        same = x[:1].expand_as(x).clone()
        for what, batch in (("2 rows", x[:2]), ("7 rows", x[:7]), ("all rows", x), ("equal rows", same)):
            model = s.fresh().to(dtype).train()
            for player in model.players():
                labels = None if y is None else y[: len(batch)]
                square = s.square(model, player, batch, labels)
                if not len(square.x):
                    continue
                terms = player.loss(square)
                expect(bool(terms), f"terms in the loss of the player {player.name}", "none")
                for name, value in terms.items():
                    values = value.detach().flatten()[:3].tolist()
                    found = f"{value.dtype} of shape {tuple(value.shape)}, {values}"
                    holds = value.shape == () and value.dtype == dtype and bool(value.isfinite().all())
                    expect(holds, f"{name} on {what} to be one finite {dtype}", found)


def gradients_are_finite(s: Subject) -> None:
    """Gradients are finite, also where all rows are the same, as they are when a model has collapsed."""
    x, y = s.rows()
    for what, batch in (("rows", x), ("equal rows", x[:1].expand_as(x).clone())):
        loop = s.loop()
        for state in loop.player_states:
            loop.model.zero_grad(set_to_none=True)
            with loop.updating(state):
                losses = state.player.loss(s.square(loop.model, state.player, batch, y))
                torch.stack(list(losses.values())).sum().backward()
            bad = [
                name
                for name, parameter in loop.model.named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ]
            expect(
                not bad,
                f"finite gradients of the player {state.player.name} on {what}",
                f"not {listed(bad, 3)}",
            )


def the_seed_decides_every_bit(s: Subject) -> None:
    """Runs of one seed have the same bits, whatever torch's generator was before; another seed has others."""
    found = []
    for seed, around in ((0, 1), (0, 2), (1, 1)):
        loop = s.loop(seed)
        torch.manual_seed(around)
        for _ in range(2):
            loop.advance()
        found.append(state_of(loop))
    one, again, other = found
    unequal = differing(one, again)
    expect(not unequal, "the same bits from the same seed", f"others in {listed(unequal, 3)}")
    expect(bool(differing(one, other)), "other bits from another seed", "the same")


def a_resumed_run_is_the_same_run(s: Subject) -> None:
    """A checkpoint is read as it was written, and training goes on from it as if it had not been stopped."""
    whole = s.loop()
    for _ in range(STEPS):
        whole.advance()
    saved, numbers = whole.state()
    before = state_of(whole)
    for _ in range(STEPS):
        whole.advance()

    resumed = s.loop()
    for value in resumed.model.state_dict().values():  # what is not read again shows
        value.copy_(value + 1 if value.dtype != torch.bool else ~value)
    with tempfile.TemporaryDirectory() as folder:
        kept = Checkpoints(Path(folder))
        kept.write(STEPS, saved, numbers)
        found = kept.read(STEPS)
    resumed.restore(found.tensors, found.numbers)
    unequal = differing(before, state_of(resumed))
    expect(not unequal, "a checkpoint to keep every bit", f"other bits in {listed(unequal, 3)}")
    for _ in range(STEPS):
        resumed.advance()
    unequal = differing(state_of(whole), state_of(resumed))
    what = f"other bits in {listed(unequal, 3)}; is there state that state_dict() does not have?"
    expect(not unequal, f"{STEPS} steps and {STEPS} more to be {2 * STEPS} steps", what)


def evaluation_changes_nothing(s: Subject) -> None:
    """In evaluation mode neither the model nor the rows change, whatever is asked."""
    model, (x, y) = s.fresh().eval(), s.rows()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given, labels = x.clone(), None if y is None else y.clone()
    for name, _ in outputs(s, model, x, y):
        changed = differing(before, model.state_dict())
        expect(not changed, f"{name} to change no state in evaluation mode", f"{listed(changed, 3)} changed")
        intact = same_bits(x, given) and (y is None or labels is None or same_bits(y, labels))
        expect(intact, f"{name} to leave its rows as they are", "other values in them")


def outputs_have_the_shapes_of_data(s: Subject) -> None:
    """Codes are (N, latent_dim); what is decoded and sampled has the shape and the type of data."""
    model, (x, y) = s.fresh().eval(), s.rows()
    code = (len(x), model.prior.latent_dim), torch.float32
    wanted = {
        "encode": code,
        "encode with noise": code,
        "decode": (tuple(x.shape), x.dtype),
        "sample": ((len(x), *x.shape[1:]), x.dtype),
    }
    for name, made in answers(model, x, y):
        found = tuple(made.shape), made.dtype
        expect(found == wanted[name], f"{name} to give {wanted[name]}", found)
        expect(bool(made.isfinite().all()), f"{name} to give finite numbers", "others")


def rows_do_not_see_their_neighbours(s: Subject) -> None:
    """In evaluation mode the code of a row, and what a code is decoded to, depend on no other row."""
    model, (x, y) = s.fresh().double().eval(), s.rows(dtype=torch.float64)
    half = len(x) // 2
    other = x.clone()
    other[half:] = x[half]  # all neighbours are now one and the same row
    with torch.no_grad():
        codes = model.prior(len(x)).rsample(Noise("conformance")).double()
        if model.has_encoder:
            alone, among = model.encode(x, y=y)[:half], model.encode(other, y=y)[:half]
            gap = (alone - among).abs().max().item()
            expect(
                gap <= 1e-6, "codes of rows that are independent of the other rows", f"a change of {gap:.2g}"
            )
        others = codes.clone()
        others[half:] = codes[half]
        alone, among = model.decode(codes, y)[:half], model.decode(others, y)[:half]
        gap = (alone.double() - among.double()).abs().max().item()
        expect(gap <= 1e-6, "decoded rows that are independent of the other codes", f"a change of {gap:.2g}")


def fewer_samples_are_the_first_of_more(s: Subject) -> None:
    """The first samples are the same however many are drawn, and in whatever chunks."""
    model, noise = s.fresh().eval(), Noise("conformance")
    with torch.no_grad():
        more, fewer = model.sample(9, noise).double(), model.sample(4, noise).double()
        rest = model.sample(5, noise.rows(4)).double()
    for what, one, other in (
        ("the first 4 samples", fewer, more[:4]),
        ("samples from the fifth on", rest, more[4:]),
    ):
        gap = (one - other).abs().max().item()
        expect(gap <= 1e-4, f"{what} to be the same of 9 as alone", f"a difference of {gap:.2g}")


def no_global_random_numbers(s: Subject) -> None:
    """In evaluation mode no global generator is used; in training only torch's, which the loop seeds."""
    x, y = s.rows()
    for training in (True, False):
        model = s.fresh().train(training)
        before = generators()
        for name, _ in outputs(s, model, x, y):
            now = generators()
            used = [what for what, state in now.items() if state != before[what]]
            before = now
            if training:
                used = [what for what in used if what != "torch"]
            mode = "training" if training else "evaluation"
            found = f"numbers taken from that of {', '.join(used)}"
            expect(not used, f"{name} in {mode} mode to leave global generators alone", found)


def outputs_need_no_gradients(s: Subject) -> None:
    """Encoding, decoding and sampling give the same under ``no_grad`` and ``inference_mode``."""
    model, (x, y) = s.fresh().eval(), s.rows()
    wanted = dict(answers(model, x, y))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            for name, value in answers(model, x, y):
                gap = (value.double() - wanted[name].detach().double()).abs().max().item()
                found = f"a difference of {gap:.2g}"
                expect(gap <= 1e-4, f"{name} under {mode.__name__} to give the same", found)


def diagnostics_are_finite_scalars(s: Subject) -> None:
    """What is logged beside the terms, and the weight, are finite numbers."""
    model, (x, y) = s.fresh().eval(), s.rows()
    for name, value in model.diagnostics(Square(model, x, Noise("conformance"), y)).items():
        holds = value.shape == () and bool(value.isfinite().all())
        expect(holds, f"the diagnostic {name} to be one finite number", value.flatten()[:3].tolist())
    weight = model.discrepancy_weight
    holds = weight is None or bool(np.isfinite(weight))
    expect(holds, "discrepancy_weight to be None or a finite number", weight)


def answers(model: Model, x: Tensor, y: Tensor | None) -> Iterator[tuple[str, Tensor]]:
    """What a trained model is asked for, by name: codes, decoded codes, samples."""
    noise = Noise("conformance")
    if model.has_encoder:
        yield "encode", model.encode(x, y=y)
        yield "encode with noise", model.encode(x, noise, y)
    yield "decode", model.decode(model.prior(len(x)).rsample(noise), y)
    yield "sample", model.sample(len(x), noise)


def outputs(s: Subject, model: Model, x: Tensor, y: Tensor | None) -> Iterator[tuple[str, Tensor]]:
    """All that can be asked of a model, one after the other, by name: its answers, and its losses."""
    yield from answers(model, x, y)
    for player in model.players():
        terms = player.loss(s.square(model, player, x, y))
        yield f"the loss of the player {player.name}", torch.stack(list(terms.values()))


def generators() -> dict[str, object]:
    """The states of the global generators, by the library that they belong to."""
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": bytes(torch.random.get_rng_state().numpy().tobytes()),
        "numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "random": random.getstate(),
    }


MODEL_CHECKS: tuple[Check, ...] = (
    every_parameter_has_a_player,
    a_critic_shares_no_parameter,
    outputs_have_the_shapes_of_data,
    losses_are_finite_scalars,
    gradients_are_finite,
    a_player_changes_its_parameters_alone,
    evaluation_changes_nothing,
    outputs_need_no_gradients,
    rows_do_not_see_their_neighbours,
    fewer_samples_are_the_first_of_more,
    no_global_random_numbers,
    diagnostics_are_finite_scalars,
    the_seed_decides_every_bit,
    a_resumed_run_is_the_same_run,
)
