"""Draw a small dataset of a harbour: `python tests/fakes/harbour.py FOLDER --images 400 --seed 1`.

Ships, sailboats and buoys at noon, dusk and night, in waves and fog, some behind one another, some cut by the edge;
rocks, posts, crates and a skyline in the same colours carry no label. Images are JPEGs in `images/`, annotations what
labelImg saves in `annotations/`. Image n depends on the seed and n alone, however many are drawn: the same bytes again,
with the same Pillow and numpy on the same kind of processor.
"""

import argparse
import colorsys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import fromstring, indent, tostring

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZES = ((160, 120), (192, 144), (192, 240), (224, 168), (224, 224), (256, 192), (320, 240))
LEAST_VISIBLE = 0.3  # of an object's pixels; nobody would draw a box around less
_SUPERSAMPLING = 3  # for smooth edges

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]
Part = tuple[list[tuple[float, float]], Colour]  # a polygon in units of its object's width, y up from the waterline


class DrawnBox(NamedTuple):
    """Whole pixels, xmax and ymax just past the object's last pixel."""

    label: str
    xmin: int
    ymin: int
    xmax: int
    ymax: int
    truncated: bool


class Light(NamedTuple):
    """The colours of one hour, as shares of white; `glare` is how bright sun or moon lies on the water."""

    sky: tuple[Colour, Colour]  # high, low
    water: tuple[Colour, Colour]  # far, near
    objects: Colour
    haze: float
    glare: float


NOON = Light(((0.36, 0.58, 0.85), (0.8, 0.87, 0.93)), ((0.42, 0.6, 0.7), (0.12, 0.32, 0.42)), (1, 1, 0.97), 0.15, 0.6)
DULL = Light(((0.5, 0.6, 0.6), (0.7, 0.75, 0.75)), ((0.5, 0.57, 0.6), (0.2, 0.33, 0.34)), (0.8, 0.8, 0.84), 0.3, 0.1)
DUSK = Light(((0.3, 0.26, 0.46), (0.95, 0.6, 0.36)), ((0.72, 0.47, 0.38), (0.2, 0.18, 0.3)), (0.85, 0.6, 0.5), 0.2, 0.9)
NIGHT = Light(((0.03, 0.04, 0.1), (0.1, 0.12, 0.2)), ((0.1, 0.13, 0.2), (0.04, 0.06, 0.1)), (0.5, 0.55, 0.68), 0.1, 0.5)
FOG = Light(((0.74, 0.76, 0.76), (0.8, 0.81, 0.8)), ((0.72, 0.74, 0.74), (0.42, 0.5, 0.5)), (0.9, 0.9, 0.9), 0.35, 0.0)
LIGHTS = (NOON, NOON, DULL, DUSK, NIGHT, FOG)


def _paint(rng: Generator) -> Colour:
    """Pick any hue, dull or bright."""
    return colorsys.hsv_to_rgb(rng.random(), float(rng.choice([0.05, 0.45, 0.85])), rng.uniform(0.2, 1.0))


def _block(left: float, low: float, width: float, height: float, colour: Colour) -> Part:
    return [(left, low), (left + width, low), (left + width, low + height), (left, low + height)], colour


def _hull(height: float, rake: float, colour: Colour) -> Part:
    return [(rake * 0.4, 0.0), (1 - rake, 0.0), (1.0, height * 1.15), (0.7, height), (0.0, height)], colour


