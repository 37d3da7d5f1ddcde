"""The report in headless Chromium: pointer, keyboard, phone, and nothing on the console."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsqav.evaluation.compare.comparison import CompareResult
from bsqav.evaluation.compare.report import write_report
from bsqav.evaluation.compare.viewer import ClipFrames, Viewer
from tests.support import find_tool

from .conftest import HEADER, moving_planes
from .reports import compared

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("ffmpeg")]

DESKTOP = {"width": 1280, "height": 900, "pixelRatio": 1.0, "touch": False}
PHONE = {"width": 390, "height": 844, "pixelRatio": 2.0, "touch": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> tuple[CompareResult, Viewer]:
    folder = tmp_path_factory.mktemp("compared")
    return compared(folder, folder / "page_frames")


@pytest.fixture(scope="module")
def page(made: tuple[CompareResult, Viewer]) -> Path:
    result, viewer = made
    assert viewer.sidecar is not None
    path = viewer.sidecar.with_name("page.html")
    write_report(result, path, viewer)
    return path


class Browser:
    """A page in Chromium."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = str(find_tool("chromium"))
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        service = webdriver.ChromeService(str(find_tool("chromedriver")))
        self.driver = webdriver.Chrome(options=options, service=service)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        WebDriverWait(self.driver, 30).until(lambda _: condition(), what)

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())
        self.until(lambda: self.shows("0-"), "the first picture")

    def shows(self, part: str) -> bool:
        return part in (self.find("#stage").get_attribute("data-ready") or "")

    def tap(self, selector: str) -> None:
        self.script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def pixels(self) -> np.ndarray:
        """What the viewer's canvas shows, [H, W, 3]."""
        text = self.script(
            "const from = document.getElementById('canvas');"
            "const to = new OffscreenCanvas(from.width, from.height).getContext('2d',"
            " {willReadFrequently: true}); to.drawImage(from, 0, 0);"
            "const d = to.getImageData(0, 0, from.width, from.height).data;"
            "let s = ''; for (let i = 0; i < d.length; i += 4096)"
            " s += String.fromCharCode(...d.subarray(i, i + 4096)); return btoa(s);"
        )
        shape = (HEADER.height, HEADER.width, 4)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)[..., :3].astype(int)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    opened = Browser(request.param)
    yield opened
    try:
        assert opened.complaints() == []
    finally:
        opened.driver.quit()


@pytest.fixture
def desktop() -> Iterator[Browser]:
    opened = Browser(DESKTOP)
    yield opened
    try:
        assert opened.complaints() == []
    finally:
        opened.driver.quit()


def luma_error(shown: np.ndarray, index: int, part: slice) -> float:
    """Greatest difference in luma from the original, where RGB has not run into its limits."""
    luma = 16 + 219 / 255 * (shown @ np.array([0.299, 0.587, 0.114]))
    free = ((shown > 0) & (shown < 255)).all(axis=2)
    error = np.abs(luma - moving_planes(HEADER, index)[0]) * free
    return float(error[:, part].max())


def test_the_page_fits_and_shows_everything(browser: Browser, page: Path) -> None:
    browser.open(page)
    width, room = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    for figure in ("#curves", "#frame-quality", "#frame-bits"):
        assert len(browser.driver.find_elements(By.CSS_SELECTOR, f"{figure} svg path")) >= 3
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, "#deltas tbody tr")) == 2
    assert "BD-rate" in browser.find("#deltas").text
    assert "mpeg2video" in browser.find("#commands").text
    assert "ffmpeg version" in browser.find("#tools").text
    assert not browser.find("#failures").is_displayed()
    for button in browser.driver.find_elements(By.CSS_SELECTOR, "button"):
        assert not button.is_displayed() or button.size["height"] >= 26


def test_light_and_dark(desktop: Browser, page: Path) -> None:
    desktop.open(page)
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = desktop.script(paper)
    desktop.tap("#theme")
    after = desktop.script(paper)
    assert before != after
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    desktop.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    desktop.open(page)
    assert desktop.script(paper) == after


def test_values_under_the_pointer_and_the_keys(desktop: Browser, page: Path) -> None:
    desktop.open(page)
    dots = desktop.driver.find_elements(By.CSS_SELECTOR, "#curves .dot")
    assert len(dots) == 12
    ActionChains(desktop.driver).move_to_element(dots[-1]).perform()
    tip = desktop.find("#curves .tip")
    assert tip.is_displayed()
    assert tip.text.startswith("BSQ, crf ")
    assert "bpp" in tip.text and "VMAF" in tip.text
    ActionChains(desktop.driver).move_to_element(desktop.find("h1")).perform()
    assert not tip.is_displayed()

    desktop.script("document.querySelector('#curves svg').focus()")
    desktop.keys(Keys.ARROW_RIGHT)
    first = tip.text
    desktop.keys(Keys.ARROW_RIGHT)
    assert tip.is_displayed() and tip.text != first

    desktop.tap("#metric [data-value=vmaf]")
    assert "VMAF" in desktop.find("#curves svg").get_attribute("aria-label")
    desktop.tap("#legend button")
    assert len(desktop.driver.find_elements(By.CSS_SELECTOR, "#curves .dot")) == 8


