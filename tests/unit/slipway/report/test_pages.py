"""The pages are parsed as a browser would, and read for the words a person looks for."""

import math
import re
from html.parser import HTMLParser

import pytest

from slipway.artifacts.dataset import ComparedConfig, ConfigField, DataReport, Finding
from slipway.artifacts.evaluation import BestCheckpoint, CocoMetrics, Curve, MeasuredRow
from slipway.artifacts.training import ProgressLine
from slipway.report.error_section import Rectangle
from slipway.report.finding_section import FindingPicture
from slipway.report.pages import RunReport, SamplePictures, data_report, run_report, score
from tests.fakes.plans import small_plan
from tests.unit.slipway.report.test_error_section import analysis, wrong_class

INJECTION = '"><script src="http://evil.example/x.js"></script><img src=x onerror=alert(1)>.jpg'
DATA = {
    "name": "raccoon",
    "sha256": "9f2c",
    "labels": ["raccoon", "fox"],
    "splits": {
        "train": {"images": 160, "boxes": 173, "per_class": {"raccoon": 173}},
        "test": {"images": 73, "boxes": 81, "per_class": {"raccoon": 80, "fox": 1}},
    },
}
EMPTY = {"name": "raccoon", "splits": {}}
METRICS = {"AP": 0.54, "AP50": 0.87, "AP75": 0.6, "APs": -1.0, "ARmax100": 0.62}
BEST = {"step": 1800, "split": "test", "metrics": METRICS, "chosen_on": "test", "note": "Chosen on test."}

RATES = {"precision": 0.9, "recall": 0.8, "f1": 0.847}
NO_RATES = dict.fromkeys(RATES, -1.0)
POINTS = {
    "split": "val",
    "overall": {"threshold": 0.35, **RATES},
    "per_class": [
        {"label": "raccoon", "boxes": 160, "threshold": 0.51, "precision": 0.92, "recall": 0.88, "f1": 0.9},
        {"label": "fox", "boxes": 0, "is_overall": True, "threshold": 0.35, **NO_RATES},
    ],
    "reported": RATES,
}


