"""Scores of disentanglement: perfect codes, noise, a rotation by 45°, channels by hand, invariances."""

import math
from dataclasses import asdict

import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from pushforward.errors import ConfigError, DataError
from pushforward.metrics.disentanglement import disentanglement
from pushforward.metrics.factor_alignment import concentration, dci, mig, mutual_information, sap, sap_ceiling
from pushforward.metrics.factor_prediction import beta_vae_score, factor_vae_score, factor_votes
from pushforward.metrics.factors import Groups
from pushforward.rng import Noise

pytestmark = pytest.mark.usefixtures("float64")


def grid(values, K, repeats):
    """All combinations of K factors, each so many times."""
    return torch.cartesian_prod(*[torch.arange(values)] * K).repeat(repeats, 1)


def rotated(factors):
    """The first two factors rotated by 45° (and √2 larger, so that every sum is exact)."""
    z = factors.double()
    return torch.cat([z[:, :1] + z[:, 1:2], z[:, :1] - z[:, 1:2], z[:, 2:]], 1)


def within(found, expected, count):
    """Four standard errors of a share of so many points."""
    assert abs(found - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


# ------------------------------------------------------------------------ what all of them must find


def test_perfect_codes():
    """Each dimension one factor: 1 from every score, and its ceiling from SAP."""
    factors = grid(4, 3, 48)
    found = disentanglement(5 - 2.0 * factors[:, [2, 0, 1]], factors)
    assert (found.beta_vae, found.factor_vae, found.informativeness) == (1, 1, 1)
    assert found.mig == pytest.approx(1, abs=1e-12)
    assert (found.disentanglement, found.completeness) == pytest.approx((1, 1), abs=1e-6)
    assert found.sap_ceiling == 0.75
    assert 0.75 - 0.05 < found.sap <= 0.75  # the second best of two dimensions by chance
    assert (found.n_samples, found.active_units) == (3072, 3)


def test_noise():
    """Codes that know nothing: every score at chance."""
    factors, z = grid(4, 4, 16), Noise(1).normal(4096, 4)
    found = disentanglement(z, factors)
    within(found.beta_vae, 0.25, 5000)
    within(found.factor_vae, 0.25, 5000)
    within(found.informativeness, 0.25, 4 * 4096 // 3)
    assert 0 <= found.mig < 19 * 3 / (2 * 4096) / math.log(4)  # the bias of one I is more than its gap
    assert 0 <= found.disentanglement < 0.03
    assert 0 <= found.completeness < 0.03
    assert 0 <= found.sap < 0.03


def test_rotation_by_45_degrees():
    """Two of four factors rotated: 1/2 on them, 1 on the others; no gap; D and C 1 - log 2/log 4."""
    factors = grid(4, 4, 64)
    found = disentanglement(rotated(factors), factors)
    assert found.beta_vae == pytest.approx((1 / 2 + 1 / 2 + 1 + 1) / 4, abs=0.02)
    # Both dimensions vary alike to the last digit, so the first has all votes of both factors.
    assert found.factor_vae == pytest.approx(0.75, abs=1e-12)
    assert found.mig == pytest.approx(2 / 4, abs=1e-12)
    assert found.disentanglement == pytest.approx((1 / 2 + 1 / 2 + 1 + 1) / 4, abs=0.02)
    assert found.completeness == pytest.approx((1 / 2 + 1 / 2 + 1 + 1) / 4, abs=0.02)
    assert found.informativeness == 1
    assert found.sap == pytest.approx(0.75 * 2 / 4, abs=0.03)


def test_rotation_of_all():
    """K = 2 and nothing else: the beta-VAE score is 1/2; there is no gap, and D = C = 0."""
    factors = grid(4, 2, 512)
    z = rotated(factors)
    assert beta_vae_score(z, factors) == pytest.approx(1 / 2, abs=0.03)
    assert factor_vae_score(z, factors) == pytest.approx(1 / 2, abs=1e-12)
    assert mig(z, factors) == pytest.approx(0, abs=1e-12)
    assert sap(z, factors) < 0.03
    scores = dci(z, factors)
    assert max(scores.disentanglement, scores.completeness) < 0.02


def test_dead_dimensions_change_nothing():
    """Constant dimensions at any place leave every score the same to the last bit."""
    factors = grid(3, 2, 40)
    z = factors + 0.5 * torch.randn(360, 2)
    dead = torch.tensor([0.1, 0.0, -1e6]).expand(360, 3)
    padded = torch.cat([dead[:, :1], z[:, :1], dead[:, 1:2], z[:, 1:], dead[:, 2:]], 1)
    assert asdict(disentanglement(padded, factors)) == asdict(disentanglement(z, factors))


def test_order_units_and_names_do_not_matter():
    """Dimensions permuted, flipped, scaled and moved, and values renamed: the same scores."""
    factors = grid(3, 3, 30)
    z = rotated(factors) + 0.3 * torch.randn(810, 3)
    moved = (z * torch.tensor([-3.0, 0.2, 100.0]) + torch.tensor([1e4, 0.0, -7.0]))[:, [2, 0, 1]]
    named = torch.tensor([7, -100, 3])[factors]
    one, other = disentanglement(z, factors), disentanglement(moved, named)
    assert other.mig == pytest.approx(one.mig, abs=1e-12)
    assert other.factor_vae == one.factor_vae
    assert disentanglement(z, named) == one  # names alone change nothing
    for name in ("beta_vae", "disentanglement", "completeness", "informativeness", "sap"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), abs=0.03), name
    # The order of factors moves draws of rows: only what draws none is the same.
    assert mig(z, factors[:, [1, 2, 0]]) == pytest.approx(one.mig, abs=1e-12)
    assert beta_vae_score(z, factors[:, [1, 2, 0]]) == pytest.approx(one.beta_vae, abs=0.06)


def test_same_seed_same_scores():
    """The same seed gives the same scores whatever torch's generator has done; another seed, others."""
    factors = grid(3, 2, 30)
    z = factors + torch.randn(270, 2)
    one, _, other = disentanglement(z, factors, 5), torch.randn(9), disentanglement(z, factors, 5)
    assert one == other != disentanglement(z, factors, 6)


# --------------------------------------------------------------------- rows that share a factor


def test_pairs_are_uniform():
    """Ordered pairs of distinct rows with one value, each first row alike and each partner alike."""
    values = torch.tensor([4, 9, 4, 9, 4, 5])
    one, other = Groups.of(values, torch.arange(6)).pairs(50, 400, Noise(0))
    share = torch.zeros(6, 6).index_put(
        (one.flatten(), other.flatten()), torch.tensor(1 / 20_000), accumulate=True
    )
    expected = torch.zeros(6, 6)
    for i, j, chance in [(0, 2, 1 / 10), (0, 4, 1 / 10), (2, 4, 1 / 10), (1, 3, 1 / 5)]:
        expected[i, j] = expected[j, i] = chance  # five rows have a partner
    assert (share[expected == 0] == 0).all()
    assert (share - expected).abs().max() < 4 * (0.2 * 0.8 / 20_000) ** 0.5
    assert len(set(zip(one[0].tolist(), other[0].tolist(), strict=True))) == 8  # one point has all pairs


def test_batches_share_one_value():
    """A value as often as rows have it, and within it all rows alike; rows not asked for never."""
    values = torch.tensor([4, 9, 4, 9, 4, 9])
    drawn = Groups.of(values, torch.tensor([0, 1, 2, 3, 4])).batches(4000, 8, Noise(0))
    assert (values[drawn] == values[drawn[:, :1]]).all()
    share = drawn.flatten().bincount(minlength=6) / drawn.numel()
    assert share[5] == 0
    assert (share[:5] - 1 / 5).abs().max() < 4 * (0.6 * 0.4 / 4000) ** 0.5


@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_beta_vae_of_few_pairs(pairs):
    """Binary factors, perfect codes: undecided if all pairs agree in both, 1 - 2^-pairs / 2."""
    factors = grid(2, 2, 2000)
    found = beta_vae_score(factors * 1.0, factors, pairs=pairs)
    assert found == pytest.approx(1 - 0.5**pairs / 2, abs=4 * (0.25 / 5000) ** 0.5)


def test_beta_vae_sees_absolute_differences():
    """Sharing either factor leaves the same mean |z - z'|, though not the same mean square: chance."""
    factors = torch.cartesian_prod(torch.arange(8), torch.arange(2)).repeat(256, 1)
    # |z - z'| is 1/2·2 for the coin, and 2·1/8·7/8·32/7 for the rare value: both 1; squares are 2 and 32/7.
    z = 32 / 7 * (factors[:, :1] == 0) + 2 * factors[:, 1:]
    assert beta_vae_score(z, factors) < 0.65


@pytest.mark.parametrize(("score", "size"), [(beta_vae_score, "pairs"), (factor_vae_score, "batch")])
def test_shared_factors_are_evaluated_on_other_rows(score, size):
    """What few rows have by chance in common does not help on others: noise is at chance, on average."""
    found = []
    for seed in range(16):
        noise = Noise(seed)
        factors = (noise("factors").uniform(60, 2) * 2).long()
        found.append(
            score(noise("codes").normal(60, 6), factors, seed, train=100, evaluate=50, **{size: 512})
        )
    assert sum(found) / 16 == pytest.approx(1 / 2, abs=0.1)


def test_factors_that_no_dimension_holds():
    """One of three factors in the codes: the others are guessed, (1 + 1/2 + 1/2)/3."""
    factors = grid(4, 3, 64)
    assert beta_vae_score(factors[:, :1] * 1.0, factors) == pytest.approx(2 / 3, abs=0.02)
    # A batch that fixes neither of two dimensions leaves the vote to chance: (1 + 1/2)/3, since the first
    # dimension stands for its factor, and the second for one of those that it cannot distinguish.
    z = torch.cat([factors[:, :1] * 1.0, torch.randint(4, (4096, 1)) * 1.0], 1)
    assert factor_vae_score(z, factors) == pytest.approx(1 / 2, abs=0.02)


def test_factor_vae_of_an_inactive_unit():
    """A pruned dimension has no votes, and those of the others stay in their columns."""
    factors = grid(4, 2, 32)
    inactive_std = 0.01 * factors[:, :1]  # it would have all votes of factor 0
    z = torch.cat([inactive_std, torch.full((512, 1), 0.3), 1.0 * factors], 1)
    active = torch.tensor([False, False, True, True])
    votes = factor_votes(z, factors, torch.arange(512), active, Noise(0), 64, 200)
    assert votes.tolist() == [[0, 0, 100, 0], [0, 0, 0, 100]]
    assert disentanglement(z, factors).active_units == 2
    mixed = torch.cat([inactive_std, z[:, 3:]], 1)
    assert factor_vae_score(mixed, factors) == 0.5  # one dimension is left, and stands for one factor
    assert factor_vae_score(mixed, factors, inactive_std=0.0) == 1
    assert factor_vae_score(inactive_std, factors) == 0


def test_factor_vae_is_relative_to_all_rows():
    """A dimension of small scale does not win by being small."""
    factors = grid(4, 2, 64)
    z = factors * torch.tensor([1.0, 100.0]) + torch.tensor([0.1, 10.0]) * torch.randn(1024, 2)
    assert factor_vae_score(z, factors) == 1


# ------------------------------------------------------------------------- mutual information


def bits(p):
    """The entropy of a coin."""
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def table(counts):
    """Rows (z, v) that occur as often as counts[z][v] says."""
    rows = [(z, v) for z, row in enumerate(counts) for v, count in enumerate(row) for _ in range(count)]
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[3, 1], [1, 3]], (1 - bits(1 / 4)) * math.log(2)),  # a channel that errs once in four
        ([[7, 0], [2, 2], [0, 7]], 14 / 18 * math.log(2)),  # a channel that erases 4 of 18
        ([[2, 4], [1, 2]], 0.0),  # independent
        ([[5, 0, 0], [0, 5, 0], [0, 0, 10]], 1.5 * math.log(2)),  # one names the other
        ([[1, 1, 0, 0], [0, 0, 1, 1]], math.log(2)),  # half of what there is to know
    ],
)
def test_mutual_information_by_hand(counts, expected):
    """Channels of known capacity, either way round."""
    z, v = table(counts).split(1, 1)
    assert mutual_information(z, v).item() == pytest.approx(expected, abs=1e-14)
    assert mutual_information(v, 3 - 5 * z).item() == pytest.approx(expected, abs=1e-14)


