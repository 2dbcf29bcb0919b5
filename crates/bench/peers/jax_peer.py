"""The bench's workloads in JAX, to be timed beside `wengert-bench` on one machine.

    python -m venv peers && peers/bin/pip install jax
    taskset -c 1 peers/bin/python crates/bench/peers/jax_peer.py mlp lstm

One JSON line each, in the form of `wengert-bench`: microseconds, and a checksum
that must be the same. One thread, unless JAX_THREADS=2 is set (and two cores
given by taskset). The inputs are the numbers of `crates/bench/src/data.rs`.
"""
import json
import math
import os
import statistics
import sys
import time

if os.environ.get("JAX_THREADS", "1") == "1":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def fill(shape, seed, scale=1.0, dtype=np.float32):
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1)
        z = z + np.uint32((seed * 0x85EBCA6B) & 0xFFFFFFFF)
        for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
            z = (z ^ (z >> np.uint32(shift))) * np.uint32(factor)
        z ^= z >> np.uint32(15)
    return ((z.astype(np.float64) / 2.0**31 - 1.0) * scale).astype(dtype).reshape(shape)


def labels(n, k, seed):
    return ((fill((n,), seed, dtype=np.float64) + 1.0) * 0.5 * k).astype(np.int64)


def glorot(shape, fan_in, fan_out, seed):
    return fill(shape, seed, math.sqrt(6.0 / (fan_in + fan_out)))


def cross_entropy(z, t):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], 1))


def report(name, step, check, units=1, samples=101):
    step()
    start = time.perf_counter()
    step()
    runs = max(1, int(2e-3 / (time.perf_counter() - start)))
    times = []
    for _ in range(samples):
        start = time.perf_counter()
        for _ in range(runs):
            step()
        times.append((time.perf_counter() - start) * 1e6 / (runs * units))
    print(json.dumps({"workload": name, "variant": "jax", "check": check,
                      "median_us": statistics.median(times), "min_us": min(times)}), flush=True)


def train(name, loss, parameters, data, momentum=0.9, rate=0.01):
    def step(p, m, *data):
        l, g = jax.value_and_grad(loss)(p, *data)
        m = jax.tree.map(lambda m, d: momentum * m + d, m, g)
        return jax.tree.map(lambda p, m: p - rate * m, p, m), m, l

    step = jax.jit(step, donate_argnums=(0, 1))
    state = [jax.tree.map(jnp.asarray, parameters), jax.tree.map(jnp.zeros_like, parameters), None]

    def run():
        state[:] = step(state[0], state[1], *data)
        jax.block_until_ready(state)

    for _ in range(5):
        run()
    report(name, run, float(state[2]), samples=31)


MLP = (784, 512, 256, 10)


def mlp_data():
    p = []
    for i, (a, c) in enumerate(zip(MLP[:-1], MLP[1:])):
        p += [glorot((a, c), a, c, 20 + i), np.zeros(c, np.float32)]
    return p, (jnp.asarray(fill((128, 784), 10)), jnp.asarray(labels(128, 10, 11)))


def mlp_loss(p, x, t):
    h = jax.nn.relu(x @ p[0] + p[1])
    h = jax.nn.relu(h @ p[2] + p[3])
    return cross_entropy(h @ p[4] + p[5], t)


def mlp():
    parameters, data = mlp_data()
    train("mlp", mlp_loss, parameters, data)


def hvp():
    parameters, data = mlp_data()
    p = jax.tree.map(jnp.asarray, parameters)
    v = [jnp.asarray(fill(a.shape, 90 + i)) for i, a in enumerate(parameters)]
    f = jax.jit(lambda p, v: jax.jvp(jax.grad(lambda p: mlp_loss(p, *data)), (p,), (v,))[1])
    check = float(sum((a * b).sum() for a, b in zip(f(p, v), v)))
    report("hvp", lambda: jax.block_until_ready(f(p, v)), check, samples=31)


