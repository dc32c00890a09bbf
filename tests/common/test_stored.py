"""Records that a stranger may send: each ends in one line, and none is run."""

import dataclasses
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from common.errors import UserError
from common.stored import read_arrays, read_object
from evaluation.reports import write_report
from evaluation.reports.trainings import summarise, summarise_budgets
from evaluation.results.provenance import Checkpoint
from evaluation.results.quantities import Axis, Metric
from evaluation.results.schema import result_to_json
from evaluation.results.store import RecordStore
from tests.evaluation.test_store import CURVE, PROVENANCE, RECORD


@pytest.fixture
def path(tmp_path):
    RecordStore(tmp_path).write(dataclasses.replace(RECORD, results=(CURVE,)))
    (path,) = tmp_path.glob("records/*/*/*.json")
    return path


def assert_refused(path, *fragments):
    """Both ways of reading say in one line which record it is."""
    store = RecordStore(path.parents[3])
    for read in (store.read_all, lambda: store.find("rotation", PROVENANCE)):
        with pytest.raises(UserError) as said:
            read()
        message = str(said.value)
        assert "\n" not in message
        assert message.startswith(f"record {path}: ")
        assert message.endswith("; delete it to measure again")
        for fragment in fragments:
            assert fragment in message


DEEP = '{"schema": 3, "results": ' + "[" * 100_000 + "]" * 100_000 + "}"
TEXTS = {
    "": "it is empty",
    " \n": "it is empty",
    "[]": "holds a list",
    "null": "holds a NoneType",
    '"text"': "holds a str",
    "{": "JSONDecodeError",
    DEEP: "recursion",
    '{"schema": 4, "results": []}': "another schema",
    '{"schema": NaN}': "NaN is no number",
    '{"schema": 3, "results": [], "step": 1e999}': "too large",
    '{"schema": 3, "results": [], "step": %s}' % ("9" * 5000): "digits",
    '{"schema": 3, "results": [], "run": "%s"}' % ("x" * 200_000): "too long",
    '{"schema": 2, "results": []}': "KeyError",
    '{"schema": [3], "results": []}': "is damaged",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_text_that_is_no_record(path, text):
    path.write_text(text, encoding="utf-8")
    assert_refused(path, TEXTS[text])


def test_bytes_that_are_no_text(path):
    path.write_bytes(b"\xff\xfe\x00")
    assert_refused(path, "codec")


PROVENANCES_OF_WRONG_TYPES = [
    ("run", ["../../x"]),
    ("run", None),
    ("model", {"a": 1}),
    ("seed", "0"),
    ("seed", True),
    ("limit", 1.5),
    ("environment", []),
    ("environment", {"versions": 3}),
    ("experiment", "text"),
    ("train_images", [1]),
    ("checkpoint", "last"),
    ("checkpoint", {"kind": "first", "accuracy": None}),
    ("checkpoint", {"kind": "matched", "accuracy": None}),
    ("checkpoint", {"kind": "matched", "accuracy": "high"}),
]


@pytest.mark.parametrize(("name", "value"), PROVENANCES_OF_WRONG_TYPES)
def test_provenances_of_wrong_types(path, name, value):
    content = json.loads(path.read_text())
    content["provenance"][name] = value
    path.write_text(json.dumps(content))
    assert_refused(path, "is damaged")


@pytest.mark.parametrize(("name", "value"), [("seconds", "long"), ("suite", 3), ("provenance", [])])
def test_records_of_wrong_types(path, name, value):
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    assert_refused(path, "is damaged")


RESULTS_OF_WRONG_TYPES = [
    ("value", "0.5"),
    ("value", None),
    ("value", 7.0),  # of a rate
    ("interval", [0.1]),
    ("interval", [0.9, 0.1]),
    ("interval", 0.5),
    ("interval", [0.1, "a"]),
    ("count", 0),
    ("count", 1e9),
    ("count", 10**12),
    ("details", [1.0]),
    ("details", {"a": "b"}),
    ("details", {"a": 1.0}),
    ("details", {"a": [True, "px"]}),
    ("details", {"a": [1.0, 2.0]}),
    ("strength", "strong"),
    ("definition", []),
    ("chance", "even"),
    ("flags", "flag"),
    ("flags", [1]),
    ("metric", 3),
    ("metric", {"name": "accuracy"}),
    ("metric", {"name": "a", "unit": None, "higher_is_better": True, "bounds": None}),
    ("metric", {"name": "a", "unit": "", "higher_is_better": 1, "bounds": None}),
    ("metric", {"name": "a", "unit": "", "higher_is_better": None, "bounds": [1.0, 0.0]}),
    ("metric", {"name": "a", "unit": "", "higher_is_better": None, "bounds": ["a", None]}),
    ("axis", "angle, degrees"),
    ("axis", {"name": "a", "unit": "", "log": "no", "identity": None, "headline": None}),
    ("axis", {"name": "a", "unit": "", "log": False, "identity": "0", "headline": None}),
    ("artifacts", [{"kind": "Images"}]),
    ("artifacts", [{"kind": "ConfusionMatrix", "label": ""}]),
    ("artifacts", {"kind": "Images", "label": ""}),
    ("outcomes", [1]),
    ("surprise", 1),
]


@pytest.mark.parametrize(("name", "value"), RESULTS_OF_WRONG_TYPES)
def test_results_of_wrong_types(path, name, value):
    content = json.loads(path.read_text())
    content["results"][0][name] = value
    path.write_text(json.dumps(content))
    assert_refused(path, "is damaged")


@pytest.mark.parametrize("results", [{}, [[]], [None], ["a"], 3])
def test_results_that_are_none(path, results):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"results": results}))
    if results != {}:
        assert_refused(path, "is damaged")


