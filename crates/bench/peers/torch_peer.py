"""The bench's workloads in PyTorch, to be timed beside `wengert-bench` on one machine.

    python -m venv peers && peers/bin/pip install torch numpy
    taskset -c 1 peers/bin/python crates/bench/peers/torch_peer.py cifar_net resnet18

One JSON line each, in the form of `wengert-bench`: microseconds, and the loss of the fifth step,
which must be the same. One thread, unless TORCH_THREADS=2 is set (and two cores given by taskset).
Networks of convolutions run twice: with channels first, and last in memory (`torch_last`).
"""
import os
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from common import fill, in_ways, labels, main, named, report, weight

torch.set_num_threads(int(os.environ.get("TORCH_THREADS", "1")))


def hashed(model, seed):
    """The weights of `hashed` in `crates/bench/src/workload/training.rs`."""
    for name, p in model.named_parameters():
        if p.dim() > 1:
            p.data = torch.tensor(weight(tuple(p.shape), seed))
            seed += 1
        elif "bias" in name:
            p.data.zero_()
    return model


def sgd(parameters, rate=0.01):
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, fused=True)


def train(name, model, loss, data, optimiser=sgd, variant="torch"):
    """Times steps on the loss of a model, which is given the data."""
    optimiser = optimiser(list(model.parameters()))

    def step():
        optimiser.zero_grad()
        l = loss(model, *data)
        l.backward()
        optimiser.step()
        return l.item()

    check = [step() for _ in range(5)][-1]
    report(name, step, check, variant)


LAYOUTS = {"torch": torch.contiguous_format, "torch_last": torch.channels_last}


def train_images(name, layout, model, loss, images, target, optimiser=sgd):
    data = torch.tensor(images).to(memory_format=LAYOUTS[layout]), target
    train(name, model.to(memory_format=LAYOUTS[layout]), loss, data, optimiser, layout)


def classified(model, x, t):
    return F.cross_entropy(model(x), t)


def cifar_net(layout):
    conv = lambda a, b, w, p=0: nn.Conv2d(a, b, w, padding=p)
    pool = dict(kernel_size=3, stride=2, ceil_mode=True)
    model = hashed(nn.Sequential(
        conv(3, 32, 5, 2), nn.MaxPool2d(**pool), nn.ReLU(), conv(32, 32, 5, 2), nn.ReLU(),
        nn.AvgPool2d(**pool), conv(32, 64, 5, 2), nn.ReLU(), nn.AvgPool2d(**pool),
        conv(64, 64, 4), nn.ReLU(), conv(64, 10, 1), nn.Flatten()), 40)
    t = torch.tensor(labels(100, 10, 31))
    train_images("cifar_net", layout, model, classified, fill((100, 3, 32, 32), 30), t)


class Filtered(nn.Sequential):
    def __init__(self, inputs, outputs, window, stride):
        super().__init__(nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False),
                         nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = Filtered(inputs, outputs, 3, stride)
        self.second = Filtered(outputs, outputs, 3, 1)
        self.around = nn.Identity() if inputs == outputs else Filtered(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.around(x))


