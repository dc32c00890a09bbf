import errno
import gc
import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from common.errors import UserError
from training.run import damage as faults
from training.run.checkpoints import Checkpoints
from training.run.damage import VALIDATION_ACCURACY
from training.run.directory import RunDirectory
from training.trained import read_state

# A read that fails leaves coroutines of orbax behind that complain when they are collected, which
# may be in a later test.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def collected():
    """What this file leaves behind is collected before the next file's tests."""
    yield
    gc.collect()


def state(value):
    return {"weights": jnp.full((50, 40), float(value)), "key": jax.random.key(value)}


def like():
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        jax.eval_shape(lambda: state(0)),
    )


@pytest.fixture
def saved(tmp_path):
    """Checkpoints of steps 1 to 5; validated at 1 to 3, best at 2."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step, accuracy in ((1, 0.5), (2, 0.9), (3, 0.7), (4, None), (5, None)):
        facts = {} if accuracy is None else {VALIDATION_ACCURACY: accuracy}
        checkpoints.save(step, state(step), {"seconds": step / 2, **facts})
    checkpoints.close()
    return tmp_path / "checkpoints"


def test_the_newest_two_and_the_best_are_kept(saved):
    checkpoints = Checkpoints(saved, writing=False)
    assert checkpoints.steps() == [2, 4, 5]
    assert checkpoints.best_step() == 2
    checkpoints.close()


def test_the_best_stays_the_best_in_a_later_process(saved):
    checkpoints = Checkpoints(saved)
    checkpoints.save(6, state(6), {VALIDATION_ACCURACY: 0.8})
    checkpoints.save(7, state(7), {VALIDATION_ACCURACY: 0.9})  # equal, and later
    checkpoints.save(8, state(8), {})
    checkpoints.save(9, state(9), {})
    checkpoints.close()
    checkpoints = Checkpoints(saved, writing=False)
    assert checkpoints.steps() == [7, 8, 9]
    assert checkpoints.best_step() == 7
    checkpoints.close()


def test_a_state_comes_back_bit_for_bit_with_its_facts(saved):
    checkpoints = Checkpoints(saved)
    restored, facts = checkpoints.restore_latest(like())
    np.testing.assert_array_equal(restored["weights"], state(5)["weights"])
    np.testing.assert_array_equal(
        jax.random.key_data(restored["key"]), jax.random.key_data(jax.random.key(5))
    )
    assert facts == {"seconds": 2.5}
    checkpoints.close()


def test_an_empty_folder_has_nothing_to_restore(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new")
    assert checkpoints.restore_latest(like()) is None
    with pytest.raises(UserError, match="no checkpoint here was validated"):
        checkpoints.best_step()
    checkpoints.close()


def largest_file(folder):
    return max((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)


DAMAGES = {
    "flipped bits": lambda file: file.write_bytes(
        bytes(byte ^ 255 if 20 < k < 60 else byte for k, byte in enumerate(file.read_bytes()))
    ),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "empty": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(saved, caplog, damage):
    DAMAGES[damage](largest_file(saved / "5" / "state" / "d"))
    checkpoints = Checkpoints(saved)
    restored, _ = checkpoints.restore_latest(like())
    np.testing.assert_array_equal(restored["weights"], state(4)["weights"])
    assert f"{saved / '5'} is damaged" in caplog.text
    assert (saved.parent / "checkpoints_damaged" / "5").is_dir()
    checkpoints.save(5, state(5), {})  # its step can be saved again
    checkpoints.close()
    assert Checkpoints(saved).restore_latest(like())[0]["weights"][0, 0] == 5


def rewrite(name, change):
    """Damages a file of JSON in a step's folder."""

    def damage(step):
        stored = json.loads((step / name).read_text())
        (step / name).write_text(json.dumps(change(stored)))

    return damage


def facts_with(**changes):
    return rewrite("facts/metadata", lambda facts: {**facts, **changes})


def replace_by_file(name):
    def damage(step):
        shutil.rmtree(step / name)
        (step / name).write_text("x")

    return damage


def rewrite_all(step):
    for file in step.rglob("*"):
        if file.is_file():
            file.write_bytes(b"\xff\0")


