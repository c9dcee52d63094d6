import io
import zipfile

import pytest

from slipway.errors import InputError
from slipway.unpack import ArchiveLimits, unpack
from tests.unit.cli.conftest import FILES, write_files

from services.cli.remote import zip_stream
from services.cli.remote.zip_stream import survey


@pytest.fixture
def ponds(tmp_path):
    return write_files(tmp_path / "My Ponds!", FILES)


def unzip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_archive_is_what_it_was_said_to_be(ponds):
    archive = survey(ponds)
    content = b"".join(archive.chunks())
    assert unzip(content) == FILES
    assert len(content) == archive.size


def test_the_same_files_make_the_same_archive_whenever_they_were_written(ponds, tmp_path):
    copy = write_files(tmp_path / "again", dict(reversed(FILES.items())))
    (copy / "a.xml").chmod(0o600)
    assert survey(copy).sha256 == survey(ponds).sha256


def test_parts_are_the_archive(ponds):
    archive = survey(ponds)
    parts = list(archive.parts(1000))
    assert [len(part) for part in parts[:-1]] == [1000] * (archive.size // 1000)
    assert b"".join(parts) == b"".join(archive.chunks())


def test_no_more_than_a_file_s_piece_is_held(ponds, monkeypatch):
    monkeypatch.setattr(zip_stream, "_CHUNK_BYTES", 100)
    assert max(len(chunk) for chunk in survey(ponds).chunks()) < 1000


def test_the_api_unpacks_what_is_sent(ponds, store):
    content = b"".join(survey(ponds).chunks())
    archive = unpack(io.BytesIO(content), len(content), store, "uploads/a", ArchiveLimits())
    assert {name: store.read(f"uploads/a/{name}") for name in FILES} == FILES
    assert (archive.files, archive.images, archive.skipped_files, archive.top) == (
        3,
        2,
        0,
        "",
    )


def test_hidden_files_stay_here(ponds):
    write_files(ponds, {".git/config": b"secret", "__MACOSX/a": b"", "images/.DS_Store": b""})
    assert sorted(survey(ponds).files) == sorted(FILES)


def test_a_file_that_changes_while_it_is_sent_is_told(ponds):
    archive = survey(ponds)
    (ponds / "a.xml").write_bytes(b"<annotations>")
    stream = bytearray()
    with pytest.raises(InputError, match="a file changed while it was sent"):
        for chunk in archive.chunks():
            stream += chunk
    assert len(stream) < archive.size  # the server never sees an end


def test_a_file_that_goes_while_it_is_sent_is_not_taken_for_the_networks_fault(ponds):
    archive = survey(ponds)
    (ponds / "a.xml").unlink()
    with pytest.raises(InputError, match=r"a\.xml: cannot be read") as error:
        list(archive.chunks())
    assert not isinstance(error.value, OSError)


def test_a_name_that_is_no_unicode_is_told(tmp_path):
    folder = write_files(tmp_path / "a", {"b\udcff.jpg": b""})
    with pytest.raises(InputError, match="is not UTF-8, as an archive needs; rename the file"):
        survey(folder)


@pytest.mark.parametrize(
    ("name", "says"), [("none", "no such folder"), ("empty", "no file in it"), ("file", "is a file; give")]
)
def test_a_folder_without_files_is_told(tmp_path, name, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=says):
        survey(tmp_path / name)
