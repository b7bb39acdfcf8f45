"""The options of recipes: one dataclass for each family, in which every option is described once.

A field made by :func:`option` can be set by users: its metadata hold the help text, the range of values and
the modality that it is for. Other fields are set by presets alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, Self, dataclass_transform

from pushforward.data.spec import DataSpec
from pushforward.errors import ConfigError, nearest
from pushforward.options import check_fields, option
from pushforward.wording import option_name

PLANAR = ("mixture", "swiss-roll")  # priors of two dimensions
Cost = Literal["squared", "l2", "l1", "bernoulli", "gaussian", "gaussian-learnt", "tokens", "columns"]
Prior = Literal["normal", "uniform", "sphere", "mixture", "swiss-roll"]
Posterior = Literal["deterministic", "gaussian", "uniform", "implicit", "mixing"]
Schedule = Literal["constant", "cosine", "step-decay", "wae-mnist", "wae-celeba"]
Network = Literal[
    "mlp", "mlp-wide", "mlp-wide-tanh", "conv", "conv-dense", "conv-mlp", "conv-mlp-no-batchnorm",
    "dcgan-4x4", "dcgan-5x5", "gru", "transformer", "table-autoregressive", "table-mlp",
]  # fmt: skip

COST_HELP = (
    "Cost c(x, G(z)) of a reconstruction, summed over the values of a row: squared error; l2, the Euclidean "
    "distance; l1, the absolute error; or the negative log-likelihood of values in [0, 1] (bernoulli), of "
    "numbers with a fixed or a learnt standard deviation (gaussian, gaussian-learnt), of the tokens of a "
    "line of text (tokens), or of the columns of a row of a table (columns)."
)
KERNEL_HELP = (
    "Kernel of the MMD: 'imq' (the default) sums seven scales; 'gaussian' has one bandwidth, the prior's."
)
POSTERIOR_HELP = (
    "Kind of encoder, that is, the distribution of the code of one row: one point (deterministic); gaussian; "
    "uniform, on a box; implicit, noise that passes through the network; or mixing, which adds functions of "
    "noise with factors that depend on the row."
)
PRIOR_HELP = (
    "normal; uniform, on the box [-1, 1]^L; sphere; mixture, of ten Gaussians in the plane; or swiss-roll, a "
    "spiral in the plane."
)
SCHEDULE_HELP = (
    "How learning rates change over the run: constant; cosine, a short rise and then half a cosine; "
    "step-decay, a tenth from epoch 50 on and a hundredth from 1000 on; wae-mnist and wae-celeba, as in the "
    "official code of WAE: in three steps at epochs 30, 50 and 100, and by a constant factor each epoch."
)
NETWORK_HELP = (
    "Architecture of encoder and decoder. Fully connected: mlp; mlp-wide, layers of 1000; mlp-wide-tanh, of "
    "1200. Of images, convolutions: conv; conv-dense, with a layer of 1024 units; conv-mlp, whose decoder is "
    "fully connected; conv-mlp-no-batchnorm, the same without BatchNorm in the decoder; dcgan-4x4 and "
    "dcgan-5x5, up to 1024 channels with kernels of that size. Of text: gru or transformer. Of tables: "
    "table-autoregressive, which predicts each column from the code and the columns "
    "before it, or table-mlp, whose "
    "columns are independent given the code."
)
GAN_NETWORK_HELP = (
    "Architecture of generator and critic: mlp, fully connected; or of images conv, small convolutions, or "
    "dcgan, those of DCGAN."
)


class _DataclassOnce(type):
    """The type of settings: refuses to make a dataclass of one twice, which would lose its options."""

    def __setattr__(cls, name: str, value: Any) -> None:
        if name == "__dataclass_params__" and name in vars(cls):
            raise ConfigError(f"{cls.__name__} is a dataclass already, as all settings are; omit @dataclass")
        super().__setattr__(name, value)


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Settings(metaclass=_DataclassOnce):
    """Options of every recipe. Every subclass is a frozen dataclass, without a decorator.

    Attributes:
        optimizer: Optimizer of the model.
        beta1: First moment of the model's Adam, or momentum of its gradient descent.
        epochs: Passes over the data when no budget is given.
        pretrain: Rows per batch while the encoder's moments are fitted to the prior's before the first step;
            0 for no fitting.
    """

    latent_dim: int = option("Dimensions of a code.", ge=1)
    prior: Prior = option(f"Distribution that codes are to follow: {PRIOR_HELP}", "normal")
    prior_std: float = option("Scale of the prior; of a normal one its standard deviation.", 1.0, gt=0)
    network: str = option("Architecture of the networks.", "mlp")
    n_critic: int = option("Updates of the critic for each update of the model.", 1, ge=1)
    non_saturating: bool = option(
        "Whether the loss is the non-saturating one, with the roles of the samples exchanged, and not "
        "min-max.",
        True,
    )  # fmt: skip
    batch_size: int = option("Rows per batch.", 100, ge=2)
    schedule: Schedule = option(SCHEDULE_HELP, "wae-mnist")
    lr: float = option("Learning rate of the model.", 1e-3, gt=0)
    critic_lr: float = option("Learning rate of the critic.", 1e-3, gt=0)
    optimizer: Literal["adam", "adagrad", "rmsprop", "sgd"] = "adam"
    beta1: float = 0.5
    epochs: float = 100.0
    pretrain: int = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        check_fields(self)

    def with_options(self, given: Mapping[str, Any], spec: DataSpec) -> Self:
        """These settings with the options that a user gave, for a data set.

        Raises:
            ConfigError: If a value is not allowed.
        """
        changes = dict(given)
        if changes.get("prior") in PLANAR:
            changes.setdefault("latent_dim", 2)
        changed = replace(self, **changes)
        return replace(changed, batch_size=max(2, min(changed.batch_size, spec.n_train)))

    def steps(self, rows: int) -> int:
        """The steps of a run on so many training rows whose budget is not given."""
        return round(self.epochs * rows / self.batch_size)

    def as_json(self) -> dict[str, Any]:
        """Every setting as a plain value."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`as_json`; settings that are missing have their defaults.

        Raises:
            ConfigError: If there is no such setting, a value is not allowed, or one that has no default is
                missing.
        """
        known = [one.name for one in fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}: {nearest(name, known)}")
        missing = [one.name for one in fields(cls) if one.name not in values and one.default is MISSING]
        if missing:
            raise ConfigError(f"a stored setting is missing: {', '.join(missing)}")
        return cls(**values)


class AutoEncoderSettings(Settings):
    """Options of auto-encoders.

    Attributes:
        truncated: Whether the noise on the input stays within two standard deviations, as in the official
            code of WAE.
        official_init: Whether weights start as N(0, 0.01²), as in the official code of WAE.
        critic_widths: Hidden units of the critic.
        weight_note: What the default weight means, in one sentence.
    """

    weight: float | Literal["auto"] = option(
        "The factor λ of the discrepancy, against a cost that is summed over the values of a row; 'auto' "
        "adapts it until codes follow the prior.",
        1.0, ge=0,
    )  # fmt: skip
    weight_init: float = option("First value of the weight 'auto'.", 1.0, gt=0)
    network: Network = option(NETWORK_HELP, "mlp")
    lr: float = option("Learning rate of encoder and decoder.", 1e-3, gt=0)
    cost: Cost = option(COST_HELP, "squared")
    likelihood_std: float | None = option(
        "Standard deviation of a Gaussian likelihood: fixed, or (cost 'gaussian-learnt') its first value.",
        None, gt=0,
    )  # fmt: skip
    posterior: Posterior = option(POSTERIOR_HELP, "deterministic")
    conditional: bool = option(
        "Whether encoder and decoder receive the label, so that samples of one class can be requested.", False
    )
    input_noise: float = option("Standard deviation of noise on the encoder's input, in training.", 0.0, ge=0)
    word_dropout: float = option(
        "Share of the preceding tokens that are hidden from the decoder, in training.",
        0.0, ge=0, lt=1, modality="text",
    )  # fmt: skip
    encoder_word_dropout: float = option(
        "Share of the tokens that are hidden from the encoder, in training.", 0.0, ge=0, lt=1, modality="text"
    )
    column_dropout: float = option(
        "Share of the rows for which, in training, the decoder sees the code but not the preceding columns, "
        "so that it learns to use the code.",
        0.0, ge=0, lt=1, modality="table",
    )  # fmt: skip
    encoder_column_dropout: float = option(
        "Share of the values that are hidden from the encoder, in training.",
        0.0,
        ge=0,
        lt=1,
        modality="table",
    )
    token_replacement: float = option(
        "Share of the tokens of every second line that are replaced by others, in training, both in what is "
        "encoded and in what is to be reconstructed.",
        0.0, ge=0, lt=1, modality="text",
    )  # fmt: skip
    warmup: int = option("Steps over which the weight rises from 0.", 0, ge=0)
    free_bits: float = option("Nats of each dimension that the KL does not count.", 0.0, ge=0)
    add_log_prior: bool = option("Whether the prior's log-density is added to the critic's output.", False)
    truncated: bool = True
    official_init: bool = False
    critic_widths: tuple[int, ...] = (256, 256, 256)
    weight_note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup and self.weight == "auto":
            raise ConfigError(
                f"{option_name('warmup')} needs a {option_name('weight')} that is a number, got 'auto'"
            )

    def with_options(self, given: Mapping[str, Any], spec: DataSpec) -> Self:
        """See :meth:`Settings.with_options`."""
        changed = super().with_options(given, spec)
        if "weight_init" in given and changed.weight != "auto":
            raise ConfigError(
                f"{option_name('weight_init')} is for {option_name('weight', 'auto')}, got weight "
                f"{changed.weight:g}"
            )
        return changed if changed.weight == self.weight else replace(changed, weight_note="")


class AdversarialSettings(AutoEncoderSettings):
    """Options of adversarial auto-encoders, whose players have learning rates in the place of a weight."""

    n_critic: int = option("Updates of the critics at each step.", 1, ge=1)
    critic_lr: float = option("Learning rate of the critics.", 1e-3, gt=0)
    encoder_lr: float = option("Learning rate of the encoder against the critics.", 1e-3, gt=0)
    label_lr: float = option("Learning rate of the encoder on rows with a known label.", 1e-3, gt=0)
    n_labels: int | None = option(
        "Number of labels that are used, as many of each class; by default all.", None, ge=1
    )
    critic_noise: float = option(
        "Standard deviation of noise on the critics' input, in training; it hides that a softmax is never "
        "exactly one-hot.",
        0.0, ge=0,
    )  # fmt: skip


class LearntPriorSettings(AutoEncoderSettings):
    """Options of auto-encoders whose prior is learnt.

    Attributes:
        prior_widths: Hidden units of the prior.
    """

    noise_dim: int = option("Dimensions of the noise that the prior pushes forward.", 100, ge=1)
    prior_widths: tuple[int, ...] = (256, 256)


class GANSettings(Settings):
    """Options of models in data space.

    Attributes:
        beta2: Second moment of Adam.
        init_std: Standard deviation of the first weights; 0 for PyTorch's own.
        fixed_steps: Whether another batch size or ``n_critic`` changes the epochs so that the number of steps
            stays.
    """

    latent_dim: int = option("Dimensions of a draw of the prior.", ge=1)
    prior: Literal["normal", "uniform", "sphere"] = option(
        "Distribution that the generator pushes forward: normal; uniform, on the box [-1, 1]^L; or sphere.",
        "normal",
    )
    network: Literal["mlp", "conv", "dcgan"] = option(GAN_NETWORK_HELP, "mlp")
    lr: float = option("Learning rate of the generator.", 1e-3, gt=0)
    beta2: float = 0.999
    init_std: float = 0.0
    fixed_steps: bool = False

    def with_options(self, given: Mapping[str, Any], spec: DataSpec) -> Self:
        """See :meth:`Settings.with_options`."""
        changed = super().with_options(given, spec)
        if not self.fixed_steps:
            return changed
        epochs = self.epochs * changed.n_critic * changed.batch_size / (self.n_critic * self.batch_size)
        return replace(changed, epochs=epochs)

    def steps(self, rows: int) -> int:
        """See :meth:`Settings.steps`; every update of the critic takes a batch."""
        return super().steps(rows) // self.n_critic
