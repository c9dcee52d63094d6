import json

from tests.unit.cli.conftest import slipway


def test_presets_are_listed_with_what_they_are_for(capsys):
    assert slipway("presets") == 0
    assert (
        "retinanet_resnet50_640              640     16     1  experimental: fine-tuned from COCO, on a GPU"
        in capsys.readouterr().out
    )


def test_preset_without_figures_is_listed_as_experimental(capsys):
    assert slipway("presets") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "experimental: large objects on a CPU" in rows["retinanet_efficientnet_lite0_256"]
    assert "experimental" not in rows["retinanet_efficientnet_lite0_320"]


def test_presets_are_listed_for_machines(capsys):
    assert slipway("presets", "--json") == 0
    assert {"name": "retinanet_resnet10_320", "image_size": 320, "gpus": 0, "experimental": False}.items() <= next(
        row for row in json.loads(capsys.readouterr().out)["presets"] if row["name"] == "retinanet_resnet10_320"
    ).items()
