"""Names of options that recipes of a family share."""

NETWORKS = (
    "network", "word_dropout", "encoder_word_dropout", "token_replacement", "column_dropout",
    "encoder_column_dropout", "batch_size", "schedule", "lr",
)  # fmt: skip
AUTOENCODER = ("latent_dim", "prior_std", "cost", "conditional", *NETWORKS)
WASSERSTEIN = (*AUTOENCODER, "weight", "weight_init", "prior", "posterior", "input_noise")
LIKELIHOOD = (*AUTOENCODER, "weight", "likelihood_std", "warmup", "free_bits")
ADVERSARIAL = (
    "prior_std", "input_noise", "cost", "non_saturating", "n_critic", "critic_lr", "encoder_lr", *NETWORKS,
)  # fmt: skip
GAN = (
    "latent_dim", "prior", "prior_std", "network", "n_critic", "batch_size", "schedule", "lr", "critic_lr",
)  # fmt: skip
ENCODER_DECODER = ("encoder", "decoder", "cost")