def resnet18(layout):
    layers, inputs = [Filtered(3, 64, 3, 1), nn.ReLU()], 64
    for outputs in (64, 128, 256, 512):
        layers += [Block(inputs, outputs, 1 if inputs == outputs else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    model, t = hashed(nn.Sequential(*layers), 100), torch.tensor(labels(32, 10, 31))
    train_images("resnet18", layout, model, classified, fill((32, 3, 32, 32), 30), t,
                 partial(sgd, rate=0.0005))


class Pair(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True),
                         nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


class Up(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.larger = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        self.pair = Pair(2 * outputs, outputs)

    def forward(self, x, beside):
        return self.pair(torch.cat([beside, self.larger(x)], 1))


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        filters = (3, 32, 64, 128, 256)
        self.down = nn.ModuleList(Pair(a, b) for a, b in zip(filters[:-1], filters[1:]))
        self.up = nn.ModuleList(Up(a, b) for a, b in zip(filters[:1:-1], filters[-2:0:-1]))
        self.out = nn.Conv2d(32, 1, 1)

    def forward(self, x):
        levels = [self.down[0](x)]
        for pair in self.down[1:]:
            levels.append(pair(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for up in self.up:
            x = up(x, levels.pop())
        return self.out(x)


def unet(layout):
    t = (torch.tensor(fill((8, 1, 64, 64), 33)) > 0.5).float()
    loss = lambda model, x, t: F.binary_cross_entropy_with_logits(model(x), t)
    train_images("unet", layout, hashed(Unet(), 150), loss, fill((8, 3, 64, 64), 32), t)


class Recurrent(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers
        self.out = nn.Linear(512, 10)

    def forward(self, x):
        return self.out(self.layers(x)[0][-1])


def recurrent(name, layers):
    data = torch.tensor(fill((100, 32, 128), 60)), torch.tensor(labels(32, 10, 61))
    train(name, hashed(Recurrent(layers), 130), classified, data)


def lstm512():
    recurrent("lstm512", nn.LSTM(128, 512, 2))


def gru512():
    recurrent("gru512", nn.GRU(128, 512, 2))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.inward(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*parts, is_causal=True)
        return self.outward(y.transpose(1, 2).reshape(batch, length, width))


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attention = Attention(width, heads)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"),
                                   nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.inner(self.norms[1](x))


class Gpt(nn.Module):
    def __init__(self, words, length, width, heads, blocks):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(GptBlock(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, words)

    def forward(self, x):
        return self.out(self.norm(self.blocks(self.words(x) + self.positions.weight))).flatten(0, 1)


def gpt6():
    data = [torch.tensor(labels(1024, 8192, seed)) for seed in (34, 35)]
    adam = lambda parameters: torch.optim.Adam(parameters, 1e-3, fused=True)
    model = hashed(Gpt(8192, 256, 384, 6, 6), 170)
    train("gpt6", model, classified, (data[0].view(4, 256), data[1]), adam)


def perceptron(sizes, activation):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), activation]
    return hashed(nn.Sequential(*layers[:-1]), 20)


def turned(model):
    """The workloads are stated for weights `[inputs, outputs]`, from the hash in that order."""
    for p in model.parameters():
        if p.dim() > 1:
            p.data = p.data.view(p.shape[1], p.shape[0]).T.contiguous()
    return model


def squared(model, x, y):
    return F.mse_loss(model(x), y)


def mlp_of(name, batch, rate):
    data = torch.tensor(fill((batch, 784), 10)), torch.tensor(labels(batch, 10, 11))
    model = turned(perceptron((784, 512, 256, 10), nn.ReLU()))
    train(name, model, classified, data, partial(sgd, rate=rate))


def mlp():
    mlp_of("mlp", 128, 0.01)


BATCHES = {f"mlp_batch{batch}": [partial(mlp_of, f"mlp_batch{batch}", batch, 0.001)]
           for batch in (1, 4, 16)}


def tiny_mlp():
    data = torch.tensor(fill((1, 8), 10)), torch.tensor(fill((1, 1), 11))
    train("tiny_mlp", turned(perceptron((8, 16, 16, 1), nn.Tanh())), squared, data)


def mlp4096():
    data = [torch.tensor(fill((256, 4096), seed)) for seed in (10, 11)]
    train("mlp4096", perceptron((4096,) * 4, nn.ReLU()), squared, data)


def pinn():
    points = torch.tensor(fill((1024, 2), 36)).requires_grad_()
    source = torch.tensor(fill((1024, 1), 37))
    slope = lambda y: torch.autograd.grad(y.sum(), points, create_graph=True)[0]

    def loss(model, points, source):
        u = model(points)
        u_x, u_t = slope(u).split(1, 1)
        return F.mse_loss(u_t + u * u_x - 0.05 * slope(u_x)[:, :1], source)

    train("pinn", hashed(perceptron((2, 64, 64, 64, 1), nn.Tanh()), 200), loss, (points, source))


def attention4096():
    heads = [torch.tensor(fill((1, 8, 4096, 64), seed)).requires_grad_() for seed in (47, 48, 49)]

    def step():
        y = F.scaled_dot_product_attention(*heads, is_causal=True).square().sum()
        return [y, *torch.autograd.grad(y, heads)]

    y, *gradients = step()
    check = y.item() + sum(g.abs().double().sum().item() for g in gradients)
    del y, gradients
    report("attention4096", step, check, "torch")


def load():
    """A small step, so that the libraries are there before memory counts."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(36, 1))
    model(torch.ones(1, 1, 8, 8)).sum().backward()
    sgd(model.parameters()).step()


if __name__ == "__main__":
    load()
    main(named(mlp, tiny_mlp, mlp4096, gpt6, lstm512, gru512, pinn, attention4096) | BATCHES
         | in_ways(LAYOUTS, cifar_net, resnet18, unet))
