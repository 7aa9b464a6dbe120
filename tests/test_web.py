import re
import shutil
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from tselcli.models.localizer import Localizer
from tselcli.web import KEPT, Answers, build_app

DEMO = Path(__file__).parents[1] / "tselcli/assets/demo.flac"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,1500",
)


@pytest.fixture(scope="module")
def localizer():
    return Localizer.load()


@pytest.fixture
def client(localizer, tmp_path):
    app = build_app(localizer, tmp_path, 10**6, ["testserver"])
    with TestClient(app, raise_server_exceptions=True) as browser:
        yield browser


def post(client, name="mix.flac", content=None, **fields):
    files = {"audio": (name, DEMO.read_bytes() if content is None else content)}
    return client.post("/api/localize", files=files, data={"queries": "a baby crying", **fields})


def test_a_recording_is_answered_and_its_files_can_be_fetched(client, tmp_path):
    found = post(client, name="../../etc/mix.flac", queries="a vehicle accelerating\na baby crying")
    assert found.status_code == 200
    vehicle, baby = found.json()["answers"]
    assert abs(vehicle["azimuth_deg"] + 46) < 10
    assert abs(baby["azimuth_deg"] - 146) < 10
    assert baby["audio"] == "mix.flac"
    starts = {"track": b"\x89PNG", "directions": b"\x89PNG", "json": b'{"audio"'}
    for key, start in starts.items():
        assert client.get(found.json()[key]).content.startswith(start)
    sounds = [client.get(sound).content for sound in found.json()["sounds"]]
    assert all(sound.startswith(b"RIFF") for sound in sounds)
    assert sounds[0] != sounds[1]
    assert not list(tmp_path.rglob("mix*"))  # what was sent is not kept


@pytest.mark.parametrize(
    "path",
    [
        "/api/files/{job}/../../../etc/passwd",
        "/api/files/{job}/..%2f..%2fetc%2fpasswd",
        "/api/files/{job}/mix.flac",
        "/api/files/../secret.txt",
        "/assets/page.html",
        "/../secret.txt",
    ],
)
def test_nothing_but_published_files_can_be_read(client, tmp_path, path):
    (tmp_path / "secret.txt").write_text("secret")
    job = post(client).json()["json"].split("/")[3]
    answer = client.get(path.format(job=job))
    assert answer.status_code == 404
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    ("request_", "status", "complaint"),
    [
        ({"content": bytes(2 * 10**6)}, 413, "1 MB at most"),
        ({"name": "mix.txt"}, 422, "unknown kind of audio '.txt'"),
        ({"content": b"no sound at all"}, 422, "^mix.flac: damaged or not audio"),
        ({"queries": " \n "}, 422, "1 to 6 short descriptions"),
        ({"array": "/etc/array.yaml"}, 422, "for the command line"),
        ({"array": "circular:3:0.1"}, 422, "4 channel.*3 microphones"),
    ],
)
def test_mistakes_are_told_without_a_path(client, tmp_path, request_, status, complaint):
    answer = post(client, **request_)
    assert answer.status_code == status
    assert re.search(complaint, answer.json()["error"])
    assert str(tmp_path) not in answer.text


def test_other_names_and_other_sites_are_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    cross = client.get("/", headers={"sec-fetch-site": "cross-site"})
    assert cross.status_code == 403


def test_old_answers_go(tmp_path):
    answers = Answers(tmp_path)
    first, folder = answers.folder()
    address = answers.publish(first, folder / "a.json")
    assert address.endswith("/a.json")
    for _ in range(KEPT):
        answers.folder()
    assert answers.find(first, "a.json") is None
    assert not folder.exists()
    assert len(list(tmp_path.iterdir())) == KEPT


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
def test_a_query_in_a_real_browser(tmp_path, monkeypatch):
    webdriver = pytest.importorskip("selenium.webdriver")
    from tselcli.commands.serve import serve

    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    addresses = []
    thread = threading.Thread(
        target=serve, kwargs={"port": 0, "ready": addresses.append}, daemon=True
    )
    thread.start()
    while not addresses:
        time.sleep(0.1)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        use_the_page(browser, addresses[0], tmp_path)
    finally:
        browser.quit()


def use_the_page(browser, address, tmp_path):
    def find(selector):
        return browser.find_element("css selector", selector)

    def wait_for(condition, seconds=300):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, find("#said").text
            time.sleep(0.2)

    browser.get(address)
    find("#audio").send_keys(str(DEMO))
    find("#queries").send_keys("a vehicle accelerating\na baby crying")
    find("#ask").click()
    wait_for(
        lambda: find("#result").is_displayed() or "bad" in find("#said").get_attribute("class")
    )
    rows = [row.text for row in browser.find_elements("css selector", "#rows tr")]
    assert rows[0].startswith("a vehicle accelerating -4")
    assert rows[1].startswith("a baby crying +14")
    loaded = "return [...document.images].every((i) => i.complete && i.naturalWidth > 100)"
    wait_for(lambda: browser.execute_script(loaded))
    length = "return Math.min(...[...document.querySelectorAll('audio')].map((a) => a.duration))"
    wait_for(lambda: browser.execute_script(length) == pytest.approx(6.0, abs=0.1))
    browser.save_screenshot(str(tmp_path / "page.png"))
    assert browser.get_log("browser") == []
