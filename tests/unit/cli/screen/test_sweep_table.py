from slipway.artifacts.evaluation import MeasuredCheckpoint
from slipway.artifacts.sweep import Sweep, SweepRun, SweepWinner

from services.cli.screen.sweep_table import print_sweep


def run(name, rate, seed, *aps, **fields):
    values = {"learning_rate": rate, "steps": 50}
    return SweepRun(run=name, values=values, seed=seed, aps=aps, ap50=max(aps, default=None), **fields)


RUNS = (
    run("a", 0.1, 0, 0.3, 0.5, state="done", duration_sec=65),
    run("b", 0.1, 1, 0.7, state="done"),
    run("c", 0.2, 0, 0.1, state="pruned"),
    run("d", 0.2, 1, state="waiting"),
)


def cells(text):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def test_rows_are_by_ap_with_the_varied_values_and_the_mean_over_seeds(capsys):
    metrics = {"AP": 0.55, "AP50": 0.8}
    checkpoint = MeasuredCheckpoint.model_validate({"step": 50, "split": "test", "metrics": metrics})
    sweep = Sweep(name="ponds-1", runs=RUNS, winner=SweepWinner(run="b", checkpoint=checkpoint, images=40))
    print_sweep(sweep, 0, None, as_json=False)
    assert cells(capsys.readouterr().out) == [
        ["b", "0.1", "1", "0.600", "0.700", "0.700", "0.0 s", "chosen"],
        ["a", "0.1", "0", "0.600", "0.500", "0.500", "1 min 5 s", "trained"],
        ["c", "0.2", "0", "0.100", "0.100", "0.100", "0.0 s", "stopped early"],
        ["d", "0.2", "1", "0.100", "–", "–", "0.0 s", "waiting"],
    ]


def test_a_sweep_without_a_run_that_is_done_has_no_winner(capsys):
    failed = run("d", 0.2, 1, state="failed", reason="train: no memory")
    print_sweep(Sweep(name="ponds-1", runs=(failed, RUNS[2])), 1, None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["d failed: train: no memory", "1 of 2 runs were stopped early"]
