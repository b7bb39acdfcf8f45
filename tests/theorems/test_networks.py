"""The official nets, counted; and images of any size, there and back."""

import pytest
import torch
from torch import nn

from pushforward.errors import ConfigError
from pushforward.networks import (
    GatedTanh,
    conv_decoder,
    conv_encoder,
    mlp,
    official_init,
    resnet_critic,
    resnet_generator,
)
from pushforward.networks.dcgan import Down, sizes
from pushforward.networks.norms import AT_HAND


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_official_nets_of_mnist():
    """Tolstikhin et al., appendix C: 11,050,632 parameters in the encoder, 10,943,745 in the decoder."""
    shape = (1, 28, 28)
    with torch.device("meta"):
        assert parameters(conv_encoder(shape, 8, [128, 256, 512, 1024], 4)) == 11_050_632
        assert parameters(conv_decoder(8, shape, [1024, 512, 256], 4)) == 10_943_745


def test_official_nets_of_celeba():
    """Tolstikhin et al., appendix C: 18,267,200 parameters in the encoder, 21,475,331 in the decoder."""
    shape = (3, 64, 64)
    with torch.device("meta"):
        assert parameters(conv_encoder(shape, 64, [128, 256, 512, 1024], 5)) == 18_267_200
        assert parameters(conv_decoder(64, shape, [1024, 512, 256, 128], 5)) == 21_475_331


def test_official_decoder_of_mnist_has_the_official_shapes():
    """FC to 7x7x1024 without BatchNorm, two stages to 28, a last one of stride 1."""
    net = conv_decoder(8, (1, 28, 28), [4, 4, 4], 4)
    shapes = []
    for layer in net:
        layer.register_forward_hook(lambda m, i, o: shapes.append((type(m).__name__, tuple(o.shape[1:]))))
    net(torch.zeros(2, 8))
    assert [s for name, s in shapes if name == "Up"] == [(4, 14, 14), (4, 28, 28), (1, 28, 28)]
    assert [name for name, _ in shapes[:3]] == ["Linear", "Unflatten", "ReLU"]


SHAPES = [
    (channels, *size) for channels in (1, 3) for size in ((28, 28), (32, 32), (45, 37), (1, 64), (64, 64))
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("last", [True, False])
def test_any_image_there_and_back(shape, kernel, last):
    """Images of any size become codes and come back at their size; every parameter is reached."""
    x = torch.rand(3, *shape)
    encoder = conv_encoder(shape, 5, [4, 6], kernel, hidden=[7])
    decoder = conv_decoder(5, shape, [6, 4], kernel, hidden=[7], last=last)
    codes = encoder(x)
    made = decoder(codes)
    assert codes.shape == (3, 5)
    assert made.shape == x.shape
    (made - x).square().sum().backward()
    for p in (*encoder.parameters(), *decoder.parameters()):
        assert p.grad is not None
        assert p.grad.isfinite().all()
    assert (made.detach().flatten(2).std(2) > 0).any()


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("length", [1, 2, 7, 14, 28, 37])
def test_same_padding_of_tensorflow(length, kernel):
    """A stage pads as TensorFlow's "same": 28, 14 by (1, 1) and 7 by (1, 2) for kernels of 4."""
    stage = Down(1, 1, kernel, bias=False)
    stage.conv.weight.data.fill_(1.0)
    x = torch.rand(1, 1, length, length)
    out = -(-length // 2)
    total = max((out - 1) * 2 + kernel - length, 0)
    before = total // 2
    padded = torch.zeros(length + total, length + total)
    padded[before : before + length, before : before + length] = x[0, 0]
    expected = torch.tensor(
        [
            [padded[2 * i : 2 * i + kernel, 2 * j : 2 * j + kernel].sum() for j in range(out)]
            for i in range(out)
        ]
    )
    torch.testing.assert_close(stage(x)[0, 0], expected)


def test_sizes_are_halved_upwards():
    """28 becomes 14, 7, 4, 2."""
    assert [h for h, _ in sizes((28, 28), 4)] == [28, 14, 7, 4, 2]


def test_batch_norm_is_the_official_one():
    """Decay .9 is momentum .1, and epsilon is 1e-5 (not .8, as a Keras argument read by position)."""
    nets = conv_encoder((1, 8, 8), 2, [4], 4), conv_decoder(2, (1, 8, 8), [4, 4], 4), mlp(3, 2, [4])
    for norm in (m for net in nets for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        assert (norm.momentum, norm.eps, norm.affine) == (0.1, 1e-5, True)


def test_official_initialisation():
    """Weights N(0, .0099999²), of convolutions truncated at two deviations; biases 0."""
    net = official_init(nn.Sequential(nn.Conv2d(8, 64, 5), nn.ConvTranspose2d(64, 8, 5), nn.Linear(200, 100)))
    std = 0.0099999
    for layer, truncated in zip(net, (True, True, False), strict=True):
        assert (layer.bias == 0).all()
        assert (layer.weight.abs().max() <= 2 * std) == truncated
        assert layer.weight.std().item() == pytest.approx(std * (0.8796 if truncated else 1), rel=0.03)


@pytest.mark.parametrize("norm", ["batch", None])
def test_mlp_of_any_shape(norm):
    """Rows may be vectors or images, in and out."""
    for shape in (5, (5,), (2, 3, 4)):
        x = torch.rand(6, *([shape] if isinstance(shape, int) else shape))
        codes = mlp(shape, 2, [8, 8], norm)(x)
        assert codes.shape == (6, 2)
        assert mlp(2, shape, [8, 8], norm)(codes).shape == x.shape


def test_residual_nets_have_the_layers_of_the_paper():
    """At 64 pixels and 6 blocks a stage, generator and critic have 101 layers each."""
    from pushforward.networks.resnet import layers

    assert layers(resnet_generator(8, (3, 64, 64), 8)) == 101
    assert layers(resnet_critic((3, 64, 64), 1, 8)) == 101


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 45, 37), (1, 8, 8)])
@pytest.mark.parametrize("norm", ["batch", "layer", None])
def test_residual_nets_take_any_size(shape, norm):
    images = resnet_generator(4, shape, 4, blocks=1, norm=norm)(torch.randn(3, 4))
    assert images.shape == (3, *shape)
    assert resnet_critic(shape, 2, 4, blocks=1, norm=norm)(images).shape == (3, 2)