def test_mutual_information_against_sklearn():
    """The same numbers as scikit-learn's for all pairs of columns."""
    a, b = torch.randint(-3, 9, (500, 3)), torch.randint(0, 5, (500, 2)) ** 2
    b[:, 0] += a[:, 1]
    found = mutual_information(a, b)
    for i in range(3):
        for j in range(2):
            assert found[i, j].item() == pytest.approx(mutual_info_score(a[:, i], b[:, j]), abs=1e-12)


def test_mig_of_two_channels():
    """Two copies of a coin that err in 1/8 and 1/4 of rows, and a third that is worse: H(1/4) - H(1/8)."""
    error = torch.arange(64)
    v = torch.tensor([0, 1]).repeat_interleave(64)
    z = torch.stack([(v + (error % n < m).repeat(2)) % 2 for n, m in ((8, 1), (4, 1), (8, 3))], 1)
    assert mig(z * 2.5, v[:, None]) == pytest.approx(bits(1 / 4) - bits(1 / 8), abs=1e-12)
    assert mig(z[:, [1]] * 2.5, v[:, None]) == pytest.approx(1 - bits(1 / 4), abs=1e-12)


def test_mig_is_a_mean_of_shares():
    """A factor of 4 values that is known whole and one of 2 that is not known: (1 + 0)/2."""
    factors = torch.cartesian_prod(torch.arange(4), torch.arange(2))
    assert mig(factors[:, :1] * 1.0, factors) == pytest.approx(0.5, abs=1e-12)


