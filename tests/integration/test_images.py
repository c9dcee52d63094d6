"""Images that ingest stores, compared with what TensorFlow decodes."""

import io
import random
import struct
import warnings
import zlib

import pytest
from PIL import Image

from services.ingest.images import BrokenImage
from services.ingest.images.png import SIGNATURE, read_png
from services.ingest.repair import read_picture


def encode(mode, kind, **options):
    out = io.BytesIO()
    Image.effect_noise((80, 60), 60).convert(mode).save(out, kind, **options)
    return out.getvalue()


def damage_png(content, rng):
    """Repeat, lose or change a chunk, with the right checksum."""
    parts = [content[chunk.start + 4 : chunk.end - 4] for chunk in read_png(content).chunks]
    index = rng.randrange(len(parts))
    match rng.choice(("repeated", "lost", "bytes", "data")):
        case "repeated":
            parts.insert(index, parts[rng.randrange(len(parts))])
        case "lost":
            del parts[index]
        case "bytes":
            parts[index] = parts[index][:4] + damage(parts[index][4:] or b"?", rng)
        case "data":
            rows = zlib.decompress(b"".join(part[4:] for part in parts if part[:4] == b"IDAT"))
            rows = rows[: rng.randrange(len(rows))] if rng.random() < 0.5 else rows + bytes(rng.randrange(500))
            parts = [part for part in parts if part[:4] not in (b"IDAT", b"IEND")]
            parts += [b"IDAT" + zlib.compress(rows), b"IEND"]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def damage(content, rng):
    """Change a few bytes, of the header more often than of the rest, or lose or blank a part."""
    damaged = bytearray(content)
    start = rng.randrange(len(content))
    match rng.choice(("bytes", "bytes", "lost", "zeros", "end")):
        case "bytes":
            for _ in range(rng.randint(1, 4)):
                damaged[rng.randrange(min(rng.choice((40, 700, 99_999)), len(content)))] = rng.randrange(256)
        case "lost":
            del damaged[start : start + 100]
        case "zeros":
            damaged[start : start + 100] = bytes(len(damaged[start : start + 100]))
        case "end":
            damaged[start:] = bytes(len(content) - start)
    return bytes(damaged)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encode("RGB", "JPEG"), id="jpeg"),
        pytest.param(encode("RGB", "JPEG", progressive=True), id="progressive"),
        pytest.param(encode("CMYK", "JPEG"), id="cmyk"),
        pytest.param(encode("L", "JPEG", restart_marker_blocks=2), id="grey"),
        pytest.param(encode("RGB", "PNG"), id="png"),
        pytest.param(encode("P", "PNG"), id="palette"),
        pytest.param(encode("LA", "PNG"), id="transparent"),
    ],
)
def test_whatever_ingest_stores_is_decoded_by_training(content):
    import tensorflow as tf

    rng, stored_count = random.Random(0), 0
    damage_file = damage_png if content.startswith(SIGNATURE) else damage
    for _ in range(150):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                stored_content = read_picture(damage_file(content, rng)).content
            except BrokenImage:
                continue
        stored_count += 1
        tf.io.decode_image(stored_content, channels=3, expand_animations=False)
    assert stored_count