class Page(HTMLParser):
    """Collects tags with their attributes, and text without tags, as a browser sees them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def run(**parts):
    """Write the page of a run whose parts are given as they are stored."""
    return run_report(RunReport(name="raccoon-7", **parts))


def data(**parts):
    return DataReport.model_validate(DATA | parts)


def best(**parts):
    return BestCheckpoint.model_validate(BEST | parts)


def rows(split, *steps):
    metrics = CocoMetrics(AP=0.5, AP50=0.5, AP75=0.5)
    return [MeasuredRow.of(step, split, 1.5, metrics) for step in steps]


def finding(code, severity="warning", file="a.xml"):
    return {"code": code, "severity": severity, "file": file, "object": 0, "message": "is empty", "action": "dropped"}


def hostile_run():
    curve = Curve(recall=(0, 1), precision=(1, 0.5))
    scores = [{"label": INJECTION, "AP": 0.5, "AP50": 0.5, "images": 1, "boxes": 1}]
    points = POINTS | {"split": INJECTION, "per_class": [POINTS["per_class"][0] | {"label": INJECTION}]}
    choices = small_plan(preset=INJECTION, reasons={"preset": INJECTION})
    return RunReport(
        name=INJECTION,
        data=data(labels=[INJECTION], notes=[INJECTION], findings=[finding(INJECTION, file=INJECTION)]),
        plan=choices,
        metrics=rows(INJECTION, 1800),
        best=best(note=INJECTION, split=INJECTION, chosen_on=INJECTION, per_class=scores, operating_points=points),
        curves={INJECTION: curve} | {f"{INJECTION}{i}": curve for i in range(9)},
        samples=[SamplePictures(INJECTION, b"jpeg", b"jpeg", INJECTION)],
        errors=analysis([INJECTION, "fox"]),
        failures=[wrong_class(INJECTION, "fox", filename=INJECTION)],
        lineage={INJECTION: INJECTION},
        durations={INJECTION: 1.0},
        usage=[INJECTION],
        caveats=[INJECTION],
    )


def test_result_is_one_sentence_at_the_top():
    page = Page(run(data=data(), best=best()))
    assert "raccoon-7 AP50 0.87, AP 0.54 on 73 test images (best checkpoint, step 1,800)" in page.text


def test_intervals_stand_beside_ap_and_ap50_over_all_and_of_each_class():
    intervals = {"AP": {"low": 0.49, "high": 0.58}, "AP50": {"low": 0.83, "high": 0.9}}
    scores = [{"label": "fox", "AP": 0.5, "AP50": 0.8, "images": 40, "boxes": 41, "intervals": intervals}]
    text = Page(run(data=data(), best=best(images=73, intervals=intervals, per_class=scores))).text
    assert "AP50 0.87 (0.83 to 0.90), AP 0.54 (0.49 to 0.58) on 73 test images" in text
    assert "0.83 to 0.90 · IoU at least 0.5" in text
    assert "AP mean over IoU 0.50 to 0.95 0.54 (0.49 to 0.58)" in text
    assert "fox 0.50 (0.49 to 0.58) 0.80 (0.83 to 0.90) 40 41" in text
    assert "in 95 of 100 cases; from the spread over 73 test images" in text
    assert "95 of 100" not in Page(run(best=best())).text


def test_caveats_stand_before_the_first_section_and_only_once():
    html = run(best=best(), caveats=["Chosen on test.", "Few images."])
    assert html.count("Chosen on test.") == 1
    assert html.index("Few images.") < html.index("<section>")


def test_a_model_below_half_of_ap50_is_called_unreliable_before_anything_else():
    html = run(best=best(metrics={"AP": 0.1, "AP50": 0.31}), caveats=["Few images."])
    assert html.index("AP50 is 0.31, below 0.5: do not rely on this detector") < html.index("Few images.")
    assert "do not rely" not in run(best=best())


def test_thresholds_are_listed_with_their_rates_and_the_split_that_chose_them():
    text = Page(run(best=best(operating_points=POINTS))).text
    assert "With the score thresholds of the best F1 on val: precision 0.90, recall 0.80, F1 0.85 on test." in text
    assert "class score threshold precision recall F1 boxes in val" in text
    assert (
        "raccoon 0.510 0.92 0.88 0.90 160 fox 0.350* no boxes 0 all, with one threshold 0.350 0.90 0.80 0.85 160"
        in text
    )
    assert "the class has fewer than 10 boxes there, or none of them was found" in text
    assert "of its run file instead" not in text


def test_thresholds_that_the_detections_of_the_page_do_not_have_are_told_apart():
    text = Page(run(best=best(operating_points=POINTS), requested_threshold=0.2)).text
    assert "The detections of this run have the score threshold of its run file instead, 0.2." in text


def test_a_run_of_an_older_version_has_no_thresholds():
    assert "Score thresholds" not in Page(run(best=best())).text


def test_empty_run_is_a_page():
    assert "No checkpoint was measured." in Page(run()).text


@pytest.mark.parametrize(
    "scores", [{"AP": -1, "AP50": -1}, {"AP": math.nan, "AP50": math.nan}, {}], ids=["minus-one", "nan", "absent"]
)
def test_class_without_boxes_says_no_boxes(scores):
    html = run(best=best(per_class=[{"label": "fox", **scores, "images": 0, "boxes": 0}]))
    assert "fox no boxes 0 0" in Page(html).text
    assert "nan" not in html


def test_classes_are_ordered_by_ap():
    scores = [{"label": label, "AP": ap, "AP50": ap} for label, ap in [("a", 0.1), ("b", -1), ("c", 0.0), ("d", 0.9)]]
    text = Page(run(best=best(per_class=scores))).text
    assert re.findall(r" ([abcd]) (?=0\.|no boxes)", text) == ["d", "a", "c", "b"]


def test_nothing_from_a_dataset_becomes_markup():
    page = Page(run_report(hostile_run()))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert INJECTION in page.text


def test_pages_reference_nothing_outside_themselves():
    for html in (run_report(hostile_run()), data_report(data())):
        page = Page(html)
        sources = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "xlink:href") if name in attrs]
        assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
        assert not {"link", "iframe", "object", "base", "form", "script"} & {tag for tag, _ in page.tags}
        assert "url(" not in html and "@import" not in html
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in page.tags


def test_samples_are_embedded_in_pairs():
    page = Page(run(samples=[SamplePictures("a.jpg", b"truth", b"found", "1 of 1 found")]))
    assert [attrs["src"] for tag, attrs in page.tags if tag == "img"] == [
        "data:image/jpeg;base64,dHJ1dGg=",
        "data:image/jpeg;base64,Zm91bmQ=",
    ]


def test_name_that_is_no_unicode_can_be_written():
    html = data_report(data(name="caf\udce9"))
    assert "caf?" in html.encode().decode()


def test_data_page_counts_images_boxes_classes_and_findings():
    text = Page(data_report(data())).text
    assert "233 images, 254 boxes, 2 classes, 0 findings" in text
    assert "raccoon 253 173 80 fox 1 none 1" in text
    assert "Nothing wrong was found." in text


def test_an_empty_dataset_is_a_page():
    report = DataReport.model_validate(EMPTY)
    assert "0 images, 0 boxes, 0 classes, 0 findings" in Page(data_report(report)).text


def test_thousands_of_findings_show_200_rows_and_every_count():
    findings = [finding("box_empty")] * 3000 + [finding("image_unreadable", "error")] * 5
    html = data_report(data(findings=findings, counts={"box_empty": 4000, "image_unreadable": 5}))
    assert html.count('<td class="file">') == 200
    text = Page(html).text
    assert "195 of 4,000 shown." in text
    assert text.index("image unreadable 5") < text.index("box empty 4,000")


def test_data_page_has_a_table_of_kinds_with_their_effects_and_pictures_of_the_worst():
    picture = FindingPicture(
        Finding("box_empty", "warning", INJECTION, 0, INJECTION, ""), b"jpeg", Rectangle(1, 2, 3, 4)
    )
    html = data_report(data(findings=[finding("box_empty")], counts={"box_empty": 4000}), [picture])
    assert "warning box empty 4,000 left out; nothing can be learnt from it a.xml: is empty" in Page(html).text
    assert '<img src="data:image/jpeg;base64,anBlZw=="' in html
    assert 'style="left:1.0%;top:2.0%;width:3.0%;height:4.0%"' in html
    assert INJECTION not in html


def test_action_is_said_once_where_all_findings_of_a_code_share_it():
    same = [finding("box_empty"), finding("box_empty", file="b.xml")]
    assert data_report(data(findings=same)).count("dropped") == 1
    differing = [finding("box_empty"), finding("box_empty", file="b.xml") | {"action": "kept"}]
    assert "a.xml 0 is empty dropped b.xml 0 is empty kept" in Page(data_report(data(findings=differing))).text


def test_ap_curve_is_of_the_split_the_best_was_chosen_on():
    page = Page(run(metrics=[*rows("val", 100), *rows("test", 100)], best=best(chosen_on="val")))
    assert "AP on val images" in page.text
    assert page.text.count("AP50: 0.5 at step 100") == 1


def test_setting_without_a_value_says_none():
    text = Page(run(plan=small_plan(reasons={"initial_checkpoint": "trained from scratch"}))).text
    assert "initial_checkpoint none trained from scratch" in text


def test_diverged_loss_is_said():
    progress = [ProgressLine(step=step, loss=1.0 if step < 3 else math.nan) for step in range(5)]
    assert "2 of 5 reports were not a number." in Page(run(progress=progress)).text


def test_hundred_thousand_progress_points_make_a_small_page():
    progress = [ProgressLine(step=s, loss=1 / (s + 1), learning_rate=0.1, images_per_sec=9.0) for s in range(100_000)]
    assert len(run(progress=progress)) < 100_000


@pytest.mark.parametrize(("classes", "figures"), [(1, 1), (6, 1), (80, 80), (200, 96)])
def test_many_curves_become_small_multiples(classes, figures):
    curves = {f"class-{i}": Curve(recall=(0, 0.5, 1), precision=(1, 0.5, 0)) for i in range(classes)}
    assert run(curves=curves).count("<figure") == figures


@pytest.mark.parametrize(
    "sizes",
    [{"box_sizes": {"8–16": 3, "16–32": 1}}, {"image_sizes": [{"width": 640, "height": 480, "count": 4}]}],
    ids=["boxes", "images"],
)
def test_sizes_are_a_bar_chart(sizes):
    (bins,) = sizes.values()
    assert data_report(data(**sizes)).count('class="column"') == len(bins)


def test_scores_have_two_decimals():
    assert score(0.8749) == "0.87"


def test_a_pipeline_config_is_a_table_with_its_counterparts():
    row = ConfigField(
        field="train_config.num_steps", value="200000", outcome="replaced", counterpart="500", reason="54 <images>"
    )
    page = run_report(RunReport("r", config=ComparedConfig(file="training/ssd.config", fields=(row,))))
    for text in ("training/ssd.config", "train_config.num_steps", "200000", "replaced by 500", "54 &lt;images&gt;"):
        assert text in page


def test_a_pipeline_config_that_was_not_read_is_named_with_the_reason():
    page = run_report(RunReport("r", config=ComparedConfig(file="training/ssd.config", fault="is not text")))
    assert "training/ssd.config" in page and "is not text" in page
