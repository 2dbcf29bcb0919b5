"""The bench's workloads in JAX, to be timed beside `wengert-bench` on one machine.

    python -m venv peers && peers/bin/pip install jax
    taskset -c 1 peers/bin/python crates/bench/peers/jax_peer.py mlp lstm

One JSON line each, in the form of `wengert-bench`: microseconds, and a checksum that must be the
same. One thread, unless JAX_THREADS=2 is set (and two cores given by taskset). Where a workload can
be said in two ways, both are timed, each with a `variant` of its own.
"""
import math
import os
from functools import partial

if os.environ.get("JAX_THREADS", "1") == "1":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from common import fill, glorot, in_ways, labels, main, named, report, weight


def cross_entropy(z, t):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], 1))


def sgd(rate=0.01, momentum=0.9):
    """The state that belongs to parameters, and a step."""
    def step(p, m, g):
        m = jax.tree.map(lambda m, d: momentum * m + d, m, g)
        return jax.tree.map(lambda p, m: p - rate * m, p, m), m

    return lambda p: jax.tree.map(jnp.zeros_like, p), step


def adam(rate=1e-3):
    def step(p, state, g):
        n, m, v = state
        n = n + 1
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        c1, c2 = 1 - 0.9**n, 1 - 0.999**n
        move = lambda p, a, b: p - rate * (a / c1) / (jnp.sqrt(b / c2) + 1e-8)
        return jax.tree.map(move, p, m, v), (n, m, v)

    zeros = lambda p: jax.tree.map(jnp.zeros_like, p)
    return lambda p: (jnp.float32(0), zeros(p), zeros(p)), step


def train(name, loss, parameters, data, optimiser=sgd(), variant="jax"):
    start, move = optimiser

    def step(p, state, *data):
        l, g = jax.value_and_grad(loss)(p, *data)
        p, state = move(p, state, g)
        return p, state, l

    step = jax.jit(step, donate_argnums=(0, 1))
    p = jax.tree.map(jnp.array, parameters)
    state = [p, start(p), None]
    data = [jnp.asarray(d) for d in data]

    def run():
        state[:] = step(state[0], state[1], *data)
        return float(state[2])

    check = [run() for _ in range(5)][-1]
    report(name, run, check, variant)


def hashed(shapes, seed):
    """The weights of `hashed` in `crates/bench/src/workload/training.rs`: what has one axis is 0."""
    parameters = []
    for shape in shapes:
        if len(shape) > 1:
            parameters.append(weight(shape, seed))
            seed += 1
        else:
            parameters.append(np.zeros(shape, np.float32))
    return parameters


MLP = (784, 512, 256, 10)


def layers(sizes):
    """Weights `[inputs, outputs]` and biases."""
    p = []
    for i, (a, c) in enumerate(zip(sizes[:-1], sizes[1:])):
        p += [glorot((a, c), a, c, 20 + i), np.zeros(c, np.float32)]
    return p


def mlp_data(batch=128):
    return layers(MLP), (fill((batch, 784), 10), labels(batch, 10, 11))


def mlp_loss(p, x, t):
    h = jax.nn.relu(x @ p[0] + p[1])
    h = jax.nn.relu(h @ p[2] + p[3])
    return cross_entropy(h @ p[4] + p[5], t)


def mlp():
    train("mlp", mlp_loss, *mlp_data())


def mlp_of(batch):
    train(f"mlp_batch{batch}", mlp_loss, *mlp_data(batch), sgd(rate=0.001))


BATCHES = {f"mlp_batch{batch}": [partial(mlp_of, batch)] for batch in (1, 4, 16)}


def tiny_mlp(variant):
    """A call for each step, or a loop of steps in one call."""
    parameters, x, y = layers((8, 16, 16, 1)), fill((1, 8), 10), fill((1, 1), 11)

    def loss(p, x, y):
        h = jnp.tanh(x @ p[0] + p[1])
        h = jnp.tanh(h @ p[2] + p[3])
        return jnp.mean((h @ p[4] + p[5] - y) ** 2)

    if variant == "jax":
        return train("tiny_mlp", loss, parameters, (x, y))
    start, move = sgd()

    def step(state, data):
        l, g = jax.value_and_grad(loss)(state[0], *data)
        return move(*state, g), l

    loop = jax.jit(lambda state, *data: lax.scan(step, state, data))
    many = [jnp.asarray(np.stack([d] * 1000)) for d in (x, y)]
    p = jax.tree.map(jnp.array, parameters)
    state = p, start(p)
    check = float(loop(state, *many)[1][4])
    run = lambda: jax.block_until_ready(loop(state, *many))
    report("tiny_mlp", run, check, variant, units=1000)


