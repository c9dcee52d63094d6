from services.cli.screen.console import PlainLines


def test_plain_lines_come_every_few_seconds_and_once_at_the_end(capsys, monkeypatch):
    lines = PlainLines()
    for moment, done in ((0.0, 1), (1.0, 2), (6.0, 3), (7.0, 4)):
        monkeypatch.setattr("time.monotonic", lambda moment=moment: moment)
        lines.show({"event": "progress", "stage": "ingest", "done": done, "total": 4, "unit": "images"})
    lines.show({"event": "stage_over", "stage": "ingest", "code": 0, "duration_sec": 7.0})
    lines_shown = [line.split(" ·")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines_shown == ["ingest: 1/4 images", "ingest: 3/4 images", "ingest: 4/4 images", "ingest: done in 7.0 s"]
