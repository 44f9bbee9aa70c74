"""Draw a phantom: a schematic frontal chest film.

Body coordinates: x and y run over -1..1 of the film, y downwards, and the patient's left is at
x > 0, as a radiologist sees it. Only sums, products and square roots touch the pixels: `exp` and
its like differ in the last bit from one processor to the next.

The chest is drawn at half size, for speed, and enlarged before the grain is added.
Nothing but the opacities depends on the disease: each film's exposure is set after they are drawn.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from pneumo_core.arrays import Gray

Field = npt.NDArray[np.floating]  # [H, W], float32

WIDTH_PX, HEIGHT_PX = (200, 300), (180, 260)  # the upper end left out
BENT = (0.04, 0.12)  # how far a turn, and a breath, bend the picture
LIFT = (-0.12, 0.12)  # of the ribs, by a breath
EXPOSURE_MEAN, EXPOSURE_STD = (95.0, 150.0), (42.0, 60.0)  # gray levels


def draw_film(body: np.random.Generator, film: np.random.Generator, subtype: str | None) -> Gray:
    """Return a film, [H, W], of a size drawn from `film`.

    Args:
        body: random numbers for what all films of one patient share.
        film: random numbers for what differs by film: position, exposure, noise, opacities.
        subtype: `bacteria` (one or two dense patches), `virus` (many faint ones on both sides)
            or None for a healthy chest.
    """
    width, height = film.integers(*WIDTH_PX).item(), film.integers(*HEIGHT_PX).item()
    x, y = _place_body(width // 2, height // 2, film)
    wall = body.uniform(0.72, 0.84) - body.uniform(0.06, 0.16) * (y - 0.3) ** 2  # inner chest
    torso = _draw_torso(x, y, body, wall)
    air = _draw_lungs(x, y, body)
    chest = _inside(wall - abs(x), 0.05)
    bones = _draw_bones(x, y + film.uniform(*LIFT), body, chest)
    heart = _draw_heart(x, y, body)
    if subtype is not None:
        air *= 1 - _draw_opacities(x, y, film, subtype)
    markings = 0.10 * _smooth_field(28, film, x) + 0.06 * _smooth_field(9, film, x)
    air *= (1 - heart) * (1 + markings)
    thickness = 0.75 + 0.25 * _inside(0.55 - abs(x), 0.4) + 0.06 * y
    shadow = torso * (thickness - 0.52 * air) + bones * torso * (0.55 + 0.45 * air)
    shadow += 0.05 * _smooth_field(3, film, x)
    return _expose(_enlarge(shadow, height, width), film)


def _place_body(width: int, height: int, film: np.random.Generator) -> tuple[Field, Field]:
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    zoom, tilt = film.uniform(0.92, 1.12), film.uniform(-0.07, 0.07)
    x = zoom * (across - film.uniform(-0.09, 0.09)) + tilt * down
    y = zoom * (down - film.uniform(-0.08, 0.08)) - tilt * across
    turned, breath = film.choice([-1, 1], 2) * film.uniform(*BENT, 2)
    return x + turned * (1 - x * x), y + breath * (y * y - 0.4)


def _draw_torso(x: Field, y: Field, body: np.random.Generator, wall: Field) -> Field:
    """Return the density of the body: trunk and neck 1, arms less, the air around 0."""
    side = abs(x)
    trunk = _inside(wall + body.uniform(0.07, 0.14) - side, 0.03)
    arms = body.uniform(0.3, 0.7) * _inside(body.uniform(-0.2, 0.5) - y, 0.4)
    shoulders = _inside(y + body.uniform(0.80, 0.92) - 0.35 * side * side, 0.05)
    neck = 0.9 * _inside(body.uniform(0.24, 0.32) - 0.2 * y - side, 0.12) * _inside(-y, 0.3)
    torso: Field = np.maximum(np.maximum(trunk, arms) * shoulders, neck)
    return torso


def _draw_lungs(x: Field, y: Field, body: np.random.Generator) -> Field:
    """Return the air: 1 within the lungs, 0 elsewhere."""
    air = np.zeros_like(x)
    half_width, half_height = body.uniform(0.29, 0.36), body.uniform(0.76, 0.90)
    top, lean = body.uniform(-0.80, -0.68), body.uniform(0.05, 0.14)
    for side in (-1, 1):
        dome = body.uniform(0.36, 0.52) + (0.05 if side > 0 else 0.0)
        centre = side * (body.uniform(0.38, 0.43) + lean * y)
        along = (y - top - half_height) / half_height
        lung = 1 - np.sqrt(((x - centre) / half_width) ** 2 + along * along)
        above_dome = dome + body.uniform(0.6, 1.4) * (x - side * 0.33) ** 2 - y
        air += _inside(half_width * lung, 0.04) * _inside(above_dome, 0.03)
    return air


def _draw_heart(x: Field, y: Field, body: np.random.Generator) -> Field:
    """Draw heart, great vessels and hila, which hide the air behind them."""
    size, low = body.uniform(0.24, 0.34), body.uniform(0.20, 0.32)
    slant = x - 0.35 * (y - low)
    heart = 1 - np.sqrt(((slant - 0.12) / size) ** 2 + ((y - low) / (1.25 * size)) ** 2)
    vessels = _inside(body.uniform(0.10, 0.15) - abs(x - 0.02), 0.05)
    hila = _bump((abs(x) - 0.2) / 0.2, (y + 0.08) / 0.3) * body.uniform(0.1, 0.45)
    hidden: Field = np.maximum(np.maximum(0.9 * _inside(size * heart, 0.035), vessels), hila)
    return hidden


def _draw_bones(x: Field, y: Field, body: np.random.Generator, chest: Field) -> Field:
    side = abs(x)
    spacing, drop = body.uniform(0.15, 0.20), body.uniform(0.25, 0.55)
    cage = chest * _inside(y + 0.72, 0.06) * _inside(0.75 - y, 0.15)
    posterior = y + 0.3 * side - (0.45 + drop) * side * side
    anterior = y + (0.3 + drop) * side
    ribs = 0.20 * _stripes(posterior, spacing, body.uniform(0.32, 0.42)) * _inside(side - 0.1, 0.05)
    ribs += 0.08 * _stripes(anterior, 1.15 * spacing, 0.4) * _inside(side - 0.35, 0.2)
    ribs *= 1 + 0.8 * _inside(side - 0.62, 0.12)  # seen along their length at the wall
    spine = _inside(0.085 - side, 0.025)
    spine *= 0.16 + 0.08 * _stripes(y, body.uniform(0.11, 0.14), 0.3)
    slope, height = body.uniform(0.1, 0.4), body.uniform(-0.70, -0.58)
    collar = _bump(0, (y - height + slope * (side - 0.1)) / 0.05)
    collar *= _inside(side - 0.1, 0.03) * _inside(0.62 - side, 0.08)
    bones: Field = ribs * cage + spine + 0.3 * collar
    return bones


def _draw_opacities(x: Field, y: Field, film: np.random.Generator, subtype: str) -> Field:
    """Return the share of the air that is lost, 0..1."""
    if subtype == "bacteria":
        sides = film.permutation([-1, 1])[: film.integers(1, 3)].tolist()
        strength, radius = (0.75, 1.0), (0.36, 0.6)
    else:
        sides = [-1, 1] * film.integers(3, 6)
        strength, radius = (0.35, 0.75), (0.18, 0.34)
    clear = np.ones_like(x)
    ragged = 0.2 * _smooth_field(12, film, x)
    for side in sides:
        across = (x - side * film.uniform(0.30, 0.52)) / film.uniform(*radius)
        down = (y - film.uniform(-0.45, 0.25)) / film.uniform(*radius)
        clear *= 1 - film.uniform(*strength) * _bump(across + ragged, down + ragged)
    return 1 - clear


def _expose(shadow: Field, film: np.random.Generator) -> Gray:
    """Return gray levels whose mean and spread are random, so that neither shows the disease."""
    grain = film.uniform(0.01, 0.035) * film.standard_normal(shadow.shape, np.float32)
    shadow = shadow + grain
    shadow = (shadow - shadow.mean()) / shadow.std()
    levels = film.uniform(*EXPOSURE_MEAN) + film.uniform(*EXPOSURE_STD) * shadow
    gray: Gray = np.clip(levels + 0.5, 0, 255).astype(np.uint8)
    return gray


def _inside(depth: Field, edge: float) -> Field:
    """Return 1 where `depth` is above `edge`, 0 below `-edge`, and a smooth step between."""
    step: Field = np.clip(depth / (2 * edge) + 0.5, 0, 1)
    return step * step * (3 - 2 * step)


def _bump(across: Field | float, down: Field) -> Field:
    """Return a soft spot of height 1 that ends at distance 1."""
    height = np.maximum(1 - across * across - down * down, 0)
    return height * height


def _stripes(position: Field, spacing: float, share: float) -> Field:
    """Return soft lines one `spacing` apart, each `share` of it to either side."""
    phase = position / spacing
    return _bump(0, (phase - np.rint(phase)) / share)


def _smooth_field(cells: int, film: np.random.Generator, like: Field) -> Field:
    """Return random hills, about `cells` across the film, of unit spread."""
    return _enlarge(film.standard_normal((cells, cells), np.float32), *like.shape)


def _enlarge(field: Field, height: int, width: int) -> Field:
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC))