def transformer():
    batch, length, d, heads = 8, 128, 256, 4
    x, y = (jnp.asarray(fill((batch, length, d), seed)) for seed in (50, 51))
    zeros, ones = (lambda n: np.zeros(n, np.float32)), (lambda n: np.ones(n, np.float32))
    p = [ones(d), zeros(d), glorot((d, 3 * d), d, 3 * d, 52), zeros(3 * d),
         glorot((d, d), d, d, 53), zeros(d), ones(d), zeros(d),
         glorot((d, 4 * d), d, 4 * d, 54), zeros(4 * d), glorot((4 * d, d), 4 * d, d, 55), zeros(d)]

    def norm(h, g, b):
        c = h - jnp.mean(h, -1, keepdims=True)
        return c * lax.rsqrt(jnp.mean(c * c, -1, keepdims=True) + 1e-5) * g + b

    def loss(p, x, y):
        qkv = norm(x, p[0], p[1]) @ p[2] + p[3]
        q, k, v = qkv.reshape(batch, length, 3, heads, d // heads).transpose(2, 0, 3, 1, 4)
        a = jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(d // heads), -1) @ v
        h = x + a.transpose(0, 2, 1, 3).reshape(batch, length, d) @ p[4] + p[5]
        m = jax.nn.gelu(norm(h, p[6], p[7]) @ p[8] + p[9], approximate=True)
        return jnp.mean((h + m @ p[10] + p[11] - y) ** 2)

    def step(p, n, m, v):
        l, g = jax.value_and_grad(loss)(p, x, y)
        n = n + 1
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        c1, c2 = 1 - 0.9**n, 1 - 0.999**n
        move = lambda p, a, b: p - 1e-3 * (a / c1) / (jnp.sqrt(b / c2) + 1e-8)
        return jax.tree.map(move, p, m, v), n, m, v, l

    step = jax.jit(step, donate_argnums=(0, 2, 3))
    z = lambda: jax.tree.map(jnp.zeros_like, p)
    state = [jax.tree.map(jnp.asarray, p), jnp.float32(0), z(), z(), None]

    def run():
        state[:] = step(*state[:4])
        jax.block_until_ready(state)

    for _ in range(5):
        run()
    report("transformer", run, float(state[4]), samples=15)


def lstm():
    batch, length, inputs, units = 32, 50, 64, 128
    k = 1.0 / math.sqrt(units)
    p = [fill((4 * units, inputs), 62, k), fill((4 * units, units), 63, k), fill((4 * units,), 64, k),
         fill((units, 10), 65, k), np.zeros(10, np.float32)]
    data = jnp.asarray(fill((length, batch, inputs), 60)), jnp.asarray(labels(batch, 10, 61))

    def loss(p, x, t):
        def cell(state, u):
            h, c = state
            i, f, g, o = jnp.split(u + h @ p[1].T, 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((batch, units), jnp.float32)
        (h, _), _ = lax.scan(cell, (zeros, zeros), x @ p[0].T + p[2])
        return cross_entropy(h @ p[3] + p[4], t)

    train("lstm", loss, p, data, momentum=0.0)


def elementwise():
    for name, n in (("elementwise_1e6", 10**6), ("elementwise_1e7", 10**7)):
        x = jnp.asarray(fill((n,), 70, 3.0))
        f = jax.jit(jax.value_and_grad(
            lambda x: jnp.sum(jnp.tanh(x * 1.3 + 0.1) * jax.nn.sigmoid(x))))
        y, g = f(x)
        check = float(y) + float(np.asarray(g, np.float64).sum())
        report(name, lambda: jax.block_until_ready(f(x)), check, samples=31)


def gemm():
    for dtype in ("float32", "float64"):
        jax.config.update("jax_enable_x64", dtype == "float64")
        for n in (256, 512, 1024, 2048):
            a, b = (jnp.asarray(fill((n, n), seed).astype(dtype)) for seed in (80, 81))
            f = jax.jit(lambda a, b: a @ b)
            name = f"gemm_f{dtype[-2:]}_{n}"
            report(name, lambda: f(a, b).block_until_ready(), float(f(a, b).sum()), samples=31)
    jax.config.update("jax_enable_x64", False)


def chain():
    jax.config.update("jax_enable_x64", True)
    f = lambda x: lax.scan(lambda c, _: (jnp.sin(c) * 1.01, None), x, None, length=500)[0]
    g, x = jax.jit(jax.grad(f)), jnp.float64(0.7)
    report("chain", lambda: g(x).block_until_ready(), float(g(x)), units=1000)
    jax.config.update("jax_enable_x64", False)


def rosenbrock_hessian():
    jax.config.update("jax_enable_x64", True)
    f = lambda z: jnp.sum(100.0 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)
    h, z = jax.jit(jax.jacrev(jax.jacrev(f))), jnp.asarray(fill((100,), 99, 1.0, np.float64))
    report("rosenbrock_hessian", lambda: h(z).block_until_ready(), float(h(z).sum()))
    jax.config.update("jax_enable_x64", False)


def netbp():
    jax.config.update("jax_enable_x64", True)
    x = np.array([[.1, .1], [.3, .4], [.1, .5], [.6, .9], [.4, .2],
                  [.6, .3], [.5, .6], [.9, .2], [.4, .4], [.7, .6]])
    y = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    sizes = (2, 2, 3, 2)
    p = []
    for l in range(3):
        shape = (sizes[l + 1], sizes[l])
        p += [fill(shape, l + 1, dtype=np.float64), fill(shape[:1], l + 4, dtype=np.float64)]
    p, x, y = jax.tree.map(jnp.asarray, (p, x, y))

    def loss(p, x, y):
        a = x
        for l in range(3):
            a = jax.nn.sigmoid(p[2 * l] @ a + p[2 * l + 1])
        return 0.5 * jnp.sum((a - y) ** 2)

    def update(p, i):
        return [p - 0.05 * g for p, g in zip(p, jax.grad(loss)(p, x[i], y[i]))], None

    many = jnp.asarray([(i * 7 + 3) % 10 for i in range(20000)])
    loop = jax.jit(lambda p, points: lax.scan(update, p, points)[0])
    end = loop(p, many[:200])
    check = float(sum(loss(end, x[i], y[i]) for i in range(10)))
    report("netbp", lambda: jax.block_until_ready(loop(p, many)), check, units=20000)
    jax.config.update("jax_enable_x64", False)


ALL = [netbp, chain, mlp, hvp, transformer, lstm, elementwise, rosenbrock_hessian, gemm]

if __name__ == "__main__":
    wanted = sys.argv[1:] or [f.__name__ for f in ALL]
    for f in ALL:
        if f.__name__ in wanted:
            f()
