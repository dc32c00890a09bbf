"""Dynamic routing in plain loops over float64, as slowly and as plainly as the paper writes it."""

import numpy as np


def squash(vector):
    squared = float(np.dot(vector, vector))
    if squared == 0.0:
        return np.zeros_like(vector)
    return squared / (1.0 + squared) * vector / np.sqrt(squared)


def dynamic_routing(votes, iterations=3, bias=None, leaky=False):
    batch, inputs, outputs, dim = votes.shape
    bias = np.zeros((outputs, dim)) if bias is None else bias
    poses = np.zeros((batch, outputs, dim))
    couplings = np.zeros((batch, inputs, outputs))
    for b in range(batch):
        logits = np.zeros((inputs, outputs))
        for _ in range(iterations):
            for i in range(inputs):
                exponentials = np.exp(logits[i])
                total = exponentials.sum() + (1.0 if leaky else 0.0)
                couplings[b, i] = exponentials / total
            for j in range(outputs):
                weighted = bias[j].copy()
                for i in range(inputs):
                    weighted += couplings[b, i, j] * votes[b, i, j]
                poses[b, j] = squash(weighted)
            for i in range(inputs):
                for j in range(outputs):
                    logits[i, j] += np.dot(votes[b, i, j], poses[b, j])
    return poses, couplings
