from slipway.retention.sweep import Removal

from services.cli.commands.gc import summary_lines


def test_a_removal_is_summed_up_in_sentences():
    removal = Removal({"run": 12, "blob": 3}, int(3.4 * 2**30), failures={"a": "no"})
    assert summary_lines(removal, False) == [
        "removed 12 runs, 3 images, 3.7 GB",
        "1 keys were not removed; run the same command again",
    ]


def test_runs_that_never_ended_and_what_waits_for_an_ingest_are_named():
    removal = Removal({"run": 1}, 999, unfinished=["a", "b"], postponed=["c"])
    assert summary_lines(removal, True) == [
        "would remove 1 runs, 999 B",
        "kept, for they never ended (--unfinished removes them): a, b",
        "left datasets, records and images for the next time: a dataset is being ingested",
    ]
