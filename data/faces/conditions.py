"""The images of the scrambled-face test: the same faces, intact and changed in one way each.

Rendered faces are of `data.faces.tasks`; other kinds register with `renderer` and `widened`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from data.faces import arrangements
from data.faces.arrangements import EMPTY, HOME, cycle
from data.faces.parts import LEFT_EYE, MOUTH, NOSE, NOTHING, pose_of, render
from data.faces.tasks import FacesConfig, in_chunks, to_bytes
from stn.transforms import Similarity

INTACT, NO_PART, INVERTED = "intact", "no part", "inverted"
TRAINED, HELD_OUT = "trained permutations", "held-out permutations"
WIDE, WIDE_HELD_OUT = "wide poses", "wide poses, held-out permutations"
# Conditions of whole faces; the images of all others are none.
FACES = (INTACT, "sham", "eye swap", "small move", INVERTED, WIDE)
# The most that grey levels of one image differ where parts are added up in another order.
_ROUNDING = 1
# How far parts have slid towards a scramble, as shares of the way.
STRENGTHS = np.linspace(0.0, 1.0, 9)
# How much larger the widened ranges of poses are.
WIDER = 1.5
# The small move: pixels along each axis, degrees, logarithm of the scale.
SMALL_MOVE = (1.0, 1.0, 5.0, 0.05)
KEEP = np.array([[1.0, 0.0, 0.0, 0.0]], np.float32)
# Upside down, about the face's middle.
INVERT = -KEEP


@dataclasses.dataclass(frozen=True)
class Renderer:
    """Renders the same faces in any arrangement; all images are `[count, 32, 32, 1]`, uint8.

    Called as `show(contents, *, progress=1.0, change=KEEP)`. `contents` is an arrangement or
    several, which images show in turn. `progress` is how far each part has slid from where it
    belongs to where the arrangement has it; on its way it may cross others. `change` is
    `[1 or count, 4]`, a similarity of the face's own coordinates.

    Attributes:
        arrange: The function that is called.
        whole: Renders the intact faces.
        sham: Renders them with all parts cut out and pasted again where they were.
    """

    arrange: Callable[..., np.ndarray]
    whole: Callable[[], np.ndarray]
    sham: Callable[[], np.ndarray]

    def __call__(self, contents: np.ndarray, **how: Any) -> np.ndarray:
        """The faces in an arrangement."""
        return self.arrange(contents, **how)


@functools.singledispatch
def widened(config: Any) -> Any:
    """The same faces, their poses `WIDER` times as far from upright; see `renderer`."""
    return dataclasses.replace(
        config,
        shift=WIDER * config.shift,
        rotation=WIDER * config.rotation,
        log_scale=WIDER * config.log_scale,
    )


def small_moves(count: int) -> np.ndarray:
    """`[count, 4]` similarities that move, turn and scale by `SMALL_MOVE`, either way each."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (count, 4))
    x, y, degrees, log_scale = jnp.asarray(signs * SMALL_MOVE, jnp.float32).T
    return np.asarray(jax.vmap(pose_of)(x, y, jnp.deg2rad(degrees), log_scale))


@functools.lru_cache
def _compiled(fields: tuple) -> Callable[..., jax.Array]:
    """Compiles once for each configuration, whichever model is evaluated and however often."""
    config = FacesConfig(*fields)

    def one(key, contents, change, progress):
        face = config.draw(key)
        pose = Similarity().compose(face.pose[None], change[None])[0]
        centres = slide(contents, face.slots, face.slots, progress)
        return render(face._replace(pose=pose), contents, centres)

    return jax.jit(jax.vmap(one))


def slide(
    contents: Int[Array, "4"],
    homes: Float[Array, "4 2"],
    slots: Float[Array, "4 2"],
    progress: Float[Array, ""],
) -> Float[Array, "4 2"]:
    """Places of parts on their way from where they belong to the slots that they are to lie in."""
    # What is no part has no place of its own to come from.
    start = jnp.where(contents[:, None] < NOTHING, homes[contents % 4], slots)
    return start + progress * (slots - start)