OTHER_DAMAGES = {
    "no checksum": rewrite(
        "facts/metadata", lambda facts: {k: v for k, v in facts.items() if k != "crc32"}
    ),
    "a checksum of text": facts_with(crc32="1"),
    "facts that are a list": rewrite("facts/metadata", lambda facts: [facts]),
    "facts that are null": rewrite("facts/metadata", lambda facts: None),
    "deep facts": lambda step: (step / "facts" / "metadata").write_text("[" * 100_000),
    "of another step": facts_with(step=4),
    "an accuracy of text": facts_with(validation_accuracy="high"),
    "an accuracy of NaN": facts_with(validation_accuracy=float("nan")),
    "negative seconds": facts_with(train_seconds=-1.0),
    "a window of text": facts_with(window={"count": 1, "sums": {"loss": "2"}}),
    "megabytes of facts": facts_with(notes="x" * (1 << 20)),
    "no facts": lambda step: shutil.rmtree(step / "facts"),
    "no state": lambda step: shutil.rmtree(step / "state"),
    "facts that are a file": replace_by_file("facts"),
    "a state that is a file": replace_by_file("state"),
    "nothing in it": lambda step: (shutil.rmtree(step), step.mkdir()),
    "a file": lambda step: (shutil.rmtree(step), step.write_text("x")),
    "garbage in every file": rewrite_all,
    "metadata that are a list": rewrite("state/_METADATA", lambda stored: [stored]),
    "half of the manifest": lambda step: DAMAGES["cut short"](step / "state" / "manifest.ocdbt"),
    "no manifest": lambda step: (step / "state" / "manifest.ocdbt").unlink(),
}


@pytest.mark.parametrize("damage", OTHER_DAMAGES)
def test_whatever_is_wrong_with_a_checkpoint_the_one_before_is_used(saved, damage):
    OTHER_DAMAGES[damage](saved / "5")
    reading = Checkpoints(saved, writing=False)
    with pytest.raises(UserError, match=rf"checkpoint {saved / '5'} is damaged: ."):
        reading.restore(5, like())
    assert reading.best_step() == 2
    reading.close()
    checkpoints = Checkpoints(saved)
    restored, _ = checkpoints.restore_latest(like())
    np.testing.assert_array_equal(restored["weights"], state(4)["weights"])
    checkpoints.save(5, state(5), {})  # its step can be saved again
    checkpoints.close()
    assert Checkpoints(saved).restore_latest(like())[0]["weights"][0, 0] == 5


