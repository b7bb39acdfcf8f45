"""ARAE's critic on the sphere, styles that leave the code, and weights that rise or begin late."""

import math

import pytest
import torch
from torch import nn

from pushforward.costs import KL, SquaredError
from pushforward.discrepancies import IMQ, MMD, GradientPenalty, JensenShannon, Wasserstein
from pushforward.distributions import DeterministicEncoder, Gaussian, GeneratorPrior, NormalPrior
from pushforward.errors import ConfigError, DataError
from pushforward.models import ARAE, VAE, WAE, AutoEncoder, TransferAE, WarmUp
from pushforward.networks import mlp
from pushforward.networks.conditional import Conditional
from pushforward.recipes import RECIPES
from pushforward.recipes.text import on_sphere
from pushforward.rng import Noise
from pushforward.square import Square
from pushforward.training import Loop, Training, adam


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def phrases():
    from pushforward.data import open_dataset

    return open_dataset("phrases")


# ------------------------------------------------------------------------------------------- ARAE


def arae(latent_noise=0.0, latent_noise_decay=1.0, weight=1.0, critic=None, n_critic=1):
    """Codes in the plane, on the circle; the prior is a linear map of plane noise."""
    prior = GeneratorPrior(nn.Linear(2, 2), NormalPrior(2), 2)
    encoder = DeterministicEncoder(nn.Linear(3, 2), on_sphere)
    discrepancy = Wasserstein(
        critic or mlp(2, 1, [32], norm=None), n_critic=n_critic, constraint=GradientPenalty(1.0)
    )
    return ARAE(
        prior,
        nn.Linear(2, 3),
        encoder,
        discrepancy,
        weight=weight,
        latent_noise=latent_noise,
        latent_noise_decay=latent_noise_decay,
    )


def test_codes_lie_on_the_sphere_where_numbers_have_mean_square_one(phrases):
    model = RECIPES["arae"](phrases.spec, latent_dim=6).model.eval()
    z = model.encode(phrases.test.x[:50])
    assert torch.allclose(z.square().mean(1), torch.ones(50), atol=1e-6)
    assert torch.allclose(z.norm(dim=1), torch.full((50,), 6**0.5), atol=1e-5)


def test_the_papers_noise_and_weight_are_theirs_in_units_of_the_sphere(phrases):
    """Noise 0.2 of a code of length 1; and λ W₁, since W₁ grows as the radius does."""
    chosen = RECIPES["arae"](phrases.spec, "paper").settings
    radius = chosen.latent_dim**0.5
    assert chosen.latent_noise / radius == pytest.approx(0.2)
    assert chosen.weight * radius == pytest.approx(12.0)


def test_with_prior_and_critic_frozen_and_no_weight_it_is_a_denoising_auto_encoder():
    """min E c(G(E(x) + ε), x): the same losses as noise put on codes by hand, and the same bits."""
    model = arae(latent_noise=0.3, weight=0.0)
    model.prior.requires_grad_(False)
    model.discrepancy.requires_grad_(False)
    x = torch.randn(16, 3)
    s = Square(model.train(), x, Noise(3))
    by_hand = model.decoder(s.Ex + 0.3 * Noise(3)("code").normal(16, 2))
    terms = model.formula(s)
    assert torch.equal(terms["reconstruction"], SquaredError()(by_hand, x))
    assert terms["discrepancy"] == 0
    plain = AutoEncoder(model.prior, model.decoder, model.encoder)
    eval_mode = model.eval().formula(Square(model, x, Noise(3)))
    assert torch.equal(
        eval_mode["reconstruction"], plain.formula(Square(plain, x, Noise(3)))["reconstruction"]
    )


def test_noise_calms_every_hundred_steps_and_is_saved():
    model = arae(latent_noise=0.4, latent_noise_decay=0.5)
    s = Square(model, torch.randn(4, 3), Noise(0))
    for step in range(250):
        model.update_state(s, step, 1.0)
    assert model.latent_noise.item() == pytest.approx(0.1)
    assert "latent_noise" in model.state_dict()


