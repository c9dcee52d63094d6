"""One annotation and its image, with every fault that a pair of files can have."""

import io

import pytest
from PIL import Image
from PIL.Image import Transpose

from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.ingest.formats.source_file import SourceFile
from services.ingest.formats.voc import VOC
from services.ingest.read_annotation import read_annotation
from services.ingest.source_layout import SourceLayout

RED, BLUE = (220, 20, 20), (20, 20, 220)
SQUARE = (16, 8, 32, 24)  # whole blocks of JPEG's, so that its edges stay sharp
BOX = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"

# What a camera does that was held otherwise: the inverse of how EXIF's orientation is to be shown.
CAMERA_TURNS = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def scene(mode="RGB"):
    """A blue picture of 80 × 48 with a red square at `SQUARE`."""
    picture = Image.new("RGB", (80, 48), BLUE)
    picture.paste(RED, SQUARE)
    return picture.convert(mode)


def encode(picture, kind="JPEG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}), **options)
    return out.getvalue()


def red_area(picture):
    """Return the box around what is red."""
    return picture.convert("RGB").getchannel("R").point(lambda value: 255 * (value > 128)).getbbox()


def xml(*objects, filename="a.jpg", size=(80, 48)):
    inner = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{inner}{''.join(objects)}</annotation>"


@pytest.fixture
def read_pair(tmp_path):
    """Examine an image and its annotation as files of one folder."""

    def read_pair(image, annotation, name="a.jpg", labels=None):
        (tmp_path / name).write_bytes(image)
        (tmp_path / "a.xml").write_text(annotation)
        source = FolderStore(tmp_path)
        pending = VOC.images([SourceFile("a.xml", source)]).pending[0]
        return read_annotation(pending, source, SourceLayout.from_files(list(list_keys(source))), labels)

    return read_pair


def codes(result):
    return [(finding.code, finding.severity) for finding in result.findings]


def test_pair_without_a_fault_has_no_finding(read_pair):
    content = encode(scene())
    result = read_pair(content, xml(BOX.format("ship", *SQUARE)))
    assert (result.key, result.content, result.findings) == ("a.jpg", content, [])
    assert (result.image.format, result.image.size) == ("jpeg", ImageSize(80, 48))
    assert [(b.label, b.box) for b in result.image.boxes] == [("ship", Box(*SQUARE))]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_that_was_annotated_upright_keeps_its_boxes(read_pair, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = scene() if orientation == 1 else scene().transpose(CAMERA_TURNS[orientation])
    result = read_pair(encode(raw, kind, exif=exif), xml(BOX.format("ship", *SQUARE)), f"a.{kind.lower()}")
    stored_image = Image.open(io.BytesIO(result.content))
    assert result.image.boxes[0].box == Box(*SQUARE)
    assert result.image.size == ImageSize(*stored_image.size) == ImageSize(80, 48)
    assert red_area(stored_image) == SQUARE
    assert stored_image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(5, 9))
def test_photo_that_was_annotated_lying_is_turned_with_its_boxes(read_pair, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = scene().transpose(CAMERA_TURNS[orientation])
    raw_box = xml(BOX.format("ship", *red_area(raw)), size=raw.size)
    result = read_pair(encode(raw, kind, exif=exif), raw_box, f"a.{kind.lower()}")
    assert result.image.boxes[0].box == Box(*SQUARE)
    assert red_area(Image.open(io.BytesIO(result.content))) == SQUARE


@pytest.mark.parametrize(
    ("orientation", "size", "severity"),
    [
        pytest.param(6, (80, 48), "info", id="annotated-upright"),
        pytest.param(6, (48, 80), "info", id="annotated-lying"),
        pytest.param(3, (80, 48), "warning", id="half-a-turn-leaves-the-size"),
    ],
)
def test_turned_photo_warns_where_nothing_tells_how_its_boxes_were_drawn(read_pair, orientation, size, severity):
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = scene().transpose(CAMERA_TURNS[orientation])
    result = read_pair(encode(raw, exif=exif), xml(size=size))
    assert codes(result) == [("exif_rotated", severity)]


@pytest.mark.parametrize(
    ("name", "kind", "mode", "findings"),
    [
        pytest.param("a.png", "JPEG", "RGB", [("extension_mismatch", "info")], id="jpeg-named-png"),
        pytest.param("a.jpg", "PNG", "RGBA", [("extension_mismatch", "info")], id="png-named-jpg"),
        pytest.param("a.JPEG", "JPEG", "CMYK", [], id="cmyk"),
        pytest.param("a.bmp", "BMP", "RGB", [("format_converted", "info")], id="bmp"),
        pytest.param("a.tif", "TIFF", "L", [("format_converted", "info")], id="tiff"),
        pytest.param("a.webp", "WEBP", "RGBA", [("format_converted", "info")], id="webp"),
        pytest.param("a.gif", "GIF", "P", [("format_converted", "info")], id="gif"),
    ],
)
def test_format_and_name_are_found_out(read_pair, name, kind, mode, findings):
    result = read_pair(encode(scene(mode), kind), xml(filename=name), name)
    assert codes(result) == findings
    assert Image.open(io.BytesIO(result.content)).format.lower() == result.image.format


def test_png_of_sixteen_bits_is_read_by_training_and_kept(read_pair):
    content = encode(Image.new("I;16", (80, 48), 30_000), "PNG")
    assert read_pair(content, xml(filename="a.png"), "a.png").content == content


def test_sixteen_bits_of_another_format_become_eight(read_pair):
    result = read_pair(encode(Image.new("I;16", (80, 48), 32_768), "TIFF"), xml(filename="a.tif"), "a.tif")
    (finding,) = result.findings
    assert str(finding) == "a.tif: is TIFF, which training cannot read; stored as PNG, 8 bits a channel"
    assert Image.open(io.BytesIO(result.content)).getpixel((3, 3)) == 128


def test_photo_that_ends_with_its_thumbnail_is_broken(read_pair):
    thumbnail = encode(scene().resize((16, 12)))
    segment = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    cut_off = encode(scene())[:2] + segment  # its last bytes are an end mark, but not its own
    assert codes(read_pair(cut_off, xml())) == [("image_unreadable", "error")]


@pytest.mark.parametrize("lost_bytes", [1, 2, 3])
def test_photo_that_lacks_its_last_bytes_is_an_error_for_training_crashes_on_it(read_pair, lost_bytes):
    assert codes(read_pair(encode(scene())[:-lost_bytes], xml())) == [("image_truncated", "error")]


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((64, 48), "<size> says 64 × 48, the image is 80 × 48"),
        ((0, 0), "<size> says nothing, the image is 80 × 48"),
        (None, "<size> says nothing, the image is 80 × 48"),
    ],
    ids=["other", "zero", "absent"],
)
def test_size_of_the_image_itself_counts(read_pair, size, says):
    result = read_pair(encode(scene()), xml(BOX.format("ship", 60, 8, 78, 24), size=size))
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.file, finding.message) == (
        "size_mismatch",
        "warning",
        "a.xml",
        says,
    )
    assert result.image.boxes[0].box == Box(60, 8, 78, 24)


