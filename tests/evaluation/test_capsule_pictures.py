"""Suites and figures of a model's insides, by values that are known."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from cnn.output import POSE_OFFSETS, CapsuleShares
from common.errors import UserError
from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.comparison.tables import tabulate
from evaluation.custom_model import guard
from evaluation.metrics.couplings import (
    coupling_entropies,
    entropies,
    path_spreads,
)
from evaluation.metrics.reconstructions import changes
from evaluation.model import Predictor
from evaluation.reports import write_report
from evaluation.reports.figures import capsules
from evaluation.results.pack import read_records, write_records
from evaluation.results.pictures import (
    CouplingMaps,
    PoseSweep,
    Reconstructions,
    WinningPaths,
    couplings_of_places,
)
from tests.evaluation.made_up import record

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (7, 8, 10, 1), np.uint8)
SPLIT = Split(IMAGES, (np.arange(7) % 4).astype(np.int32))
DATASET = Dataset("images", 4, SPLIT, SPLIT, SPLIT)
GREY = IMAGES / np.float32(255.0)
# A map of two places by three, of two types.
PLACES = np.stack(np.meshgrid(np.array([-0.4, 0.0, 0.4]), np.array([-0.25, 0.25])), axis=-1).astype(
    np.float32
)
LOGITS = np.array([0.5, 3.0, -1.0, 2.0])
COUPLINGS = RANDOM.dirichlet(np.ones(4), size=12)
SHARES = RANDOM.dirichlet(np.ones(12)).reshape(2, 3, 2)


def for_each(images, value):
    return np.broadcast_to(value, (len(images), *np.shape(value)))


def paths(images):
    layer = CapsuleShares(SHARES, np.array([1, 2, 0]), PLACES)
    top = CapsuleShares(np.ones((1, 1, 1)), np.array([0, 0, 0]), np.zeros((1, 1, 2), np.float32))
    return tuple(CapsuleShares(*(for_each(images, part) for part in each)) for each in (layer, top))


def sweeps(images):
    """Components that brighten all of an image by their offset, and by twice that."""
    factors = np.array([1.0, 2.0])[:, None, None, None, None]
    moved = factors * POSE_OFFSETS[:, None, None, None]
    return np.clip(np.asarray(images)[:, None, None] * 0.0 + 0.5 + moved, 0.0, 1.0)


MODEL = Predictor.of(
    lambda images: for_each(images, LOGITS),
    reconstruction=lambda images: np.clip(images - 0.25, 0.0, 1.0),
    couplings=lambda images: for_each(images, COUPLINGS),
    capsule_places=lambda images: for_each(images, PLACES),
    winning_paths=paths,
    pose_sweeps=sweeps,
)
NAMES = ("reconstructions", "pose_sweeps", "coupling_maps", "winning_paths")


def entropy(shares):
    return -sum(share * np.log(share) for share in np.ravel(shares) if share > 0)


def test_entropies_by_hand():
    sure = np.eye(3)[np.zeros((2, 4), int)]
    np.testing.assert_allclose(coupling_entropies(sure), [0.0, 0.0], atol=1e-6)
    halves = np.array([[[0.25, 0.25, 0.0], [0.1, 0.1, 0.1]]])  # a part of it goes nowhere
    expected = (np.log(2) / np.log(3) + 1.0) / 2.0
    np.testing.assert_allclose(coupling_entropies(halves), [expected], rtol=1e-6)
    np.testing.assert_array_equal(coupling_entropies(np.ones((2, 4, 1))), [0.0, 0.0])
    assert entropies(np.full(7, 1 / 7)) <= 1.0


def test_couplings_of_places_are_means_over_types():
    couplings, classes = RANDOM.uniform(size=(2, 12, 4)), np.array([[3, 0], [1, 2]])
    found = couplings_of_places(couplings, np.zeros((2, 2, 3, 2)), classes)
    assert found.shape == (2, 2, 2, 3)
    for image, rank, row, column in np.ndindex(found.shape):
        first = 2 * (3 * row + column)
        both = couplings[image, first : first + 2, classes[image, rank]]
        assert found[image, rank, row, column] == pytest.approx(both.sum() / 2)


def test_spread_and_change_by_hand():
    (spread,) = path_spreads(paths(GREY[:1]))
    of_places = [SHARES[row, column].sum() for row, column in np.ndindex(2, 3)]
    assert spread == pytest.approx(entropy(of_places) / np.log(6))
    # Of 80 pixels each changes by 0.5, and by 1.
    np.testing.assert_allclose(changes(sweeps(GREY[:2])), [1.5 / 2 * np.sqrt(80)] * 2, rtol=1e-6)


def measured(model=MODEL, names=NAMES):
    return [suites.run(suites.load(name), model, DATASET, batch_size=3)[0] for name in names]


def test_suites_measure_all_images_and_show_the_first():
    errors, change, coupling, path = measured()
    expected = np.sum((np.clip(GREY - 0.25, 0, 1) - GREY) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(errors.outcomes, expected, rtol=1e-5)
    assert errors.metric.higher_is_better is False
    assert change.value == pytest.approx(0.75 * np.sqrt(80), rel=1e-6)
    rows = [entropy(row) / np.log(4) for row in COUPLINGS]
    assert coupling.value == pytest.approx(np.mean(rows), rel=1e-5)
    assert path.value == pytest.approx(path_spreads(paths(GREY[:1]))[0])
    assert {each.count for each in (errors, change, coupling, path)} == {7}
    (shown,) = errors.artifacts
    np.testing.assert_allclose(shown.reconstructions, np.clip(GREY[:6] - 0.25, 0, 1), atol=1e-6)
    (sweep,) = change.artifacts
    assert sweep.sweep.shape == (2, 11, 8, 10, 1)
    assert int(sweep.winner) == 1
    (maps,) = coupling.artifacts
    assert maps.classes.tolist() == [[1, 3]] * 6
    assert maps.equal == 0.25
    assert maps.maps[4, 1, 1, 0] == pytest.approx(COUPLINGS[6:8, 3].mean())
    low, high = path.artifacts
    assert (low.label, high.label) == ("layer 1, types: 2", "layer 2, types: 1")
    np.testing.assert_allclose(low.shares[2], SHARES.sum(axis=2))


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("reconstructions", "reconstruction"),
        ("pose_sweeps", "pose_sweeps"),
        ("coupling_maps", "capsule_places"),
        ("winning_paths", "winning_paths"),
    ],
)
def test_what_a_model_lacks_is_the_reason(name, lacks):
    fields = tuple(field for field in MODEL.fields if field != lacks)
    with pytest.raises(suites.NotApplicable, match=f"the model has no `{lacks}`"):
        measured(dataclasses.replace(MODEL, fields=fields), (name,))


def test_a_custom_models_paths_are_checked_layer_by_layer():
    guarded = guard("own", MODEL, DATASET)
    assert measured(guarded, ("winning_paths",))[0].value == measured()[3].value
    short = dataclasses.replace(
        MODEL, read=lambda images, names: {"winning_paths": paths(images[1:])}
    )
    with pytest.raises(UserError, match=r"own's winning_paths fails .* answers 3 images with"):
        measured(guard("own", short, DATASET), ("winning_paths",))


def test_a_tiled_sweep_has_a_row_for_each_component():
    image = np.zeros((2, 3, 1))
    image[0, 0] = 1.0
    sweep = RANDOM.uniform(size=(2, 3, 2, 3, 1))
    tiles, size = capsules.tiled(PoseSweep(image, sweep, np.arange(3), np.array(0)))
    # Each tile with a pixel of nothing to its right and below it.
    assert (tiles.shape, size) == ((9, 12), (3, 4))
    np.testing.assert_array_equal(tiles[:2, 4:7], image[..., 0])
    assert np.isnan(tiles[:3, :4]).all()
    assert np.isnan(tiles[2::3]).all()
    for component, step in np.ndindex(2, 3):
        tile = tiles[3 + 3 * component :, 4 * step :][:2, :3]
        np.testing.assert_array_equal(tile, sweep[component, step, ..., 0])
    colours = PoseSweep(np.zeros((2, 3, 3)), np.zeros((2, 3, 2, 3, 3)), np.arange(3), np.array(0))
    tiles, _ = capsules.tiled(colours)
    # Colours, and how much of them there is.
    assert tiles.shape == (9, 12, 4)
    np.testing.assert_array_equal(tiles[3:5, :3], [[[0, 0, 0, 1]] * 3] * 2)
    np.testing.assert_array_equal(tiles[:3, :4, 3], 0.0)


def test_a_map_lies_where_its_places_see():
    figure, axes = capsules.canvas(1.0, squeeze=False)
    drawn = capsules.lay(axes[0, 0], GREY[0], SHARES.sum(axis=2), PLACES, 1.0)
    # Columns at pixels 2.5, 4.5 and 6.5, two apart; rows at 2.5 and 4.5 of eight.
    np.testing.assert_allclose(drawn.get_extent(), [1.5, 7.5, 5.5, 1.5], atol=1e-5)
    assert axes[0, 0].get_xlim() == (-0.5, 9.5)
    figure.savefig(io.BytesIO())


def test_the_report_has_all_figures(tmp_path):
    colour = {"images": np.zeros((2, 8, 10, 3)), "reconstructions": np.ones((2, 8, 10, 3))}
    records = [
        *(record("net", result, seed=seed) for result in measured() for seed in (0, 1)),
        *(record("other", result) for result in measured()),
    ]
    write_records(records, tmp_path / "study")
    found = read_records(tmp_path / "study")
    kinds = {type(each) for of in found for result in of.results for each in result.artifacts}
    assert kinds == {Reconstructions, PoseSweep, CouplingMaps, WinningPaths}
    write_report(found, tmp_path / "report", examples={})
    page = (tmp_path / "report" / "report.html").read_text()
    value = f"{100 * measured(names=('coupling_maps',))[0].value:.1f} % (net)"
    for part in (
        "Reconstructions: the first images",
        "Pose components: in each row",
        "Coupling maps: the mean coupling",
        "Winning paths: from the class",
    ):
        assert page.count(f'alt="{part}') == 1
    assert f"their entropy, of its maximum, is {value}" in page
    for name in ("reconstructions", "pose_components", "coupling_maps", "winning_paths"):
        (file,) = (tmp_path / "report" / "figures").glob(f"*_{name}.png")
        with Image.open(file) as picture:
            assert picture.width >= 800
    capsules.draw_reconstructions({"": Reconstructions(**colour)})
    one = CouplingMaps(GREY, np.zeros((7, 1), int), np.ones((7, 1, 2, 3)), PLACES, np.array(1.0))
    capsules.draw_coupling_maps({"": one}).savefig(io.BytesIO())
    assert len(tabulate(found)) == 1


@pytest.mark.parametrize(
    ("kind", "arrays", "message"),
    [
        (Reconstructions, [GREY, GREY[:2]], "no reconstruction of each"),
        (PoseSweep, [GREY[0], np.zeros((2, 3, 8, 10, 1)), np.zeros(2), np.zeros(())], "every step"),
        (CouplingMaps, [GREY, np.zeros((7, 2)), np.zeros((7, 2, 3, 3)), PLACES, 0.25], "no maps"),
        (WinningPaths, [GREY, np.zeros(7), np.zeros((7, 3, 2)), np.zeros((7, 3)), PLACES], "share"),
    ],
)
def test_pictures_of_other_shapes_are_errors(kind, arrays, message):
    with pytest.raises(ValueError, match=message):
        kind(*arrays)


def test_pictures_are_those_of_the_first_seed():
    first, second = (Reconstructions(GREY * share, GREY) for share in (1.0, 0.5))
    assert first._mean([second]) is first
    stored = first.to_arrays()
    assert {array.dtype for array in stored.values()} == {np.dtype(np.uint8)}
    again = Reconstructions.from_arrays("", stored)
    np.testing.assert_allclose(again.images, GREY, atol=1e-6)
