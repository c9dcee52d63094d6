from tests.unit.cli.conftest import slipway


def test_check_prints_splits_classes_and_findings(source, fake_stages, capsys):
    assert slipway("check", source, "--out", source.parent / "out") == 0
    out = capsys.readouterr().out
    assert "│ duck      │          3 │           7 │" in out
    assert "a.xml: object 2: the box has no area" in out
    assert out.splitlines()[-1] == f"report: {source.parent}/out/datasets/ponds/0ff1ce/report.html"


def test_check_leaves_with_65_where_a_run_would_stop(source, fake_stages, capsys, monkeypatch):
    monkeypatch.setenv("FAKE_SEVERITY", "error")
    assert slipway("check", source, "--out", source.parent / "out") == 65
    assert "slipway run stops at findings of severity error" in capsys.readouterr().out
    assert slipway("check", source, "--out", source.parent / "out", "--invalid", "drop") == 0
