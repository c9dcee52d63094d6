"""The pages in a real browser, from a real server."""

import json
import threading
import zipfile
from contextlib import contextmanager

import pytest
import uvicorn

from slipway.http.tokens import Role, User
from slipway.store.folder import FolderStore
from tests import browser
from tests.fakes.runs import FakeRuns

from services.api.app import create_app
from services.api.context import ApiContext
from services.api.settings import ApiSettings

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SPEC = {"dataset": {"source": "s3://photos/ponds"}}
SHA = "ab" * 32
PAGES = ["/", "/runs/ponds", "/runs/lakes", "/submit", "/datasets", f"/datasets/ponds@{SHA}"]


class Heron:
    """Accepts one token: the admin heron's."""

    async def user(self, secret):
        return User("heron", Role.ADMIN) if secret == "all" else None


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = FolderStore(tmp_path_factory.mktemp("store"))
    made.url = "s3://slipway"  # the API accepts uploads only into a store that a cluster can read
    split = {"images": 53, "boxes": 150, "per_class": {"duck": 148, HOSTILE: 2}, "shards": 1}
    manifest = {"name": "ponds", "sha256": SHA, "labels": ["duck", HOSTILE], "splits": {"train": split}}
    made.write(f"datasets/ponds/{SHA}/manifest.json", json.dumps(manifest | {"median_size": [640, 480]}).encode())
    progress = "\n".join(json.dumps({"step": step, "loss": 9 / step, "learning_rate": 0.1}) for step in range(1, 90))
    made.write("runs/ponds/train/progress.jsonl", progress.encode())
    made.write("runs/ponds/logs/train/1/train-0-1795568783-7-0000.log", f"first line {HOSTILE}\n".encode())
    made.write(f"runs/lakes/export/{'long-' * 40}name.bin", b"x")
    return made


@pytest.fixture(scope="module")
def cluster():
    made = FakeRuns()
    for name in ("ponds", "lakes"):
        made.create({"metadata": {"name": name, "annotations": {"slipway.dev/owner": HOSTILE}}, "spec": SPEC})
    made.report(
        "ponds", state="RUNNING", stage="train", progress="10/90 steps", best={"step": 9, "AP": 0.1, "AP50": 0.2}
    )
    made.report("lakes", state="FAILED", reason=f"ingest: {'no-space-in-it' * 12} {HOSTILE}")
    return made


@pytest.fixture(scope="module")
def address(cluster, store):
    context = ApiContext(cluster, store, ApiSettings(), Heron(), lambda: "2026-01-31T12:00:00Z")
    with served(create_app(context)) as where:
        yield where


