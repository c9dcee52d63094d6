"""One finished run for every test that reads one: it takes a minute to make, so all workers of a session share it."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.fakes.harbour import draw
from tests.integration.command import SMALL, FinishedRun, digests, slipway


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that is the same for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def harbour(shared_folder: Path) -> Path:
    """A folder of 40 annotated images; nobody writes to it."""
    folder = shared_folder / "harbour"
    with locked(folder):
        if not folder.exists():
            draw(folder, 40, 3)
    return folder


@pytest.fixture(scope="session")
def finished(harbour: Path, shared_folder: Path) -> FinishedRun:
    """The run; the first worker that asks for it makes it, and tests only read it."""
    file = shared_folder / "finished.json"
    with locked(file):
        if not file.exists():
            file.write_text(json.dumps(asdict(finish_run(harbour, shared_folder / "out"))))
    return FinishedRun(**json.loads(file.read_text()))


def finish_run(source: Path, out: Path) -> FinishedRun:
    before = digests(source)
    words = ["run", str(source), "--out", str(out), "--steps", "60", "--checkpoint-every", "20", *SMALL]
    words += ["--test-ratio", "0.25"]
    done = slipway(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (out / "runs").iterdir()
    return FinishedRun(words, done.stdout, folder.name, before)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time make what is at a path."""
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
