"""The report in a real browser: everything is displayed, nothing lies over anything else, links lead where they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browsers import ObservedPage, chromium
from tests.helpers.cases import cases
from tests.helpers.report_worlds import HOSTILE, ReportedWorld

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def open_all(observed: ObservedPage) -> None:
    observed.page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@cases("width, scheme", [(width, scheme) for width in WIDTHS for scheme in SCHEMES])
def test_all_is_displayed_and_nothing_is_requested(browser: Any, report_file: Path, width: int, scheme: str) -> None:
    observed = ObservedPage(browser, report_file, width, scheme)
    assert observed.faults() == []
    observed.keep_screenshot(f"report-{width}-{scheme}")
    assert observed.page.locator("img").count() > 100
    paper = observed.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) > 384) == (scheme == "light")
    open_all(observed)
    assert observed.faults() == [], "after all examples were opened"
    clipped = observed.page.evaluate(
        "() => [...document.querySelectorAll('p, td, th, li, figcaption, h1, h2, h3, code')].filter((each) => "
        "each.checkVisibility() && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0 && "
        "getComputedStyle(each).display !== 'inline').map((each) => each.textContent.slice(0, 60))"
    )
    assert clipped == []
    observed.close()


@cases("width", WIDTHS)
def test_a_reason_leads_to_its_examples(browser: Any, report_file: Path, width: int) -> None:
    observed = ObservedPage(browser, report_file, width, "light")
    for link in observed.page.locator(".reasons a").all()[:12]:
        target = link.get_attribute("href").removeprefix("#")
        assert not observed.page.locator(f"#{target}").is_visible()
        link.click()
        observed.page.locator(f"#{target}").wait_for(state="visible")
        assert observed.page.evaluate("() => location.hash") == f"#{target}"
    for link in observed.page.locator("nav a").all():
        link.click()
        target = link.get_attribute("href")
        assert observed.page.locator(f"{target} h2").is_visible()
    assert observed.faults() == []
    observed.close()


def test_hostile_texts_are_displayed_as_they_are(browser: Any, reported: ReportedWorld, report_file: Path) -> None:
    observed = ObservedPage(browser, report_file, 1280, "light")
    open_all(observed)
    texts = [" ".join(each.split()) for each in observed.page.locator("figure p").all_text_contents()]
    displayed = [text for text in HOSTILE if " ".join(text.split())[:300] in {each[:300] for each in texts}]
    assert any("<script>" in each or "<img" in each or "<!--" in each or "</style>" in each for each in displayed)
    assert observed.page.title() == "What became of world.yaml"
    assert observed.messages == [] and observed.requests == []
    assert observed.page.locator("body").is_visible()
    observed.close()


def test_on_paper_everything_is_open_and_white(browser: Any, report_file: Path) -> None:
    observed = ObservedPage(browser, report_file, 800, "dark")
    observed.page.emulate_media(media="print", color_scheme="dark")
    observed.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert observed.page.evaluate("() => [...document.querySelectorAll('details')].every((each) => each.open)")
    assert observed.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not observed.page.locator("nav").is_visible()
    assert observed.faults() == []
    observed.close()
