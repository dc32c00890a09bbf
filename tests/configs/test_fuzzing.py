"""Whatever a field is set to, a command ends in one line that names it, or can take its steps."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

import configs
from common.errors import UserError
from configs import _overrides
from tests.configs import fuzzing

COMMANDS = list(fuzzing.commands())


@pytest.fixture(autouse=True)
def blank_images(monkeypatch):
    fuzzing.install(monkeypatch)


def test_every_field_of_every_configuration_is_tried():
    assert len(COMMANDS) > 500
    assert {name for name, *_ in COMMANDS} >= {"stn_svhn", "stn_extruded", "faces", "stn_cub"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({name for name, *_ in COMMANDS}))
def test_nonsense_is_one_line_or_a_step(name):
    met, accepted = set(), []
    for _, path, text in (command for command in COMMANDS if command[0] == name):
        flags.FLAGS.unparse_flags()
        start = time.perf_counter()
        line = fuzzing.outcome(name, path, text, met)
        assert time.perf_counter() - start < 120, (path, text)
        assert "\n" not in line, (path, text, line)
        assert len(line) < 1000, (path, text, line)
        if line and text not in fuzzing.SENSIBLE:
            assert path.rpartition(".")[2].rstrip("s") in line, (path, text, line)
        if not line:
            accepted.append(text)
    for never in ("-1.0", "nan", "inf", "-inf", "x", "maybe", "(nan,)", "(-1,)", "-1"):
        assert never not in accepted


@pytest.mark.parametrize("name", ["capsnet_mnist", "capsnet_mnist_paper", "stn_mnist_paper"])
def test_an_optimizer_that_is_accepted_makes_numbers(name):
    paths = [
        path for path in _overrides.leaves(configs.load(name)) if path.startswith("optimizer.")
    ]
    tried = 0
    for path in paths:
        for text in (*fuzzing.NONSENSE[float], "1", "65537"):
            try:
                flags.FLAGS.unparse_flags()
                argument = f"--config.{path}={text}"
                experiment = configs.parse_flags(["train.py", f"--config={name}", argument])[1]
                experiment.check()
            except UserError:
                continue
            if path.endswith("slow_part"):
                continue
            tried += 1
            optimizer = experiment.optimizer.build(2)
            params, gradients = jnp.ones(3), jnp.array([0.0, 1e-3, -1e3])
            state = optimizer.init(params)
            for _ in range(2):
                updates, state = optimizer.update(gradients, state, params)
                params = params + updates
                assert not np.any(np.isnan(jax.device_get(updates))), argument
    assert tried > 15
