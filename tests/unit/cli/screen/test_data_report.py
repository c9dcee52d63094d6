from slipway.artifacts.dataset import DataReport

from services.cli.screen.data_report import print_data_report


def test_a_name_in_brackets_is_not_markup(capsys):
    splits = {"train": {"images": 1, "boxes": 1}}
    print_data_report(DataReport.model_validate({"labels": ["[red]duck"], "splits": splits, "name": "a"}))
    assert "[red]duck" in capsys.readouterr().out
