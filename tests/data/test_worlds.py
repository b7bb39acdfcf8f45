"""Worlds that are made here: what their pictures must be, whatever code makes them."""

import hashlib
import math

import numpy as np
import pytest
import torch

from pushforward.data import open_dataset, sprites
from pushforward.data.sprites import FACTORS, PERIODS, SIZES, depths, patches, picture, render


@pytest.fixture(scope="module")
def world():
    return open_dataset("sprites")


@pytest.fixture(scope="module")
def shapes():
    """White pixels of every shape, scale and orientation: (3, 6, 40, 33, 33)."""
    return patches() > 0


def white(*factors):
    """The set of white pixels of one sprite."""
    return {tuple(at) for at in render(torch.tensor([factors]))[0, 0].nonzero().tolist()}


def some(rows):
    return torch.stack([torch.randint(size, (rows,)) for size in SIZES], 1)


def unpacked(x):
    return [hashlib.sha256(row.tobytes()).digest() for row in x.flatten(1).numpy()]


# ------------------------------------------------------------------------------------------ sprites


def test_the_world_of_sprites(world):
    assert (world.name, world.source, world.in_unit_interval) == ("sprites", "sprites", True)
    assert (world.shape, len(world.train), len(world.test)) == ((1, 64, 64), 60_000, 10_000)
    assert world.classes == ("square", "ellipse", "heart")
    assert world.factors == ("shape", "scale", "orientation", "x", "y") == FACTORS
    for split in (world.train, world.test):
        assert split.x.dtype == torch.uint8
        assert split.x[::97].unique().tolist() == [0, 255]
        assert torch.equal(split.y, split.factors[:, 0])
        assert torch.equal(split.x[::97], render(split.factors[::97]))
        for k, size in enumerate(SIZES):
            values, counts = split.factors[:, k].unique(return_counts=True)
            assert values.tolist() == list(range(size))
            # Five binomial deviations about the same share for all.
            assert (counts - len(split) / size).abs().max() < 5 * math.sqrt(len(split) / size)
    assert world.train.batch(slice(0, 9)).x.unique().tolist() == [0, 1]


def test_the_same_bits_everywhere(world):
    """No pixel's centre lies so near an edge that rounding (1e-14 here) could move it across."""
    assert np.abs(depths()).min() > 5e-4
    assert world.fingerprint == "2fc29a78cf0907af9f25ccd01a139382d731324719f3ffb538d53dcb2bd41f24"


def test_combinations_are_distinct(world):
    rows = torch.cat([world.train.factors, world.test.factors])
    assert len(rows.unique(dim=0)) == 70_000


def test_no_held_out_picture_is_learnt_from(world):
    """By their pixels, not their factors: a square that was turned by 90° would be one."""
    assert not {*unpacked(world.train.x)} & {*unpacked(world.test.x)}


def test_sprites_lie_inside_the_frame(world):
    for split in (world.train, world.test):
        lit = split.x[:, 0] > 0
        assert lit.flatten(1).any(1).all()
        frame = torch.cat([lit[:, [0, -1]].flatten(1), lit[:, :, [0, -1]].flatten(1)], 1)
        assert not frame.any()  # even one black pixel all around


def test_areas(shapes):
    """The three shapes have one area, AREA times the square of the scale."""
    area = shapes.sum((-1, -2))
    assert (np.diff(area, axis=1) > 0).all()
    expected = sprites.AREA * (np.arange(5, 11) / 10)[None, :, None] ** 2
    # Pixels are counted right up to a part of the outline, here about 80 pixels long at scale 1.
    assert (np.abs(area - expected) < 0.4 * 4 * np.sqrt(expected)).all()
    assert np.abs(area.mean(2) / expected[..., 0] - 1).max() < 0.03  # a square has but ten pictures


def test_each_shape_grows_about_its_centre(shapes):
    """All pixels of a smaller one are pixels of a larger one: no shape has a hole seen from its centre."""
    assert (shapes[:, 1:] >= shapes[:, :-1]).all()


def test_moments_of_the_shapes(shapes):
    """Second moments by hand: side²/12 for the square both ways, half axes²/4 for the ellipse."""
    offset = np.arange(-16, 17)
    inside = shapes[:, 5, 0]
    weight = inside / inside.sum((-1, -2), keepdims=True)
    right, down = (weight * offset**2).sum((-1, -2)), (weight * offset[:, None] ** 2).sum((-1, -2))
    assert (right[0], down[0]) == pytest.approx([sprites.AREA / 12] * 2, rel=0.07)  # 21 whole pixels of 21.7
    long = sprites.AREA / math.pi * sprites.ASPECT
    assert (right[1], down[1]) == pytest.approx((long / 4, long / 4 / sprites.ASPECT**2), rel=0.05)


def test_the_heart():
    """Symmetric, its tip down, two lobes with a dent between them."""
    heart = patches()[2, 5, 0] > 0
    assert np.array_equal(heart, heart[:, ::-1])
    rows = np.flatnonzero(heart.any(1))
    assert heart[rows[-1]].sum() <= 2
    top = np.flatnonzero(heart[rows[0]])
    assert np.diff(top).max() > 3
    assert not heart[rows[0], 16]


