import pytest

from services.cli.screen.event_lines import event_lines, finding_line


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        ({"file": "a.xml", "object": 2, "message": "no area"}, "a.xml: object 2: no area"),
        ({"file": "a.xml", "object": 2, "message": "object 2 has no area"}, "a.xml: object 2 has no area"),
        ({"file": "a.xml", "object": None, "message": "not XML"}, "a.xml: not XML"),
        ({"file": "", "object": None, "message": "label 'x' has no box"}, "label 'x' has no box"),
        (
            {"file": "a.xml", "object": 2, "message": "a.xml: object 2 ('x') ends at 7"},
            "a.xml: object 2 ('x') ends at 7",
        ),
    ],
)
def test_a_finding_names_its_file_once(finding, line):
    assert finding_line(finding) == line


def test_many_findings_are_counted_and_left_to_the_report():
    findings = [{"file": "a.xml", "message": "no area"}] * 11
    event = {"event": "findings", "counts": {"box_empty": 11}, "findings": findings, "notes": [], "report": "r.html"}
    assert event_lines(event) == ["  findings: 11 box_empty", "    all of them: r.html"]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "log", "level": "INFO", "stage": "train", "message": "hello"},
        {"event": "log", "level": "WARNING", "stage": "train", "message": "deprecated"},
        {"event": "stage_failed", "level": "ERROR", "stage": "train", "error": "x"},
        {"event": "findings", "level": "INFO", "stage": "ingest", "code": "box_empty"},
        {"event": "choices", "level": "INFO", "stage": "ingest"},
        {"event": "progress", "level": "INFO", "stage": "ingest", "done": "many"},
        {"event": "stage_ended", "level": "INFO", "stage": "train", "code": 0},
    ],
    ids=lambda event: event["event"],
)
def test_the_log_stays_off_the_screen(event):
    assert event_lines(event) == []


def test_choices_are_shown_with_their_reasons_and_keys_of_model_garden_as_they_are():
    choices = [
        {"field": "image_size", "value": 128, "reason": "as asked"},
        {"field": "task.train_data.parser.aug_rand_hflip", "value": False, "reason": "as asked"},
    ]
    assert event_lines({"event": "choices", "stage": "ingest", "choices": choices}) == [
        "  image size 128: as asked",
        "  task.train_data.parser.aug_rand_hflip false: as asked",
    ]


def test_an_error_of_a_library_is_shown():
    assert event_lines({"event": "log", "level": "ERROR", "stage": "train", "message": "oh"}) == ["train: ERROR: oh"]


def test_fields_of_a_pipeline_config_are_shown_with_their_counterparts():
    fields = [
        {"field": "ssd.num_classes", "value": "2", "outcome_text": "taken over", "reason": "two labels"},
        {"field": "eval_config.max_evals", "value": "10", "outcome_text": "replaced by 9", "reason": "each checkpoint"},
    ]
    event = {"event": "config", "stage": "ingest", "file": "training/a.config", "fault": "", "fields": fields}
    assert event_lines(event) == [
        "  training/a.config:",
        "    ssd.num_classes 2: taken over; two labels",
        "    eval_config.max_evals 10: replaced by 9; each checkpoint",
    ]


def test_a_pipeline_config_that_was_not_read_is_shown_with_the_reason():
    event = {"event": "config", "stage": "ingest", "file": "a.config", "fault": "is not text", "fields": []}
    assert event_lines(event) == ["  a.config: is not text"]