def archive(path, **members):
    """An .npz whose members are these bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def header(kind, shape, content=b""):
    described = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(described)) + described + content


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a record was run",))


def pickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], object), allow_pickle=True)
    return buffer.getvalue()


ARRAYS = {
    "no archive": b"PK nothing",
    "empty": b"",
    "objects": {"0": pickled()},
    "a pickle": {"0": pickle.dumps(Bomb())},
    "a huge shape": {"0": header("<f8", (10**12,))},
    "a negative shape": {"0": header("<f8", (-1, -23), b"\0" * 184)},
    "text": {"0": header("<U8", (23,), b"\0" * 736)},
    "code in its header": {"0": header("<f8", "__import__('os').abort()")},
    "too few bytes": {"0": header("<f8", (23,), b"\0" * 23)},
    "other images": {"0": header("|b1", (22,), b"\0" * 22)},
    "NaN": {"0": header("<f8", (23,), np.full(23, np.nan).tobytes())},
    "images of numbers": {"0/0/images": header("<f8", (1, 1, 1, 1), b"\0" * 8)},
    "images that are none": {"0/0/images": header("|u1", (1,), b"\0")},
    "negative counts": {"0/2/counts": header("<f8", (1, 1), np.full(1, -1.0).tobytes())},
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_none(path, kind):
    content, beside = ARRAYS[kind], path.with_suffix(".npz")
    if isinstance(content, bytes):
        beside.write_bytes(content)
    else:
        archive(beside, **content)
    assert_refused(path, "is damaged")


def test_an_archive_that_unpacks_to_far_more_than_a_record(path):
    beside = path.with_suffix(".npz")
    archive(beside, **{str(k): bytes(2**25) for k in range(9)})  # 300 KB of 300 MB
    assert beside.stat().st_size < 2**19
    assert_refused(path, "unpacks to 9 arrays")
    archive(beside, **{str(k): b"" for k in range(20_001)})
    assert_refused(path, "unpacks to 20,001 arrays")


def test_arrays_that_are_there_come_back_as_numpy_reads_them(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "0": random.random(5),
        "1": np.array([True, False]),
        "2/0/images": random.integers(0, 256, (2, 3, 4, 1), np.uint8),
        "3": np.asfortranarray(random.random((3, 4), np.float32)),
        "4": np.zeros((0, 3)),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_what_is_no_file_is_not_waited_for(path):
    import os

    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="there is no such file"):
        RecordStore(path.parents[3]).read_all()
    with pytest.raises(UserError, match="there is no such file"):
        read_object(path.parent)


@pytest.mark.parametrize(
    ("suite", "known"),
    [
        ("rotation", {"run": "../../../outside"}),
        ("rotation", {"run": "/tmp/outside"}),
        ("rotation", {"run": ".."}),
        ("../../../outside", {}),
        ("rotation", {"test_data": ".."}),
        ("rotation", {"test_data": "../../../outside"}),
    ],
)
def test_names_do_not_leave_the_folder(tmp_path, suite, known):
    store = RecordStore(tmp_path / "out")
    provenance = dataclasses.replace(PROVENANCE, **known)
    store.write(dataclasses.replace(RECORD, suite=suite, provenance=provenance))
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert len(list(tmp_path.glob("out/records/*/*/*.json"))) == 1
    assert store.find(suite, provenance) is not None
    assert len(store.read_all()) == 1


NASTY = "<script>alert(1)</script> ![x](javascript:alert(1)) | `a` $\\frac{$ \x1b[31m\n# b"


def test_names_are_text_in_every_report(tmp_path):
    points = tuple(
        dataclasses.replace(
            CURVE,
            suite=NASTY,
            metric=Metric(NASTY, NASTY, True),
            condition=NASTY,
            axis=Axis(NASTY, NASTY),
            strength=strength,
            flags=(NASTY,),
        )
        for strength in (1.0, 2.0)
    )
    store = RecordStore(tmp_path)
    for seed in (0, 1):
        for model in (NASTY, f"{NASTY} 2"):
            provenance = dataclasses.replace(
                PROVENANCE,
                seed=seed,
                model=model,
                run=f"{model[-1]}{seed}",
                dataset=NASTY,
                data=NASTY,
                checkpoint=Checkpoint(),
            )
            store.write(
                dataclasses.replace(RECORD, suite=NASTY, provenance=provenance, results=points)
            )
    records = store.read_all()
    assert len(records) == 4
    write_report(records, tmp_path / "report", examples={})
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "\x1b" not in text
    # Outside of code, where nothing has a meaning, a link or a tag begins with an escape.
    outside = "".join(text.replace("\\`", "").split("`")[::2])
    for escaped in ("\\<", "\\[", "\\]"):
        outside = outside.replace(escaped, "")
    assert "alert" in outside
    assert not any(sign in outside for sign in ("<", "](j", "![x"))
    assert not any(line.startswith("# b") for line in text.splitlines())
    for block in text.split("\n\n"):
        if block.startswith("|"):
            lines = [line.replace("\\|", "") for line in block.splitlines()]
            assert len({line.count("|") for line in lines}) == 1, block


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"results": 3}',
        '{"schema": 1, "results": [{"suite": "clean"}], "name": "a"}',
        "NaN",
    ],
)
def test_a_summary_names_the_record_that_is_damaged(tmp_path, content):
    (tmp_path / "bad.json").write_text(content)
    for summary in (summarise, summarise_budgets):
        with pytest.raises(UserError, match=r"bad\.json is damaged"):
            summary(tmp_path)


def test_a_summary_of_a_record_that_lacks_something_ends_in_a_line(tmp_path):
    training = {"schema": 3, "results": [result_to_json(CURVE)], "name": "a"}
    (tmp_path / "short.json").write_text(json.dumps(training))
    for summary in (summarise, summarise_budgets):
        with pytest.raises(UserError, match="is damaged"):
            summary(tmp_path)