def mlp4096():
    parameters = hashed([(4096, 4096), (4096,)] * 3, 20)

    def loss(p, x, y):
        h = jax.nn.relu(x @ p[0].T + p[1])
        h = jax.nn.relu(h @ p[2].T + p[3])
        return jnp.mean((h @ p[4].T + p[5] - y) ** 2)

    train("mlp4096", loss, parameters, (fill((256, 4096), 10), fill((256, 4096), 11)))


def hvp():
    parameters, data = mlp_data()
    p, data = jax.tree.map(jnp.asarray, (parameters, data))
    v = [jnp.asarray(fill(a.shape, 90 + i)) for i, a in enumerate(parameters)]
    f = jax.jit(lambda p, v: jax.jvp(jax.grad(lambda p: mlp_loss(p, *data)), (p,), (v,))[1])
    check = float(sum((a * b).sum() for a, b in zip(f(p, v), v)))
    report("hvp", lambda: jax.block_until_ready(f(p, v)), check, "jax")


def norm(h, g, b):
    c = h - jnp.mean(h, -1, keepdims=True)
    return c * lax.rsqrt(jnp.mean(c * c, -1, keepdims=True) + 1e-5) * g + b


def transformer():
    batch, length, d, heads = 8, 128, 256, 4
    x, y = (fill((batch, length, d), seed) for seed in (50, 51))
    zeros, ones = (lambda n: np.zeros(n, np.float32)), (lambda n: np.ones(n, np.float32))
    p = [ones(d), zeros(d), glorot((d, 3 * d), d, 3 * d, 52), zeros(3 * d),
         glorot((d, d), d, d, 53), zeros(d), ones(d), zeros(d),
         glorot((d, 4 * d), d, 4 * d, 54), zeros(4 * d), glorot((4 * d, d), 4 * d, d, 55), zeros(d)]

    def loss(p, x, y):
        qkv = norm(x, p[0], p[1]) @ p[2] + p[3]
        q, k, v = qkv.reshape(batch, length, 3, heads, d // heads).transpose(2, 0, 3, 1, 4)
        a = jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(d // heads), -1) @ v
        h = x + a.transpose(0, 2, 1, 3).reshape(batch, length, d) @ p[4] + p[5]
        m = jax.nn.gelu(norm(h, p[6], p[7]) @ p[8] + p[9], approximate=True)
        return jnp.mean((h + m @ p[10] + p[11] - y) ** 2)

    train("transformer", loss, p, (x, y), adam())


def gpt6():
    batch, length, words, d, heads, blocks = 4, 256, 8192, 384, 6, 6
    block = [(3 * d, d), (3 * d,), (d, d), (d,), (4 * d, d), (4 * d,), (d, 4 * d), (d,)]
    weights = hashed([(words, d), (length, d)] + block * blocks + [(words, d), (words,)], 170)
    table, positions, *inner, out, out_bias = weights
    norms = lambda: [np.ones(d, np.float32), np.zeros(d, np.float32)]
    p = [table, positions,
         [inner[8 * i:8 * i + 8] + norms() + norms() for i in range(blocks)], norms(), out, out_bias]
    later = np.triu(np.ones((length, length), bool), 1)

    def one(x, p):
        qkv = norm(x, p[8], p[9]) @ p[0].T + p[1]
        q, k, v = qkv.reshape(batch, length, 3, heads, d // heads).transpose(2, 0, 3, 1, 4)
        scores = jnp.where(later, -jnp.inf, q @ k.swapaxes(-1, -2) / math.sqrt(d // heads))
        a = jax.nn.softmax(scores, -1) @ v
        x = x + a.transpose(0, 2, 1, 3).reshape(batch, length, d) @ p[2].T + p[3]
        h = jax.nn.gelu(norm(x, p[10], p[11]) @ p[4].T + p[5], approximate=True)
        return x + h @ p[6].T + p[7]

    def loss(p, x, t):
        h = p[0][x] + p[1]
        for block in p[2]:
            h = one(h, block)
        return cross_entropy((norm(h, *p[3]) @ p[4].T + p[5]).reshape(-1, words), t)

    data = labels(batch * length, words, 34).reshape(batch, length), labels(batch * length, words, 35)
    train("gpt6", loss, p, data, adam())


def lstm():
    batch, length, inputs, units = 32, 50, 64, 128
    k = 1.0 / math.sqrt(units)
    p = [fill((4 * units, inputs), 62, k), fill((4 * units, units), 63, k), fill((4 * units,), 64, k),
         fill((units, 10), 65, k), np.zeros(10, np.float32)]
    data = fill((length, batch, inputs), 60), labels(batch, 10, 61)

    def loss(p, x, t):
        def cell(state, u):
            h, c = state
            i, f, g, o = jnp.split(u + h @ p[1].T, 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((batch, units), jnp.float32)
        (h, _), _ = lax.scan(cell, (zeros, zeros), x @ p[0].T + p[2])
        return cross_entropy(h @ p[3] + p[4], t)

    train("lstm", loss, p, data, sgd(momentum=0.0))


def recurrent(name, gates, states, cell):
    """Two layers of 512 units, their last state to ten classes."""
    batch, length, inputs, units = 32, 100, 128, 512
    layer = lambda n: [(gates * units, n), (gates * units, units), (gates * units,), (gates * units,)]
    p = hashed(layer(inputs) + layer(units) + [(10, units), (10,)], 130)

    def loss(p, x, t):
        for w, v, b, c in (p[:4], p[4:8]):
            step = lambda state, u: (new := cell(state, u, state[0] @ v.T + c), new[0])
            zeros = (jnp.zeros((batch, units), jnp.float32),) * states
            end, x = lax.scan(step, zeros, x @ w.T + b)
        return cross_entropy(end[0] @ p[8].T + p[9], t)

    train(name, loss, p, (fill((length, batch, inputs), 60), labels(batch, 10, 61)))


def lstm512():
    def cell(state, u, h):
        i, f, g, o = jnp.split(u + h, 4, 1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    recurrent("lstm512", 4, 2, cell)


def gru512():
    def cell(state, u, h):
        (a, b, c), (d, e, f) = jnp.split(u, 3, 1), jnp.split(h, 3, 1)
        r, z = jax.nn.sigmoid(a + d), jax.nn.sigmoid(b + e)
        n = jnp.tanh(c + r * f)
        return (n + z * (state[0] - n),)

    recurrent("gru512", 3, 1, cell)


def pinn(name="pinn", forward=False):
    p = hashed([(64, 2), (64,), (64, 64), (64,), (64, 64), (64,), (1, 64), (1,)], 200)

    def u(p, point):
        for i in (0, 2, 4):
            point = jnp.tanh(p[i] @ point + p[i + 1])
        return (p[6] @ point + p[7])[0]

    def by_gradients(p, point):
        slope = jax.grad(u, 1)(p, point)
        u_xx = jax.grad(lambda q: jax.grad(u, 1)(p, q)[0])(point)[0]
        return u(p, point), slope[0], slope[1], u_xx

    def by_tangents(p, point):
        f = lambda q: u(p, q)
        x, t = jnp.eye(2, dtype=jnp.float32)
        along = lambda f, direction: lambda q: jax.jvp(f, (q,), (direction,))[1]
        return f(point), along(f, x)(point), along(f, t)(point), along(along(f, x), x)(point)

    def loss(p, points, source):
        derivatives = by_tangents if forward else by_gradients
        f, f_x, f_t, f_xx = jax.vmap(derivatives, (None, 0))(p, points)
        return jnp.mean((f_t + f * f_x - 0.05 * f_xx - source[:, 0]) ** 2)

    train(name, loss, p, (fill((1024, 2), 36), fill((1024, 1), 37)))


def pinn_jvp():
    pinn("pinn_jvp", True)


def elementwise(n):
    x = jnp.asarray(fill((n,), 70, 3.0))
    f = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.tanh(x * 1.3 + 0.1) * jax.nn.sigmoid(x))))
    y, g = f(x)
    check = float(y) + float(np.asarray(g, np.float64).sum())
    report(f"elementwise_1e{len(str(n)) - 1}", lambda: jax.block_until_ready(f(x)), check, "jax")


def elementwise_1e6():
    elementwise(10**6)


def elementwise_1e7():
    elementwise(10**7)


def gemm(bits, n):
    jax.config.update("jax_enable_x64", bits == 64)
    a, b = (jnp.asarray(fill((n, n), seed).astype(f"float{bits}")) for seed in (80, 81))
    f = jax.jit(lambda a, b: a @ b)
    check = float(np.asarray(f(a, b), np.float64).sum())
    report(f"gemm_f{bits}_{n}", lambda: f(a, b).block_until_ready(), check, "jax")
    jax.config.update("jax_enable_x64", False)


GEMM = {f"gemm_f{bits}_{n}": [partial(gemm, bits, n)]
        for bits in (32, 64) for n in (256, 512, 1024, 2048)}


def chain():
    jax.config.update("jax_enable_x64", True)
    f = lambda x: lax.scan(lambda c, _: (jnp.sin(c) * 1.01, None), x, None, length=500)[0]
    g, x = jax.jit(jax.grad(f)), jnp.float64(0.7)
    report("chain", lambda: g(x).block_until_ready(), float(g(x)), "jax", units=1000)
    jax.config.update("jax_enable_x64", False)


def rosenbrock_hessian():
    jax.config.update("jax_enable_x64", True)
    f = lambda z: jnp.sum(100.0 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)
    h, z = jax.jit(jax.jacrev(jax.jacrev(f))), jnp.asarray(fill((100,), 99, 1.0, np.float64))
    report("rosenbrock_hessian", lambda: h(z).block_until_ready(), float(h(z).sum()), "jax")
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
    report("netbp", lambda: jax.block_until_ready(loop(p, many)), check, "jax", units=20000)
    jax.config.update("jax_enable_x64", False)


def differentiate(name, f, inputs, units=1, variant="jax"):
    """Value and gradient of a function; the checksum adds the gradient's absolute values."""
    inputs = [jnp.asarray(x) for x in inputs]
    f = jax.jit(jax.value_and_grad(f, tuple(range(len(inputs)))))
    y, g = f(*inputs)
    check = float(y) + sum(float(np.abs(np.asarray(a, np.float64)).sum()) for a in g)
    report(name, lambda: jax.block_until_ready(f(*inputs)), check, variant, units)


# As a loop is, and with its step computed again on the way back.
LOOPS = {"jax": lambda step: step, "jax_checkpoint": jax.checkpoint}


def looped(name, variant, f, inputs, units):
    jax.config.update("jax_enable_x64", True)
    differentiate(name, f(LOOPS[variant]), inputs, units, variant)
    jax.config.update("jax_enable_x64", False)


def lorenz(variant):
    def field(x, p):
        return (p[0] * (x[1] - x[0]), x[0] * (p[1] - x[2]) - x[1], x[0] * x[1] - p[2] * x[2])

    def step(x, p, h=0.001):
        along = lambda k, h: tuple(x + h * k for x, k in zip(x, k))
        k1 = field(x, p)
        k2 = field(along(k1, h / 2), p)
        k3 = field(along(k2, h / 2), p)
        k4 = field(along(k3, h), p)
        return tuple(x + (a + (b + c) * 2 + d) * (h / 6) for x, a, b, c, d in zip(x, k1, k2, k3, k4))

    def f(wrap):
        def end(*p):
            body = wrap(lambda x: step(x, p))
            return sum(lax.scan(lambda x, _: (body(x), None), (1.0, 1.0, 1.0), None, 10000)[0])
        return end

    looped("lorenz", variant, f, [10.0, 28.0, 8.0 / 3.0], 10000)


def neuron(variant):
    def step(state, g, h=0.025):
        v, m, k, n = state
        gate = lambda x, a, b: a / (a + b) + (x - a / (a + b)) * jnp.exp(-h * (a + b))
        rising = lambda v, scale: v * scale / (1 - jnp.exp(v * -0.1))
        u = v + 65
        m = gate(m, rising(v + 40, 0.1), jnp.exp(u / -18) * 4)
        k = gate(k, jnp.exp(u / -20) * 0.07, 1 / (1 + jnp.exp((v + 35) / -10)))
        n = gate(n, rising(v + 55, 0.01), jnp.exp(u / -80) * 0.125)
        current = g[0] * m**3 * k * (v - 50) + g[1] * n**4 * (v + 77) + g[2] * (v + 54.387)
        left, right = jnp.concatenate([v[:1], v[:-1]]), jnp.concatenate([v[1:], v[-1:]])
        given = jnp.zeros(8).at[0].set(10.0)
        return v + (left + right - 2 * v + given - current) * h, m, k, n

    def f(wrap):
        def end(*g):
            body = wrap(lambda state: step(state, g))
            start = tuple(jnp.full(8, x) for x in (-65.0, 0.05, 0.6, 0.32))
            return lax.scan(lambda s, _: (body(s), None), start, None, 1000)[0][0].sum()
        return end

    looped("neuron", variant, f, [120.0, 36.0, 0.3], 1000)


def quasiseparable(variant):
    part = lambda shape, seed, scale: fill(shape, seed, scale, np.float64)
    inputs = [part((2000,), 210, 0.5) + 2, part((2000, 3), 211, 0.4), part((2000, 3), 212, 0.4),
              part((2000, 3, 3), 213, 0.4)]

    def step(f, given):
        d, p, q, a = given
        c = jnp.sqrt(d - p @ f @ p)
        fa = f @ a.T
        w = (q - p @ fa) / c
        return a @ fa + jnp.outer(w, w), jnp.log(c)

    f = lambda wrap: lambda *given: lax.scan(wrap(step), jnp.zeros((3, 3)), given)[1].sum()
    looped("quasiseparable", variant, f, inputs, 2000)


def filter(variant):
    levels = 20

    def step(coupling, state, below):
        new = {}
        for i in range(levels):
            mean, precision, volatility = (state[f"{part}{i}"] for part in "mpv")
            above = volatility + state[f"m{i + 1}"] * 0.1 if i + 1 < levels else volatility
            expected = 1 / (1 / precision + jnp.exp(coupling * above))
            error = below - mean
            surprising = error * error * expected
            precision = expected + 1
            mean = mean + error / precision
            new[f"m{i}"], new[f"p{i}"] = mean, precision
            new[f"v{i}"] = volatility * 0.9 + jnp.tanh(surprising - 1) * 0.1
            if i == 0:
                surprise = surprising - jnp.log(expected)
            below = mean
        return new, surprise

    def f(wrap):
        def total(coupling, seen):
            start = {f"{k}{i}": x for i in range(levels) for k, x in zip("mpv", (0.0, 1.0, -1.0))}
            return lax.scan(wrap(lambda s, u: step(coupling, s, u)), start, seen)[1].sum()
        return total

    looped("filter", variant, f, [0.7, fill((614,), 214, 1.0, np.float64)], 614)


def neighbours():
    f = lambda x: sum(jnp.sum(jnp.square(jnp.diff(x, axis=i))) for i in range(3))
    differentiate("neighbours", f, [fill((256, 256, 256), 39)])


def attention4096():
    def f(q, k, v):
        # Heads stand behind positions there.
        turned = [x.swapaxes(1, 2) for x in (q, k, v)]
        return jnp.sum(jnp.square(jax.nn.dot_product_attention(*turned, is_causal=True)))

    differentiate("attention4096", f, [fill((1, 8, 4096, 64), seed) for seed in (47, 48, 49)])


if __name__ == "__main__":
    jax.devices()  # The runtime is there before memory counts.
    main(named(netbp, chain, mlp, mlp4096, hvp, transformer, gpt6, lstm, lstm512, gru512, pinn,
               pinn_jvp, elementwise_1e6, elementwise_1e7, rosenbrock_hessian, neighbours,
               attention4096)
         | BATCHES | GEMM | in_ways(("jax", "jax_scan"), tiny_mlp)
         | in_ways(LOOPS, lorenz, neuron, quasiseparable, filter))
