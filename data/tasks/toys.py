"""Five categories of toys, each an arrangement of solids whose sizes vary from toy to toy.

The categories are those of smallNORB (LeCun, Huang and Bottou, 2004): animals with four legs, human
figures, aeroplanes, trucks and cars. Toys stand on the ground with x pointing ahead and z up, and
are scaled to one size, so that neither size nor height above the ground tells a category.
"""

from collections.abc import Callable

import numpy as np

from data.tasks.solids import Solids, placed

# Radius of the ball around the origin that every toy just fills.
RADIUS = 1.0
_X, _Y, _Z = np.eye(3)


class Parts:
    """Primitives of a toy, gathered one by one.

    Args:
        seed: Decides every size that is drawn.
    """

    def __init__(self, seed: list[int]):
        self._random = np.random.default_rng(seed)
        self._kinds: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {
            kind: [] for kind in Solids._fields
        }

    def draw(self, least: float, most: float) -> float:
        """A number between two."""
        return float(self._random.uniform(least, most))

    def chance(self, share: float) -> bool:
        """Truth, in that share of all toys."""
        return bool(self._random.random() < share)

    def ellipsoid(self, centre, half_sizes, rotation=None) -> None:
        """Adds an ellipsoid; see `data.tasks.solids.placed`."""
        self._add("ellipsoids", centre, half_sizes, rotation)

    def box(self, centre, half_sizes, rotation=None) -> None:
        """Adds a box."""
        self._add("boxes", centre, half_sizes, rotation)

    def rod(self, start, end, radius: float) -> None:
        """Adds a cylinder from one point to another."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        half = np.linalg.norm(end - start) / 2.0
        self._add("cylinders", (start + end) / 2.0, (radius, radius, half), _towards(end - start))

    def wheels(self, places, half_track: float, radius: float, half_width: float) -> None:
        """Adds a wheel on either side for each place along x, standing on the ground."""
        for x in places:
            for side in (-half_track, half_track):
                self.rod((x, side - half_width, radius), (x, side + half_width, radius), radius)

    def _add(self, kind, centre, half_sizes, rotation) -> None:
        axes = np.eye(3) if rotation is None else rotation
        self._kinds[kind].append((np.asarray(centre, float), np.asarray(half_sizes, float), axes))

    def solids(self) -> Solids:
        """The toy with its middle at the origin, just within the ball of `RADIUS`."""
        every = [part for parts in self._kinds.values() for part in parts]
        points = np.concatenate([_corners(*part) for part in every])
        middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
        scale = RADIUS / np.linalg.norm(points - middle, axis=1).max()
        return Solids(
            *(
                np.array(
                    [placed(scale * (c - middle), scale * h, axes) for c, h, axes in parts]
                ).reshape(-1, 3, 4)
                for parts in self._kinds.values()
            )
        )


def _corners(centre, half_sizes, axes):
    """Corners of the box around a primitive, a little within, for none fills it."""
    signs = np.stack(np.meshgrid(*[[-0.9, 0.9]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return centre + (signs * half_sizes) @ axes.T


def _towards(direction):
    """A rotation whose third column points in a direction."""
    last = direction / np.linalg.norm(direction)
    aside = _X if abs(last @ _X) < 0.9 else _Y
    first = np.cross(aside, last)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(last, first), last], axis=1)


def turn_about_y(degrees: float) -> np.ndarray:
    """The rotation that raises what points ahead, for positive angles."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])


