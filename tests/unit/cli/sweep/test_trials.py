import re
from pathlib import Path

import pytest

from slipway.errors import SpecError
from slipway.run.spec import Metadata, RunSpec, TrainingRun

from services.cli.local.run_request import RunRequest
from services.cli.sweep.trials import SweepRequest, Trial, check_specs, new_sweep, plan_trials, with_val_ratio


def request(*tries, **fields):
    return SweepRequest(RunRequest(Path("ponds"), {}), tries, **fields)


def values(*tries, **fields):
    return [dict(trial.values) for trial in plan_trials(request(*tries, **fields))]


def spec(**fields):
    return RunSpec.model_validate({"dataset": {"source": "/ponds"}, **fields})


def test_values_of_several_keys_make_a_grid_in_their_order():
    assert values("learning-rate=0.01,1e-3", "preset=retinanet_resnet10_320,other") == [
        {"learning_rate": 0.01, "preset": "retinanet_resnet10_320"},
        {"learning_rate": 0.01, "preset": "other"},
        {"learning_rate": 0.001, "preset": "retinanet_resnet10_320"},
        {"learning_rate": 0.001, "preset": "other"},
    ]


def test_fields_of_model_garden_are_set_as_with_set():
    trials = plan_trials(request("task.losses.focal_loss_gamma=1,1.5", "steps=10"))
    assert trials[1].values == {"task.losses.focal_loss_gamma": 1.5, "steps": 10}
    assert trials[1].options == {"steps": 10, "set": {"task.losses.focal_loss_gamma": 1.5}, "train.seed": None}
    assert isinstance(trials[0].values["task.losses.focal_loss_gamma"], float)


def test_a_value_that_is_given_twice_is_tried_once():
    assert values("steps=10,20,10") == [{"steps": 10}, {"steps": 20}]


def test_each_combination_is_trained_with_every_seed():
    trials = plan_trials(request("steps=10,20", seeds=2))
    assert [(trial.values["steps"], trial.seed) for trial in trials] == [(10, 0), (10, 1), (20, 0), (20, 1)]
    assert trials[1].options == {"steps": 10, "train.seed": 1}


def test_one_seed_leaves_the_seed_of_the_run_file():
    assert plan_trials(request("steps=10,20"))[0] == Trial({"steps": 10}, None)


def test_seeds_alone_show_how_much_trainings_differ():
    assert [trial.seed for trial in plan_trials(request(seeds=3))] == [0, 1, 2]


def test_a_number_of_runs_chooses_among_the_combinations_the_same_each_time():
    tries = ("steps=10,20,30,40", "batch_size=1,2,3,4")
    chosen = values(*tries, run_limit=5)
    assert len(chosen) == 5
    assert chosen == values(*tries, run_limit=5)
    assert all(combination in values(*tries) for combination in chosen)


@pytest.mark.parametrize(
    ("tries", "message"),
    [
        (["learning_rate"], "--try learning_rate: expected KEY=VALUE,VALUE,…, such as learning_rate=0.001,0.003"),
        (["steps= "], "--try steps= : expected KEY=VALUE"),
        (
            ["learning_rat=1,2"],
            "--try learning_rat: no option of run sets this field of train or ingest; the nearest are learning_rate, ",
        ),
        (["seed=1,2"], "several trainings of the same values are asked for with --seeds"),
        (["until=train,export"], "--try until: no option of run sets this field of train or ingest"),
        (["set=a,b"], "--try set: no option of run sets this field of train or ingest"),
        (["task.losses.focal_loss_gama=1,2"], "task.losses.focal_loss_gamma"),
        (["task.losses.focal_loss_gamma=1,fast"], "a number"),
        (["steps=1,2", "steps=3"], "--try steps=3: steps is given twice"),
        (["steps=1,[2"], "the values are not a list of YAML values"),
        (["test_ratio=0.1,0.2"], "measured on different images; give test_ratio one value"),
        (["steps=10"], "there is nothing to compare; give a key two values"),
        ([], "there is nothing to compare"),
        ([f"steps={','.join(map(str, range(101)))}"], "these values make 101 runs, more than 100"),
    ],
)
def test_a_wrong_request_is_refused_with_what_to_do(tries, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        plan_trials(request(*tries))


def test_a_dataset_with_a_val_split_is_left_as_it_is():
    asked = request("steps=1,2")
    assert with_val_ratio(asked, spec(), ["train", "val", "test"]) == (asked, [])


def test_a_source_without_a_val_split_gets_one_and_a_note():
    changed, notes = with_val_ratio(request("steps=1,2"), spec(), ["train", "test"])
    assert changed.run.options == {"val_ratio": 0.15}
    assert notes == ["15% of the images are the val split, on which the best run is chosen: none was asked for."]


def test_an_ingested_dataset_without_a_val_split_is_refused():
    ref = f"ponds@{'ab' * 32}"
    with pytest.raises(SpecError, match=r"has no val split.* push FOLDER --val-ratio 0\.15`, or name"):
        with_val_ratio(request("steps=1,2"), RunSpec.model_validate({"dataset": {"ref": ref}}), ["train", "test"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"until": "ingest"}, "ends with ingest"), ({"ingest": {"val_ratio": 0}}, "val_ratio is 0")],
)
def test_runs_that_cannot_be_compared_are_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        check_specs([spec(**fields)])


def named(name, **train):
    return TrainingRun(metadata=Metadata(name=name), spec=spec(train=train))


def test_a_sweep_is_named_after_its_runs():
    trials = plan_trials(request("steps=10,20"))
    sweep = new_sweep(trials, [named("ponds-0a", steps=10), named("ponds-0b", steps=20)], ["note"])
    other = new_sweep(trials, [named("ponds-0a", steps=10), named("ponds-0c", steps=30)], [])
    assert sweep.name.startswith("ponds-")
    assert sweep.name != other.name
    assert [(run.run, run.values, run.state) for run in sweep.runs] == [
        ("ponds-0a", {"steps": 10}, "waiting"),
        ("ponds-0b", {"steps": 20}, "waiting"),
    ]


def test_two_combinations_that_make_the_same_run_are_refused():
    with pytest.raises(SpecError, match="make the same run"):
        new_sweep(plan_trials(request("steps=10,20")), [named("ponds-0a"), named("ponds-0a")], [])
