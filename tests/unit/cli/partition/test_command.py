import pytest

from tests.unit.cli.conftest import slipway


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(source, capsys):
    out = source.parent / "split"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert slipway("partition", source, out, "-r", "0.1", "-x") == 65
    assert "is not an empty folder; choose another, or remove it" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["", "images/split"], ids=["itself", "inside"])
def test_the_source_is_never_written_to(source, capsys, name):
    assert slipway("partition", source, source / name) == 65
    assert "which is never changed" in capsys.readouterr().err
    assert [path.name for path in source.iterdir()] == ["a.xml"]


def test_a_source_that_is_refused_leaves_no_folder(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("input")
    assert slipway("partition", source, source.parent / "split") == 65
    assert "ingest failed" in capsys.readouterr().err
    assert sorted(path.name for path in source.parent.iterdir() if "split" in path.name or "slipway" in path.name) == []