def test_the_centre_of_mass_follows_the_position():
    factors = some(2000)
    lit = (render(factors)[:, 0] > 0).double()
    lit /= lit.sum((1, 2), keepdim=True)
    centre = torch.arange(64.0, dtype=torch.float64) + 0.5
    x, y = (lit.sum(1) * centre).sum(1), (lit.sum(2) * centre).sum(1)
    # Position 0 is 16.5 pixels from the left and from above; pixels round a heart by up to a quarter.
    assert (x - 16.5 - factors[:, 3]).abs().max() < 0.25
    assert (y - 16.5 - factors[:, 4]).abs().max() < 0.25


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_step_of_position_is_a_shift_by_a_pixel(axis):
    factors = some(300)
    k = FACTORS.index(axis)
    factors[:, k] %= 31
    moved = factors.clone()
    moved[:, k] += 1
    along = 3 if axis == "x" else 2
    assert torch.equal(render(moved), render(factors).roll(1, along))


@pytest.mark.parametrize(("shape", "period"), [*enumerate(PERIODS)])
def test_orientation(shapes, shape, period):
    """A shape looks the same after its period and never before; a quarter turn turns the pixels."""
    for scale in range(6):
        looks = [inside.tobytes() for inside in shapes[shape, scale]]
        assert looks[:period] * (40 // period) == looks
        assert len({*looks}) == period
        for angle in range(30):
            clockwise = np.rot90(shapes[shape, scale, angle], -1)
            assert np.array_equal(clockwise, shapes[shape, scale, angle + 10])


def test_a_square_turned_by_90_degrees_is_the_same_set():
    assert white(0, 3, 4, 10, 20) == white(0, 3, 14, 10, 20) != white(0, 3, 5, 10, 20)


def test_pictures_are_numbered_as_they_look():
    factors = some(3000)
    factors[:, 3:] %= 2  # many copies
    numbers, looks = picture(factors).tolist(), unpacked(render(factors))
    assert len({*zip(numbers, looks, strict=True)}) == len({*numbers}) == len({*looks}) < 3000


def test_rows_do_not_depend_on_each_other(monkeypatch):
    factors = some(100)
    images = render(factors)
    order = torch.randperm(100)
    assert torch.equal(render(factors[order]), images[order])
    assert torch.equal(torch.cat([render(part) for part in factors.split(7)]), images)
    assert torch.equal(render(factors.int()), images)
    monkeypatch.setattr(sprites, "CHUNK", 9)
    assert torch.equal(render(factors), images)
    assert render(factors[:0]).shape == (0, 1, 64, 64)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        (torch.zeros(4, 6, dtype=torch.int64), ["(N, 5)", "(4, 6)"]),
        (torch.zeros(5, dtype=torch.int64), ["(N, 5)", "(5,)"]),
        (torch.zeros(4, 5), ["whole numbers", "torch.float32"]),
        (torch.tensor([[0, 0, 40, 0, 0]]), ["orientation from 0 to 39", "found 40"]),
        (torch.tensor([[0, 0, 0, 0, 0], [-1, 0, 0, 0, 0]]), ["shape from 0 to 2", "found -1"]),
    ],
)
def test_factors_that_are_none(factors, words, refused):
    with refused("sprites", *words):
        render(factors)


def test_sprites_of_another_size(world, monkeypatch):
    """Halving is a blur: grey levels, the brightness kept where nothing was cut, the factors as before."""
    monkeypatch.setattr(sprites, "TRAIN", 50)
    monkeypatch.setattr(sprites, "TEST", 10)
    large, small = open_dataset("sprites"), open_dataset("sprites", image_size=32)
    assert small.shape == (1, 32, 32)
    assert len(small.train.x.unique()) > 2
    means = [data.train.x.float().mean((1, 2, 3)) for data in (large, small)]
    torch.testing.assert_close(*means, atol=0.1, rtol=0.01)
    assert torch.equal(small.train.factors, large.train.factors)
    assert small.factors == FACTORS
    assert "resized from 64x64 to 32x32" in small.notes[0]


# ----------------------------------------------------------------------------------- fading squares


@pytest.fixture(scope="module")
def fading():
    return open_dataset("fading-squares")


def test_the_world_of_fading_squares(fading):
    assert (fading.name, fading.source, fading.in_unit_interval) == ("fading-squares", "fading-squares", True)
    assert (fading.shape, len(fading.train), len(fading.test)) == ((1, 32, 32), 901, 100)
    assert (fading.classes, fading.train.y, fading.factors) == (None, None, ("grey",))
    assert fading.fingerprint == "a8ffac13d2b2196cfb4d5864bf8cee0fb92743808beebf5f06f0cb2717f5ab27"


def test_every_level_is_there_once_and_exact(fading):
    grey = torch.cat([fading.train.factors, fading.test.factors])[:, 0]
    assert sorted(grey.tolist()) == list(range(1001))
    x = torch.cat([fading.train.x, fading.test.x]).numpy()
    assert x.dtype == np.float32
    expected = np.array([number / 1000 for number in grey.tolist()]).astype(np.float32)
    assert (x[:, 0, 8:24, 8:24] == expected[:, None, None]).all()
    x[:, :, 8:24, 8:24] = 0
    assert not x.any()


def test_fading_squares_have_dimension_1(fading):
    """They lie on a line through black: one direction holds them, and it is the square."""
    x = fading.train.x.flatten(1).double()
    assert torch.linalg.matrix_rank(x) == 1
    assert torch.linalg.matrix_rank(x - x.mean(0)) == 1
    assert len(x.unique(dim=0)) == 901
