"""Names of image formats that cannot be read, so that a message can say more than their first bytes."""

# First bytes of a file, or those behind the four of its first box's length.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"ftypheic", "HEIC"),
    (b"ftypheix", "HEIC"),
    (b"ftyphevc", "HEIC"),
    (b"ftypheim", "HEIC"),
    (b"ftypheis", "HEIC"),
    (b"ftypmif1", "HEIF"),
    (b"ftypmsf1", "HEIF"),
    (b"ftypavi", "AVIF"),
    (b"ftypcrx", "a raw file of a camera (CR3)"),
    (b"ftyp", "a video"),
    (b"jP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"JXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"<svg", "SVG"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
)
# Files of cameras are TIFF files whose first picture is a small preview, so their content does not tell.
_RAW_SUFFIXES = frozenset({".cr2", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"})
UNREADABLE_SUFFIXES = _RAW_SUFFIXES | {".heic", ".heif", ".hif", ".cr3", ".jp2", ".j2k", ".jxl", ".psd", ".svg"}


def describe_unreadable(content: bytes) -> str:
    """Describe the format of a file, or its first bytes, and the step to take."""
    beginnings = (content[:32].lstrip().lower(), content[4:32].lower())
    for beginning, name in _BEGINNINGS:
        if any(text.startswith(beginning.lower()) for text in beginnings):
            return f"is {name}, which cannot be read: save it as JPEG or PNG"
    return f"is not an image that can be read; it begins with {content[:16]!r}"
