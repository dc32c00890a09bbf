"""Studies: what is packed comes back, and what is packed here is what was measured."""

import dataclasses
import hashlib
import json
import zlib

import numpy as np
import pytest

from common.errors import UserError
from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import (
    Study,
    read_diverged,
    read_study,
    state,
    write_diverged,
)
from evaluation.reports.study import page
from evaluation.results import __main__ as command
from evaluation.results.pack import read_records, read_trainings, write_records
from evaluation.results.schema import SCHEMA, result_to_json, results_from_json
from evaluation.results.store import RecordStore
from tests.conftest import ROOT
from tests.evaluation.made_up import clean, number, record, rotation, three_seeds, write
from tests.evaluation.test_store import RECORD, assert_same

STUDIES = sorted(path.parent for path in (ROOT / "results").glob("*/records.jsonl"))
# Of all values, intervals and outcomes as they were measured, however they are stored since: how
# many results there are, and SHA-256 of the lines that `fingerprint` makes of them.
BEFORE = {
    "addition": (5, "3a3861ac0833830df0636a15e479f219c94fd51818c4eaa474811edfeae1e81a"),
    "adversarial": (586, "cdb00a01cb83b6ae7cd9577fe22fda353c9892458fa5c5791641aa35046a065c"),
    "affnist": (24, "304c6080b27fd0e75ee47ac62e3c2fa12b2cd8486e8432ac011ddfedb7f72503"),
    "clean": (54, "0e4ff92b0ff9b750a1ad309ab42731c4b460d60a5cffd3132a48c1c3ae81e0a2"),
    "cost": (54, "82179973a0d9aa109306b6b628d11a3a7a164c81cb44a7ea660fada35e5aeeed"),
    "depth_and_stride": (285, "5815d722ddad61a4c0a62081b4db14ff76147579736c46f2b82dc51b2945562a"),
    "faces": (1059, "d72bbf3e3a8d91920e454f04618397dc20de0cf81c779e2a84aca38dd0014075"),
    "few_examples": (44, "878b6c5de47d5c6685efd20586841e466a5280cab3c34e635eee3bda6df65263"),
    "invariance": (1599, "bcf470edcde198a4110b94c87eda68a396a578176a8e692c3825c91609e26670"),
    "matched": (36, "08db89c276fe48eb9cb2a755f3b0c6029a9474eb0312e73a7a84833418da170c"),
    "multimnist": (6, "02bd7a6cfa9d73eda3853138cdc9479075633870d73010756f9a27f6b9f68391"),
    "pooling": (1242, "dfd3e6241eb09cf80a5c84eeb5315827817da61b70b34cd933bce7a778539d84"),
    "pose": (192, "426e83aac46e06970a470159657979fc4238ab0217559adf4df2808ed4b958f4"),
    "robustness": (2178, "31e8d9f8889d47fe60f75adf0f4342fce9d97214bd9d1b04be4bc5af82c072dd"),
    "rotated_mnist": (15, "488e257be14e20700b128fa8f3b717e6c8a9cbee5243a99cc71a27facb9a3e8b"),
    "routing": (621, "67ae2011036a4d24cd7eb5b29de5f78eb0b14714f9fb7211fee0a40b0c94a5a6"),
    "single_runs": (8, "0bb4c1abc1a809eec66a27f90f3a017059987fe6210561e4e0cbffbad3d81007"),
    "small_shifts": (300, "9647845a93fca69074f255121177c5b87a9d38a6c72f845d722344e04fa4299d"),
    "transformers": (30, "c23a1ee6e323a917e6714bea9c8c7798a0d484ef03d39c320af09c64db89fbdf"),
    "viewpoints": (27, "f7a05674aa4d5734ed90bd18201d66eeb62dd1e5a08ff255661916dd586808b2"),
}


def checksum(outcomes):
    if outcomes is None:
        return None
    return str(outcomes.dtype), zlib.crc32(np.ascontiguousarray(outcomes).tobytes())


def numbers(result):
    return (result.value, *result.interval, result.interval_method, result.count)


def fingerprint(study):
    lines = [
        (
            *(each.provenance.run, each.provenance.weights, each.provenance.data, each.suite, k),
            *(*numbers(result), result.strength, checksum(result.outcomes)),
        )
        for each in read_records(study)
        for k, result in enumerate(each.results)
    ]
    lines += [
        (each["name"], each["step"], each["train_seconds"], result.suite, k, *numbers(result))
        for each in read_trainings(study)
        for k, result in enumerate(results_from_json(each))
    ]
    text = "\n".join(sorted(map(repr, lines)))
    return len(lines), hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_studies_have_the_numbers_that_were_measured(study):
    assert fingerprint(study) == BEFORE[study.name]


