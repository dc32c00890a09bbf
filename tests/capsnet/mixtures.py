"""EM and variational Bayes routing in plain loops over float64, with probabilities as they are.

Children and parents of one image are numbered through, those of all places; `sees[i, j]` says
whether child i votes for parent j.
"""

import numpy as np
from scipy.special import digamma


def equal_shares(sees):
    return sees / sees.sum(axis=1, keepdims=True)


def shares(sees, weights):
    """Weights of the parents that a child votes for, scaled to add up to one."""
    found = np.zeros(sees.shape)
    for child in range(len(sees)):
        competing = np.flatnonzero(sees[child])
        found[child, competing] = weights[child, competing] / weights[child, competing].sum()
    return found


def expectation_maximisation(
    votes, activations, sees, beta_u, beta_a, *, iterations=3, final_beta=1.0, min_variance=5e-4
):
    children, parents, dim = votes.shape
    assigned = equal_shares(sees)
    usual = assigned.sum(axis=0)
    means, variances = np.zeros((parents, dim)), np.zeros((parents, dim))
    active, weights = np.zeros(parents), np.zeros(sees.shape)
    for iteration in range(iterations):
        if iteration:
            assigned = shares(sees, weights)
        for j in range(parents):
            data = [assigned[i, j] * activations[i] for i in range(children)]
            cost = 0.0
            for h in range(dim):
                means[j, h] = sum(data[i] * votes[i, j, h] for i in range(children)) / sum(data)
                squares = [(votes[i, j, h] - means[j, h]) ** 2 for i in range(children)]
                spread = sum(data[i] * squares[i] for i in range(children)) / sum(data)
                variances[j, h] = spread + min_variance
                deviation = np.sqrt(variances[j, h])
                cost += (beta_u[j] + np.log(deviation)) * sum(data) / usual[j]
            beta = final_beta * (1 - 0.95 ** (iteration + 1))
            active[j] = 1 / (1 + np.exp(-beta * (beta_a[j] - cost)))
            for i in range(children):
                exponent = sum((votes[i, j] - means[j]) ** 2 / (2 * variances[j]))
                density = np.exp(-exponent) / np.sqrt(np.prod(2 * np.pi * variances[j]))
                weights[i, j] = active[j] * density
    return means, assigned, active


def variational_bayes(votes, activations, sees, places, beta_u, beta_a, *, iterations=3):
    """`places[j]` numbers the place of a parent; mixing proportions are those of a place."""
    children, parents, dim = votes.shape
    assigned = equal_shares(sees)
    means, active, weights = np.zeros((parents, dim)), np.zeros(parents), np.zeros(sees.shape)
    for iteration in range(iterations):
        if iteration:
            assigned = shares(sees, weights)
        data = (assigned * activations[:, None]).sum(axis=0)
        alpha, kappa, nu = 1 + data, 1 + data, dim + 1 + data
        for j in range(parents):
            share = [assigned[i, j] * activations[i] for i in range(children)]
            mean = sum(share[i] * votes[i, j] for i in range(children)) / data[j]
            means[j] = data[j] * mean / kappa[j]
            inverse = np.ones(dim) + data[j] / kappa[j] * mean**2
            inverse += sum(share[i] * (votes[i, j] - mean) ** 2 for i in range(children))
            log_precision = sum(digamma((nu[j] - d) / 2) for d in range(dim))
            log_precision += dim * np.log(2) - np.log(np.prod(inverse))
            log_share = digamma(alpha[j]) - digamma(alpha[places == places[j]].sum())
            entropy = (dim * np.log(2 * np.pi * np.e) - log_precision) / 2
            logit = beta_a[j] - (np.exp(log_share) * entropy + beta_u[j])
            active[j] = 1 / (1 + np.exp(-logit))
            for i in range(children):
                distance = dim / kappa[j] + nu[j] * sum((votes[i, j] - means[j]) ** 2 / inverse)
                log_density = (log_precision - dim * np.log(2 * np.pi) - distance) / 2
                weights[i, j] = np.exp(log_share + log_density)
    return means, assigned, active
