import numpy as np

from data.augmentation import phase_offsets
from evaluation.suites.shifts import phases
from tests.evaluation.suites.digits import linear_classifier, some_digits


def test_every_phase_is_scored_in_trainings_order():
    data, predict = some_digits(), linear_classifier()
    results = phases.evaluate(predict, data, batch_size=24)
    assert [result.strength for result in results] == list(range(16))
    for result, (down, right) in zip(results, phase_offsets(4), strict=True):
        moved = np.zeros_like(data.test.images)
        moved[:, down:, right:] = data.test.images[:, : 28 - down, : 28 - right]
        hits = predict(moved / np.float32(255.0)).argmax(axis=1) == data.test.labels
        np.testing.assert_array_equal(result.outcomes, hits)
    assert results[0].axis.identity == 0.0
