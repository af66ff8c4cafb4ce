"""The site as it is built: links and anchors lead somewhere; in a real browser nothing is broken or from outside."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from pipelines.reference.site import write_site
from tests.helpers import extras
from tests.helpers.browsers import ObservedPage, chromium
from tests.helpers.cases import cases

HOST = "http://site/"  # of links within the site, as a browser would resolve them
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
# What a person reads first, long tables, code, and generated pages.
PAGES = (
    "index.html",
    "stages.html",
    "trainer.html",
    "reference/commands.html",
    "reference/sources/videos.html",
    "reference/stages/duplicates.html",
)


class Page(HTMLParser):
    """What an HTML page has: anchors, links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("img", "script", "iframe", "source") and "src" in values:
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") != "canonical" and "href" in values:
            self.loaded.append(values["href"])


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extras.installed_or_skip("mkdocs", "material")
    folder = tmp_path_factory.mktemp("site")
    write_site(folder / "sources")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", folder / "sources/mkdocs.yml"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "sources/site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {
        str(path.relative_to(site)): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"  # its links are those of the server's root
    }


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The URL under which the site is, as a web server has it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[str, Page]) -> None:
    broken, followed = [], 0
    for name, page in pages.items():
        for link in page.links:
            target = urlsplit(urljoin(f"{HOST}{name}", link))
            if f"{target.scheme}://{target.netloc}/" != HOST:
                continue
            followed += 1
            path, anchor = unquote(target.path).lstrip("/") or "index.html", unquote(target.fragment)
            if not (site / path).is_file() or (anchor and path in pages and anchor not in pages[path].anchors):
                broken.append(f"{name}: {link}")
    assert followed > 5_000
    assert broken == []


def test_nothing_is_loaded_from_outside(site: Path, pages: dict[str, Page]) -> None:
    outside = {(name, loaded) for name, page in pages.items() for loaded in page.loaded if "//" in loaded}
    assert outside == set()
    for name, page in pages.items():
        absent = [each for each in page.loaded if not (site / name).parent.joinpath(urlsplit(each).path).is_file()]
        assert absent == [], name
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style


def test_the_pages_of_the_tests_are_there(pages: dict[str, Page]) -> None:
    assert set(PAGES) <= set(pages) and len(pages) > 80


# Blocks that reach out of the page, or whose text is cut; what scrolls in a box of its own is neither.
_CUT = """() => {
  const scrolls = (element) => {
    for (let each = element; each; each = each.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(each).overflowX)) return true;
    return false;
  };
  const article = document.querySelector('article');
  return [...article.querySelectorAll('p, li, h1, h2, h3, h4, h5, h6, td, th, pre, table')].filter((each) => {
    if (!each.checkVisibility() || scrolls(each)) return false;
    return each.getBoundingClientRect().right > document.documentElement.clientWidth + 1 ||
      (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== 'inline');
  }).map((each) => each.tagName + ' ' + each.textContent.slice(0, 60));
}"""


@cases("page, width, scheme", [(page, width, scheme) for page in PAGES for width in WIDTHS for scheme in SCHEMES])
def test_all_is_displayed(browser: Any, served: str, page: str, width: int, scheme: str) -> None:
    observed = ObservedPage(browser, served + page, width, scheme)
    assert observed.faults("article") == []
    assert observed.page.evaluate(_CUT) == []
    observed.keep_screenshot(f"docs-{page.removesuffix('.html').replace('/', '-')}-{width}-{scheme}")
    paper = observed.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) > 384) == (scheme == "light")
    assert observed.page.locator("article h1").is_visible()
    observed.close()


@cases("width", WIDTHS)
def test_a_word_is_found(browser: Any, served: str, width: int) -> None:
    observed = ObservedPage(browser, served + "index.html", width, "light")
    page = observed.page
    if width < 1000:
        page.locator("label.md-header__button[for=__search]").click()
    page.locator("input.md-search__input").click()
    page.locator("input.md-search__input").press_sequentially("hamming_radius")
    page.locator(".md-search-result__link[href*='stages/duplicates.html']").first.click()
    page.wait_for_url("**/stages/duplicates.html*")
    assert "hamming_radius" in page.locator("article").inner_text()
    assert observed.messages == [] and observed.requests == []
    observed.close()


def test_tabs_lead_to_every_part(browser: Any, served: str) -> None:
    observed = ObservedPage(browser, served + "index.html", 1280, "light")
    for part in ("How-to", "Concepts", "Reference", "Training", "Project", "Start"):
        observed.page.locator(".md-tabs__link", has_text=part).click()
        observed.page.locator(".md-tabs__item--active", has_text=part).wait_for()
        assert observed.page.locator("article h1").is_visible()
    assert observed.messages == [] and observed.requests == []
    observed.close()


def test_on_a_phone_the_menu_leads_to_every_part(browser: Any, served: str) -> None:
    observed = ObservedPage(browser, served + "index.html", 390, "light")
    observed.page.emulate_media(reduced_motion="reduce")
    observed.page.locator("label.md-header__button[for=__drawer]").click()
    observed.page.locator("label.md-nav__title[for=__nav_1]").click()
    observed.page.locator("label.md-nav__link[for=__nav_2]").click()
    observed.page.locator(".md-nav--primary .md-nav__link:visible", has_text="Thresholds").click()
    observed.page.wait_for_url("**/thresholds.html")
    assert observed.faults("article") == []
    observed.close()
