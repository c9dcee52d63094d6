import json
import sys

import pytest

from slipway import keys
from slipway.errors import EXIT_DONE, EXIT_INPUT
from tests.unit.cli.conftest import slipway

from services.cli.commands import tensorboard as command

EVENTS = {"train/events.out.tfevents.17.a": b"loss", "evaluate/events.out.tfevents.18.b": b"AP"}


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Stand in for TensorBoard; return a function that reads the options it was started with."""
    file = tmp_path / "options.json"
    program = f"import json, pathlib, sys; pathlib.Path({str(file)!r}).write_text(json.dumps(sys.argv[1:]))"
    monkeypatch.setattr(command, "command_line", lambda: [sys.executable, "-c", program])
    monkeypatch.chdir(tmp_path)

    def read():
        words = json.loads(file.read_text())
        return dict(zip(words[::2], words[1::2], strict=True))

    return read


@pytest.fixture
def ponds(logged_in, store, cluster):
    """A run of an installation's, in the middle of its training."""
    cluster.create({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "s3://photos/ponds"}}})
    for path, content in {**EVENTS, "train/ckpt-100.index": b"weights"}.items():
        store.write(f"{keys.run_folder('ponds')}/{path}", content)


def test_without_a_name_all_runs_are_shown_to_this_machine_alone(options, tmp_path):
    (tmp_path / "slipway-out/runs/walk").mkdir(parents=True)
    assert slipway("tensorboard", "--port", 7007) == EXIT_DONE
    assert options()["--logdir"] == "slipway-out/runs"
    assert (options()["--host"], options()["--port"]) == ("127.0.0.1", "7007")


def test_a_run_is_found_in_out(options, tmp_path):
    (tmp_path / "elsewhere/runs/walk").mkdir(parents=True)
    assert slipway("tensorboard", "walk", "--out", "elsewhere") == EXIT_DONE
    assert options()["--logdir"] == "elsewhere/runs/walk"


def test_any_folder_can_be_shown(options, tmp_path):
    (tmp_path / "some/events").mkdir(parents=True)
    assert slipway("tensorboard", "some/events") == EXIT_DONE
    assert options()["--logdir"] == "some/events"


def test_of_an_installations_run_the_event_files_alone_are_fetched(options, tmp_path, ponds, capsys):
    assert slipway("tensorboard", "ponds") == EXIT_DONE
    folder = tmp_path / "slipway-out/fetched/ponds"
    assert options()["--logdir"] == "slipway-out/fetched/ponds"
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/*")}
    assert contents == EVENTS
    assert "kubectl port-forward service/slipway-tensorboard 6006" in capsys.readouterr().out


def test_called_again_it_fetches_what_is_new(options, tmp_path, ponds, store):
    slipway("tensorboard", "ponds")
    store.write(f"{keys.run_folder('ponds')}/train/events.out.tfevents.17.a", b"loss, and more of it")
    slipway("tensorboard", "ponds")
    file = tmp_path / "slipway-out/fetched/ponds/train/events.out.tfevents.17.a"
    assert file.read_bytes() == b"loss, and more of it"


def test_an_installations_run_that_has_not_trained_is_told(options, ponds, cluster, capsys):
    cluster.create({"metadata": {"name": "reeds"}, "spec": {"dataset": {"source": "s3://photos/reeds"}}})
    assert slipway("tensorboard", "reeds") == EXIT_INPUT
    assert "run reeds has no event files" in capsys.readouterr().err


def test_a_run_that_is_nowhere_says_where_it_was_looked_for(options, capsys):
    assert slipway("tensorboard", "walk") == EXIT_INPUT
    output = capsys.readouterr().err
    assert "walk: no such folder or run (walk, slipway-out/runs/walk)" in output
    assert "log in with `slipway login URL`" in output


@pytest.mark.parametrize("name", ["../walk", "no/where", "."])
def test_a_path_is_never_a_runs_name(options, ponds, tmp_path, name, monkeypatch):
    monkeypatch.setattr(command, "fetch_events", lambda *_: pytest.fail("asked an installation"))
    assert slipway("tensorboard", name) == (EXIT_DONE if name == "." else EXIT_INPUT)


def test_without_tensorboard_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert slipway("tensorboard") == EXIT_INPUT
    assert "pip install tensorboard" in capsys.readouterr().err


def test_a_tensorboard_that_fails_fails_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "command_line", lambda: [sys.executable, "-c", "raise SystemExit(255)"])
    assert slipway("tensorboard", tmp_path) == EXIT_INPUT
