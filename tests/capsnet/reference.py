"""Routings in plain loops over float64, as slowly and as plainly as the papers write them."""

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


def exponential_squash(vector):
    norm = float(np.sqrt(np.dot(vector, vector)))
    return np.zeros_like(vector) if norm == 0.0 else (1.0 - np.exp(-norm)) * vector / norm


def self_attention_routing(votes, bias):
    batch, inputs, outputs, dim = votes.shape
    poses = np.zeros((batch, outputs, dim))
    couplings = np.zeros((batch, inputs, outputs))
    for b in range(batch):
        attention = np.zeros((outputs, inputs, inputs))
        for j in range(outputs):
            for i in range(inputs):
                for k in range(inputs):
                    attention[j, i, k] = np.dot(votes[b, i, j], votes[b, k, j]) / np.sqrt(dim)
        for i in range(inputs):
            exponentials = np.exp(attention[:, i].sum(axis=1))
            couplings[b, i] = exponentials / exponentials.sum()
        for j in range(outputs):
            weighted = np.zeros(dim)
            for i in range(inputs):
                weighted += (couplings[b, i, j] + bias[i, j]) * votes[b, i, j]
            poses[b, j] = exponential_squash(weighted)
    return poses, couplings


def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def self_routing(votes, poses, activations, weights, bias):
    batch, inputs, outputs, dim = votes.shape
    couplings = np.zeros((batch, inputs, outputs))
    new_poses = np.zeros((batch, outputs, dim))
    new_activations = np.zeros((batch, outputs))
    for b in range(batch):
        # Input capsules none of which is active count alike.
        active = activations[b] if activations[b].any() else np.ones(inputs)
        for i in range(inputs):
            logits = [poses[b, i] @ weights[i, :, j] + bias[i, j] for j in range(outputs)]
            couplings[b, i] = softmax(np.array(logits))
        for j in range(outputs):
            weighted, total = np.zeros(dim), 0.0
            for i in range(inputs):
                weighted += active[i] * couplings[b, i, j] * votes[b, i, j]
                total += active[i] * couplings[b, i, j]
            new_poses[b, j] = weighted / total
            new_activations[b, j] = total / active.sum()
    return new_poses, couplings, new_activations


def inverted_attention_pass(votes, parents, scale, bias):
    batch, inputs, outputs, dim = votes.shape
    couplings = np.zeros((batch, inputs, outputs))
    poses = np.zeros((batch, outputs, dim))
    for b in range(batch):
        for i in range(inputs):
            logits = np.zeros(outputs)
            if parents is not None:
                for j in range(outputs):
                    logits[j] = np.dot(votes[b, i, j], parents[b, j]) / np.sqrt(dim)
            couplings[b, i] = softmax(logits)
        for j in range(outputs):
            total = sum(couplings[b, i, j] * votes[b, i, j] for i in range(inputs))
            centred = total - total.mean()
            poses[b, j] = scale * centred / np.sqrt((centred**2).mean() + 1e-5) + bias
    return poses, couplings


def concurrent_attention(bottom, layers, iterations):
    """Stacks of capsules `[batch, capsules, side, side]` and (matrices, scale, bias) of layers."""

    def routed(below, layer, parents):
        matrices, scale, bias = layer
        batch, inputs, side, _ = below.shape
        outputs = matrices.shape[2]
        votes = np.zeros((batch, inputs, outputs, side * side))
        for b, i, j in np.ndindex(batch, inputs, outputs):
            votes[b, i, j] = (below[b, i] @ matrices[i, :, j]).reshape(-1)
        flat = None if parents is None else parents.reshape(batch, outputs, -1)
        poses, _ = inverted_attention_pass(votes, flat, scale, bias)
        return poses.reshape(batch, outputs, side, side)

    poses = [bottom]
    for layer in layers:
        poses.append(routed(poses[-1], layer, None))
    for _ in range(iterations - 1):
        old = list(poses)
        for number, layer in enumerate(layers):
            poses[number + 1] = routed(old[number], layer, old[number + 1])
    return poses[1:]