def test_values_by_frame(desktop: Browser, page: Path) -> None:
    desktop.open(page)
    chart = desktop.find("#frame-bits svg")
    desktop.script("arguments[0].scrollIntoView({block: 'center'})", chart)
    ActionChains(desktop.driver).move_to_element(chart).perform()
    text = desktop.find("#frame-bits .tip").text
    assert text.startswith("frame 4")
    assert "MPEG-2" in text and "bits" in text
    ActionChains(desktop.driver).click().perform()
    desktop.until(lambda: desktop.shows("0-4-"), "frame 4")


def test_the_wipe_shows_both_sides(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.tap("#right option[value=mpeg2]")
    browser.until(lambda: browser.shows("original-mpeg2-wipe"), "the pair")
    index = int(browser.find("#stage").get_attribute("data-ready").split("-")[1])
    middle = HEADER.width // 2
    left, right, whole = slice(0, middle - 1), slice(middle + 1, None), slice(None)
    assert luma_error(browser.pixels(), index, left) < 1
    assert luma_error(browser.pixels(), index, right) > 5

    browser.script("document.getElementById('stage').focus()")
    browser.keys(*[Keys.ARROW_RIGHT] * 25)
    browser.until(lambda: luma_error(browser.pixels(), index, whole) < 1, "all of A")
    handle = browser.find("#handle")
    browser.script("arguments[0].scrollIntoView({block: 'center'})", handle)
    width = browser.find("#canvas").size["width"]
    ActionChains(browser.driver).drag_and_drop_by_offset(handle, -int(width * 0.9), 0).perform()
    browser.until(lambda: luma_error(browser.pixels(), index, left) > 5, "B on the left")


def test_keys_change_mode_frame_and_zoom(desktop: Browser, page: Path) -> None:
    desktop.open(page)
    desktop.script("document.getElementById('stage').focus()")
    desktop.keys("3")
    desktop.until(lambda: desktop.shows("-difference"), "the difference")
    assert desktop.find("#gain").is_displayed()
    assert desktop.pixels().max() > 40
    desktop.script(
        "const s = document.getElementById('right'); s.value = 'original';"
        "s.dispatchEvent(new Event('change'))"
    )
    desktop.until(lambda: desktop.shows("original-original"), "the original twice")
    assert desktop.pixels().max() == 0
    desktop.script("document.getElementById('stage').focus()")
    before = desktop.find("#stage").get_attribute("data-ready")
    desktop.keys(Keys.ARROW_DOWN if before.split("-")[1] == "0" else Keys.ARROW_UP)
    desktop.until(lambda: not desktop.shows(before), "another frame")
    wide = desktop.find("#canvas").size["width"]
    desktop.keys("+", "+", "+")
    desktop.until(lambda: desktop.find("#canvas").size["width"] == 4 * HEADER.width, "4x")
    assert wide != 4 * HEADER.width


def test_flicker_turns_by_itself_and_by_hand(desktop: Browser, page: Path) -> None:
    desktop.open(page)
    desktop.script("document.getElementById('stage').focus()")
    desktop.keys("2")

    def seen() -> Any:
        return desktop.script("return document.querySelector('.tags .on')?.id")

    first = seen()
    desktop.until(lambda: seen() not in (None, first), "the other picture")
    desktop.keys(" ")
    held = seen()
    desktop.keys(" ")
    desktop.until(lambda: seen() not in (None, held), "the picture flipped by hand")


def test_frames_in_files_are_shown(
    desktop: Browser, page: Path, made: tuple[CompareResult, Viewer]
) -> None:
    desktop.open(page)
    (frames,) = made[1].clips.values()
    inside = {frame.index for frame in frames.frames}
    (outside, *_) = sorted(set(range(9)) - inside)
    desktop.script(
        "const s = document.getElementById('seek'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        outside,
    )
    desktop.until(lambda: desktop.shows(f"0-{outside}-"), "a frame from a file")
    assert "not lossless" in desktop.find("#frame-note").text


def test_several_inputs_and_failures(desktop: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    result, viewer = compared(folder)
    second = result.clips[0]
    result.clips.insert(0, type(second)("broken.mp4", failures=["cannot be read as video"]))
    viewer.clips["broken.mp4"] = ClipFrames()
    write_report(result, tmp_path / "two.html", viewer)
    desktop.driver.get((tmp_path / "two.html").as_uri())
    desktop.until(lambda: desktop.shows("1-"), "the input that could be measured")
    assert "broken.mp4: cannot be read" in desktop.find("#failures").text
    assert desktop.find("#overall-table").is_displayed()
    desktop.tap("#clip option[value='0']")
    assert not desktop.find("#viewer-section").is_displayed()
    assert (
        "Nothing to draw" in desktop.find("#curves").text
        or "not defined" in desktop.find("#curves").text
    )
