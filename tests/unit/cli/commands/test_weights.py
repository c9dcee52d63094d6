import json
import tarfile

import pytest

from slipway.store.folder import FolderStore
from slipway.weights.stored import content_digest, find_kept
from tests.fakes.checkpoints import write_checkpoint
from tests.unit.cli.conftest import slipway


@pytest.fixture
def prefix(tmp_path):
    write_checkpoint(tmp_path / "My Weights" / "ckpt-5", {"backbone": [(3, 3)]})
    (tmp_path / "My Weights" / "notes.txt").write_text("private")
    return tmp_path / "My Weights" / "ckpt-5"


def test_pushed_weights_are_in_the_installation_under_their_name(logged_in, prefix, store, capsys):
    assert slipway("weights", "push", prefix.parent) == 0
    kept = find_kept(store, "my-weights")
    assert (kept.sha256, kept.user) == (content_digest(prefix), "crane")
    assert capsys.readouterr().out.splitlines()[-1].startswith("my-weights  ")
    assert [item.key.rpartition("/")[2] for item in store.scan("checkpoints/initial")] == [
        "ckpt-5.data-00000-of-00001",
        "ckpt-5.index",
    ]


def test_archive_is_sent_under_the_address_that_it_was_fetched_from(logged_in, prefix, store, tmp_path, capsys):
    with tarfile.open(tmp_path / "coco.tar.gz", "w:gz") as archive:
        archive.add(prefix.parent, "coco")
    address = "https://example.org/coco.tar.gz"
    assert slipway("weights", "push", tmp_path / "coco.tar.gz", "--address", address, "--json") == 0
    assert [item["address"] for item in json.loads(capsys.readouterr().out.splitlines()[-1])["weights"]] == [
        "coco",
        address,
    ]
    assert find_kept(store, address).sha256 == content_digest(prefix)


def test_weights_are_written_to_a_store_without_an_installation(prefix, tmp_path, capsys):
    assert slipway("weights", "push", prefix, "--name", "mine", "--store", tmp_path / "out") == 0
    assert find_kept(FolderStore(tmp_path / "out"), "mine").sha256 == content_digest(prefix)
    capsys.readouterr()
    assert slipway("weights", "list", "--store", tmp_path / "out") == 0
    assert capsys.readouterr().out.split()[0] == "mine"


def test_weights_of_the_installation_are_listed(logged_in, prefix, capsys):
    slipway("weights", "push", prefix, "--name", "b")
    slipway("weights", "push", prefix, "--name", "a")
    capsys.readouterr()
    assert slipway("weights", "list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("imagenet-efficientnet-lite0", "is in the image of every installation"),
        ("absent", r"absent: found no .index file"),
        ("http://example.org/w.tar.gz", "is not encrypted"),
    ],
)
def test_wrong_source_is_refused_before_anything_is_sent(logged_in, store, capsys, source, says):
    assert slipway("weights", "push", source) == 65
    assert says in capsys.readouterr().err
    assert list(store.scan()) == []


def test_name_that_means_other_weights_is_refused(logged_in, prefix, tmp_path, capsys):
    slipway("weights", "push", prefix, "--name", "mine")
    write_checkpoint(tmp_path / "other" / "ckpt-5", {"backbone": [(3, 3)]}, b"\1")
    assert slipway("weights", "push", tmp_path / "other", "--name", "mine") == 65
    assert "mine already means other weights" in capsys.readouterr().err
