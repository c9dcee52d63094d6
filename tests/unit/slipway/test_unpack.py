import gzip
import io
import random
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile

import pytest

from slipway.archives import BadArchive
from slipway.store.folder import FolderStore
from slipway.unpack import ArchiveLimits, file_key, unpack
from tests.unit.api.conftest import stored_keys

MIB = 1 << 20
PONDS = {"ponds/a.jpg": b"jpeg", "ponds/a.xml": b"<xml/>", "ponds/label_map.pbtxt": b"item {}"}


def make_zip(files, compression=zipfile.ZIP_DEFLATED):
    """Zip names, or `ZipInfo`s, and their contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is twice
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def make_tar(files, mode="w:gz", **changes):
    """Tar, and by default gzip, names and their contents, with the changes to each member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in changes.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_plain_tar(files, **changes):
    return make_tar(files, "w", **changes)


COMPRESSED = pytest.mark.parametrize("make", [make_zip, make_tar], ids=["zip", "tar.gz"])
MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar, make_plain_tar], ids=["zip", "tar.gz", "tar"])


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def call_unpack(store):
    """Unpack bytes below `uploads/1`, with the limits changed as given."""

    def call(content, **limits):
        return unpack(io.BytesIO(content), len(content), store, "uploads/1", ArchiveLimits(**limits))

    return call


@pytest.fixture
def refuse(store, call_unpack):
    """Return what is said of an archive that is not taken."""

    def call(content, **limits):
        with pytest.raises(BadArchive) as error:
            call_unpack(content, **limits)
        return str(error.value)

    return call


@MAKERS
def test_files_are_written_as_they_are_named(make, store, call_unpack):
    result = call_unpack(make(PONDS))
    assert stored_keys(store) == ["uploads/1/ponds/a.jpg", "uploads/1/ponds/a.xml", "uploads/1/ponds/label_map.pbtxt"]
    assert store.read("uploads/1/ponds/a.jpg") == b"jpeg"
    assert (result.files, result.images, result.bytes, result.skipped_files, result.top) == (3, 1, 17, 0, "ponds")


@MAKERS
@pytest.mark.parametrize(
    ("names", "top"),
    [
        (["ponds/a.jpg", "ponds/deep/b.jpg"], "ponds"),
        (["train/a.jpg", "test/b.jpg"], ""),
        (["a.jpg"], ""),
        (["ponds/a.jpg", "readme.txt"], ""),
        (["./ponds/a.jpg", "ponds//b.jpg"], "ponds"),
        (["ponds/a.jpg", "__MACOSX/ponds/._a.jpg", ".DS_Store"], "ponds"),
    ],
)
def test_the_one_top_folder_is_told(make, names, top, call_unpack):
    assert call_unpack(make(dict.fromkeys(names, b"1"))).top == top


@MAKERS
def test_what_other_systems_leave_behind_is_skipped_and_counted(make, store, call_unpack):
    noise = ["__MACOSX/._a.jpg", "ponds/.DS_Store", "ponds/Thumbs.db", ".git/config"]
    result = call_unpack(make({**PONDS, **dict.fromkeys(noise, b"noise")}))
    assert (result.files, result.skipped_files, result.bytes) == (3, 4, 17)
    assert len(stored_keys(store)) == 3


def test_empty_folders_are_no_files(store, call_unpack):
    call_unpack(make_zip({"ponds/": b"", "ponds/empty/": b"", "ponds/a.jpg": b"1"}))
    assert stored_keys(store) == ["uploads/1/ponds/a.jpg"]


def test_stored_and_empty_files_are_taken(store, call_unpack):
    call_unpack(make_zip({"a.txt": b"", "b.jpg": b"1" * MIB}, zipfile.ZIP_STORED))
    assert [store.stat(f"uploads/1/{name}").size for name in ("a.txt", "b.jpg")] == [0, MIB]


def test_names_in_utf8_are_read_as_that_even_where_the_zip_does_not_say_so(store, call_unpack):
    content = make_zip({"h\u00e4fen/schiff.jpg": b"1"})
    assert content.count("häfen".encode()) == 2
    call_unpack(content.replace(b"\x00\x08", b"\x00\x00", 1).replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00"))
    assert stored_keys(store) == ["uploads/1/häfen/schiff.jpg"]


@MAKERS
def test_many_files_go_through_in_batches(make, store, call_unpack):
    assert call_unpack(make({f"{number}.jpg": b"%d" % number for number in range(600)})).files == 600
    assert store.read("uploads/1/599.jpg") == b"599"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "is absolute"),
        ("C:/windows/system32", "is absolute"),
        ("c:evil", "is absolute"),
        ("../../etc/passwd", "leads out of its folder"),
        ("ponds/../../a", "leads out of its folder"),
        ("..", "leads out of its folder"),
        ("ponds\\..\\a.jpg", "has a backslash"),
        ("ponds/a\nb.jpg", "has a control character"),
        ("ponds/a\0.jpg", "has a control character"),
        ("caf\udce9.jpg", "is not UTF-8"),
        ("a" * 256, "has 256 bytes"),
        ("/".join(["a" * 100] * 8), "has 807 bytes"),
        ("/".join("a" * 22), "is 21 folders deep"),
    ],
)
def test_a_name_is_refused_that(name, message):
    with pytest.raises(BadArchive, match=message):
        file_key(name, ArchiveLimits())


