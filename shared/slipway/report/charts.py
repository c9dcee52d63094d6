"""Charts as inline SVG, without script, font or picture; colours are the page's CSS variables.

Everything goes through ElementTree, so a label from a file of unknown origin is always escaped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from slipway.report.axes import Axis, Point, short, thin

# Colour-blind people can distinguish up to six colours (after Okabe and Ito); more series are small multiples.
MOST_COLOURS = 6
# More dots would hide the line.
MOST_DOTS = 40


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
      points: (x, y), x ascending; a y that is not finite leaves a gap.
      is_faint: Drawn thin behind the others, and without tooltips: the raw values of a smoothed line.
    """

    name: str
    points: Sequence[Point]
    is_faint: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at one x, such as the step of the best checkpoint."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `name` is written below it, `text` in its tooltip."""

    name: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area, in the SVG's own units; shown at about one unit per CSS pixel."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x: Axis
    y: Axis

    def place(self, point: Point) -> Point:
        """Return the SVG coordinates of a point of the data; one beyond an axis is moved to its edge."""
        x_fraction, y_fraction = self.x.fraction(point[0]), self.y.fraction(point[1])
        return (
            self.left + (self.width - self.left - self.right) * min(max(x_fraction, 0.0), 1.0),
            self.height - self.bottom - (self.height - self.top - self.bottom) * min(max(y_fraction, 0.0), 1.0),
        )


def line_chart(title: str, series: Sequence[Series], axes: tuple[Axis, Axis], mark: Mark | None = None) -> str:
    """Draw lines over a common x; at most 500 points of each are drawn, and a note if there are no values."""
    thinned = [Series(s.name, thin(s.points), s.is_faint) for s in series]
    points = [p for s in thinned for p in s.points if math.isfinite(p[0]) and math.isfinite(p[1])]
    if not points:
        return _note(title, "no values")
    x, y = axes[0].fit([p[0] for p in points] + ([mark.x] if mark else [])), axes[1].fit(p[1] for p in points)
    frame = Frame(420, 236, left=44, right=20, top=22, bottom=38, x=x, y=y)
    svg = _svg(title, frame)
    _grid(svg, frame)
    if mark:
        _mark(svg, frame, mark)
    colour = 0
    for line in thinned:
        _line(svg, frame, line, colour)
        colour += not line.is_faint
    return _text(svg)


def small_line(title: str, points: Sequence[Point], axes: tuple[Axis, Axis]) -> str:
    """Draw one line of a set of small multiples: a frame without numbers, since the set's note gives them once."""
    frame = Frame(120, 84, left=4, right=4, top=4, bottom=4, x=axes[0].fit([]), y=axes[1].fit([]))
    svg = _svg(title, frame)
    SubElement(svg, "rect", {"x": "4", "y": "4", "width": "112", "height": "76", "class": "frame"})
    _line(svg, frame, Series(title, points, is_faint=False), 0, has_dots=False)
    return _text(svg)


def bar_chart(title: str, bars: Sequence[Bar], axes: tuple[str, str]) -> str:
    """Draw upright bars, evenly spaced; of many names, only every second, third … is written."""
    if not any(math.isfinite(bar.value) and bar.value > 0 for bar in bars):
        return _note(title, "no values")
    y = Axis(axes[1], low=0).fit(bar.value for bar in bars)
    frame = Frame(420, 236, left=44, right=20, top=22, bottom=38, x=Axis(axes[0], 0, len(bars)), y=y)
    svg = _svg(title, frame)
    _grid(svg, frame, has_x_ticks=False)
    name_step = math.ceil(len(bars) * max(len(bar.name) for bar in bars) / 48)
    for index, bar in enumerate(bars):
        _bar(svg, frame, bar, index, has_name=index % name_step == 0)
    return _text(svg)


def _bar(svg: Element, frame: Frame, bar: Bar, index: int, has_name: bool) -> None:
    value = bar.value if math.isfinite(bar.value) else 0.0
    left, top = frame.place((index + 0.08, value))
    right, base = frame.place((index + 0.92, 0))
    box = {"x": left, "y": top, "width": right - left, "height": base - top}
    rect = SubElement(svg, "rect", {"class": "column"} | {name: _n(v) for name, v in box.items()})
    SubElement(rect, "title").text = bar.text
    if has_name:
        _label(svg, ((left + right) / 2, base + 14), bar.name, "tick mid")