def test_bins_of_equal_width():
    """40 values in 20 bins: two in each, log 20 / log 40; and the bins follow widths, not ranks."""
    v = torch.arange(40)[:, None].repeat(5, 1)
    assert mig(v * 1.0, v) == pytest.approx(math.log(20) / math.log(40), abs=1e-12)
    assert mig(v * 1.0, v, bins=40) == pytest.approx(1, abs=1e-12)
    v = torch.arange(4)[:, None]
    skewed = torch.tensor([[0.0], [0.1], [0.2], [1.0]])  # three in the lower half, one in the upper
    assert mig(skewed, v, bins=2) == pytest.approx(bits(1 / 4) / 2, abs=1e-12)


# --------------------------------------------------------------- separated predictability and trees


def test_ceiling_of_sap():
    """1 - 1/values, and .8825 for dSprites; perfect codes reach it, inner values too."""
    factors = torch.arange(3 * 480)[:, None] % torch.tensor([3, 6, 40, 32, 32])
    assert sap_ceiling(factors) == pytest.approx(0.8825, abs=1e-12)
    v = torch.arange(7)[:, None].repeat(600, 1)
    assert sap(v * 1.0, v) == pytest.approx(sap_ceiling(v), abs=1e-12)
    assert sap_ceiling(v) == pytest.approx(6 / 7)