@contextmanager
def served(app):
    """Serve the application at a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    app.state.streams.is_closing = True
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def page(chromium, address):
    """A tab in which an admin has logged in."""
    tab = chromium.page()
    tab.look_like(1280)
    tab.open(f"{address}/submit")
    tab.wait_for("location.pathname === '/login'")
    tab.evaluate("document.querySelector('#token').value = 'all'")
    tab.evaluate("document.querySelector('form.login button').click()")
    tab.wait_for("location.pathname === '/submit' && document.readyState === 'complete'")
    return tab


@pytest.fixture(autouse=True)
def _no_error(page):
    yield
    assert page.errors == []
    assert "owned" not in page.evaluate("document.title")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_phone_and_a_desktop(page, address, path, scheme):
    for width in (360, 1280):
        page.look_like(width, scheme=scheme)
        page.open(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_scripts_do_not_see_the_token(page, address):
    page.open(address)
    assert page.evaluate("document.cookie") == ""


def test_curves_are_drawn_in_the_pages_style(page, address):
    page.open(f"{address}/runs/ponds")
    assert page.evaluate("document.querySelectorAll('figure.chart svg').length") == 2
    assert page.evaluate("getComputedStyle(document.querySelector('svg path.line')).fill") == "none"


def test_a_change_is_shown_without_a_reload(page, address, cluster):
    page.open(f"{address}/runs/ponds")
    page.evaluate("window.isTheSame = true")
    cluster.report("ponds", progress="40/90 steps", best={"step": 39, "AP": 0.3, "AP50": 0.64})
    page.wait_for("document.body.innerText.includes('0.64')")
    assert page.evaluate("document.querySelector('progress').value") == 40
    assert page.evaluate("window.isTheSame") is True


def test_the_list_changes_too(page, address, cluster):
    page.open(address)
    cluster.report("ponds", progress="71/90 steps")
    page.wait_for("document.body.innerText.includes('71/90 steps')")


def test_log_lines_appear_as_they_are_written_and_are_not_html(page, address, store):
    page.open(f"{address}/runs/ponds")
    page.wait_for("document.querySelector('.log pre').textContent.includes('first line')")
    store.write("runs/ponds/logs/train/1/train-0-1795568783-7-0001.log", b"second line\n")
    page.wait_for("document.querySelector('.log pre').textContent.includes('second line')")
    assert page.evaluate("document.querySelector('.log pre').children.length") == 0
    assert HOSTILE in page.evaluate("document.querySelector('.log pre').textContent")


def test_a_form_with_a_mistake_is_shown_again_and_then_creates_a_run(page, address, cluster):
    page.open(f"{address}/submit")
    set_field(page, "/metadata/name", "rivers")
    set_field(page, "/spec/dataset/source", "s3://photos/rivers")
    set_field(page, "/spec/train/steps", "many")
    press(page, "form.run button")
    page.wait_for("document.querySelector('.field.wrong')")
    assert "valid integer" in page.evaluate("document.querySelector('.field.wrong .error').innerText")
    assert page.evaluate("document.querySelector('[name=\"/metadata/name\"]').value") == "rivers"
    set_field(page, "/spec/train/steps", "300")
    press(page, "form.run button")
    page.wait_for("location.pathname === '/runs/rivers'")
    assert cluster.objects["rivers"]["spec"]["train"]["steps"] == 300
    page.errors[:] = [error for error in page.errors if "422" not in error]  # the browser's own line of the slip


def test_a_button_asks_first_and_then_cancels(page, address, cluster):
    cluster.create({"metadata": {"name": "brooks"}, "spec": SPEC | {"cancel": False}})
    page.open(f"{address}/runs/brooks")
    page.evaluate("window.confirm = (said) => { window.said = said; return false }")
    press(page, "form[action$='/cancel'] button")
    assert page.evaluate("window.said").startswith("Cancel brooks?")
    assert cluster.objects["brooks"]["spec"]["cancel"] is False
    page.evaluate("window.confirm = () => true; window.isOld = true")
    press(page, "form[action$='/cancel'] button")
    page.wait_for("!window.isOld && document.readyState === 'complete'")
    assert cluster.objects["brooks"]["spec"]["cancel"] is True


def test_an_archive_is_sent_and_leads_to_its_run(page, address, tmp_path, cluster):
    with zipfile.ZipFile(tmp_path / "Ponds 2.zip", "w") as archive:
        archive.writestr("a.jpg", b"jpeg")
        archive.writestr("a.xml", b"<annotation/>")
    page.open(f"{address}/submit")
    page.choose_file("#upload-file", tmp_path / "Ponds 2.zip")
    assert page.evaluate("document.querySelector('#upload-name').value") == "ponds-2"
    press(page, "form.upload button")
    page.wait_for("location.pathname.startsWith('/runs/ponds-2-')")
    made = page.evaluate("location.pathname").rpartition("/")[2]
    assert cluster.objects[made]["spec"]["until"] == "ingest"


def set_field(page, name, value):
    page.evaluate(f"document.querySelector('[name={json.dumps(name)}]').value = {json.dumps(value)}")


def press(page, selector):
    page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