def _line(svg: Element, frame: Frame, series: Series, colour: int, has_dots: bool = True) -> None:
    style = "faint" if series.is_faint else f"line c{colour % MOST_COLOURS}"
    SubElement(svg, "path", {"class": style, "d": _path(frame, series.points)})
    if series.is_faint or not has_dots:
        return
    finite = [p for p in series.points if math.isfinite(p[1])]
    dot, radius = (f"dot c{colour % MOST_COLOURS}", "2.6") if len(finite) <= MOST_DOTS else ("hit", "7")
    for point in finite[:: math.ceil(len(finite) / MOST_DOTS) or 1]:
        x, y = frame.place(point)
        circle = SubElement(svg, "circle", {"class": dot, "cx": _n(x), "cy": _n(y), "r": radius})
        SubElement(circle, "title").text = f"{series.name}: {point[1]:.4g} at {frame.x.label} {point[0]:,.6g}"


def _path(frame: Frame, points: Sequence[Point]) -> str:
    commands, pen = [], "M"
    for point in points:
        if not (math.isfinite(point[1]) and math.isfinite(frame.y.fraction(point[1]))):
            pen = "M"
            continue
        x, y = frame.place(point)
        commands.append(f"{pen}{_n(x)} {_n(y)}")
        pen = "L"
    return "".join(commands)


def _grid(svg: Element, frame: Frame, has_x_ticks: bool = True) -> None:
    """Draw the horizontal rules, the ticks of both axes and their labels."""
    left, base, right = frame.left, frame.height - frame.bottom, frame.width - frame.right
    for tick in frame.y.ticks():
        _, y = frame.place((frame.x.ends[0], tick))
        SubElement(svg, "path", {"class": "rule", "d": f"M{_n(left)} {_n(y)}H{_n(right)}"})
        _label(svg, (left - 6, y + 4), short(tick), "tick end")
    for tick in frame.x.ticks() if has_x_ticks else []:
        x, _ = frame.place((tick, frame.y.ends[0]))
        SubElement(svg, "path", {"class": "axis", "d": f"M{_n(x)} {_n(base)}v4"})
        _label(svg, (x, base + 16), short(tick), "tick mid")
    SubElement(svg, "path", {"class": "axis", "d": f"M{_n(left)} {_n(base)}H{_n(right)}"})
    _label(svg, ((left + right) / 2, frame.height - 5), frame.x.label, "label mid")
    _label(svg, (left, frame.top - 9), frame.y.label, "label")


def _mark(svg: Element, frame: Frame, mark: Mark) -> None:
    x, base = frame.place((mark.x, frame.y.ends[0]))
    SubElement(svg, "path", {"class": "mark", "d": f"M{_n(x)} {_n(frame.top)}V{_n(base)}"})
    is_right = x > frame.width / 2
    _label(svg, (x - 5 if is_right else x + 5, base - 6), mark.text, "label end" if is_right else "label")


def _note(title: str, text: str) -> str:
    frame = Frame(420, 236, 44, 20, 22, 38, Axis("", 0, 1), Axis("", 0, 1))
    svg = _svg(title, frame)
    _label(svg, (frame.width / 2, frame.height / 2), text, "label mid")
    return _text(svg)


def _svg(title: str, frame: Frame) -> Element:
    box = f"0 0 {_n(frame.width)} {_n(frame.height)}"
    return Element("svg", {"viewBox": box, "role": "img", "aria-label": title})


def _label(svg: Element, position: Point, text: str, style: str) -> None:
    SubElement(svg, "text", {"x": _n(position[0]), "y": _n(position[1]), "class": style}).text = text


def _text(svg: Element) -> str:
    return tostring(svg, encoding="unicode")


def _n(value: float) -> str:
    """Return a coordinate as text: a tenth of a unit is finer than a screen shows."""
    return f"{value:.1f}".removesuffix(".0")
