"""Results of the quality benchmark: one row for each training, in a file of JSON lines; their medians as a table."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

REFERENCE = "scratch"  # the recipe whose wall time is the budget of the others


@dataclass(frozen=True)
class Row:
    """The figures of one training.

    Attributes:
      ap, ap50: Of the best checkpoint, on the test images.
      wall_sec: From the command to its report, or to the detections of a peer.
      cpu_sec: Processor time of the command and all of its processes.
      images_per_sec: Median rate of the training, without evaluations.
      length: What was trained, such as `1092 steps`.
      dataset_sha256: Digest of the partitioned dataset: rows of one dataset and seed have the same.
      load: Mean number of processes that ran or waited in the minute before; above 0.5 the machine was not quiet.
      options: Options of the run of Slipway; empty for others.
      commit: Commit of the checkout that was measured, `-dirty` behind it if its files differ.
      budget_sec: The reference's wall time; None for a recipe that chooses its length itself.
    """

    dataset: str
    recipe: str
    seed: int
    ap: float
    ap50: float
    wall_sec: float
    cpu_sec: float
    images_per_sec: float
    length: str
    image_size: int
    train_images: int
    test_images: int
    dataset_sha256: str
    load: float
    options: str = ""
    commit: str = ""
    budget_sec: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.dataset, self.recipe, self.seed


class ResultsFile:
    """The rows that were measured so far; a line that an interruption cut is removed.

    Raises:
      ValueError: A line is not a row: the file belongs to something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text() if path.exists() else ""
        whole, _, rest = text.rpartition("\n")
        if rest and not rest.startswith('{"dataset":'):
            raise ValueError(f"{path}: its last line is not a row of the quality benchmark; give another file")
        self.rows = [_parse(line, f"{path} line {number}") for number, line in enumerate(whole.splitlines(), start=1)]
        if rest:
            path.write_text(f"{whole}\n" if whole else "")

    def find(self, dataset: str, recipe: str, seed: int) -> Row | None:
        """Return the row of one training, or None if it is still to be measured."""
        return next((row for row in self.rows if row.key == (dataset, recipe, seed)), None)

    def append(self, row: Row) -> None:
        """Add a row, and write it to the disk before the next training begins.

        Raises:
          ValueError: Rows of the same dataset and seed were measured on other images.
        """
        self.check_digest(row.dataset, row.seed, row.dataset_sha256)
        self.rows.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def check_digest(self, dataset: str, seed: int, sha256: str) -> None:
        """Refuse to mix figures of different images under one name."""
        for row in self.rows:
            if (row.dataset, row.seed) == (dataset, seed) and row.dataset_sha256 != sha256:
                raise ValueError(
                    f"{self._path}: {dataset}, seed {seed}, was measured on dataset {row.dataset_sha256[:12]}, "
                    f"now it is {sha256[:12]}; give it another name or another file"
                )


def _parse(line: str, source: str) -> Row:
    try:
        content = json.loads(line)
        return Row(**{field.name: content[field.name] for field in fields(Row)})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{source}: is not a row of the quality benchmark ({error}); give another file") from error


def markdown(rows: Iterable[Row]) -> str:
    """Return one table of medians for each dataset, recipes in the order of their first row.

    AP and AP50 have their lowest and highest value behind them where there are several seeds. The column `÷ scratch` is
    the median, over seeds, of the wall time divided by the reference's of the same seed.
    """
    all_rows = list(rows)
    sections = [
        _section(dataset, [row for row in all_rows if row.dataset == dataset])
        for dataset in dict.fromkeys(row.dataset for row in all_rows)
    ]
    return "\n".join(sections)


def _section(dataset: str, rows: Sequence[Row]) -> str:
    images = sorted({f"{row.train_images} train / {row.test_images} test" for row in rows})
    head = "| recipe | seeds | AP50 | AP | wall, s | ÷ scratch | images/s | processor, s | trained |"
    lines = [f"### {dataset}, {' or '.join(images)} images", "", head, "|---" * 9 + "|"]
    references = {row.seed: row.wall_sec for row in rows if row.recipe == REFERENCE}
    for recipe in dict.fromkeys(row.recipe for row in rows):
        lines.append(_line(recipe, [row for row in rows if row.recipe == recipe], references))
    return "\n".join([*lines, ""])


def _line(recipe: str, rows: Sequence[Row], references: dict[int, float]) -> str:
    ratios = [row.wall_sec / references[row.seed] for row in rows if row.seed in references]
    cells = (
        recipe,
        len(rows),
        _spread([row.ap50 for row in rows]),
        _spread([row.ap for row in rows]),
        f"{median(row.wall_sec for row in rows):.0f}",
        f"{median(ratios):.2f}" if ratios else "–",
        f"{median(row.images_per_sec for row in rows):.1f}",
        f"{median(row.cpu_sec for row in rows):.0f}",
        f"{', '.join(sorted({row.length for row in rows}))} at {max(row.image_size for row in rows)} px",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _spread(values: Sequence[float]) -> str:
    middle = f"{median(values):.3f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3f} to {max(values):.3f})"