def test_slopes_on_a_plane():
    """With T(z) = z₁ the codes move to more of T's opposite, the prior to where codes are.

    The critic maximises E T(Ex) - E T(g): high is given. The encoder lowers T at codes, the prior
    raises it at its draws, so that the two approach each other.
    """
    critic = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[1.0, 0.0]]))
    model = arae(critic=critic)
    s = Square(model, torch.randn(64, 3), Noise(0))
    critic_objective = model.discrepancy.critic_objective(*model.pair(s))
    assert critic_objective.item() == pytest.approx((s.Ex[:, 0].mean() - s.z[:, 0].mean()).item(), abs=1e-6)
    codes, draws = torch.autograd.grad(model.discrepancy_terms(s)["discrepancy"], (s.Ex, s.z))
    assert (codes[:, 0] > 0).all()  # descending it lowers T at codes
    assert (draws[:, 0] < 0).all()  # and raises it at the prior's draws


def test_the_prior_learns_where_codes_are():
    """Codes fixed at one point of the circle: the prior's mean comes to it."""
    model = arae(n_critic=5)
    with torch.no_grad():
        model.encoder.net.weight.zero_()
        model.encoder.net.bias.copy_(torch.tensor([0.0, 1.0]))  # whose code is (0, √2)
    model.encoder.requires_grad_(False)
    from pushforward.data import Split

    optimizers = {
        "model": adam(1e-3), "prior": adam(1e-2, (0.5, 0.9)), "critic": adam(1e-2, (0.5, 0.9))
    }  # fmt: skip
    loop = Loop(model, Split(torch.randn(256, 3)), Training(64, optimizers), total=400)
    for _ in range(400):
        loop.advance()
    made = model.prior.draw(1000, Noise("made")).detach()
    assert (made.mean(0) - torch.tensor([0.0, 2**0.5])).norm() < 0.15
    assert made.std(0).max() < 0.3


def test_noise_that_cannot_be():
    with pytest.raises(
        ConfigError, match=r"latent_noise must be at least 0 and latent_noise_decay in \(0, 1\], got -1 and 1"
    ):
        arae(latent_noise=-1)
    with pytest.raises(ConfigError, match=r"got 0 and 1\.5"):
        arae(latent_noise=0, latent_noise_decay=1.5)


# ------------------------------------------------------------------------------------------ styles


def styled(styles=None, style_weight=1.0):
    prior = NormalPrior(2)
    decoder = Conditional(mlp(4, 3, [8], norm=None), 2)
    encoder = DeterministicEncoder(nn.Linear(3, 2))
    styles = styles or JensenShannon(mlp(2, 1, [8], norm=None))
    return TransferAE(
        prior,
        decoder,
        encoder,
        MMD(IMQ(prior.expected_sq_distance)),
        styles,
        weight=2.0,
        style_weight=style_weight,
    )


ROWS, LABELS = torch.randn(40, 3), torch.arange(40) % 2


def test_styles_are_compared_label_1_with_label_0_and_unknown_ones_with_nobody():
    y = LABELS.clone()
    y[:6] = -1
    model = styled(MMD(IMQ(2.0)))
    s = Square(model, ROWS, Noise(0), y)
    wanted = MMD(IMQ(2.0))(s.Ex[y == 1], s.Ex[y == 0])
    assert torch.equal(model.formula(s)["style"], wanted)


def test_the_critic_of_styles_reaches_the_encoder_alone():
    model = styled()
    model.formula(Square(model, ROWS, Noise(0), LABELS))["style"].backward()
    assert all(p.grad is None for p in model.decoder.parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())


def test_a_batch_of_one_style_pays_nothing_for_it():
    model = styled()
    s = Square(model, ROWS, Noise(0), torch.zeros(40).long())
    assert model.formula(s)["style"] == 0
    assert model.critic_loss(model.comparisons()[1], s)["critic_style"] == 0


def test_rows_without_labels_are_refused():
    model = styled()
    with pytest.raises(DataError, match="labels"):
        model.formula(Square(model, ROWS, Noise(0)))