@pytest.mark.parametrize(
    "other",
    [
        {"weights": jnp.ones((50, 41)), "key": jax.random.key(5)},
        {"weights": jnp.ones((50, 40), jnp.bfloat16), "key": jax.random.key(5)},
        {"weights": jnp.ones((50, 40))},
        {"weights": jnp.ones((50, 40)), "key": jax.random.key(5), "more": jnp.ones(3)},
        {"bias": jnp.ones(3)},
    ],
)
def test_weights_of_another_model_are_reported_and_left_alone(saved, other):
    checkpoints = Checkpoints(saved)
    checkpoints.save(6, other, {})
    checkpoints.wait()
    with pytest.raises(UserError, match=rf"{saved / '6'} is of another model or version \(."):
        checkpoints.restore_latest(like())
    checkpoints.close()
    assert (saved / "6").is_dir()
    assert not (saved.parent / "checkpoints_damaged").exists()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EMFILE, "Too many open files", "x"), "Too many open files"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "Permission denied"),
        (ValueError("Error reading [OS error 5: EIO Input/output error]"), "Input/output error"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "Out of memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_may_pass_leaves_all_checkpoints_where_they_are(saved, monkeypatch, error, why):
    def fails(*_, **__):
        raise error

    checkpoints = Checkpoints(saved)
    monkeypatch.setattr(checkpoints._manager, "restore", fails)
    with pytest.raises(UserError, match=rf"{saved / '5'} cannot be read \(.*{why}\); it is left"):
        checkpoints.restore_latest(like())
    monkeypatch.undo()
    assert checkpoints.restore_latest(like())[0]["weights"][0, 0] == 5
    checkpoints.close()
    assert not (saved.parent / "checkpoints_damaged").exists()


def test_a_file_that_cannot_be_opened_is_no_damage(saved, monkeypatch):
    """Orbax takes arrays in a folder that it may not read for missing."""
    hidden = largest_file(saved / "5" / "state" / "d")
    hidden.rename(hidden.with_suffix(".away"))
    checkpoints = Checkpoints(saved)

    def refuse(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(faults, "open", refuse, raising=False)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); it is left"):
        checkpoints.restore_latest(like())
    checkpoints.close()
    assert (saved / "5").is_dir()


def test_an_error_that_nobody_knows_proves_no_damage(saved, monkeypatch):
    def fails(*_, **__):
        raise TypeError("restore() got an unexpected argument")

    checkpoints = Checkpoints(saved)
    monkeypatch.setattr(checkpoints._manager, "restore", fails)
    with pytest.raises(UserError, match=r"another model or version \(restore\(\) got an unexpec"):
        checkpoints.restore_latest(like())
    monkeypatch.undo()
    checkpoints.close()
    assert (saved / "5").is_dir()


def test_the_best_is_not_forgotten_while_its_facts_cannot_be_read(saved, monkeypatch):
    """Else the run would remove it at its next checkpoint."""

    def fails(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files", "metadata")

    monkeypatch.setattr(ocp.CheckpointManager, "restore", fails)
    with pytest.raises(UserError, match=r"2 cannot be read \(Too many open files\)"):
        Checkpoints(saved)


@pytest.mark.parametrize("name", ["notes", "-1", "007", "1e3", "9.tmp", "999999999999999999999"])
def test_folders_of_other_names_are_in_nobodys_way(saved, name):
    (saved / name).mkdir()
    checkpoints = Checkpoints(saved)
    assert checkpoints.restore_latest(like())[0]["weights"][0, 0] == 5
    checkpoints.close()


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "checkpoints").write_text("x")
    for writing in (False, True):
        with pytest.raises(UserError, match=r"checkpoints cannot be used as a folder of"):
            Checkpoints(tmp_path / "checkpoints", writing=writing)


def test_a_state_that_is_not_what_was_saved_fails_its_checksum(saved):
    facts = saved / "5" / "facts" / "metadata"
    facts.write_text(facts.read_text().replace('"crc32": ', '"crc32": 1'))
    with pytest.raises(UserError, match="checksum does not match"):
        Checkpoints(saved).restore(5, like())


def test_a_half_written_checkpoint_is_not_seen(saved):
    (saved / "6.orbax-checkpoint-tmp-1").mkdir()
    checkpoints = Checkpoints(saved)
    assert checkpoints.steps() == [2, 4, 5]
    checkpoints.close()


def test_what_a_killed_run_had_begun_to_write_is_removed(saved):
    unfinished = saved / "6.orbax-checkpoint-tmp"
    (unfinished / "state").mkdir(parents=True)
    Checkpoints(saved).close()
    assert not unfinished.exists()


def test_when_all_are_damaged_the_user_is_told(saved):
    for step in (2, 4, 5):
        largest_file(saved / str(step) / "state").write_bytes(b"")
    with pytest.raises(UserError, match=r"all 3 checkpoints .* were damaged"):
        Checkpoints(saved).restore_latest(like())


def test_reading_leaves_everything_as_it_was(saved):
    def listing():
        return sorted((str(f), f.stat().st_mtime_ns) for f in saved.rglob("*"))

    (saved / "6.orbax-checkpoint-tmp-1").mkdir()
    before = listing()
    checkpoints = Checkpoints(saved, writing=False)
    checkpoints.restore(5, like())
    checkpoints.close()
    assert listing() == before


def test_the_first_past_each_milestone_is_kept(tmp_path):
    folder = tmp_path / "checkpoints"
    scores = {1: 0.4, 2: 0.93, 3: 0.91, 4: 0.96, 5: 0.99, 6: 0.97, 7: 0.98, 8: 0.98}
    for begin, end in ((1, 4), (4, 9)):  # in two processes, as a resumed run
        checkpoints = Checkpoints(folder, milestones=(0.9, 0.95, 0.999))
        for step in range(begin, end):
            checkpoints.save(step, state(step), {VALIDATION_ACCURACY: scores[step]})
        checkpoints.close()
    checkpoints = Checkpoints(folder, writing=False)
    assert checkpoints.steps() == [2, 4, 5, 7, 8]
    assert checkpoints.scores() == {step: scores[step] for step in (2, 4, 5, 7, 8)}
    checkpoints.close()


def test_why_no_checkpoint_can_be_evaluated_is_said(saved):
    directory = RunDirectory(saved.parent)
    largest_file(saved / "2" / "state").write_bytes(b"")
    with pytest.raises(
        UserError, match=rf"^--checkpoint=best: checkpoint {saved / '2'} is damaged"
    ):
        read_state(directory, "best", like())
    assert read_state(directory, "last", like())[1] == 5
    for step in ("4", "5"):
        largest_file(saved / step / "state").write_bytes(b"")
    with pytest.raises(UserError, match=rf"no whole checkpoint: checkpoint {saved / '5'} is damag"):
        read_state(directory, "last", like())
    assert Checkpoints(saved, writing=False).steps() == [2, 4, 5]