def test_sap_of_two_channels():
    """Copies of a coin that are right in 7/8 and 3/4 of rows, and one that is wrong in 5/8: 1/8."""
    error = torch.rand(30_000, 3) < torch.tensor([1 / 8, 1 / 4, 3 / 8])
    v = torch.randint(2, (30_000, 1))
    z = (v + error) % 2
    assert sap(z * 1.0, v) == pytest.approx(1 / 8, abs=4 * ((7 / 64 + 3 / 16) / 5000) ** 0.5)
    # With a single dimension the second is chance.
    assert sap(z[:, :1] * 1.0, v) == pytest.approx(3 / 8, abs=4 * (7 / 64 / 5000) ** 0.5)


def test_sap_is_balanced():
    """A rare value counts as much as a frequent one."""
    v = (torch.arange(6000) % 10 == 0).long()[:, None]
    z = torch.randn(6000, 1)
    assert sap(torch.cat([v * 1.0, z], 1), v) == pytest.approx(1 / 2, abs=0.05)  # not 1/10
    # Where z is 0 all values are 0; where it is 1 a sixth is 1: balanced, the rule z is 3/4 right.
    v = torch.tensor([0, 0, 0, 0, 0, 1]).repeat(1000)[:, None]
    z = torch.tensor([0, 0, 0, 1, 1, 1]).repeat(1000)[:, None]
    expected = (3 / 5 + 1) / 2 - 1 / 2
    assert sap(z * 1.0, v) == pytest.approx(expected, abs=0.04)


def test_sap_is_evaluated_on_other_rows():
    """Codes that name each row determine its value, and predict nothing."""
    v = torch.randint(30, (600, 1))
    assert sap(torch.randn(600, 1), v) < 0.06


def test_sap_counts_nothing_below_chance():
    """A single dimension that does worse than chance is not ahead of anything."""
    found = [sap(torch.randn(90, 1), torch.randint(3, (90, 1)), seed) for seed in range(12)]
    assert min(found) == 0
    assert 2 <= found.count(0) < 12


@pytest.mark.parametrize("shape", [(3, 2), (2, 5), (6, 6)])
def test_concentration(shape):
    """Σ ρ_i (1 - H(P_i)) by scipy's entropy; 1 on a permutation, 0 on constant rows; scale-free."""
    R = torch.rand(*shape) ** 3
    rows = [1 - entropy(row, base=shape[1]) for row in R.numpy()]
    expected = sum(s * c for s, c in zip(R.sum(1).tolist(), rows, strict=True)) / R.sum().item()
    assert concentration(R) == pytest.approx(expected, abs=1e-12)
    assert concentration(7 * R) == pytest.approx(expected, abs=1e-12)
    assert concentration(torch.ones(shape) * torch.rand(shape[0], 1)) == pytest.approx(0, abs=1e-12)
    assert concentration(torch.eye(6)[torch.randperm(6)]) == 1
    assert concentration(torch.tensor([[1.0, 1.0, -1e-17]])) == pytest.approx(1 - math.log(2) / math.log(3))
    assert concentration(torch.zeros(shape)) == 0
    assert concentration(torch.rand(shape[0], 1)) == 1