def test_a_paired_row_costs_its_own_reconstruction_and_a_fraction_weighs_its_fraction():
    """Σ c(G(E(x), 1 - y), twin) over rows with a twin, over all rows of the batch."""
    model = styled()
    paired = torch.randn(40, 3).abs()
    paired[10:] = -1
    s = Square(model, ROWS, Noise(0), LABELS, paired)
    decoded = model.generate(s.Ex[:10], 1 - LABELS[:10])
    wanted = (decoded - paired[:10]).square().sum() / 40
    assert torch.allclose(model.formula(s)["pairs"], wanted)
    none = Square(model, ROWS, Noise(0), LABELS, torch.full_like(paired, -1))
    assert model.formula(none)["pairs"] == 0
    assert "pairs" not in model.formula(Square(model, ROWS, Noise(0), LABELS))


def test_the_other_terms_are_those_of_a_wae():
    model = styled()
    plain = WAE(model.prior, model.decoder, model.encoder, model.discrepancy, weight=2.0)
    ours, theirs = (m.formula(Square(m, ROWS, Noise(0), LABELS)) for m in (model, plain))
    for name, value in theirs.items():
        assert torch.equal(value, ours[name])


@pytest.mark.slow
def test_the_style_leaves_the_code():
    """Rows (s, a + s, b) with a label s of ±1: what the label does not say is a and b.

    A code that keeps a + s shows the label to a fresh linear probe. With the critic it keeps a, the probe is
    near chance, and the rows still come back.
    """
    from sklearn.linear_model import LogisticRegression

    from pushforward.data import Split

    y = torch.arange(2000) % 2
    sign = 2.0 * y.unsqueeze(1) - 1
    x = torch.cat([sign, torch.randn(2000, 1) + sign, torch.randn(2000, 1)], dim=1)
    leaks, errors = {}, {}
    for weight in (0.0, 5.0):
        torch.manual_seed(1)
        model = styled(JensenShannon(mlp(2, 1, [32], norm=None)), weight)
        optimizers = {"model": adam(3e-3, (0.5, 0.999)), "critic_style": adam(3e-3, (0.5, 0.999))}
        loop = Loop(model, Split(x, y), Training(200, optimizers), total=1500)
        for _ in range(1500):
            loop.advance()
        codes = model.eval().encode(x).detach()
        probe = LogisticRegression().fit(codes[:1000], y[:1000])
        leaks[weight] = probe.score(codes[1000:], y[1000:])
        errors[weight] = (model.decode(codes, y) - x).square().sum(1).mean().item()
    assert leaks[0.0] > 0.75
    assert leaks[5.0] < 0.58
    assert max(errors.values()) < 0.2 < x.var(0).sum()


def test_recipes_that_cannot_be(phrases):
    with pytest.raises(ConfigError, match=r"paired_fraction must be in \[0, 1\], got 2"):
        RECIPES["transfer-ae"](phrases.spec, paired_fraction=2)
    with pytest.raises(ConfigError, match="shared_decoder must be True or False, got 3"):
        RECIPES["transfer-ae"](phrases.spec, shared_decoder=3)
    with pytest.raises(ConfigError, match="leave out either it or decoder"):
        RECIPES["transfer-ae"](phrases.spec, shared_decoder=False, decoder=torch.nn.Identity())
    from pushforward.data import open_dataset

    with pytest.raises(DataError, match="transfer-ae needs labels of 2 classes; digits has 10"):
        RECIPES["transfer-ae"](open_dataset("digits").spec)


# ------------------------------------------------------------------------------ what a KL is charged


def test_a_warm_up_is_a_straight_line_that_ends():
    weight = WarmUp(4.0, 8)
    found = [float(weight)]
    for step in range(12):
        weight.update_state(None, step, 1.0)
        found.append(float(weight))
    assert found == pytest.approx([4 * min(1, step / 8) for step in range(13)])


def test_a_warm_up_charges_nothing_at_first():
    model = VAE(NormalPrior(2), nn.Linear(2, 3), _gaussian(), SquaredError(), WarmUp(1.0, 10))
    terms = model.formula(Square(model, ROWS, Noise(0)))
    assert terms["discrepancy"] == 0
    assert terms["discrepancy"].isfinite()


