"""The download of artifacts into a folder; it continues an interrupted one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from pydantic import RootModel, ValidationError
from urllib3 import BaseHTTPResponse

from slipway.errors import InputError
from slipway.retry import Patience
from slipway.store.file_errors import as_store_errors

from services.cli.remote.answers import ArtifactAnswer
from services.cli.remote.client import Api, Call, read_chunks, run_path
from services.cli.remote.errors import ApiRefused, ApiUnavailable
from services.cli.remote.private_files import write_private
from services.cli.screen.transfer_progress import ReportBytes, add_offset

ETAGS = ".slipway-etags.json"
_PARTIAL = ".partial"
_EVERY_BYTES = 1 << 20

# Path of an artifact → ETag of the version that its file has, or will have.
_Etags = RootModel[dict[str, str]]


@dataclass(frozen=True)
class Target:
    """The file for one artifact.

    Attributes:
      etag: ETag of the version that is in the folder, whole or in part; empty when there is none.
    """

    file: Path
    etag: str

    @property
    def partial(self) -> Path:
        return self.file.with_name(f".{self.file.name}{_PARTIAL}")

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of a request for the missing part."""
        if not self.etag:
            return {}
        if self.partial.exists():
            return {"Range": f"bytes={self.partial.stat().st_size}-", "If-Range": self.etag}
        return {"If-None-Match": self.etag} if self.file.exists() else {}


@dataclass(frozen=True)
class Download:
    """The download of one run's artifacts into a folder."""

    api: Api
    run: str
    out: Path

    def fetch_all(self, artifacts: Sequence[ArtifactAnswer], report: ReportBytes) -> None:
        """Fetch the artifacts, one by one."""
        done = 0
        for artifact in artifacts:
            self.fetch(artifact.path, add_offset(done, report))
            done += artifact.bytes
            report(done)

    def fetch(self, path: str, report: ReportBytes) -> None:
        """Fetch one artifact; after an interruption, continue with the next byte if the version is still the same."""
        file, patience = target_file(self.out, path), self.api.patience()
        while True:
            target = Target(file, self._etags().get(path, ""))
            try:
                self._request(path, target, patience, report)
                return
            except ApiUnavailable as failure:
                patience.wait(failure)
            except ApiRefused as error:
                if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not target.partial.exists():
                    raise
                target.partial.unlink()

    def _request(self, path: str, target: Target, patience: Patience, report: ReportBytes) -> None:
        address = run_path(self.run, f"/artifacts/{quote(path)}")
        with self.api.open(Call("GET", address, headers=target.request_headers)) as response:
            if response.status != HTTPStatus.NOT_MODIFIED:
                write_private(self.out / ETAGS, self._etags() | {path: response.headers.get("ETag", "")})
                _receive(response, target, patience, report)

    def _etags(self) -> dict[str, str]:
        try:
            return _Etags.model_validate_json((self.out / ETAGS).read_bytes()).root
        except (OSError, ValidationError):
            return {}


def target_file(out: Path, path: str) -> Path:
    """Return the file for an artifact, and make its folder.

    Raises:
      ApiRefused: The path leads out of the folder.
      InputError: A link in the folder leads out of it.
    """
    names = path.split("/")
    if any(name in ("", ".", "..") or "\\" in name or not name.isprintable() for name in names):
        raise ApiRefused(
            f"the server names an artifact {path!r}, which is not a path inside a folder; nothing was written"
        )
    if names in ([ETAGS], [f".{ETAGS}{_PARTIAL}"]):
        raise ApiRefused(f"the server names an artifact {path!r}, which is a name that this command uses itself")
    file = out.joinpath(*names)
    if not file.parent.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{file.parent}: a link leads out of {out}; remove it, or choose another folder with --out")
    with as_store_errors(str(file.parent)):
        file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _receive(response: BaseHTTPResponse, target: Target, patience: Patience, report: ReportBytes) -> None:
    is_rest = response.status == HTTPStatus.PARTIAL_CONTENT
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if is_rest else os.O_TRUNC)
    with as_store_errors(str(target.file)):
        with os.fdopen(os.open(target.partial, flags, 0o666), "ab") as file:
            count = last_report = file.tell()
            for chunk in read_chunks(response):
                file.write(chunk)
                count += len(chunk)
                patience.renew()
                if count - last_report >= _EVERY_BYTES:
                    last_report = count
                    report(count)
        size = _artifact_size(response)
        if size is not None and count != size:
            target.partial.unlink()
            raise ApiUnavailable(f"{target.file}: {count} bytes came, expected {size}")
        target.partial.replace(target.file)


def _artifact_size(response: BaseHTTPResponse) -> int | None:
    """Return the size of the whole artifact, from the answer's headers."""
    text = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None