def test_stale_filename_is_told(read_pair):
    result = read_pair(encode(scene()), xml(filename="before.jpg"))
    (finding,) = result.findings
    assert str(finding) == "a.xml: <filename> says 'before.jpg', which is not there; a.jpg was used"


def test_annotation_without_objects_is_an_image_of_background(read_pair):
    result = read_pair(encode(scene()), xml())
    assert (result.image.boxes, result.findings) == ((), [])


def test_image_whose_boxes_are_all_refused_is_kept_for_the_policy_to_decide(read_pair):
    result = read_pair(encode(scene()), xml(BOX.format("ship", 10, 10, 200, 20)))
    assert codes(result) == [("box_outside", "error")]
    assert result.image.boxes == ()


def test_label_outside_the_given_map_names_file_object_and_choices(read_pair):
    result = read_pair(encode(scene()), xml(BOX.format("fox", *SQUARE)), labels=LabelMap(("cat", "dog")))
    (finding,) = result.findings
    assert str(finding) == (
        "a.xml: object 0 ('fox') has a label that the label map lacks; it has cat, dog; rename it or add the label"
    )


@pytest.mark.parametrize(
    ("image", "annotation", "code", "file"),
    [
        pytest.param(b"", xml(), "image_unreadable", "a.jpg", id="empty-image"),
        pytest.param(b"<html>404</html>", xml(), "image_unreadable", "a.jpg", id="page-named-jpg"),
        pytest.param(encode(scene())[:-20], xml(), "image_truncated", "a.jpg", id="cut-off-image"),
        pytest.param(encode(scene()), "<annotation>", "xml_malformed", "a.xml", id="cut-off-xml"),
        pytest.param(encode(scene()), "", "xml_malformed", "a.xml", id="empty-xml"),
    ],
)
def test_file_that_cannot_be_used_is_one_error_that_names_it(read_pair, image, annotation, code, file):
    result = read_pair(image, annotation)
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.file, finding.object) == (code, "error", file, None)
    assert result.image is None


def test_annotation_without_its_image_names_both(tmp_path):
    (tmp_path / "a.xml").write_text(xml(filename="gone.jpg"))
    pending = VOC.images([SourceFile("a.xml", FolderStore(tmp_path))]).pending[0]
    result = read_annotation(pending, FolderStore(tmp_path), SourceLayout.from_files(["a.xml"]), None)
    (finding,) = result.findings
    assert str(finding) == (
        "a.xml: names the image 'gone.jpg', which is not in the source; "
        "add the image, correct <filename> or remove the xml"
    )


