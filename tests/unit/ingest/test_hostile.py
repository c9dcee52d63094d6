"""Folders of strangers: nothing in them may hang, crash or reach what lies outside."""

import io
import os
import random
import struct
import time
import warnings
import zlib

import pytest
from PIL import Image

from slipway.errors import InputError, StoreRefused
from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys

from services.ingest.formats.voc import parse_voc
from services.ingest.images import BrokenImage
from services.ingest.repair import read_picture
from services.ingest.service import ingest

OBJECT = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>"


def annotation(filename, label="ship"):
    size = "<size><width>64</width><height>48</height></size>"
    return f"<annotation><filename>{filename}</filename>{size}{OBJECT.format(label)}</annotation>"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "outer" / "source"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (64, 48), (number * 50, 0, 0)).save(folder / f"{number}.jpg")
        (folder / f"{number}.xml").write_text(annotation(f"{number}.jpg"))
    return folder


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def run_ingest(tmp_path, source, store):
    def run_ingest(invalid="fail"):
        spec = {"dataset": {"source": str(source)}, "ingest": {"invalid": invalid}}
        run = TrainingRun.model_validate({"metadata": {"name": "r"}, "spec": spec})
        return ingest(StageParams(run, 0, tmp_path), store)

    return run_ingest


def images_of(result):
    return sum(split.images for split in result.splits.values())


@pytest.mark.parametrize(
    "filename",
    ["../secret.jpg", "../../outer/secret.jpg", "/{outer}/secret.jpg", "..\\secret.jpg", "file:///{outer}/secret.jpg"],
)
def test_filename_that_leads_out_of_the_source_is_never_followed(source, store, run_ingest, filename):
    Image.new("RGB", (64, 48), (1, 2, 3)).save(source.parent / "secret.jpg")
    secret = (source.parent / "secret.jpg").read_bytes()
    (source / "thief.xml").write_text(annotation(filename.format(outer=source.parent)))
    with pytest.raises(InputError, match=r"thief\.xml: names the image .*secret\.jpg', which is not in the source"):
        run_ingest()
    assert images_of(run_ingest("drop")) == 4
    assert secret not in [store.read(key) for key in list_keys(store, "blobs")]


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", "a{b}", 'the "Anna"', "船", "a\u2028b", "=1+1"])
def test_label_of_any_letters_comes_through_and_does_no_harm(source, store, run_ingest, label):
    escaped_label = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    (source / "0.xml").write_text(annotation("0.jpg", escaped_label), encoding="utf-8")
    result = run_ingest()
    assert set(result.labels) == {"ship", label}
    assert "<script>alert" not in store.read(f"{result.dataset}/report.html").decode()


@pytest.mark.parametrize("name", ["4.xml", "4.jpg"])
def test_pipe_is_passed_over(source, run_ingest, name):
    os.mkfifo(source / name)
    assert images_of(run_ingest()) == 4


@pytest.mark.parametrize("name", ["3.xml", "3.jpg", "new.xml"])
def test_link_that_leads_nowhere_is_one_error_that_names_it(source, run_ingest, name):
    (source / name).unlink(missing_ok=True)
    (source / name).symlink_to(source / "nowhere")
    with pytest.raises(InputError, match=rf"/{name}: cannot be read; remove it, or mend what it links to"):
        run_ingest()


@pytest.mark.parametrize("links", [{"a": "a"}, {"a": "."}, {"a": ".", "b": "."}], ids=["itself", "folder", "two"])
def test_links_that_lead_back_end_at_once(source, run_ingest, links):
    for name, target in links.items():
        (source / name).symlink_to(source / target)
    start = time.monotonic()
    with pytest.raises(StoreRefused, match=r"Too many levels of symbolic links; .*remove the link that leads back"):
        run_ingest()
    assert time.monotonic() - start < 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["3.xml", "3.jpg"])
def test_file_without_permission_is_named(source, run_ingest, name):
    (source / name).chmod(0)
    with pytest.raises(StoreRefused, match=rf"/{name}: Permission denied; make the folder readable"):
        run_ingest()


def test_folder_with_the_name_of_an_annotation_is_a_folder(source, run_ingest):
    (source / "4.xml").mkdir()
    assert images_of(run_ingest()) == 4


def test_xml_that_is_nested_deeply_is_read_or_refused_quickly():
    deep = b"<annotation>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</annotation>"
    start = time.monotonic()
    assert parse_voc(deep, "a.xml").boxes == ()
    assert time.monotonic() - start < 20


def test_size_of_any_number_is_compared_not_trusted(source, run_ingest):
    (source / "0.xml").write_text(annotation("0.jpg").replace(">64<", ">1e300<"))
    assert run_ingest().counts == {"size_mismatch": 1}


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_picture_that_would_fill_the_memory_is_an_error_of_its_own(source, run_ingest):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)  # a few hundred kilobytes become 3.6 GB
    pixels = chunk(b"IDAT", zlib.compress(bytes(60_000)))
    (source / "0.jpg").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))
    with pytest.raises(InputError, match=r"0\.jpg: has more pixels than can be read"):
        run_ingest()
    assert run_ingest("drop").counts == {"image_too_large": 1}


def encode(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_damaged_header_is_a_broken_image_or_none_but_no_other_error(kind):
    rng = random.Random(kind)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x010E] = 6, 72.0, "a harbour"
    picture = Image.effect_noise((40, 30), 80).convert("RGB")
    whole = encode(picture, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    broken_count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(300):
            content = bytearray(whole)
            for _ in range(rng.randint(1, 5)):
                content[rng.randrange(min(len(whole), rng.choice((40, 300, len(whole)))))] = rng.randrange(256)
            try:
                read_picture(bytes(content))
            except BrokenImage:
                broken_count += 1
    assert broken_count