def test_no_study_is_lost():
    assert {study.name for study in STUDIES} == BEFORE.keys()


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_the_page_of_a_study_is_derived_from_its_records(study):
    assert (study / "README.md").read_text(encoding="utf-8") == page(study)


def test_results_are_few_files():
    for study in (ROOT / "results").iterdir():
        assert sum(path.is_file() for path in study.rglob("*")) <= 10, study
    files = [path for path in (ROOT / "results").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 16e6


def some_records():
    return [
        RECORD,
        *three_seeds("net", 0.8),
        record("net", rotation((0.5, 1.0, 0.7))),
        record("lone", number("cost", "parameters", 7.0, "parameters"), experiment=None),
        dataclasses.replace(record("net", clean(0.5)), results=()),
    ]


def test_records_come_back(tmp_path):
    write_records(some_records(), tmp_path)
    for found, expected in zip(read_records(tmp_path), some_records(), strict=True):
        assert_same(found, expected)
    assert read_trainings(tmp_path) == []


def test_what_records_share_is_stored_once(tmp_path):
    write_records(some_records() * 10, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    shared = [line["hash"] for line in lines if "hash" in line]
    assert len(shared) == len(set(shared)) < 20
    assert list(lines[0]) == ["records", "outcomes.npz"]
    assert lines[0]["records"] == 70
    assert lines[1 : len(shared) + 1] == [line for line in lines if "hash" in line]
    assert len(lines) - len(shared) - 1 == 70
    assert {path.name for path in tmp_path.iterdir()} == {"records.jsonl", "outcomes.npz"}


def test_the_command_packs_an_evaluation_and_packs_again(tmp_path, capsys):
    records = three_seeds("good", 0.9) + three_seeds("bad", 0.4)
    write(tmp_path / "reports", records)
    study = tmp_path / "my_study"
    command.main(["", "pack", str(tmp_path / "reports"), str(study)])
    text = (study / "README.md").read_text()
    assert text.startswith("# My study\n")
    assert "| clean: accuracy |" in text
    (study / "figures").mkdir()
    (study / "figures" / "a_curve.png").write_bytes(b"")
    command.main(["", "pack", str(study), str(study)])
    assert "![A curve](figures/a_curve.png)" in (study / "README.md").read_text()
    assert sorted(read_records(study), key=str) == sorted(records, key=str)
    assert capsys.readouterr().out.count("packed 6 records") == 2


@pytest.mark.parametrize("study", ["matched", "small_shifts"])
def test_a_study_is_unpacked_to_go_on_from(tmp_path, study):
    packed, folder = ROOT / "results" / study, tmp_path / "folder"
    command.main(["", "unpack", str(packed), str(folder)])
    records = read_records(folder)
    assert sorted(records, key=str) == sorted(read_records(packed), key=str)
    for each in records:
        assert RecordStore(folder).find(each.suite, each.provenance) is not None
    assert read_study(folder) == read_study(packed)
    with pytest.raises(UserError, match="has records already; choose another TARGET"):
        command.main(["", "unpack", str(packed), str(folder)])


def test_the_command_packs_final_records_of_runs(tmp_path):
    training = {
        "schema": SCHEMA,
        "name": "cnn_mnist",
        "step": 10,
        "parameters": 12,
        "train_seconds": 6.0,
        "images_per_second": 5.0,
        "environment": {"started": "now", "device": "a CPU"},
        "experiment": {"batch_size": 2},
        "results": [result_to_json(clean(0.5))],
    }
    (tmp_path / "run.json").write_text(json.dumps(training))
    command.main(["", "pack", str(tmp_path), str(tmp_path / "study")])
    (found,) = read_trainings(tmp_path / "study")
    assert found == training
    assert "`cnn_mnist`" in (tmp_path / "study" / "README.md").read_text()
    assert read_records(tmp_path / "study") == []


def test_a_page_says_what_is_missing_and_which_machine_measured_what(tmp_path):
    study = Study(
        question="Is good better?",
        arms={"good": "mnist:cnn", "bad": "mnist:capsnet"},
        contrasts=(Contrast("good", "bad"),),
        suites=("clean",),
        seeds=(0, 1, 2),
        minutes={"good": 1.0, "bad": 1.0},
    )
    state(study, tmp_path)
    whole = three_seeds("good", 0.9) + three_seeds("bad", 0.4)
    write_records(whole, tmp_path)
    text = page(tmp_path)
    assert "Stated later" not in text
    assert "Evaluated on a CPU.\n" in text
    assert "Not evaluated" not in text
    elsewhere = three_seeds("bad", 0.4, environment={"device": "a GPU"})
    write_records([*three_seeds("good", 0.9), *elsewhere[:1]], tmp_path)
    text = page(tmp_path)
    assert "Not evaluated: bad (seeds 1, 2).\n" in text
    state(dataclasses.replace(study, stated_later="the arm bad, as good was there"), tmp_path)
    assert "Stated later: the arm bad, as good was there.\n" in page(tmp_path)
    machines = "- On a CPU: good_seed0, good_seed1, good_seed2\n- On a GPU: bad_seed0\n"
    assert machines in text.replace("\\_", "_")


def test_lines_that_were_cut_off_are_missed(tmp_path):
    write_records(three_seeds("net", 0.8), tmp_path)
    path = tmp_path / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="it has 2 lines of a record, not as many as it says"):
        read_records(tmp_path)


def test_what_a_study_lacks_is_not_left_from_an_earlier_one(tmp_path):
    source, target = ROOT / "results" / "small_shifts", tmp_path / "study"
    target.mkdir()
    write_diverged({"blur3_seed0": "was lost"}, target)
    command.main(["", "pack", str(source), str(target)])
    assert read_diverged(target) == {}
    assert "was lost" not in (target / "README.md").read_text()


def test_a_study_that_has_begun_has_no_records_to_pack(tmp_path):
    study = read_study(ROOT / "results" / "small_shifts")
    state(study, tmp_path / "begun")
    with pytest.raises(UserError, match="begun: a study without records"):
        command.main(["", "pack", str(tmp_path / "begun"), str(tmp_path / "study")])


def test_records_in_one_place_are_not_unpacked_over_each_other(tmp_path):
    first, second = record("net", clean(0.5)), record("net", clean(0.5), limit=7)
    write_records([first, second], tmp_path / "packed")
    with pytest.raises(UserError, match="is there already, of other images"):
        command.main(["", "unpack", str(tmp_path / "packed"), str(tmp_path / "folder")])


def test_records_of_runs_say_where_they_were_made(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"schema": SCHEMA, "name": "x", "results": []}))
    with pytest.raises(UserError, match="record of x is damaged"):
        command.main(["", "pack", str(tmp_path), str(tmp_path / "study")])


