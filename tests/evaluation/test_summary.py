import json

from evaluation.reports.trainings import summarise_budgets
from evaluation.results.schema import SCHEMA, result_to_json
from tests.evaluation.made_up import number


def record(name, dataset, step, accuracy, pose=None):
    clean = number(
        "clean", "accuracy", accuracy, "rate", interval=(accuracy - 0.01, accuracy + 0.005)
    )
    results = [result_to_json(clean)]
    if pose is not None:
        results.append(result_to_json(number("pose", "error", pose, "px", interval=(0, 9))))
    return {
        "schema": SCHEMA,
        "name": name,
        "dataset": dataset,
        "step": step,
        "parameters": 400_123,
        "train_seconds": 90.0,
        "experiment": {"batch_size": 100},
        "results": results,
    }


def test_budgets_stand_side_by_side(tmp_path):
    records = [
        record("net:b", "task one", 1000, 0.95, pose=1.25),
        record("net:b", "task one", 20, 0.6, pose=7.0),
        record("net:a", "task one", 20, 0.8),
        record("net:c", "task two", 20, 0.7),
    ]
    for place, content in enumerate(records):
        (tmp_path / f"{place}.json").write_text(json.dumps(content))
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in summarise_budgets(tmp_path).splitlines()
    ]
    assert [row[0] for row in rows[2:]] == ["`net:c`", "`net:b`", "`net:a`"]
    found = dict(zip(rows[0], rows[3], strict=True))
    assert found["parameters"] == "400,123"
    assert found["images"] == "2,000"
    assert found["error at equal images"] == "40.00 % (39.50 to 41.00)"
    assert found["images in equal time"] == "100,000"
    assert found["error at equal time"] == "5.00 % (4.50 to 6.00)"
    assert found["training"] == "1.5 min"
    assert found["pose error"] == "1.2 px"
    alone = dict(zip(rows[0], rows[4], strict=True))
    assert alone["error at equal images"] == alone["error at equal time"]
    assert alone["pose error"] == ""