def turn_about_z(degrees: float) -> np.ndarray:
    """The rotation to the left, seen from above, for positive angles."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def animal(parts: Parts) -> None:
    """A body on four legs, a neck with a head and two ears, a tail."""
    length, girth = parts.draw(0.75, 1.05), parts.draw(0.26, 0.4)
    height, leg = parts.draw(0.65, 1.0), parts.draw(0.08, 0.12)
    parts.ellipsoid((0, 0, height), (length, girth * 0.85, girth))
    for x in (-0.62 * length, 0.62 * length):
        for y in (-0.6 * girth, 0.6 * girth):
            parts.rod((x, y, 0), (x, y, height), leg)
    reach, rise = parts.draw(0.2, 0.4), parts.draw(0.3, 0.75)
    shoulder, head = (0.7 * length, 0, height), (0.85 * length + reach, 0, height + rise)
    parts.rod(shoulder, head, parts.draw(0.12, 0.17))
    skull = parts.draw(0.19, 0.26)
    nose = (head[0] + 0.8 * skull, 0, head[2] - 0.15 * skull)
    parts.ellipsoid(nose, (1.7 * skull, 0.75 * skull, 0.8 * skull), turn_about_y(-20))
    ear = parts.draw(0.1, 0.24)
    for y in (-0.6 * skull, 0.6 * skull):
        parts.ellipsoid((head[0], y, head[2] + 0.9 * skull), (0.06, 0.06, ear))
    rump, sweep = (-0.95 * length, 0, height + 0.1), parts.draw(-0.4, 0.5)
    parts.rod(rump, (-0.95 * length - 0.4, 0, height + sweep), 0.06)


def human(parts: Parts) -> None:
    """A trunk on two legs, a head, two arms in any pose, perhaps a hat."""
    leg, trunk = parts.draw(0.85, 1.05), parts.draw(0.36, 0.44)
    width, limb = parts.draw(0.26, 0.36), parts.draw(0.085, 0.12)
    stride = parts.draw(-0.35, 0.35)
    for y, x in ((-0.55 * width, stride), (0.55 * width, -stride)):
        parts.rod((x, 1.2 * y, 0), (0, y, leg), limb)
        parts.ellipsoid((x + 0.1, 1.2 * y, 0.06), (0.2, 0.09, 0.07))
    parts.ellipsoid((0, 0, leg + 0.9 * trunk), (0.6 * width, width, 1.05 * trunk))
    shoulder = leg + 1.5 * trunk
    head = parts.draw(0.17, 0.22)
    top = leg + 2.0 * trunk + 0.8 * head
    parts.ellipsoid((0, 0, top), (head, 0.9 * head, 1.15 * head))
    for side in (-1.0, 1.0):
        lift, ahead = np.deg2rad(parts.draw(15, 130)), parts.draw(-0.3, 0.7)
        reach = np.array([ahead, side * np.sin(lift), -np.cos(lift)])
        start = np.array([0.0, side * width * 0.9, shoulder])
        end = start + parts.draw(0.6, 0.75) * reach / np.linalg.norm(reach)
        parts.rod(start, end, 0.85 * limb)
    if parts.chance(0.5):
        parts.rod((0, 0, top + 0.6 * head), (0, 0, top + 1.5 * head), 0.95 * head)


def plane(parts: Parts) -> None:
    """A fuselage with two wings, a tailplane, a fin, and perhaps engines."""
    length, girth = parts.draw(0.95, 1.1), parts.draw(0.13, 0.2)
    parts.ellipsoid((0, 0, 0), (length, girth, girth))
    span, chord = parts.draw(0.7, 1.0), parts.draw(0.16, 0.26)
    sweep, root = parts.draw(0, 35), parts.draw(-0.05, 0.2)
    level = parts.draw(-0.6, 0.6) * girth
    engines = parts.chance(0.6)
    for side in (-1.0, 1.0):
        axes = turn_about_z(side * sweep)
        middle = np.array([root, 0, level]) + axes @ np.array([0, side * span / 2.0, 0])
        parts.box(middle, (chord, span / 2.0, 0.035), axes)
        tail = np.array([-0.85 * length, 0, 0.04]) + axes @ np.array([0, side * 0.2, 0])
        parts.box(tail, (0.1, 0.2, 0.03), axes)
        if engines:
            x, y, _ = np.array([root, 0, 0]) + axes @ np.array([0, side * span * 0.5, 0])
            under = level - 0.11
            parts.rod((x - 0.15, y, under), (x + 0.3, y, under), 0.085)
    fin = parts.draw(0.17, 0.26)
    parts.box((-0.88 * length, 0, fin), (0.13, 0.03, fin), turn_about_y(parts.draw(0, 15)))


def truck(parts: Parts) -> None:
    """A high cab ahead of a load, a box, a tank or logs, on a chassis with six wheels."""
    wheel, half = parts.draw(0.15, 0.2), parts.draw(0.3, 0.38)
    cab, load = parts.draw(0.2, 0.26), parts.draw(0.62, 0.82)
    floor = 1.6 * wheel
    parts.box((0, 0, floor), (cab + load + 0.05, 0.8 * half, 0.07))
    cab_height = parts.draw(0.34, 0.42)
    parts.box((load + 0.06, 0, floor + cab_height), (cab, half, cab_height))
    if parts.chance(0.4):
        parts.box((load + cab + 0.2, 0, floor + 0.2), (0.17, 0.85 * half, 0.2))
    back, kind = -cab - 0.02, parts.draw(0, 3)
    if kind < 1.5:
        height = parts.draw(0.45, 0.58)
        parts.box((back, 0, floor + 0.05 + height), (load, 1.05 * half, height))
    elif kind < 2.3:
        level = floor + 0.1 + half
        parts.rod((back - load, 0, level), (back + load, 0, level), half)
    else:
        for y, z in ((-0.5, 0.5), (0.5, 0.5), (0, 1.3)):
            y, z = y * half, floor + z * half
            parts.rod((back - load, y, z), (back + load, y, z), 0.48 * half)
    axles = (load + 0.1, -cab - 0.35 * load, -cab - 0.85 * load)
    parts.wheels(axles, 0.9 * half, wheel, 0.07)


def car(parts: Parts) -> None:
    """A low body with a cabin on it, on four wheels."""
    length, half = parts.draw(0.85, 1.0), parts.draw(0.36, 0.42)
    wheel, height = parts.draw(0.17, 0.21), parts.draw(0.13, 0.18)
    belt = 0.9 * wheel + 2.0 * height
    parts.box((0, 0, 0.9 * wheel + height), (length, half, height))
    place, cabin = parts.draw(-0.25, 0.0), parts.draw(0.42, 0.58)
    roof = parts.draw(0.2, 0.28)
    if parts.chance(0.5):
        parts.ellipsoid((place, 0, belt), (1.15 * cabin, 0.9 * half, 1.6 * roof))
    else:
        slope = parts.draw(25, 40)
        shrunk = cabin * 0.72
        parts.box((place, 0, belt + 0.5 * roof), (shrunk, 0.85 * half, 0.6 * roof))
        for x, lean in ((place + shrunk, slope), (place - shrunk, -slope)):
            parts.box(
                (x - np.sign(lean) * 0.02, 0, belt + 0.3 * roof),
                (0.1, 0.84 * half, 0.85 * roof),
                turn_about_y(lean),
            )
    if parts.chance(0.3):
        parts.box((-0.95 * length, 0, belt + 0.16), (0.1, 0.95 * half, 0.025))
    parts.wheels((-0.62 * length, 0.62 * length), 0.92 * half, wheel, 0.08)


CATEGORIES: dict[str, Callable[[Parts], None]] = {
    "animal": animal,
    "human": human,
    "plane": plane,
    "truck": truck,
    "car": car,
}
"""In the order of smallNORB's labels."""


def make_toy(category: str, instance: int, seed: int = 0) -> Solids:
    """One toy of a category.

    Args:
        category: One of `CATEGORIES`.
        instance: Its number; toys of other numbers have other sizes.
        seed: Of all toys.
    """
    parts = Parts([seed, list(CATEGORIES).index(category), instance])
    CATEGORIES[category](parts)
    return parts.solids()
