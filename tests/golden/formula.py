"""Numbers that make_*.py and the C tests compute from the same formula (tests/train_case.h), so that goldens need not store them.

Number i of the tensor NAME: bits = splitmix64(fnv1a64(NAME) + i), unit = (bits >> 40) 2^-23 - 1, exact in float32.
Also the random streams of src/base/rng.c, written again from the paper on Philox.
"""
import math

import numpy as np

M64 = (1 << 64) - 1


def key(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


def bits(name, count):
    with np.errstate(over="ignore"):
        z = np.uint64(key(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def unit(name, count):
    return ((bits(name, count) >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32)


def weight(name, shape):
    """Uniform by fan-in for tensors of two dimensions or more, near 1 for gains, small for biases."""
    count = int(np.prod(shape))
    u = unit(name, count)
    if len(shape) > 1:
        values = np.float32(math.sqrt(3.0 / (count // shape[0]))) * u
    elif name.endswith("weight"):
        values = np.float32(1) + np.float32(0.25) * u
    else:
        values = np.float32(0.1) * u
    return values.reshape(shape)


def pixels(name, shape):
    return (bits(name, int(np.prod(shape))) >> np.uint64(56)).astype(np.uint8).reshape(shape)


def philox(counter, k):
    c, k = list(counter), list(k)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def uniforms(count, seed, epoch, sample, op):
    """fov_rng_uniform of the stream (seed, epoch, sample, view 0, op), sample < 2^32."""
    words, block = [], 0
    while len(words) < 2 * count:
        words += philox([block, sample, epoch, op], [seed & 0xFFFFFFFF, seed >> 32])
        block += 1
    return np.array([((words[2 * i] | words[2 * i + 1] << 32) >> 11) * 2.0**-53 for i in range(count)])
