"""Rows of the quality benchmark: kept over an interruption, and summed up as medians."""

from dataclasses import replace

import pytest

from tests.benchmarks.quality.results import ResultsFile, Row, markdown

ROW = Row(
    dataset="ponds",
    recipe="scratch",
    seed=0,
    ap=0.5,
    ap50=0.8,
    wall_sec=300.0,
    cpu_sec=550.0,
    images_per_sec=30.0,
    length="1000 steps",
    image_size=320,
    train_images=180,
    test_images=20,
    dataset_sha256="a" * 64,
    load=0.1,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results/quality.jsonl"


def test_rows_are_read_back(path):
    rows = [ROW, replace(ROW, recipe="yolo11n", budget_sec=300.0)]
    for row in rows:
        ResultsFile(path).append(row)
    assert ResultsFile(path).rows == rows


def test_only_the_measured_training_is_found(path):
    results = ResultsFile(path)
    results.append(ROW)
    assert results.find("ponds", "scratch", 0) == ROW
    assert results.find("ponds", "scratch", 1) is None
    assert results.find("ponds", "default", 0) is None


def test_a_line_that_was_cut_is_removed_and_the_next_one_is_whole(path):
    ResultsFile(path).append(ROW)
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    results = ResultsFile(path)
    assert results.rows == [ROW]
    results.append(replace(ROW, seed=1))
    assert [row.seed for row in ResultsFile(path).rows] == [0, 1]


@pytest.mark.parametrize("text", ["# Notes\n", "# Notes", '{"dataset": "ponds"}\n', "[]\n"])
def test_a_file_of_something_else_is_refused_and_not_changed(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"quality\.jsonl.* is not a row of the quality benchmark"):
        ResultsFile(path)
    assert path.read_text() == text


def test_figures_of_other_images_are_refused(path):
    results = ResultsFile(path)
    results.append(ROW)
    results.append(replace(ROW, seed=1, dataset_sha256="b" * 64))  # another seed has other splits
    with pytest.raises(ValueError, match="ponds, seed 0, was measured on dataset aaaaaaaaaaaa, now it is bbbbbbbbbbbb"):
        results.append(replace(ROW, recipe="default", dataset_sha256="b" * 64))
    assert len(ResultsFile(path).rows) == 2


def test_the_table_has_medians_with_the_range_and_the_share_of_the_reference():
    reference = [replace(ROW, seed=seed, ap50=ap50) for seed, ap50 in enumerate((0.9, 0.7, 0.8))]
    others = [
        replace(row, recipe="yolo11n", wall_sec=wall_sec, length="30 epochs")
        for row, wall_sec in zip(reference, (270, 330, 150), strict=True)
    ]
    assert markdown([*reference, *others]) == (
        "### ponds, 180 train / 20 test images\n"
        "\n"
        "| recipe | seeds | AP50 | AP | wall, s | ÷ scratch | images/s | processor, s | trained |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| scratch | 3 | 0.800 (0.700 to 0.900) | 0.500 (0.500 to 0.500) | 300 | 1.00 | 30.0 | 550 |"
        " 1000 steps at 320 px |\n"
        "| yolo11n | 3 | 0.800 (0.700 to 0.900) | 0.500 (0.500 to 0.500) | 270 | 0.90 | 30.0 | 550 |"
        " 30 epochs at 320 px |\n"
    )


def test_each_dataset_has_a_table_and_a_recipe_without_reference_no_share():
    tables = markdown([ROW, replace(ROW, dataset="lakes", recipe="default")])
    assert tables.count("### ") == 2
    assert "| default | 1 | 0.800 | 0.500 | 300 | – | 30.0 | 550 | 1000 steps at 320 px |" in tables
