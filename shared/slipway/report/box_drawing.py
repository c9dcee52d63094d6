"""Boxes drawn on a picture: one colour per class, readable on any background."""

import colorsys
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ImageDraw, ImageFont

from slipway.dataset.boxes import Box, ImageSize, clip

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)
# After Okabe and Ito: colour-blind people can distinguish them too. Further classes take hues a golden angle apart.
_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_GOLDEN_ANGLE = 0.381966  # of the circle

# Fonts of operating systems, for labels with letters that Pillow's own font lacks: it has those of English alone.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "NanumGothic.ttf",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "AppleSDGothicNeo.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "meiryo.ttc",
    "segoeui.ttf",
)
_NO_LETTER = "\U0010fffd"  # a private code point, for which every font draws its empty square
_SCORE = re.compile(r" \d+%$")


@dataclass(frozen=True, slots=True)
class Mark:
    """A box and its text; `class_id`, from 1, chooses the colour."""

    box: Box
    class_id: int
    text: str

    def scaled(self, factor: float) -> "Mark":
        """Return the mark for an image that is larger by the factor."""
        return Mark(Box(*(side * factor for side in self.box)), self.class_id, self.text)


def resize(image: "Image", factor: float) -> "Image":
    """Return the image enlarged by the factor, at least one pixel wide and high."""
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def draw(image: "Image", marks: Iterable[Mark]) -> "Image":
    """Return a copy of the RGB image with the marks, the first on top."""
    picture = image.copy()
    size = ImageSize(*picture.size)
    pen = ImageDraw.Draw(picture)
    font_size = max(9, round(min(size) / 32))
    marks = list(marks)[::-1]
    for mark in marks:
        _outline(pen, mark, size)
    for mark in marks:  # after all outlines: no line runs through a word
        _write(pen, mark, font_size, size)
    return picture


def colour(class_id: int) -> Colour:
    """Return the colour of a class: the same in every picture."""
    if class_id <= len(_COLOURS):
        return _COLOURS[class_id - 1]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN_ANGLE % 1.0, 0.75, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def contrast(background: Colour) -> Colour:
    """Return black or white, whichever is read more easily on the colour (ITU-R BT.601 luma)."""
    red, green, blue = background
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _LIGHT


def _outline(pen: ImageDraw.ImageDraw, mark: Mark, size: ImageSize) -> None:
    """Draw the box inside a thin dark line, so that it is seen on its own colour too."""
    box = clip(mark.box, ImageSize(size.width - 1, size.height - 1))
    left, top, right, bottom = (round(side) for side in box)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_DARK)
    pen.rectangle((left, top, right, bottom), outline=colour(mark.class_id), width=max(1, round(min(size) / 180)))


def _write(pen: ImageDraw.ImageDraw, mark: Mark, font_size: int, size: ImageSize) -> None:
    """Write the text on a filled strip above the box, or inside where there is no room; never beyond the image."""
    if not mark.text:
        return
    text, font = legible(mark, font_size)
    background = colour(mark.class_id)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    above = mark.box.ymin - height
    x = max(min(mark.box.xmin, size.width - width), 0)
    y = max(min(above if above >= 0 else mark.box.ymin, size.height - height), 0)
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=background)
    pen.text((x + 2 - left, y + 2 - top), text, fill=contrast(background), font=font)


def legible(mark: Mark, font_size: int) -> tuple[str, Font]:
    """Return a mark's text and a font with all of its letters; the class id instead of the label if there is none."""
    for font in _fonts(font_size):
        if _has_letters(font, mark.text):
            return mark.text, font
    score = _SCORE.search(mark.text)
    return f"class {mark.class_id}{score[0] if score else ''}", _default_font(font_size)


def _fonts(size: int) -> Iterator[Font]:
    """Yield Pillow's font, then those of matplotlib, which training needs anyway, and of the operating system."""
    yield _default_font(size)
    yield from filter(None, (_load_font(name, size) for name in (*_packaged_fonts(), *_SYSTEM_FONTS)))


@lru_cache(maxsize=16)
def _default_font(size: int) -> Font:
    return ImageFont.load_default(size)


@lru_cache(maxsize=256)
def _load_font(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:  # the machine does not have it
        return None


@lru_cache(maxsize=1)
def _packaged_fonts() -> tuple[str, ...]:
    package = find_spec("matplotlib")
    if package is None or package.origin is None:
        return ()
    return (str(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"),)


def _has_letters(font: Font, text: str) -> bool:
    """Check that no letter of the text is drawn as the square that stands for a letter which a font lacks."""
    square = font.getmask(_NO_LETTER)
    masks = (font.getmask(letter) for letter in set(text) if not letter.isspace())
    return not any(mask.size == square.size and bytes(mask) == bytes(square) for mask in masks)