def test_sides_of_dci():
    """Two dimensions for one factor harm completeness alone; one for two, disentanglement alone."""
    factors = grid(4, 2, 128)
    # v0 = 2a + b is in two dimensions, a and b, v1 in one.
    split = torch.stack([factors[:, 0] // 2, factors[:, 0] % 2, factors[:, 1]], 1)
    scores = dci(split * 1.0, factors)
    assert scores.disentanglement == pytest.approx(1, abs=0.01)
    # of base 3, as there are three dimensions
    assert scores.completeness == pytest.approx((2 - math.log(2) / math.log(3)) / 2, abs=0.02)
    joint = (4 * factors[:, :1] + factors[:, 1:]) * 1.0  # one dimension knows all
    scores = dci(joint, factors)
    assert (scores.disentanglement, scores.completeness) == pytest.approx((0, 1), abs=1e-9)
    assert scores.informativeness == 1


def test_informativeness_is_evaluated_on_other_rows():
    """Trees that memorise 60 rows of noise predict other rows at chance."""
    factors = grid(2, 2, 100)
    found = dci(torch.randn(400, 20), factors, rounds=100, train=60, evaluate=340).informativeness
    within(found, 0.5, 680)


def test_codes_that_hold_nothing():
    """A collapsed model is evaluated, not refused: chance, and no gap."""
    found = disentanglement(torch.full((480, 3), 0.1), grid(4, 2, 30))
    assert found.beta_vae == 0.5
    assert (found.factor_vae, found.mig, found.disentanglement, found.completeness) == (0, 0, 0, 0)
    assert (found.sap, found.active_units) == (0, 0)
    within(found.informativeness, 0.25, 320)


# ------------------------------------------------------------------------------------ bad input


FACTORS = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).repeat(8, 1)
CODES = FACTORS * 1.0


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (CODES[:, 0], FACTORS, r"shapes \(N, L\) and \(N, K\), got \(32,\)"),
        (CODES[:31], FACTORS, r"got \(31, 2\) and \(32, 2\)"),
        (CODES[:, :0], FACTORS, r"got \(32, 0\)"),
        (CODES[:3], FACTORS[:3], "at least 4 rows"),
        (CODES, FACTORS[:, :1], "2 factors"),
        (CODES, CODES, "whole numbers, got torch.float"),
        (CODES / 0, FACTORS, "finite"),
        (CODES, FACTORS * torch.tensor([1, 0]), "factor 1 must have at least 2 values, got 0"),
        (
            CODES,
            torch.stack([FACTORS[:, 0], torch.arange(32)], 1),
            "factor 1 must have a value that rows share",
        ),
        (
            CODES,
            torch.stack([FACTORS[:, 0], torch.arange(32) // 31], 1),
            "factor 1 must have at least 2 values in",
        ),
    ],
)
def test_bad_tables(codes, factors, message):
    """Each names the thing, what was expected and what was found."""
    with pytest.raises(DataError, match=message):
        disentanglement(codes, factors, seed=1)


@pytest.mark.parametrize(
    ("score", "setting", "message"),
    [
        (beta_vae_score, {"pairs": 0}, "pairs must be at least 1, got 0"),
        (beta_vae_score, {"train": 0}, "train must be at least 1, got 0"),
        (factor_vae_score, {"batch": 1}, "batch must be at least 2, got 1"),
        (factor_vae_score, {"evaluate": 0}, "evaluate must be at least 1, got 0"),
        (factor_vae_score, {"inactive_std": -1.0}, "inactive_std must be at least 0"),
        (mig, {"bins": 1}, "bins must be at least 2, got 1"),
        (sap, {"train": 0}, "train must be at least 1, got 0"),
        (dci, {"rounds": 0}, "rounds must be at least 1, got 0"),
    ],
)
def test_bad_settings(score, setting, message):
    """A setting out of range is refused by name."""
    with pytest.raises(ConfigError, match=message):
        score(CODES, FACTORS, **setting)


def test_progress():
    """It counts the scores, and the trees' factors one by one, up to the end."""
    seen = []
    disentanglement(CODES, FACTORS, progress=lambda *at: seen.append(at))
    assert seen == [(i, 6) for i in range(1, 7)]
