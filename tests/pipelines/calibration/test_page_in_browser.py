"""The page in a real browser: everything is displayed, nothing lies over anything else, and cuts move what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus.settings import parse_settings
from pipelines.config import Config
from tests.helpers.browsers import ObservedPage, chromium
from tests.helpers.calibrating import ROWS, caption, column, settings
from tests.helpers.cases import cases

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def data_of(observed: ObservedPage) -> list[dict[str, Any]]:
    return json.loads(observed.page.text_content("#data"))["cuts"]


def move(observed: ObservedPage, number: int, position: int) -> dict[str, Any]:
    """Moves a cut as a hand on the slider does; returns what the page then says."""
    section = observed.page.locator(f"#cut-{number}")
    slider = section.locator("input[type=range]")
    slider.evaluate(
        "(each, to) => { each.value = to; each.dispatchEvent(new Event('input', {bubbles: true})); }", position
    )
    figures = {
        side: [float(each.get_attribute("data-number")) for each in section.locator(f".{side} figure").all()]
        for side in ("low", "high")
    }
    return {
        "share": section.locator(".share-kept").text_content(),
        "kept": section.locator(".kept-rows").text_content(),
        "line": section.locator(".yaml code").text_content(),
        **figures,
    }


def test_the_checks_find_what_is_broken(browser: Any, tmp_path: Path) -> None:
    over = "<p style='position:absolute;top:40px;margin:0'>%s</p>"
    path = tmp_path / "broken.html"
    path.write_text(
        f"<p>harmless</p>{over % 'first line'}{over % 'second line'}"
        "<img src='data:image/png;base64,AAAA' alt='no picture'>"
        "<img src='http://127.0.0.1:9/x.png' alt='elsewhere'><div style='width:2000px'>wide</div>"
        "<script>console.error('loud'); thrown()</script>",
        encoding="utf-8",
    )
    observed = ObservedPage(browser, path, 390, "light")
    faults = "\n".join(observed.faults())
    observed.close()
    for expected in ("first line", "no picture", "elsewhere", "wider", "loud", "thrown", "http://127.0.0.1:9/x.png"):
        assert expected in faults, faults
    assert "harmless" not in faults


@cases("width, scheme", [(width, scheme) for width in WIDTHS for scheme in SCHEMES])
def test_all_is_displayed_and_nothing_is_requested(browser: Any, written: Path, width: int, scheme: str) -> None:
    observed = ObservedPage(browser, written / "calibrate.html", width, scheme)
    assert observed.faults() == []
    observed.keep_screenshot(f"calibrate-{width}-{scheme}")
    assert observed.page.locator("img").count() > 50
    paper = observed.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) > 384) == (scheme == "light")
    for number, cut in enumerate(data_of(observed)):
        move(observed, number, len(cut["labels"]) // 3)
    assert observed.faults() == [], "after all cuts were moved"
    observed.close()


@cases("width", WIDTHS)
def test_a_moved_cut_keeps_what_numpy_counts(browser: Any, written: Path, shapes: Config, width: int) -> None:
    sharpness = column(shapes, "image_stats", "sharpness")
    shorter = column(shapes, "image_stats", "width", "height").min(axis=1)
    observed = ObservedPage(browser, written / "calibrate.html", width, "light")
    cuts = data_of(observed)
    for key, numbers in (("stages.quality.min_sharpness", sharpness), ("stages.quality.min_side_px", shorter)):
        number = next(at for at, cut in enumerate(cuts) if cut["key"] == key)
        labels = cuts[number]["labels"]
        shares = set()
        for position in range(0, len(labels), max(1, len(labels) // 12)):
            displayed = move(observed, number, position)
            value = float(labels[position])
            kept = numbers >= value
            assert displayed["share"] == f"{100 * kept.mean():.2f} %", f"{key} at {value}"
            assert displayed["kept"] == f"{kept.sum():,}"
            assert displayed["line"] == f"{key.rpartition('.')[2]}: {labels[position]}"
            assert all(each < value for each in displayed["low"]) and all(each >= value for each in displayed["high"])
            assert bool(displayed["low"]) == bool((~kept).any()) and bool(displayed["high"]) == bool(kept.any())
            shares.add(displayed["share"])
        assert len(shares) > 4
    observed.close()


def test_keys_move_a_cut_and_the_changed_settings_are_valid(browser: Any, written: Path, tmp_path: Path) -> None:
    observed = ObservedPage(browser, written / "calibrate.html", 1280, "light")
    page, cuts = observed.page, data_of(observed)
    at = {cut["key"]: number for number, cut in enumerate(cuts)}
    sharpness, side = at["stages.quality.min_sharpness"], at["stages.quality.min_side_px"]
    for number, key in ((sharpness, "ArrowRight"), (side, "ArrowLeft")):
        page.locator(f"#cut-{number} input[type=range]").focus()
        page.keyboard.press(key)
    expected = {
        "min_sharpness": float(cuts[sharpness]["labels"][cuts[sharpness]["current"] + 1]),
        "min_side_px": int(cuts[side]["labels"][cuts[side]["current"] - 1]),
    }
    changed = yaml.safe_load(page.text_content("#changes"))
    assert changed == {"stages": {"quality": expected}}
    parse_settings({**settings(tmp_path), "stages": changed["stages"]}, Config)
    assert page.locator(".overview tr.moved, .overview tbody tr").nth(sharpness).locator(
        ".value"
    ).text_content() == str(expected["min_sharpness"])
    for number in (sharpness, side):
        page.locator(f"#cut-{number} .reset").click()
    assert page.text_content("#changes") == "# no cut was moved"
    assert observed.faults() == []
    observed.close()


def test_the_cut_follows_a_drag_over_the_histogram(browser: Any, written: Path) -> None:
    observed = ObservedPage(browser, written / "calibrate.html", 1280, "light")
    number = next(at for at, cut in enumerate(data_of(observed)) if cut["key"] == "stages.quality.min_sharpness")
    plot = observed.page.locator(f"#cut-{number} .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    observed.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 60)
    observed.page.mouse.down()
    observed.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60)
    observed.page.mouse.up()
    last = len(data_of(observed)[number]["labels"]) - 1
    slider = observed.page.locator(f"#cut-{number} input[type=range]")
    assert abs(int(slider.input_value()) - 0.75 * last) <= 1
    line = observed.page.locator(f"#cut-{number} .cut-line").bounding_box()
    assert abs(line["x"] + line["width"] / 2 - (box["x"] + 0.75 * box["width"])) < 3
    observed.close()


def test_on_paper_there_is_nothing_to_press(browser: Any, written: Path) -> None:
    observed = ObservedPage(browser, written / "calibrate.html", 800, "dark")
    observed.page.emulate_media(media="print", color_scheme="dark")
    assert observed.page.evaluate(
        "() => [...document.querySelectorAll('button, input')].every((each) => !each.checkVisibility())"
    )
    assert observed.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert observed.faults() == []
    observed.close()


def test_texts_are_displayed_as_they_are(browser: Any, written: Path) -> None:
    observed = ObservedPage(browser, written / "calibrate.html", 1280, "light")
    texts = observed.page.locator("figure.text p").all_text_contents()
    assert {caption(number).strip() for number in range(ROWS)} >= set(texts) != set()
    observed.close()
