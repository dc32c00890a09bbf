import numpy as np
import pytest

from common.errors import NonFiniteError
from training.run.metrics import MetricsWindow


def history(losses, gradients=None, size=8):
    row = np.full(size, np.nan, np.float32)
    loss, gradient = row.copy(), row.copy()
    loss[: len(losses)] = losses
    gradient[: len(losses)] = 1.0 if gradients is None else gradients
    return {"loss": loss, "gradient_norm": gradient}


def test_windows_do_not_depend_on_blocks():
    losses = np.arange(10, dtype=np.float32)

    def windows(cuts):
        window, start, found = MetricsWindow(4, 10), 0, []
        for stop in cuts:
            found += window.add(start, stop - start, history(losses[start:stop]))
            start = stop
        return [(step, means["loss"]) for step, means in found]

    expected = [(4, 1.5), (8, 5.5), (10, 8.5)]  # the last window is what is left
    assert windows([8, 10]) == windows([3, 4, 9, 10]) == windows(range(1, 11)) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_step_is_named(bad):
    with pytest.raises(NonFiniteError, match=r"the loss is .* at step 13"):
        list(MetricsWindow(20, 100).add(10, 4, history([1.0, 1.0, bad, bad])))
    with pytest.raises(NonFiniteError, match=r"the gradient norm is .* at step 12"):
        list(MetricsWindow(20, 100).add(10, 2, history([1.0, 1.0], [1.0, bad])))


def test_entries_past_the_count_are_not_looked_at():
    assert next(MetricsWindow(2, 100).add(0, 2, history([1.0, 2.0])))[1]["loss"] == 1.5
