import json

import pytest

from tests.unit.cli.commands.conftest import finish
from tests.unit.cli.conftest import slipway

pytestmark = pytest.mark.usefixtures("logged_in")


@pytest.mark.parametrize(("verb", "field"), [("cancel", "cancel"), ("suspend", "suspend")])
def test_a_run_is_told_to(ponds, cluster, capsys, verb, field):
    assert slipway(verb, "ponds") == 0
    assert cluster.objects["ponds"]["spec"][field] is True
    assert f"run ponds: {verb} is asked for" in capsys.readouterr().out


def test_a_suspended_run_is_resumed(ponds, cluster):
    assert [slipway("suspend", "ponds"), slipway("resume", "ponds")] == [0, 0]
    assert cluster.objects["ponds"]["spec"]["suspend"] is False


def test_a_failed_run_is_tried_again(ponds, cluster, capsys):
    finish(cluster, "FAILED")
    assert slipway("retry", "ponds", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["spec"]["attempt"] == 2


def test_what_a_runs_state_forbids_is_told(ponds, capsys):
    assert slipway("retry", "ponds") == 65
    assert "only a run that has failed is started again" in capsys.readouterr().err
