"""The bench's workload cifar_net in PyTorch, to be timed beside `wengert-bench` on one machine.

    python -m venv peers && peers/bin/pip install torch numpy
    taskset -c 1 peers/bin/python crates/bench/peers/torch_peer.py

One JSON line, in the form of `wengert-bench`: microseconds, and the loss of the fifth
step, which must be the same. One thread, unless TORCH_THREADS=2 is set (and two cores
given by taskset). Channels are last in memory, which is PyTorch's faster layout.
"""
import json
import math
import os
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(int(os.environ.get("TORCH_THREADS", "1")))


def fill(shape, seed, scale=1.0):
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1)
        z = z + np.uint32((seed * 0x85EBCA6B) & 0xFFFFFFFF)
        for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
            z = (z ^ (z >> np.uint32(shift))) * np.uint32(factor)
        z ^= z >> np.uint32(15)
    return (z.astype(np.float64) / 2.0**31 - 1.0).reshape(shape) * scale


def channels_last(x):
    return torch.tensor(x.astype(np.float32)).to(memory_format=torch.channels_last)


SHAPES = [(32, 3, 5, 5), (32, 32, 5, 5), (64, 32, 5, 5), (64, 64, 4, 4), (10, 64, 1, 1)]
x = channels_last(fill((100, 3, 32, 32), 30))
t = torch.tensor(((fill((100,), 31) + 1.0) * 0.5 * 10).astype(np.int64))
parameters = []
for i, (filters, channels, height, width) in enumerate(SHAPES):
    bound = math.sqrt(6.0 / ((channels + filters) * height * width))
    parameters += [channels_last(fill(SHAPES[i], 40 + i, bound)).requires_grad_(),
                   torch.zeros(filters, requires_grad=True)]
optimiser = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def step():
    w = parameters
    h = F.relu(F.max_pool2d(F.conv2d(x, w[0], w[1], padding=2), 3, 2, ceil_mode=True))
    h = F.avg_pool2d(F.relu(F.conv2d(h, w[2], w[3], padding=2)), 3, 2, ceil_mode=True)
    h = F.avg_pool2d(F.relu(F.conv2d(h, w[4], w[5], padding=2)), 3, 2, ceil_mode=True)
    h = F.conv2d(F.relu(F.conv2d(h, w[6], w[7])), w[8], w[9])
    loss = F.cross_entropy(h.flatten(1), t)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


check = [step() for _ in range(5)][-1]
times = []
for _ in range(31):
    start = time.perf_counter()
    step()
    times.append((time.perf_counter() - start) * 1e6)
print(json.dumps({"workload": "cifar_net", "variant": "torch", "check": check,
                  "median_us": statistics.median(times), "min_us": min(times)}))