def test_free_nats_of_each_dimension_are_not_charged():
    """Σ_j max(mean KL_j, f), by hand; and the gradient of a dimension below f is 0."""
    q = Gaussian(torch.tensor([[0.1, 2.0], [0.3, -2.0]], requires_grad=True), torch.zeros(2, 2))
    p = Gaussian(torch.zeros(2, 2), torch.zeros(2, 2))
    first, second = 0.5 * (0.01 + 0.09) / 2, 0.5 * 4.0
    assert KL(0.5)(q, p).item() == pytest.approx(0.5 + second)
    assert KL(0.0)(q, p).item() == pytest.approx(first + second)
    (slope,) = torch.autograd.grad(KL(0.5)(q, p), q.center)
    assert (slope[:, 0] == 0).all()
    assert (slope[:, 1] != 0).all()
    with pytest.raises(ConfigError, match="free must be at least 0 nats"):
        KL(-1)


def test_with_free_nats_or_a_warm_up_the_sum_is_no_bound():
    made = [NormalPrior(2), nn.Linear(2, 3), _gaussian()]
    from pushforward.costs import GaussianLikelihood

    assert VAE(*made, GaussianLikelihood()).is_elbo
    assert not VAE(*made, GaussianLikelihood(), free=0.1).is_elbo
    assert not VAE(*made, GaussianLikelihood(), WarmUp(1.0, 10)).is_elbo
    assert math.isfinite(float(WarmUp(1.0, 10)))


def _gaussian():
    from pushforward.distributions import GaussianEncoder

    return GaussianEncoder(nn.Linear(3, 4))


# --------------------------------------------------------------------------------------- token replacement


@pytest.mark.parametrize("recipe", ["ae", "wae-mmd", "vae", "info-vae", "arae", "transfer-ae"])
def test_replaced_tokens_enter_the_cost_and_not_the_discrepancy(phrases, recipe):
    """In training the cost is that of augmented lines; the discrepancy is of the data."""
    options = {"latent_dim": 6} | ({"latent_noise": 0.0} if recipe == "arae" else {})
    model = RECIPES[recipe](phrases.spec, token_replacement=0.5, **options).model
    plain = RECIPES[recipe](phrases.spec, token_replacement=0.0, **options).model
    plain.load_state_dict(model.state_dict())
    x, y = phrases.train.batch(slice(0, 32))
    found, usual = (m.train().formula(Square(m, x, Noise(0), y)) for m in (model, plain))
    assert all(found[name].equal(usual[name]) for name in usual if name != "reconstruction")
    augmented = Square(plain, model.augment(x, Noise(0)("rehearse")), Noise(0), y)
    assert not augmented.x.equal(x)
    assert found["reconstruction"].item() == pytest.approx(
        plain.formula(augmented)["reconstruction"].item(), rel=1e-5
    )
    assert found["reconstruction"].item() != pytest.approx(usual["reconstruction"].item(), rel=1e-5)
    eval_mode = (m.eval().formula(Square(m, x, Noise(0), y)) for m in (model, plain))
    assert len({terms["reconstruction"].item() for terms in eval_mode}) == 1


def test_only_text_has_words_to_swap():
    from pushforward.data import open_dataset

    with pytest.raises(ConfigError, match="token_replacement is for text data"):
        RECIPES["wae-mmd"](open_dataset("digits").spec, token_replacement=0.3)


# ------------------------------------------------------------------------------------- two decoders


def test_each_style_may_have_its_own_decoder(phrases):
    """Lines of one label do not train the decoder of the other, and both share the embedding."""
    model = RECIPES["transfer-ae"](
        phrases.spec, latent_dim=6, shared_decoder=False, paired_fraction=0.0
    ).model
    mine, other = model.decoder.net.decoders
    x, y = phrases.train.batch(slice(0, 64))
    s = Square(model.train(), x[y == 0], Noise(0), y[y == 0])
    model.formula(s)["reconstruction"].backward()
    assert mine.gru.weight_hh_l0.grad.any()
    assert other.gru.weight_hh_l0.grad is None
    assert model.decoder.net.embedding.weight.grad.any()


def test_a_decoder_per_class_is_for_text():
    from pushforward.data import open_dataset

    rows = torch.rand(100, 3)
    with pytest.raises(ConfigError, match=r"shared_decoder is for text data, .* is vector data"):
        RECIPES["transfer-ae"](
            open_dataset((rows, torch.arange(100) % 2)).spec, latent_dim=2, shared_decoder=False
        )
