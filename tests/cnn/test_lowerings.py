import dataclasses

import pytest

from cnn.convolution.lowerings import Layer, best_tiling, choose, choose_for_values

FIRST = Layer(128, (20, 20), (9, 9), (1, 1), 1, 256)
PRIMARY_CAPSULES = Layer(128, (6, 6), (9, 9), (2, 2), 256, 256)


def test_large_kernels_between_many_channels_go_through_spectra_on_cpus():
    assert choose(PRIMARY_CAPSULES, "cpu") == "fourier"
    assert choose(FIRST, "cpu") == "patches"
    assert choose(dataclasses.replace(PRIMARY_CAPSULES, kernel_size=(1, 1)), "cpu") == "patches"


def test_patches_that_overlap_are_not_laid_out_for_values_alone():
    assert choose_for_values(FIRST, "cpu") == "native"
    assert choose_for_values(PRIMARY_CAPSULES, "cpu") == "fourier"
    for apart in ({"kernel_size": (1, 1)}, {"out_size": (1, 1)}):
        assert choose_for_values(dataclasses.replace(FIRST, **apart), "cpu") == "patches"


def test_gradients_of_small_kernels_go_through_spectra_where_their_values_do_not():
    small = Layer(128, (28, 28), (3, 3), (1, 1), 20, 20)
    assert choose(small, "cpu") == "fourier"
    assert choose_for_values(small, "cpu") == "native"


@pytest.mark.parametrize("backend", ["gpu", "tpu"])
def test_other_backends_use_their_own_convolution(backend):
    assert choose(PRIMARY_CAPSULES, backend) == "native"
    assert choose_for_values(PRIMARY_CAPSULES, backend) == "native"


def test_the_primary_capsules_are_one_tile():
    assert best_tiling(PRIMARY_CAPSULES).tiles == (1, 1)


@pytest.mark.parametrize("out_size", [(1, 1), (5, 40), (28, 28), (60, 60)])
def test_the_tiles_cover_the_output(out_size):
    tiling = best_tiling(dataclasses.replace(PRIMARY_CAPSULES, out_size=out_size, strides=(1, 1)))
    for size, tile, tiles in zip(out_size, tiling.outputs, tiling.tiles, strict=True):
        assert tile * (tiles - 1) < size <= tile * tiles