def _ship(rng: Generator) -> list[Part]:
    """A hull, a bridge of two or three floors with a funnel, and boxes or a mast on deck."""
    deck, white = rng.uniform(0.11, 0.2), rng.uniform(0.6, 1.0)
    bridge, cargo = (0.06, 0.42) if rng.random() < 0.5 else (0.58, 0.1)
    parts = [_hull(deck, 0.12, _paint(rng)), _block(0.05, 0, 0.83, deck * 0.25, _paint(rng))]
    floors = int(rng.integers(2, 4))
    for floor in range(floors):
        low = deck * (1 + 0.6 * floor)
        parts.append(_block(bridge + 0.02 * floor, low, 0.28 - 0.05 * floor, deck * 0.6, (white, white, white)))
        parts.append(_block(bridge + 0.06, low + deck * 0.2, 0.12, deck * 0.16, (0.15, 0.2, 0.25)))
    parts.append(_block(bridge + 0.08, deck * (1 + 0.6 * floors), 0.07, deck * rng.uniform(0.5, 1), _paint(rng)))
    if rng.random() < 0.4:
        return [*parts, _block(cargo + 0.2, deck, 0.025, deck * 2, (0.3, 0.3, 0.3))]
    heights = deck * rng.choice([0.35, 0.7, 1.05], 4)
    return parts + [_block(cargo + 0.1 * n, deck * 0.95, 0.09, h, _paint(rng)) for n, h in enumerate(heights)]


def _sailboat(rng: Generator) -> list[Part]:
    """A short hull under one or two triangular sails."""
    deck, top, mast = rng.uniform(0.09, 0.16), rng.uniform(1.0, 1.5), rng.uniform(0.45, 0.6)
    sail = _paint(rng) if rng.random() < 0.35 else (0.95, 0.95, rng.uniform(0.8, 0.95))
    pole = _block(mast - 0.012, deck * 0.9, 0.024, top - deck * 0.9, (0.35, 0.3, 0.25))
    aft: Part = ([(mast - 0.03, deck * 1.7), (mast - 0.03, top * 0.97), (0.04, deck * 2)], sail)
    fore: Part = ([(mast + 0.03, top * 0.85), (0.98, deck * 1.4), (mast + 0.04, deck * 1.7)], (0.8, 0.8, 0.76))
    return [_hull(deck, 0.2, _paint(rng)), pole, aft, fore][: 4 if rng.random() < 0.7 else 3]


def _buoy(rng: Generator) -> list[Part]:
    """A float, a tapering body, sometimes with a band, and a topmark."""
    colour, half = _paint(rng), rng.uniform(0.26, 0.36)
    base: Part = ([(0.1, 0), (0.9, 0), (1, 0.2), (0.85, 0.38), (0.15, 0.38), (0, 0.2)], (0.2, 0.2, 0.2))
    body: Part = ([(0.5 - half, 0.36), (0.5 + half, 0.36), (0.62, 1.2), (0.38, 1.2)], colour)
    band: Part = ([(0.5 - half * 0.8, 0.65), (0.5 + half * 0.8, 0.65), (0.66, 0.9), (0.34, 0.9)], _paint(rng))
    cone: Part = ([(0.28, 1.22), (0.72, 1.22), (0.5, 1.65)], colour)
    top = cone if rng.random() < 0.5 else _block(0.34, 1.2, 0.32, 0.34, colour)
    return [base, body, band, top] if rng.random() < 0.5 else [base, body, top]


def _clutter(rng: Generator) -> list[Part]:
    """A rock, a post or a crate."""
    grey, ridge = rng.uniform(0.2, 0.55), rng.uniform(0.1, 0.42, 6) * (0.4, 1, 1, 1, 1, 0.4)
    rock: Part = ([(0, 0), *((0.1 + 0.16 * n, h) for n, h in enumerate(ridge)), (1, 0)], (grey, grey, grey * 0.9))
    post = _block(0.4, 0, 0.2, rng.uniform(0.6, 1.1), _paint(rng))
    return [[rock, post, _block(0.2, 0, 0.6, 0.3, _paint(rng))][rng.integers(3)]]


# Label, shape, and its width as a share of the image's, far away and near.
Kind = tuple[str, Callable[[Generator], list[Part]], float, float]
LABELED: list[Kind] = [("ship", _ship, 0.2, 0.46), ("sailboat", _sailboat, 0.12, 0.26), ("buoy", _buoy, 0.07, 0.115)]
UNLABELED: Kind = ("", _clutter, 0.1, 0.22)


