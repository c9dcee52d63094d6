import threading
import time

import pytest

from slipway import keys
from tests.unit.cli.commands.conftest import finish
from tests.unit.cli.conftest import slipway

pytestmark = pytest.mark.usefixtures("logged_in")


def log(store, stage, member, text):
    store.write(keys.log("ponds", stage, 1, f"{member}-0-1700000000-7", 0), text.encode())


def test_logs_are_printed_stage_by_stage(ponds, store, capsys):
    log(store, "train", "train", "three\n")
    log(store, "ingest", "ingest", "one\x1b[2J\ntwo\n")
    capsys.readouterr()
    assert slipway("logs", "ponds") == 0
    assert capsys.readouterr().out == "one�[2J\ntwo\nthree\n"
    assert slipway("logs", "ponds", "--stage", "train") == 0
    assert capsys.readouterr().out == "three\n"


def test_an_unknown_stage_is_told_with_those_there_are(ponds, capsys):
    assert slipway("logs", "ponds", "--stage", "lunch") == 65
    assert "stage: " in (output := capsys.readouterr().err)
    assert "valid: ingest, preprocess, train, evaluate, export, detect" in output


def test_followed_logs_end_with_the_run(ponds, cluster, store, capsys):
    def work():
        for number in range(3):
            log(store, "ingest", "ingest", "".join(f"line {n}\n" for n in range(number + 1)))
            time.sleep(0.05)
        finish(cluster)

    thread = threading.Thread(target=work)
    capsys.readouterr()
    thread.start()
    assert slipway("logs", "ponds", "-f") == 0
    thread.join()
    assert capsys.readouterr().out == "line 0\nline 1\nline 2\n"
