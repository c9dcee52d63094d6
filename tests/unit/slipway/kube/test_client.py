"""Tests of the access to Kubernetes that API and controller share; `test_runs.py` sends requests to a server."""

import pytest

from slipway.errors import ClusterRefused, ClusterUnavailable, Conflict, SpecError
from slipway.kube.client import load_configuration
from slipway.kube.errors import as_api_errors

from services.api.kube import runs
from services.controller.__main__ import main
from services.controller.kube import client


@pytest.fixture
def no_kubeconfig(monkeypatch, tmp_path):
    missing_file = str(tmp_path / "kubeconfig")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", missing_file)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.mark.parametrize("connect", [runs.connect, client.connect], ids=["api", "controller"])
def test_without_a_kubeconfig_api_and_controller_say_what_to_do(no_kubeconfig, connect):
    with pytest.raises(SpecError, match=r"^no cluster: .*; run in a pod with a service account, or set KUBECONFIG$"):
        connect("lab")


def test_without_a_kubeconfig_the_controllers_command_ends_without_a_traceback(no_kubeconfig, capsys):
    assert main(["--make-tokens", "slipway-tokens"]) == 65
    message = capsys.readouterr().err
    assert message.startswith("no cluster: ")
    assert "Traceback" not in message


def test_a_kubeconfig_leads_to_its_server(no_kubeconfig, monkeypatch, tmp_path):
    (tmp_path / "kubeconfig").write_text(
        "{clusters: [{name: c, cluster: {server: 'http://10.0.0.1'}}], users: [{name: u, user: {token: t}}],"
        " contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}"
    )
    assert load_configuration().host == "http://10.0.0.1"


def answer(status, body):
    """Return the official client's exception for an answer."""
    from kubernetes.client.exceptions import ApiException

    error = ApiException(status=status, reason="Some Reason")
    error.body = body
    return error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ClusterRefused),
        (401, ClusterUnavailable),
        (403, ClusterRefused),
        (404, ClusterRefused),
        (409, Conflict),
        (410, ClusterUnavailable),
        (422, ClusterRefused),
        (500, ClusterUnavailable),
    ],
)
def test_an_answer_becomes_an_error_that_names_the_request(status, kind):
    with pytest.raises(kind, match=f"create Job ponds: {status} no more"), as_api_errors("create Job ponds"):
        raise answer(status, '{"message": "no more"}')


def test_an_answer_that_is_not_json_is_described_by_its_reason():
    with pytest.raises(ClusterRefused, match="read Pods: 403 Some Reason") as refusal, as_api_errors("read Pods"):
        raise answer(403, "<html>")
    assert refusal.value.status == 403


def test_an_object_that_does_not_exist_may_be_fine():
    with as_api_errors("delete Job ponds", absent_is_fine=True):
        raise answer(404, "{}")