def arranger(
    render_all: Callable[..., jax.Array], count: int, *faces: np.ndarray | jax.Array
) -> Callable[..., np.ndarray]:
    """Builds `Renderer.arrange`.

    Args:
        render_all: From batches of `faces`, of contents, of changes and of progress to images.
        count: How many faces.
        faces: `[count, ...]`, all that is known of them.
    """

    def show(contents: np.ndarray, *, progress: float = 1.0, change: np.ndarray = KEEP):
        images = in_chunks(
            render_all,
            *faces,
            cycle(contents, count),
            np.broadcast_to(change, (count, 4)),
            np.full(count, progress, np.float32),
        )
        return to_bytes(images)

    return show


@functools.singledispatch
def renderer(faces: Any, role: str, count: int) -> Renderer:
    """Builds the renderer of the same faces in any arrangement.

    Args:
        faces: The kind of the faces: a dataset's `generator`, if it is of a kind that is
            registered here.
        role: Which faces: "validation pairs" or "test pairs".
        count: How many.
    """
    raise TypeError(f"{type(faces).__name__} renders no faces")


@renderer.register
def _(faces: FacesConfig, role: str, count: int) -> Renderer:
    render_all = _compiled(dataclasses.astuple(faces))
    show = arranger(render_all, count, faces.keys(role, jnp.arange(count)))
    return Renderer(show, whole=lambda: show(HOME), sham=lambda: cut_and_paste(show))


def cut_and_paste(show: Callable[..., np.ndarray]) -> np.ndarray:
    """Parts cut out of the whole faces and pasted again where they were.

    Whole faces are themselves pasted, by additions, so nothing of this is left to be seen.
    """
    whole, empty = (show(contents).astype(np.int16) for contents in (HOME, EMPTY))
    parts = whole - empty
    return (empty + parts).astype(np.uint8)


def arranged(show: Renderer, wide: Renderer) -> Iterator[tuple[str, np.ndarray]]:
    """Renders each condition of "configuration": its name and its images."""
    classes = arrangements.CONFIGURATIONS
    yield INTACT, show(classes)
    yield "eye swap", show(arrangements.swap_eyes(classes))
    yield WIDE, wide(classes)
    yield "only the nose", show(arrangements.only(NOSE, classes))
    yield "only the mouth", show(arrangements.only(MOUTH, classes))
    yield NO_PART, show(arrangements.EMPTY)


def scrambled(
    show: Renderer, wide: Renderer, count: int, fold: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Renders each condition of "presence" and "relation": its name and its images."""
    home = arrangements.HOME
    single = np.stack([arrangements.only(part, home) for part in (LEFT_EYE, NOSE, MOUTH)])
    yield INTACT, show.whole()
    yield "sham", show.sham()
    yield TRAINED, show(arrangements.trained(fold))
    yield HELD_OUT, show(arrangements.held_out(fold))
    yield "eye swap", show(arrangements.EYE_SWAP)
    yield "missing part", show(arrangements.MISSING)
    yield "doubled part", show(arrangements.DOUBLED)
    yield "single part", show(single)
    yield NO_PART, show(arrangements.EMPTY)
    yield "clutter", show(arrangements.CLUTTERED)
    yield INVERTED, show(home, change=INVERT)
    yield "small move", show(home, change=small_moves(count))
    yield WIDE, wide(home)
    yield WIDE_HELD_OUT, wide(arrangements.held_out(fold))


def slides(show: Renderer, fold: int) -> Iterator[np.ndarray]:
    """Renders the images of each of `STRENGTHS`."""
    return (show(arrangements.held_out(fold), progress=float(strength)) for strength in STRENGTHS)


def same(images: np.ndarray, others: np.ndarray) -> bool:
    """Tests for equality of images in bytes, but for rounding."""
    return int(np.abs(images.astype(int) - others).max()) <= _ROUNDING