def draw(folder: Path, images: int, seed: int) -> None:
    """Write so many images and their annotations below the folder."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, images + 1):
        picture, boxes = draw_scene(np.random.default_rng([seed, number]))
        stem = f"harbour-{number:04d}"
        picture.save(folder / "images" / f"{stem}.jpg", quality=80 + number % 15)
        (folder / "annotations" / f"{stem}.xml").write_bytes(_annotation(f"{stem}.jpg", picture.size, boxes))


def draw_scene(rng: Generator) -> tuple[Image.Image, list[DrawnBox]]:
    """Draw one image, and return it with a tight box around the visible part of each object."""
    width, height = SIZES[rng.integers(len(SIZES))]
    light, horizon = LIGHTS[rng.integers(len(LIGHTS))], round(height * rng.uniform(0.1, 0.35))
    canvas = _background(rng, light, (height, width), horizon)
    owner = np.zeros((height, width), int)  # which object each pixel shows, counted from 1
    drawn = []
    for number, ((label, shape, far, near), depth, across) in enumerate(_cast(rng), start=1):
        wide = width * (far + (near - far) * depth) * rng.uniform(0.85, 1.15)
        sprite = _sprite(shape(rng), wide, rng.normal(0, 0.06))[:, :: rng.choice([-1, 1])].copy()
        sprite[..., :3] *= light.objects
        sprite[..., :3] += (np.array(light.sky[1]) - sprite[..., :3]) * light.haze * (1 - depth)
        left, low = round(across * width - wide / 2), round(horizon + (height - horizon) * (0.04 + 0.94 * depth))
        _paste(canvas, sprite[::-2] * (0.6, 0.6, 0.6, 0.35), left, low)  # its reflection
        area, solid = _paste(canvas, sprite, left, low - len(sprite))
        owner[area][solid] = number
        drawn.append((number, label, int((sprite[..., 3] > 0.5).sum())))
    boxes = [_box(owner == number, label, pixels) for number, label, pixels in drawn if label]
    gain = rng.uniform(0.8, 1.15) * rng.uniform(0.94, 1.06, 3)  # of a cheap camera, which adds noise of its own
    exposed = (canvas * gain + rng.normal(0, 0.02, canvas.shape)).clip(0, 1) * 255
    return Image.fromarray(exposed.astype(np.uint8)), [box for box in boxes if box]


def _cast(rng: Generator) -> list[tuple[Kind, float, float]]:
    """Choose the objects, the farthest first, and how near (0 to 1) and how far right (0 to 1) each is."""
    labeled = 0 if rng.random() < 0.06 else rng.integers(1, 6)
    kinds = [LABELED[n] for n in rng.integers(len(LABELED), size=labeled)]
    kinds += [UNLABELED] * int(rng.integers(0, 4))
    # One lane each, somewhat overlapping, so that few are hidden altogether.
    lanes = ((np.arange(len(kinds)) + rng.uniform(-0.2, 1.2, len(kinds))) / max(len(kinds), 1)).clip(0, 1)
    order, depths = rng.permutation(len(kinds)), np.sort(rng.uniform(0, 1, len(kinds)))
    return [(kinds[n], float(depth), float(lanes[n])) for n, depth in zip(order, depths, strict=True)]


def _background(rng: Generator, light: Light, size: tuple[int, int], horizon: int) -> Floats:
    """Return sky, land on the horizon and moving water, [height, width, 3]."""
    height, width = size
    sky = np.linspace(*light.sky, horizon)[:, None] + _cloud(rng, (horizon, width), 5)[..., None] * 0.06
    depth = np.linspace(0, 1, height - horizon)[:, None]
    water = np.linspace(*light.water, height - horizon)[:, None] + np.zeros((1, width, 1))
    x, waves = np.arange(width)[None], np.zeros((height - horizon, width))
    for _ in range(5):
        pace, slant, start = rng.uniform(4, 14), rng.uniform(-0.25, 0.25), rng.uniform(0, 7)
        waves += np.sin(pace / (depth + 0.12) + slant * x / (depth + 0.2) + start + _cloud(rng, waves.shape, 6) * 2)
    waves = waves * (0.35 + depth) / 3 + _cloud(rng, waves.shape, 24) * 0.6
    brightness = sum(light.water[0]) / 3
    sun = np.exp(-(((x - rng.uniform(0, width)) / (width * (0.05 + 0.15 * depth))) ** 2))
    water += (waves * 0.1 * brightness + np.maximum(waves, 0) * sun * light.glare * 0.6)[..., None]
    foam = waves > rng.uniform(1.0, 2.0)
    water[foam] += (np.array(light.objects) - water[foam]) * 0.5
    canvas = np.concatenate([sky, water])
    land = np.cumsum(rng.normal(0, 0.6, width)) + rng.uniform(-2, 6) + 6 * (_cloud(rng, (1, width), 16)[0] > 0.5)
    is_land = np.arange(horizon)[:, None] > horizon - land
    canvas[:horizon][is_land] = np.array(light.sky[1]) * rng.uniform(0.4, 0.85)
    return canvas


def _cloud(rng: Generator, size: tuple[int, int], grain: int) -> Floats:
    """Return smooth noise around 0, [height, width], with about `grain` spots across."""
    coarse = Image.fromarray(rng.normal(0, 1, (grain, grain)).astype(np.float32))
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC), np.float64)


def _sprite(parts: list[Part], width: float, lean: float) -> Floats:
    """Return an object, colour and opacity in [0, 1], [height, width, 4]; its last row is the waterline."""
    leaning = [([(x + lean * y, y) for x, y in points], colour) for points, colour in parts]
    corners = np.array([point for points, _ in leaning for point in points])
    left, (right, high) = corners[:, 0].min(), corners.max(0)
    across, up = (max(round(width * length), 4) * _SUPERSAMPLING for length in (right - left, high))
    big = Image.new("RGBA", (across, up))
    pen, scale = ImageDraw.Draw(big), width * _SUPERSAMPLING
    for points, (red, green, blue) in leaning:
        outline = [((x - left) * scale, (high - y) * scale) for x, y in points]
        pen.polygon(outline, fill=(round(red * 255), round(green * 255), round(blue * 255)))
    return np.asarray(big.reduce(_SUPERSAMPLING), np.float64) / 255


def _paste(canvas: Floats, sprite: Floats, left: int, top: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Draw the part of the sprite that is inside the canvas; return that area, and a mask of its covered pixels."""
    height, width = canvas.shape[:2]
    x, y = max(left, 0), max(top, 0)
    cut = sprite[y - top : max(height - top, 0), x - left : max(width - left, 0)]
    area = (slice(y, y + cut.shape[0]), slice(x, x + cut.shape[1]))
    canvas[area] += (cut[..., :3] - canvas[area]) * cut[..., 3:]
    return area, cut[..., 3] > 0.5


