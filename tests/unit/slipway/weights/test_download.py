"""Archives from servers; neither is trusted."""

import gzip
import io
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.archives import BadArchive
from slipway.errors import InputError, TransientError
from slipway.weights import download as module
from slipway.weights.download import check_address, download, unpack_file


class Server(BaseHTTPRequestHandler):
    """Answers by the path of the request."""

    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/absent":
            self.send_error(404)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x" * 1000)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x")
                time.sleep(0.05)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"weights")

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def archive(path, *members):
    """Write a .tar.gz of names, or of entries with their content."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            entry = tarfile.TarInfo(member) if isinstance(member, str) else member
            entry.size = 4 if entry.isreg() else 0
            tar.addfile(entry, io.BytesIO(b"1234"))
    return path


def test_file_is_copied(server, tmp_path):
    download(f"{server}/weights", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"weights"


def test_redirect_is_followed_to_an_address_that_may_be_given(server, tmp_path):
    download(f"{server}/to/{server}/weights", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"weights"


@pytest.mark.parametrize("target", ["http://example.org/w.tar.gz", "ftp://127.0.0.1/w.tar.gz", "gopher://127.0.0.1/"])
def test_redirect_elsewhere_is_refused(server, tmp_path, target):
    with pytest.raises(InputError, match=r"is not encrypted, so anyone on the way could exchange the weights"):
        download(f"{server}/to/{target}", tmp_path / "file")


def test_redirects_end(server, tmp_path):
    with pytest.raises(InputError, match="302"):
        download(f"{server}/to/" * 8 + f"{server}/weights", tmp_path / "file")


@pytest.mark.parametrize("address", ["https://example.org/w.tar.gz", "http://localhost:9/w", "http://[::1]/w"])
def test_address_is_encrypted_or_of_this_machine(address):
    check_address(address)


@pytest.mark.parametrize("address", ["http://example.org/w.tar.gz", "ftp://localhost/w", "http://127.evil.org/w"])
def test_other_address_is_refused(address):
    with pytest.raises(InputError, match="use https://, or fetch the file and give its folder"):
        check_address(address)


def test_absent_file_is_the_users_fault_and_a_silent_server_is_not(server, tmp_path):
    with pytest.raises(InputError, match="the server says 404"):
        download(f"{server}/absent", tmp_path / "file")
    with pytest.raises(TransientError, match="try again"):
        download("http://127.0.0.1:9/weights.tar.gz", tmp_path / "file")


def test_endless_file_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    with pytest.raises(InputError, match="more than 10 kB"):
        download(f"{server}/endless", tmp_path / "file")


def test_slow_server_has_a_limit(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TRANSFER_SEC", 0.2)
    with pytest.raises(TransientError, match=r"\d B arrived in 0 s"):
        download(f"{server}/slow", tmp_path / "file")


def test_files_of_an_archive_are_written(tmp_path):
    unpack_file(archive(tmp_path / "w.tar.gz", "w/ckpt-1.index", "./w/ckpt-1.data-00000-of-00001"), tmp_path / "folder")
    assert (tmp_path / "folder" / "w" / "ckpt-1.index").read_bytes() == b"1234"
    assert len([path for path in (tmp_path / "folder").rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/../../outside", "a\\outside", "x" * 300])
def test_archive_cannot_write_outside_its_folder(tmp_path, name):
    with pytest.raises(BadArchive, match="is outside the archive's own folder, or is not a name of a file"):
        unpack_file(archive(tmp_path / "w.tar.gz", name), tmp_path / "folder")
    assert not list(tmp_path.rglob("outside"))


def test_archive_cannot_bring_a_link_or_a_device(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        entry = tarfile.TarInfo("ckpt-1.index")
        entry.type, entry.linkname = kind, "/etc/passwd"
        with pytest.raises(BadArchive, match=r"'ckpt-1\.index' is a (link|device)"):
            unpack_file(archive(tmp_path / "w.tar.gz", entry), tmp_path / "folder")


def test_archive_with_too_many_bytes_or_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    with pytest.raises(BadArchive, match="more than 2 entries"):
        unpack_file(archive(tmp_path / "w.tar.gz", "a", "b", "c"), tmp_path / "other")
    monkeypatch.setattr(module, "MAX_BYTES", 7)
    with pytest.raises(BadArchive, match="the archive holds more than 7 B"):
        unpack_file(archive(tmp_path / "w.tar.gz", "a", "b"), tmp_path / "folder")


def test_names_that_collide_are_refused(tmp_path):
    for names in (("a", "a"), ("a", "a/b"), ("a/b", "a")):
        with pytest.raises(BadArchive, match="is in the archive twice, or is a file and a folder"):
            unpack_file(archive(tmp_path / "w.tar.gz", *names), tmp_path / "-".join(names).replace("/", "_"))


def test_page_or_damage_instead_of_an_archive_is_named(tmp_path):
    (tmp_path / "page.tar.gz").write_text("<html>")
    with pytest.raises(BadArchive, match=r"neither a zip nor a tar\.gz"):
        unpack_file(tmp_path / "page.tar.gz", tmp_path / "folder")
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(bytes(2000))[:-4])
    with pytest.raises(BadArchive, match="damaged, or cut short"):
        unpack_file(tmp_path / "cut.tar.gz", tmp_path / "folder")
