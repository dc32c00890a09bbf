"""Networks as ONNX models, and as the flat lists of primitives that become one."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.extend.core import jaxpr_as_fun

from common.errors import UserError
from inference.flattening import flatten
from inference.forward import forward
from inference.onnx import to_onnx
from tests.inference.test_export import network_of

# One of each family; small, for the converter takes seconds for hundreds of primitives.
FAMILIES = ("capsnet", "efficient capsnet", "self-routing", "trunk and head", "cnn", "pooling")
FAMILIES += ("reconstructing", "st_cnn", "st_fcn, tps")
SLOW = ("inverted attention", "matrix capsules", "variational capsules", "house numbers")
NESTED = {"jit", "custom_jvp_call", "custom_vjp_call", "cond", "platform_index", "clamp", "pad"}


@pytest.mark.parametrize("name", ["capsnet", "inverted attention", "st_cnn"])
def test_a_flat_function_has_the_same_values(name):
    network, images = network_of(name)
    outputs = forward(network)
    (batch,) = export.symbolic_shape("b")
    flat = flatten(outputs, jax.ShapeDtypeStruct((batch, *images.shape[1:]), jnp.float32))
    assert not NESTED & {equation.primitive.name for equation in flat.jaxpr.eqns}
    fixed = flatten(outputs, jax.ShapeDtypeStruct(images.shape, jnp.float32))
    found, expected = jax.jit(lambda images: (jaxpr_as_fun(fixed)(images), outputs(images)))(images)
    for one, other in zip(found, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_clamps_and_paddings_are_written_out():
    def function(values):
        padded = jnp.pad(values, ((0, 0), (1, 2)), constant_values=7.0)
        return jax.lax.clamp(-1.0, padded, 3.0)

    values = np.array([[-2.0, 0.5], [4.0, 1.0]], np.float32)
    flat = flatten(function, jax.ShapeDtypeStruct(values.shape, jnp.float32))
    assert not NESTED & {equation.primitive.name for equation in flat.jaxpr.eqns}
    (found,) = jaxpr_as_fun(flat)(values)
    np.testing.assert_array_equal(found, [[3, -1, 0.5, 3, 3], [3, 3, 1, 3, 3]])


def converted(name):
    """What a network's model has for images in ONNX Runtime, and what the network has."""
    pytest.importorskip("jax2onnx")
    runtime = pytest.importorskip("onnxruntime")
    network, images = network_of(name)
    outputs = forward(network)
    model = to_onnx(outputs, images.shape[1:])
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images}), strict=True))
    (first,) = session.run(["logits"], {"images": images[:1]})
    expected = jax.device_get(jax.jit(outputs)(images))
    np.testing.assert_allclose(first, expected["logits"][:1], rtol=1e-4, atol=1e-4)
    return found, expected


def check(name, tolerance):
    found, expected = converted(name)
    assert found.keys() == expected.keys()
    for field, values in expected.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(found[field], values, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.filterwarnings("ignore")  # of the converter's
@pytest.mark.parametrize("name", FAMILIES)
def test_onnx_runtime_computes_what_the_network_does(name):
    check(name, 1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SLOW)
def test_onnx_runtime_computes_what_networks_of_many_primitives_do(name):
    # Inverse variances of nearly equal votes enlarge rounding in the logits of EM routing.
    check(name, 1e-4 if name == "matrix capsules" else 1e-5)


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_converted_is_named():
    pytest.importorskip("jax2onnx")
    network, images = network_of("capsnet, sabour_code")
    with pytest.raises(UserError, match="--onnx: the network computes in bfloat16"):
        to_onnx(forward(network), images.shape[1:])


def test_a_converter_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"--onnx: .*; it needs pip install onnx"):
        to_onnx(lambda images: {"logits": images}, (2, 2, 1))