@MAKERS
@pytest.mark.parametrize("name", ["/etc/passwd", "../a.jpg", "ponds/../../a.jpg", "C:/a.jpg", "a\\b.jpg"])
def test_nothing_is_written_outside_of_the_prefix(make, name, refuse, tmp_path):
    refuse(make({name: b"1"}))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_name_in_another_encoding_is_refused_in_a_zip(refuse):
    content = make_zip({"cafe.jpg": b"1"}).replace(b"cafe.jpg", b"caf\xe9.jpg")
    assert "is not UTF-8; rename the file" in refuse(content)


def test_a_name_in_another_encoding_is_refused_in_a_tar(refuse):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("café.jpg"))
    assert "is not UTF-8; rename the file" in refuse(buffer.getvalue())


def test_a_zip_name_is_read_to_its_end_past_a_nul(refuse):
    content = make_zip({"ponds_a.jpg": b"1"}).replace(b"ponds_a.jpg", b"ponds\0a.jpg")
    assert "has a control character" in refuse(content)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device"), (stat.S_IFIFO, "is a device")],
    ids=["link", "device", "pipe"],
)
def test_no_file_of_a_zip_is_refused(kind, message, refuse):
    info = zipfile.ZipInfo("ponds/a.jpg")
    info.external_attr = (kind | 0o777) << 16
    assert message in refuse(make_zip([(info, b"/etc/passwd")]))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device"),
        (b"Z", "is a device"),
    ],
    ids=["symlink", "hardlink", "character", "block", "pipe", "unknown"],
)
def test_no_file_of_a_tar_is_refused(kind, message, refuse):
    assert message in refuse(make_tar({"ponds/a.jpg": b""}, type=kind, linkname="/etc/passwd"))


def test_a_sparse_file_of_a_tar_is_refused(refuse):
    sparse = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000", "GNU.sparse.name": "a.jpg"}
    assert "is a sparse file" in refuse(make_tar({"ponds/a.jpg": b"1"}, pax_headers=sparse))


@MAKERS
def test_a_file_that_comes_twice_is_refused(make, refuse):
    assert "'a.jpg' is in the archive twice" in refuse(make([("a.jpg", b"1"), ("a.jpg", b"2")]))


@MAKERS
def test_the_same_file_by_another_spelling_is_refused(make, refuse):
    assert "'p/a.jpg' is in the archive twice" in refuse(make([("p/a.jpg", b"1"), ("p/./a.jpg", b"2")]))


@MAKERS
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_a_folder_as_well_is_refused(make, names, refuse):
    assert "a folder that is a file as well" in refuse(make([(name, b"1") for name in names]))


@MAKERS
def test_names_that_differ_by_case_are_two_files(make, call_unpack):
    assert call_unpack(make({"IMG_1.jpg": b"1", "IMG_1.JPG": b"2"})).files == 2


def test_an_encrypted_file_is_refused(refuse):
    content = bytearray(make_zip({"a.jpg": b"1"}))
    content[6] |= 1  # flag of the local header
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "'a.jpg' is encrypted; make the archive without a password" in refuse(bytes(content))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_compression_is_refused(method, refuse):
    assert f"is compressed by method {method}; make the archive with deflate" in refuse(make_zip({"a": b"1"}, method))


@COMPRESSED
def test_no_archive_is_refused_when_it_holds_nothing(make, refuse):
    assert "holds no file" in refuse(make({}))


@MAKERS
def test_noise_alone_is_nothing(make, refuse):
    assert "holds no file" in refuse(make({".DS_Store": b"1"}))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x89PNG....", b"Rar!\x1a\x07", b"ustar" * 200])
def test_another_format_is_refused(content, refuse):
    assert "send a zip or a tar.gz" in refuse(content) or "neither a zip nor a tar.gz" in refuse(content)


@COMPRESSED
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_archive_is_refused(make, share, refuse):
    whole = make({f"{number}.jpg": random.Random(number).randbytes(5000) for number in range(20)})
    cut = whole[: max(4, int(len(whole) * share))]
    assert "is damaged, or cut short" in refuse(cut)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_tar_is_refused(share, refuse):
    whole = make_plain_tar({f"{number}.jpg": random.Random(number).randbytes(5000) for number in range(20)})
    assert "cut short" in refuse(whole[: int(len(whole) * share)])


