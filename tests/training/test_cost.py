import time

import jax
import numpy as np

from inference.cost import measure
from tests.training.test_loop import EXPERIMENT
from training.setup import prepare


def test_the_cost_of_a_known_network(data_dir, monkeypatch):
    monkeypatch.setattr("inference.cost._SECONDS", 0.05)
    setup = prepare(EXPERIMENT, data_dir)
    state = setup.program.create_state()
    enabled = jax.config.values["jax_enable_compilation_cache"]
    found = measure(setup, state, 16)
    assert jax.config.values["jax_enable_compilation_cache"] == enabled
    weights = 784 * 8 + 8 * 10
    assert found["parameters"] == weights + 18
    # Two operations for each weight and image, and little beside them.
    assert 2 * weights <= found["inference FLOPs"] < 3 * weights
    assert found["training FLOPs"] > 2 * found["inference FLOPs"]
    assert found["inference MB"] * 1e6 > 4 * (weights + 16 * 784)
    for name in ("training", "inference"):
        assert found[f"{name} compile s"] > 0.0
        assert found[f"{name} images/s"] > 0.0
    # The state is as it was, though training steps donate theirs.
    assert int(state.step) == 0
    again = measure(setup, state, 16)
    assert again["inference compile s"] > 0.1 * found["inference compile s"]
    assert np.all(np.isfinite(list(again.values())))

    monkeypatch.setattr(time, "perf_counter", lambda: 7.0)
    monkeypatch.setattr("inference.cost._MAX_CALLS", 5)
    still = measure(setup, state, 16)
    assert still.keys() == found.keys() - {"training images/s", "inference images/s"}
