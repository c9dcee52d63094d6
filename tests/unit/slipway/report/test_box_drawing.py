"""Boxes on pictures."""

import pytest
from PIL import Image, ImageFont

from slipway.dataset.boxes import Box
from slipway.report.box_drawing import Mark, colour, contrast, draw, legible


def test_the_outline_has_the_colour_of_the_class_and_the_image_stays_as_it_was() -> None:
    image = Image.new("RGB", (100, 80), "white")

    drawn = draw(image, [Mark(Box(20, 30, 60, 70), 1, "")])

    assert drawn.getpixel((20, 50)) == drawn.getpixel((60, 50)) == drawn.getpixel((40, 70)) == colour(1)
    assert drawn.getpixel((40, 50)) == (255, 255, 255)
    assert image.getcolors() == [(8000, (255, 255, 255))]


@pytest.mark.parametrize(
    "box",
    [Box(-20, -20, 500, 500), Box(200, 200, 300, 300), Box(40, 40, 40, 40), Box(-9, -9, -5, -5)],
    ids=["over-every-edge", "outside", "empty", "above-left"],
)
def test_a_box_beyond_the_image_is_drawn_at_its_edge(box: Box) -> None:
    assert draw(Image.new("RGB", (100, 80)), [Mark(box, 1, "a long label of a class 97%")]).size == (100, 80)


def test_the_label_of_a_box_at_the_top_is_written_inside_the_image() -> None:
    drawn = draw(Image.new("RGB", (200, 200), "black"), [Mark(Box(50, 0, 150, 100), 1, "cat")])

    commonest = max(drawn.crop((52, 2, 70, 10)).getcolors() or [])
    assert commonest[1] == colour(1)


def test_the_first_mark_is_on_top() -> None:
    boxes = [Mark(Box(10, 10, 50, 50), class_id, "") for class_id in (1, 2)]

    assert draw(Image.new("RGB", (60, 60)), boxes).getpixel((10, 30)) == colour(1)


def test_a_hundred_classes_have_a_hundred_colours() -> None:
    assert len({colour(class_id) for class_id in range(1, 101)}) == 100


@pytest.mark.parametrize(("background", "text"), [((255, 255, 0), (0, 0, 0)), ((0, 0, 120), (255, 255, 255))])
def test_text_is_black_on_light_and_white_on_dark(background: tuple[int, int, int], text: tuple[int, int, int]) -> None:
    assert contrast(background) == text


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (4000, 20)], ids=["a-pixel", "a-line", "a-strip"])
def test_an_image_of_any_size_is_drawn_on(size: tuple[int, int]) -> None:
    assert draw(Image.new("RGB", size), [Mark(Box(0, 0, *size), 3, "cat 50%")]).size == size


@pytest.mark.parametrize("text", ["cat", "cat 97%", "two words", ""])
def test_letters_of_the_default_font_are_drawn_in_it(text):
    drawn_text, font = legible(Mark(Box(1, 1, 9, 9), 3, text), 12)
    assert (drawn_text, font.getname()) == (text, ImageFont.load_default(12).getname())


@pytest.mark.parametrize("text", ["café 97%", "собака"])
def test_letters_that_the_default_font_lacks_are_drawn_in_another(text):
    drawn_text, font = legible(Mark(Box(1, 1, 9, 9), 3, text), 12)  # matplotlib's is part of the training's environment
    assert drawn_text == text
    assert font.getname() != ImageFont.load_default(12).getname()


@pytest.mark.parametrize(("text", "expected"), [("\U000e1234 97%", "class 3 97%"), ("\ue123\ue124", "class 3")])
def test_class_id_stands_for_a_label_that_no_font_can_draw(text, expected):
    assert legible(Mark(Box(1, 1, 9, 9), 3, text), 12)[0] == expected