def test_a_tar_that_was_cut_before_it_was_compressed_is_refused(refuse):
    plain = gzip.decompress(make_tar({"a.jpg": b"1", "b.jpg": b"2"}))
    assert "cut short" in refuse(gzip.compress(plain[:1024]))  # header and content of the first
    assert "cut short" in refuse(gzip.compress(plain[:700]))


def test_a_wrong_checksum_of_a_zip_is_refused(refuse):
    content = make_zip({"a.jpg": b"these are the bytes"}, zipfile.ZIP_STORED)
    assert "Bad CRC-32 for file 'a.jpg'" in refuse(content.replace(b"the bytes", b"XXX bytes"))


def test_a_wrong_checksum_of_a_tar_is_refused(refuse):
    content = bytearray(make_tar({"a.jpg": b"1"}))
    content[-6] ^= 0xFF
    assert "CRC check failed" in refuse(bytes(content))


def test_more_entries_than_allowed_are_refused(refuse):
    files = {f"{number}.jpg": b"" for number in range(11)}
    assert "more than 10 entries" in refuse(make_zip(files), entries=10)
    assert "more than 10 entries" in refuse(make_tar(files), entries=10)


def test_a_zips_long_directory_is_refused_before_it_takes_memory(refuse):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(100_001):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    content = buffer.getvalue()
    tracemalloc.start()
    assert "more than 100,000 entries" in refuse(content)
    assert "more than 10,000 entries" in refuse(content, entries=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MIB


@MAKERS
def test_a_file_that_is_too_large_is_refused(make, refuse):
    assert "'a.jpg' has more than 1,000 bytes" in refuse(make({"a.jpg": b"1" * 1001}), file_bytes=1000)


@MAKERS
def test_files_that_are_too_much_together_are_refused(make, refuse):
    files = {f"{number}.jpg": b"1" * 400 for number in range(3)}
    assert "holds more than 1,000 bytes" in refuse(make(files), total_bytes=1000)


@COMPRESSED
def test_a_bomb_is_refused_in_little_memory(make, refuse):
    content = make({f"{number}.jpg": bytes(32 * MIB) for number in range(5)})
    assert len(content) < MIB
    tracemalloc.start()
    assert "holds more than 67,108,864 bytes, as much as is taken of one of its size" in refuse(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * MIB


def test_a_zip_that_lies_about_a_size_is_refused(refuse):
    content = bytearray(make_zip({"a.jpg": bytes(10 * MIB)}))
    struct.pack_into("<L", content, content.index(b"PK\1\2") + 24, 10)
    assert "is damaged" in refuse(bytes(content))


def test_files_of_a_zip_that_overlap_are_refused(refuse):
    content = bytearray(make_zip({"a.jpg": b"1" * 9, "b.jpg": b"1" * 9}, zipfile.ZIP_STORED))
    second = content.rindex(b"PK\1\2")
    content[second : second + 51] = content[content.index(b"PK\1\2") :][:51]  # both are the first
    content[second + 46] = ord("b")
    assert "overlaps another file" in refuse(bytes(content))


def test_a_header_of_a_tar_that_never_ends_is_refused_in_little_memory(refuse):
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 200 * MIB
    content = gzip.compress(long.tobuf(tarfile.GNU_FORMAT) + b"a" * long.size, compresslevel=1)
    tracemalloc.start()
    assert "bytes between two files" in refuse(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_tar_that_claims_a_size_without_end_is_refused_soon(refuse):
    for name in ("a.jpg", ".DS_Store", "a/", ".", ""):
        assert refuse(make_tar({name: b""}, pax_headers={"size": "9" * 23}))


@MAKERS
@pytest.mark.parametrize("name", [".", "./."])
def test_a_file_without_a_name_is_refused(make, name, refuse):
    assert "which is not a name" in refuse(make({name: b"1"}))


def test_what_follows_the_end_of_a_tar_without_end_is_refused(refuse):
    plain = gzip.decompress(make_tar({"a.jpg": b"1"}))
    assert "bytes between two files" in refuse(gzip.compress(plain + bytes(2 * MIB)))


def test_the_nested_archive_is_a_file_like_any_other(store, call_unpack):
    call_unpack(make_zip({"inner.zip": make_zip({"a.jpg": b"1"})}))
    assert stored_keys(store) == ["uploads/1/inner.zip"]


@MAKERS
def test_whatever_is_changed_in_an_archive_is_taken_or_refused_by_name(make, tmp_path):
    whole = make({f"ponds/{number}.jpg": b"%d" % number * 50 for number in range(5)})
    chance = random.Random(7)
    outcomes = set()
    for number in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            unpack(io.BytesIO(bytes(content)), len(content), FolderStore(tmp_path), f"{number}", ArchiveLimits())
            outcomes.add("taken")
        except BadArchive:
            outcomes.add("refused")
    assert outcomes == {"taken", "refused"}
