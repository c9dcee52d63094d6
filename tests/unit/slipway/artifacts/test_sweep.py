from slipway.artifacts.sweep import Sweep, SweepRun


def run(name, rate, state, *aps):
    return SweepRun(run=name, values={"learning_rate": rate}, state=state, aps=aps)


def best(*runs):
    return Sweep(name="s", runs=runs).best_run()


def test_values_count_by_the_mean_over_their_seeds_and_then_the_highest_run():
    runs = (
        run("a", 0.1, "done", 0.9),
        run("b", 0.1, "done", 0.1),
        run("c", 0.2, "done", 0.6),
        run("d", 0.2, "done", 0.7),
    )
    assert best(*runs).run == "d"


def test_values_of_which_a_run_was_stopped_early_come_after_all_others():
    assert best(run("a", 0.1, "done", 0.9), run("b", 0.1, "pruned", 0.1), run("c", 0.2, "done", 0.3)).run == "c"
    assert best(run("a", 0.1, "done", 0.9), run("b", 0.1, "failed"), run("c", 0.2, "pruned", 0.3)).run == "a"


def test_no_run_that_is_done_is_no_best_run():
    assert best(run("a", 0.1, "pruned", 0.9), run("b", 0.2, "waiting")) is None


def test_the_highest_evaluation_is_a_runs_ap():
    assert run("a", 0.1, "running", 0.2, 0.5, 0.4).ap == 0.5
    assert run("a", 0.1, "waiting").ap is None


def test_a_run_is_replaced_by_its_newer_version():
    sweep = Sweep(name="s", runs=(run("a", 0.1, "waiting"), run("b", 0.2, "waiting")))
    sweep = sweep.replace_run(run("b", 0.2, "done", 0.5))
    assert [r.state for r in sweep.runs] == ["waiting", "done"]
    assert (sweep.count("done"), sweep.count("pruned")) == (1, 0)
    assert Sweep.model_validate_json(sweep.encode()) == sweep
