"""Writes torch.txt: what PyTorch's layers and losses give, for the tests to agree with.

States and inputs are formulas of the place of an element, which the tests repeat, so the
file has only names, shapes and results. Run it with a Python that has PyTorch:

    python crates/nn/tests/golden/torch_golden.py > crates/nn/tests/golden/torch.txt
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def state_value(name, tensor, j):
    k = torch.arange(tensor.numel(), dtype=torch.float64)
    value = 0.4 * torch.sin(0.7 * k + 1.3 * j + 1.0)
    if name.endswith("running_var"):
        value = value + 1.5
    if name.endswith("num_batches_tracked"):
        value = value * 0
    return value.reshape(tensor.shape).to(tensor.dtype)


def input_value(shape, i):
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    return (1.5 * torch.sin(1.1 * k + 0.5 * i + 0.3)).reshape(shape)


def labels(count, classes):
    return torch.tensor([(3 * i + 1) % classes for i in range(count)])


def extents(shape):
    return " ".join(str(n) for n in shape)


def case(name, shapes, function, module=None):
    print(f"case {name}")
    if module is not None:
        state = module.state_dict()
        for j, (key, tensor) in enumerate(list(state.items())):
            state[key] = state_value(key, tensor, j)
            print(f"state {key} {extents(tensor.shape)}".rstrip())
        module.load_state_dict(state)
    inputs = [input_value(shape, i) for i, shape in enumerate(shapes)]
    for shape in shapes:
        print(f"input {extents(shape)}".rstrip())
    with torch.no_grad():
        result = function(*inputs)
    print(f"output {extents(result.shape)}".rstrip())
    print(" ".join(repr(x) for x in result.reshape(-1).tolist()))


def layer(name, shape, module):
    case(name, [shape], module.eval(), module)


layer("Linear", [2, 3], nn.Linear(3, 4))
layer("Conv1d", [2, 3, 7], nn.Conv1d(3, 4, 3, stride=2, padding=1))
layer("Conv2d", [2, 3, 5, 6], nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(1, 0), bias=False))
layer("Conv2d/groups", [2, 4, 5, 5], nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2))
uneven = nn.Conv2d(2, 3, 3, stride=2)
case("Conv2d/uneven", [[2, 2, 4, 5]], lambda x: uneven(F.pad(x, (0, 2, 1, 0))), uneven)
layer("Conv3d", [1, 2, 4, 4, 3], nn.Conv3d(2, 2, 2, stride=(2, 1, 1), padding=(1, 0, 1)))
layer("ConvTranspose1d", [2, 3, 4], nn.ConvTranspose1d(3, 2, 3, stride=2, padding=1, output_padding=1))
layer("ConvTranspose2d", [1, 4, 3, 4], nn.ConvTranspose2d(4, 6, (2, 3), stride=2, groups=2, dilation=(1, 2)))
layer("ConvTranspose3d", [1, 2, 2, 3, 2], nn.ConvTranspose3d(2, 3, 2, stride=(1, 2, 1), padding=(0, 1, 0)))
layer("MaxPool1d", [2, 2, 7], nn.MaxPool1d(3, stride=2, padding=1))
layer("MaxPool2d", [1, 2, 6, 5], nn.MaxPool2d((3, 2), stride=(2, 1)))
case("MaxPool2d/uneven", [[1, 2, 6, 6]], lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-math.inf), 3, 2))
layer("MaxPool3d", [1, 2, 4, 4, 4], nn.MaxPool3d(2))
layer("MaxPool1d/dilated", [2, 2, 9], nn.MaxPool1d(3, stride=2, padding=1, dilation=2))
layer("MaxPool2d/dilated", [1, 2, 7, 6], nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 1), dilation=(3, 2)))
layer("MaxPool2d/ceil", [1, 2, 6, 5], nn.MaxPool2d((3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True))
layer("MaxPool3d/ceil", [1, 1, 5, 4, 6], nn.MaxPool3d(2, stride=(2, 3, 3), dilation=(2, 1, 1), ceil_mode=True))
layer("AvgPool1d", [2, 2, 7], nn.AvgPool1d(3, stride=2, padding=1))
layer("AvgPool2d", [1, 2, 5, 6], nn.AvgPool2d(3, stride=2, padding=1))
layer("AvgPool2d/cropped", [1, 2, 5, 6], nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False))
layer("AvgPool1d/ceil", [2, 1, 7], nn.AvgPool1d(2, stride=4, padding=1, ceil_mode=True))
layer("AvgPool2d/ceil", [1, 2, 6, 5], nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True))
layer("AvgPool2d/ceil_cropped", [1, 2, 6, 5], nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True, count_include_pad=False))
layer("AvgPool3d", [1, 1, 4, 4, 5], nn.AvgPool3d(2, padding=(1, 0, 1)))
layer("AdaptiveAvgPool1d", [2, 2, 7], nn.AdaptiveAvgPool1d(3))
layer("AdaptiveAvgPool2d", [1, 2, 5, 6], nn.AdaptiveAvgPool2d((2, 4)))
layer("AdaptiveAvgPool3d", [1, 2, 5, 4, 3], nn.AdaptiveAvgPool3d((2, 3, 2)))
layer("AdaptiveMaxPool3d", [1, 2, 5, 4, 3], nn.AdaptiveMaxPool3d((2, 3, 2)))
layer("AdaptiveMaxPool1d", [2, 2, 7], nn.AdaptiveMaxPool1d(3))
layer("AdaptiveMaxPool2d", [1, 2, 5, 6], nn.AdaptiveMaxPool2d((2, 4)))
case("GlobalAvgPool", [[2, 3, 2, 2]], lambda x: x.mean((2, 3)))
case("GlobalMaxPool", [[2, 3, 2, 2]], lambda x: x.amax((2, 3)))
layer("LayerNorm", [2, 3, 4], nn.LayerNorm(4, eps=1e-3))
layer("LayerNorm/axes", [2, 3, 4], nn.LayerNorm((3, 4), bias=False))
layer("RmsNorm", [2, 3, 4], nn.RMSNorm(4))
layer("RmsNorm/axes", [2, 3, 4], nn.RMSNorm((3, 4), eps=0.1))
layer("GroupNorm", [2, 4, 3], nn.GroupNorm(2, 4))
layer("InstanceNorm", [2, 3, 2, 3], nn.InstanceNorm2d(3))
layer("InstanceNorm/affine", [2, 3, 2, 3], nn.InstanceNorm2d(3, affine=True))
layer("InstanceNorm/running", [2, 3, 2, 3], nn.InstanceNorm2d(3, track_running_stats=True))
layer("InstanceNorm/all", [2, 3, 4], nn.InstanceNorm1d(3, affine=True, track_running_stats=True))
training = nn.InstanceNorm2d(3, affine=True, track_running_stats=True).train()
case("InstanceNorm/training", [[2, 3, 2, 3]], training, training)
layer("LocalResponseNorm", [2, 5, 2, 2], nn.LocalResponseNorm(4, alpha=0.3, beta=0.6, k=2.0))
layer("BatchNorm", [3, 2, 4], nn.BatchNorm1d(2))
training = nn.BatchNorm2d(2).train()
case("BatchNorm/training", [[3, 2, 2, 2]], training, training)
table = nn.Embedding(5, 3)
words = torch.tensor([[0, 3, 3], [4, 1, 0]])
case("Embedding", [], lambda: table(words), table)


def waves(x):
    time, width = x.shape[-2:]
    t = torch.arange(time, dtype=torch.float64)[:, None]
    scale = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))
    table = torch.zeros(time, width)
    table[:, 0::2] = torch.sin(t * scale)
    table[:, 1::2] = torch.cos(t * scale)
    return x + table


case("SinusoidalPositions", [[2, 3, 4]], waves)
positions = nn.Embedding(5, 4)
case("LearnedPositions", [[2, 3, 4]], lambda x: x + positions.weight[:3], positions)
for name, kind in [("Rnn", nn.RNN), ("Lstm", nn.LSTM), ("Gru", nn.GRU)]:
    plain = kind(3, 2, batch_first=True)
    case(name, [[2, 4, 3]], lambda x: plain(x)[0], plain)
    deep = kind(3, 2, num_layers=2, bidirectional=True)
    case(f"{name}/deep", [[3, 2, 3]], lambda x: deep(x)[0], deep)
rectifier = nn.RNN(3, 2, nonlinearity="relu", batch_first=True)
case("ReluRnn", [[2, 4, 3]], lambda x: rectifier(x)[0], rectifier)
deep = nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)
shapes = [[2, 3, 3], [4, 2, 2], [4, 2, 2]]
case("Lstm/states", shapes, lambda x, h, c: torch.cat(deep(x, (h, c))[1]), deep)
projected = nn.LSTM(3, 4, proj_size=2, batch_first=True)
case("Lstm/projected", [[2, 4, 3]], lambda x: projected(x)[0], projected)
both = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, batch_first=True)
shapes = [[2, 3, 3], [4, 2, 2], [4, 2, 4]]
case("Lstm/projected_states", shapes, lambda x, h, c: torch.cat(both(x, (h, c))[1], -1), both)
attention = nn.MultiheadAttention(4, 2, batch_first=True)
case("MultiHeadAttention", [[2, 3, 4]], lambda x: attention(x, x, x)[0], attention)
later = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
case(
    "MultiHeadAttention/causal",
    [[2, 3, 4]],
    lambda x: attention(x, x, x, attn_mask=later)[0],
    attention,
)
unseen = torch.tensor([[False, True, False, False, False], [False, False, False, True, True]])
case(
    "MultiHeadAttention/keys",
    [[2, 3, 4], [2, 5, 4], [2, 5, 4]],
    lambda q, k, v: attention(q, k, v, key_padding_mask=unseen)[0],
    attention,
)
pairs = torch.tensor([[(i * j + i) % 3 == 1 for j in range(5)] for i in range(3)])
case(
    "MultiHeadAttention/pairs",
    [[2, 3, 4], [2, 5, 4], [2, 5, 4]],
    lambda q, k, v: attention(q, k, v, attn_mask=pairs)[0],
    attention,
)
added = input_value([2, 2, 3, 5], 7).reshape(4, 3, 5)
less = torch.zeros(2, 5).masked_fill(unseen, -math.inf)
case(
    "MultiHeadAttention/added",
    [[2, 3, 4], [2, 5, 4], [2, 5, 4]],
    lambda q, k, v: attention(q, k, v, attn_mask=added, key_padding_mask=less)[0],
    attention,
)
widths = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True)
case(
    "MultiHeadAttention/widths",
    [[2, 3, 4], [2, 2, 3], [2, 2, 5]],
    lambda q, k, v: widths(q, k, v)[0],
    widths,
)
torch.backends.mha.set_fastpath_enabled(False)
layer("TransformerEncoderLayer", [2, 3, 4], nn.TransformerEncoderLayer(4, 2, 6, batch_first=True))
first = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True, activation="gelu").eval()
case("TransformerEncoderLayer/first", [[2, 3, 4]], lambda x: first(x, src_mask=later), first)
decoder = nn.TransformerDecoderLayer(4, 2, 6, batch_first=True).eval()
case(
    "TransformerDecoderLayer",
    [[2, 3, 4], [2, 5, 4]],
    lambda x, memory: decoder(x, memory, tgt_mask=later),
    decoder,
)
case(
    "TransformerDecoderLayer/masks",
    [[2, 3, 4], [2, 5, 4]],
    lambda x, memory: decoder(x, memory, tgt_mask=later, memory_mask=pairs, memory_key_padding_mask=unseen),
    decoder,
)
bilinear = nn.Bilinear(3, 2, 4)
case("Bilinear", [[5, 3], [5, 2]], bilinear, bilinear)
layer("Flatten", [2, 3, 2], nn.Flatten())
layer("Upsample", [1, 2, 2, 3], nn.Upsample(scale_factor=2))
layer("Upsample/bilinear", [1, 2, 2, 3], nn.Upsample(scale_factor=3, mode="bilinear"))
inner = nn.Sequential(nn.Linear(3, 3))
case("Residual", [[2, 3]], lambda x: x + inner(x), inner)
layer("Sequential", [2, 3], nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
for name, module in {
    "Celu": nn.CELU(0.7),
    "Elu": nn.ELU(0.7),
    "Gelu": nn.GELU(),
    "GeluTanh": nn.GELU(approximate="tanh"),
    "Glu": nn.GLU(-1),
    "Hardshrink": nn.Hardshrink(0.5),
    "Hardsigmoid": nn.Hardsigmoid(),
    "Hardswish": nn.Hardswish(),
    "Hardtanh": nn.Hardtanh(),
    "LeakyRelu": nn.LeakyReLU(0.1),
    "LogSigmoid": nn.LogSigmoid(),
    "LogSoftmax": nn.LogSoftmax(1),
    "Mish": nn.Mish(),
    "Prelu": nn.PReLU(3),
    "Relu": nn.ReLU(),
    "Relu6": nn.ReLU6(),
    "Selu": nn.SELU(),
    "Sigmoid": nn.Sigmoid(),
    "Silu": nn.SiLU(),
    "Softmax": nn.Softmax(1),
    "Softmin": nn.Softmin(-1),
    "Softplus": nn.Softplus(),
    "Softshrink": nn.Softshrink(0.5),
    "Softsign": nn.Softsign(),
    "Tanh": nn.Tanh(),
    "Tanhshrink": nn.Tanhshrink(),
}.items():
    layer(name, [2, 3, 4], module)


def loss(name, shapes, function, module=None):
    case(f"loss/{name}", shapes, function, module)


pair = [[4, 3], [4, 3]]
rows, weights = labels(4, 3), torch.tensor([0.5, 1.0, 2.0])
loss("quadratic_cost", pair, lambda a, y: 0.5 * F.mse_loss(a, y, reduction="sum") / 4)
loss("squared_error", pair, lambda a, y: F.mse_loss(a, y, reduction="sum"))
loss("mse", pair, F.mse_loss)
loss("l1", pair, F.l1_loss)
loss("huber", pair, lambda a, y: F.huber_loss(a, y, delta=0.7))
loss("cross_entropy", [[4, 3]], lambda x: F.cross_entropy(x, rows))
loss("cross_entropy_sum", [[4, 3]], lambda x: F.cross_entropy(x, rows, reduction="sum"))
loss("cross_entropy_with", pair, lambda x, t: F.cross_entropy(x, t))
full = lambda x: F.cross_entropy(x, rows, weight=weights, ignore_index=2, label_smoothing=0.1)
loss("CrossEntropy", [[4, 3]], full)
loss("CrossEntropy/sum", [[4, 3]], lambda x: F.cross_entropy(x, rows, weight=weights, reduction="sum"))
loss("nll", [[4, 3]], lambda x: F.nll_loss(x, rows))
loss("binary_cross_entropy", pair, F.binary_cross_entropy_with_logits)
loss("kl_divergence", pair, lambda q, p: F.kl_div(q, p.abs() + 0.1, reduction="batchmean"))
loss("hinge", pair, lambda y, t: F.relu(1 - y * torch.sign(t)).mean())
loss("multi_margin", [[4, 3]], lambda x: F.multi_margin_loss(x, rows))
signs = torch.tensor([1.0, -1.0, -1.0, 1.0])
loss("cosine_embedding", pair, lambda a, b: F.cosine_embedding_loss(a, b, signs, margin=0.2))
loss("triplet_margin", [[4, 3]] * 3, lambda a, p, n: F.triplet_margin_loss(a, p, n, margin=2.0))
targets = torch.tensor([[1, 2, 2], [3, 0, 0]])
loss(
    "Ctc",
    [[2, 6, 4]],
    lambda x: F.ctc_loss(
        x.log_softmax(-1).transpose(0, 1), targets, torch.tensor([6, 4]), torch.tensor([3, 1])
    ),
)
net = nn.Linear(3, 2)
loss("penalty", [], lambda: 0.3 / 5 * (net.weight**2).sum(), net)
