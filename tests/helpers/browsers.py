"""A real browser for tests of pages: Chromium as the distribution has it, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import extras

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Every pair of things on the page that a person reads or uses and that share more than a pixel of the screen. What is
# drawn over the bars on purpose (the line of the cut) is left out.
_OVERLAPS = """(within) => {
  const visible = (element) => element.checkVisibility({opacityProperty: true}) && element.getClientRects().length > 0;
  const has_text = (element) => [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const candidates = [...document.querySelector(within).querySelectorAll('*')].filter((element) =>
    visible(element) && !element.closest('script, style, svg *') && !element.matches('.cut-line') &&
    (has_text(element) || element.matches('img, input, button, svg')));
  // Of text that goes on in another line each line has a box of its own.
  const boxes = candidates.flatMap((element) => [...element.getClientRects()].map((box) => ({element, box})))
    .filter((each) => each.box.width > 0 && each.box.height > 0)
    .sort((a, b) => a.box.top - b.box.top);
  const found = [];
  boxes.forEach((first, at) => {
    for (const second of boxes.slice(at + 1)) {
      if (second.box.top >= first.box.bottom - 1) break;
      const width = Math.min(first.box.right, second.box.right) - Math.max(first.box.left, second.box.left);
      const height = Math.min(first.box.bottom, second.box.bottom) - second.box.top;
      if (width <= 1 || height <= 1 || first.element.contains(second.element) || second.element.contains(first.element))
        continue;
      const name = ({element}) => element.tagName + '.' + element.className + ' ' + element.textContent.slice(0, 30);
      found.push(name(first) + ' | ' + name(second));
    }
  });
  return found;
}"""
_IMAGES_ABSENT = (
    "() => [...document.images].filter((each) => !each.complete || !each.naturalWidth).map((each) => each.alt)"
)
SCREENSHOTS = (
    "RZEN_SCREENSHOTS"  # the variable with the folder in which pictures of pages are kept; without it none are
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser. Without one the test is skipped, in CI it fails."""
    extras.installed_or_skip("playwright")
    from playwright.sync_api import sync_playwright

    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        reason = f"no browser on PATH, none of {', '.join(_NAMES)}: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as driver:
        # A container's root may not make namespaces, and its /dev/shm is small.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class ObservedPage:
    """A page, and what went wrong on it: messages of its console, and requests that it must not make.

    One from disk may request nothing but itself; one of a server, by its URL, nothing of other servers.
    """

    def __init__(self, browser: Any, page: Path | str, width: int, scheme: str) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self._context.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        url = page if isinstance(page, str) else page.resolve().as_uri()
        origin = "/".join(url.split("/")[:3])

        def only_itself(route: Any) -> None:
            requested = route.request.url.split("#")[0]
            if requested == url or (isinstance(page, str) and requested.startswith(f"{origin}/")):
                route.continue_()
            else:
                self.requests.append(route.request.url)
                route.abort()

        self.page.route("**/*", only_itself)
        self.page.goto(url)

    def faults(self, within: str = "body") -> list[str]:
        """Returns what a person would call broken: images not displayed, things over each other, a page too wide.

        Things that lie over each other are found in the first element that the selector `within` has.
        """
        found = [f"image: {each}" for each in self.page.evaluate(_IMAGES_ABSENT)]
        found += [f"overlap: {each}" for each in self.page.evaluate(_OVERLAPS, within)]
        if self.page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append("it is wider than the screen")
        return found + self.messages + self.requests

    def keep_screenshot(self, name: str) -> None:
        """Keeps a picture of the complete page, where the variable SCREENSHOTS names a folder."""
        if folder := os.environ.get(SCREENSHOTS):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    def close(self) -> None:
        self._context.close()
