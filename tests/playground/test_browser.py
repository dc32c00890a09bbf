"""The page in a browser: drawn on, changed, measured, by mouse and by keyboard, wide and narrow.

Needs Playwright and a Chromium, by `CHROMIUM=PATH` or on the PATH; skipped without.
"""

import os
import shutil

import pytest

from tests.playground.test_server import players, server  # noqa: F401

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SAID = "() => [...document.querySelectorAll('.said')].map((said) => said.textContent)"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is there")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless=shell"]
        )
        yield launched
        launched.close()


@pytest.fixture(params=[1400, 400], ids=["wide", "narrow"])
def page(browser, server, request):  # noqa: F811
    opened = browser.new_page(viewport={"width": request.param, "height": 900})
    errors = []
    opened.on("pageerror", lambda error: errors.append(error))
    opened.on("requestfailed", lambda request: errors.append(request.url))
    opened.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    opened.wait_for_function(f"() => ({SAID})().length == 2 && ({SAID})().every(Boolean)")
    yield opened
    opened.close()
    assert not errors


def after(page, move):
    """What is said of the image once a move has been answered."""
    with page.expect_response("**/predict") as response:
        move()
    assert response.value.ok
    return page.evaluate(SAID)


def test_nothing_is_wider_than_the_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for canvas in page.locator("canvas").all():
        assert canvas.get_attribute("aria-label")


def test_a_digit_is_drawn_changed_and_cleared(page):
    page.locator("#clear").click()
    page.locator("#board").scroll_into_view_if_needed()
    frame = page.locator("#board").bounding_box()

    def draw():
        page.mouse.move(frame["x"] + 140, frame["y"] + 40)
        page.mouse.down()
        page.mouse.move(frame["x"] + 140, frame["y"] + 240, steps=8)
        page.mouse.up()

    after(page, draw)
    assert page.locator("#source").inner_text() == "Your drawing."
    drawn = "document.querySelector('#board').getContext('2d').getImageData(140, 140, 1, 1).data[0]"
    assert page.evaluate(drawn) == 255
    page.locator("#clear").click()
    assert page.evaluate(drawn) == 0


def test_sliders_are_moved_by_keys_and_put_back(page):
    turn = page.get_by_role("slider", name="Turn")
    turn.focus()
    after(page, lambda: page.keyboard.press("End"))
    assert "180°" in page.locator("#sliders").inner_text()
    after(page, page.locator("#reset").click)
    assert turn.input_value() == "0"


def test_capsules_are_moved_and_reconstructed(page):
    capsules = page.locator(".model").first
    before = capsules.get_by_label("reconstruction").evaluate("(canvas) => canvas.toDataURL()")
    capsules.get_by_text("Move the winning capsule").click()
    capsules.locator("details input").first.focus()
    after(page, lambda: page.keyboard.press("End"))
    page.wait_for_function(
        "(before) => document.querySelector('.model [aria-label=reconstruction]').toDataURL()"
        " != before",
        arg=before,
    )
    assert page.locator(".model").nth(1).get_by_label("where it looks").count() == 1


def test_accuracy_along_a_slider_is_a_chart_and_a_table(page):
    page.locator("#along").select_option("angle")
    page.locator("#sweep").click()
    page.locator("#chart svg").wait_for()
    rows = page.locator("#chart tr").count()
    assert rows > 5
    assert page.locator("#chart svg polyline, #chart svg path").count() >= 2


def test_a_file_takes_the_place_of_the_board(page, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    page.locator("#file").set_input_files(tmp_path / "notes.png")
    page.locator("#problem").wait_for()
    assert "notes.png is no image" in page.locator("#problem").inner_text()
