import json

from tests.unit.cli.conftest import slipway


def test_check_prints_splits_classes_and_findings(source, fake_stages, capsys):
    assert slipway("check", source, "--out", source.parent / "out") == 0
    out = capsys.readouterr().out
    assert "│ duck      │          3 │           7 │" in out
    assert "left out; nothing can be learnt from it" in out
    assert "e.g. a.xml: object 2: the box has no area" in out
    assert "│ warning  │ box_empty │ a.xml: object 2: the box has no area │" in out
    assert out.splitlines()[-1] == f"report: {source.parent}/out/datasets/ponds/0ff1ce/report.html"


def test_check_leaves_with_65_where_a_run_would_stop(source, fake_stages, capsys, monkeypatch):
    monkeypatch.setenv("FAKE_SEVERITY", "error")
    assert slipway("check", source, "--out", source.parent / "out") == 65
    assert "slipway run stops at findings of severity error" in capsys.readouterr().out
    assert slipway("check", source, "--out", source.parent / "out", "--invalid", "drop") == 0


def test_check_of_a_refused_source_prints_every_finding_and_then_the_reason(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("faults")
    assert slipway("check", source, "--out", source.parent / "out") == 65
    out, err = capsys.readouterr()
    assert any(line.rstrip() == "1 finding" for line in out.splitlines())
    assert "│ warning  │ box_empty │ a.xml: object 2: the box has no area │" in out
    assert err == "ingest failed: a.xml: the box has no area; dropped\nso no image is left\n"
    assert slipway("check", source, "--out", source.parent / "out", "--json") == 65
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["code"], [finding["code"] for finding in last["findings"]]) == (65, ["box_empty"])


def test_check_does_not_print_findings_of_an_earlier_try(source, fake_stages, capsys):
    (fake_stages / "services.ingest").write_text("faults\ninput")
    assert slipway("check", source, "--out", source.parent / "out") == 65
    assert "box_empty" in capsys.readouterr().out
    assert slipway("check", source, "--out", source.parent / "out") == 65
    out, err = capsys.readouterr()
    assert "box_empty" not in out
    assert err == "ingest failed: a.jpg: this is no image; remove it\n"