@pytest.fixture
def read_tree(tmp_path):
    """Examine `xml/a.xml` beside folders of images, each of one colour and size."""

    def read_tree(annotation, **sizes):
        files = {"xml/a.xml": annotation.encode()}
        files |= {f"{folder}/a.jpg": encode(Image.new("RGB", size, RED)) for folder, size in sizes.items()}
        source = FolderStore(tmp_path)
        for key, content in files.items():
            source.write(key, content)
        pending = VOC.images([SourceFile("xml/a.xml", source)]).pending[0]
        return read_annotation(pending, source, SourceLayout.from_files(sorted(files)), None)

    return read_tree


def test_of_two_images_of_the_name_the_one_of_the_annotated_size_is_used_and_named(read_tree):
    result = read_tree(xml(BOX.format("ship", *SQUARE)), one=(80, 48), two=(40, 24))
    assert (result.key, codes(result)) == ("one/a.jpg", [("image_ambiguous", "info")])
    assert str(result.findings[0]) == (
        "xml/a.xml: names the image 'a.jpg', which can be one/a.jpg or two/a.jpg; "
        "one/a.jpg was used, the only one of the size that the annotation gives"
    )


@pytest.mark.parametrize("size", [(80, 48), (41, 24), None], ids=["two-fit", "none-fits", "no-size"])
def test_two_images_of_the_name_are_refused_unless_one_alone_has_the_annotated_size(read_tree, size):
    both = {"one": (80, 48), "two": (80, 48) if size == (80, 48) else (40, 24)}
    result = read_tree(xml(BOX.format("ship", *SQUARE), size=size), **both)
    assert (result.key, codes(result)) == ("", [("image_ambiguous", "error")])


def test_folder_and_path_of_an_annotation_tell_which_image_is_meant(read_tree):
    for tags in ("<folder>two</folder>", r"<path>D:\photos\two\a.jpg</path>", "<path>/home/me/two/a.jpg</path>"):
        annotation = xml(BOX.format("ship", *SQUARE)).replace("<size>", f"{tags}<size>")
        result = read_tree(annotation, one=(80, 48), two=(80, 48))
        assert (result.key, codes(result)) == ("two/a.jpg", [])


def test_boxes_of_an_enlarged_image_are_scaled_with_it(read_pair):
    result = read_pair(encode(scene()), xml(BOX.format("ship", 8, 4, 16, 12), size=(40, 24)))
    assert codes(result) == [("boxes_scaled", "warning")]
    assert result.image.boxes[0].box == Box(*SQUARE)


@pytest.mark.parametrize(
    ("annotation", "code"),
    [
        pytest.param(
            xml(f"<item>{BOX.format('ship', *SQUARE)}</item>".replace("object", "thing")), "box_not_read", id="tag"
        ),
        pytest.param(xml(BOX.format("ship", 10, 10, 20, 70), size=(60, 80)), "drawn_on_another_size", id="size"),
    ],
)
def test_image_whose_boxes_are_not_known_is_left_out_instead_of_taken_for_background(read_pair, annotation, code):
    result = read_pair(encode(scene()), annotation)
    assert codes(result) == [(code, "error")]
    assert result.image is None


def test_box_with_a_fault_of_its_own_takes_no_other_with_it(read_pair):
    two_names = BOX.format("dog</name><name>puppy", *SQUARE)
    result = read_pair(encode(scene()), xml(two_names, BOX.format("ship", *SQUARE)))
    assert codes(result) == [("name_ambiguous", "error")]
    assert [labeled_box.label for labeled_box in result.image.boxes] == ["ship"]


def test_label_in_another_unicode_form_is_that_of_the_label_map(read_pair):
    labels = LabelMap(("caf\u00e9",))
    result = read_pair(encode(scene()), xml(BOX.format("cafe&#x301;", *SQUARE)), labels=labels)
    assert (result.image.boxes[0].label, result.findings) == ("caf\u00e9", [])


def test_damaged_pixels_are_a_warning_and_kept(read_pair):
    content = encode(Image.effect_noise((80, 48), 60).convert("RGB"))
    result = read_pair(content[:-1000] + bytes(998) + content[-2:], xml())
    assert codes(result) == [("image_damaged", "warning")]
    assert result.image is not None


def test_bounds_of_a_turned_box_that_leave_the_image_are_cut_to_it(read_pair):
    rotation = "<attributes><attribute><name>rotation</name><value>45</value></attribute></attributes>"
    turned = BOX.format("ship", 10, 4, 70, 44).replace("</object>", f"{rotation}</object>")
    result = read_pair(encode(scene()), xml(turned, turned.replace("ship", "buoy")))
    assert codes(result) == [*[("box_turned", "info")] * 2, ("box_two_labels", "warning")]
    assert result.image.boxes[0].box == pytest.approx(Box(4.645, 0, 75.355, 48), abs=1e-3)