def test_a_block_begins_near_what_comes_in():
    """Its branch has a share of .3: a hundred blocks do not blow a row up."""
    net = resnet_generator(8, (1, 32, 32), 8, norm=None)
    assert net(torch.randn(4, 8)).abs().max() < 100


def test_gates():
    """σ(a) tanh(b) of two halves of the channels; nets of gates make the shapes of others."""
    a, b = torch.randn(2, 5, 3, 4, 4)
    torch.testing.assert_close(GatedTanh()(torch.cat([a, b], 1)), a.sigmoid() * b.tanh())
    images = conv_decoder(4, (1, 28, 28), [8, 4], 4, activation=GatedTanh, gated=True)(torch.randn(2, 4))
    assert conv_encoder((1, 28, 28), 3, [4, 8], 4, activation=GatedTanh, gated=True)(images).shape == (2, 3)


def test_a_norm_of_the_batch_at_hand_is_the_same_in_evaluation_mode():
    """It keeps no running statistics: in training and in evaluation mode a batch is mapped alike."""
    x = torch.randn(9, 1, 12, 12)
    at_hand, usual = (conv_encoder((1, 12, 12), 3, [4, 8], 4, [6], norm=norm) for norm in (AT_HAND, "batch"))
    usual.load_state_dict(at_hand.state_dict(), strict=False)
    torch.testing.assert_close(at_hand(x), usual(x))
    torch.testing.assert_close(at_hand.eval()(x), at_hand.train()(x))
    assert not usual.eval()(x).allclose(at_hand(x), atol=0.1)


def test_unknown_norms_are_refused():
    with pytest.raises(ConfigError, match="unknown normalisation 'bach'"):
        mlp(2, 1, [3], norm="bach")


@pytest.mark.parametrize("norm", ["layer", None])
def test_critics_without_batch_norm_see_each_row_alone(norm):
    """The value at a row does not depend on the others in the batch."""
    net = conv_encoder((1, 12, 12), 1, [4, 8], 4, hidden=[6], norm=norm)
    x = torch.randn(6, 1, 12, 12)
    torch.testing.assert_close(net(x)[:2], net(x[:2]), rtol=1e-4, atol=1e-5)