def _box(mask: NDArray[np.bool_], label: str, area: int) -> DrawnBox | None:
    """Return the box around the mask, or None when too little of the object's area is left of it."""
    pixels = np.argwhere(mask)
    if len(pixels) < max(LEAST_VISIBLE * area, 1):
        return None
    (top, left), (bottom, right) = pixels.min(0).tolist(), (pixels.max(0) + 1).tolist()
    is_cut = left == 0 or top == 0 or right == mask.shape[1] or bottom == mask.shape[0]
    return DrawnBox(label, left, top, right, bottom, is_cut)


def _annotation(filename: str, size: tuple[int, int], boxes: list[DrawnBox]) -> bytes:
    """Return the XML that labelImg saves for an image."""
    text = f"<folder>images</folder><filename>{filename}</filename>"
    text += f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    for box in boxes:
        corners = "".join(f"<{name}>{getattr(box, name)}</{name}>" for name in ("xmin", "ymin", "xmax", "ymax"))
        text += f"<object><name>{box.label}</name><truncated>{box.truncated:d}</truncated><difficult>0</difficult>"
        text += f"<bndbox>{corners}</bndbox></object>"
    root = fromstring(f"<annotation>{text}</annotation>")
    indent(root, "\t")
    return tostring(root) + b"\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a small dataset of ships, sailboats and buoys.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    draw(**vars(parser.parse_args()))