def test_nothing_to_pack_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no records of evaluate"):
        command.main(["", "pack", str(tmp_path), str(tmp_path / "study")])
    with pytest.raises(UserError, match="no records of evaluate"):
        command.main(["", "unpack", str(ROOT / "results/single_runs"), str(tmp_path / "study")])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="no records of evaluations"):
        page(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"record": 3}',
        '{"record": {"provenance": {}, "results": []}}',
        '{"hash": "a"}',
        '{"hash": [], "content": 1}',
        '{"record": {"provenance": {"experiment": "a", "environment": "a", "started": null}}}',
        '{"training": {"experiment": [], "environment": "a"}}',
    ],
)
def test_damaged_lines_end_in_one_line(tmp_path, text):
    (tmp_path / "records.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"records\.jsonl is damaged") as said:
        page(tmp_path)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("name", ["0|0", "0|0|0/0/images", "0|"])
def test_damaged_arrays_end_in_one_line(tmp_path, name):
    write_records([RECORD], tmp_path)
    np.savez(tmp_path / "outcomes.npz", **{name: np.zeros((1, 5))})
    lines = (tmp_path / "records.jsonl").read_text().splitlines()[1:]
    checksum = hashlib.sha256((tmp_path / "outcomes.npz").read_bytes()).hexdigest()[:12]
    lines = [json.dumps({"outcomes.npz": checksum}), *lines]
    (tmp_path / "records.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"records\.jsonl is damaged") as said:
        read_records(tmp_path)
    assert "\n" not in str(said.value)


def test_arrays_of_other_records_are_never_read_as_theirs(tmp_path):
    for name, share in (("first", 0.5), ("second", 0.75)):
        write_records([record("net", clean(share))], tmp_path / name)
    other = tmp_path / "second" / "outcomes.npz"
    other.replace(tmp_path / "first" / "outcomes.npz")
    with pytest.raises(UserError, match=r"outcomes\.npz is damaged .* not of the records beside"):
        read_records(tmp_path / "first")
    with pytest.raises(UserError, match=r"outcomes\.npz cannot be read"):
        read_records(tmp_path / "second")
