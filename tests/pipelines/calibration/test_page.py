"""The page as a file: it holds everything, and nothing in the data becomes part of its code."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from pipelines.calibration.calibrate import calibrate
from pipelines.calibration.page import calibration_page
from pipelines.config import Config

_VOID = {"meta", "link", "img", "input", "rect", "path"}


class Elements(HTMLParser):
    """Collects what is not closed, and all addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        named = dict(attributes)
        self.addresses += [str(named[name]) for name in ("src", "href") if name in named]
        self.ids += [str(named["id"])] if "id" in named else []

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


def test_elements_are_closed_and_addresses_are_inside(written: Path) -> None:
    found = Elements((written / "calibrate.html").read_text(encoding="utf-8"))
    assert found.open == []
    assert len(set(found.ids)) == len(found.ids)
    assert all(each.startswith(("data:", "#")) for each in found.addresses)
    assert {each[1:] for each in found.addresses if each.startswith("#")} <= set(found.ids)


def test_names_and_lines_are_escaped(shapes: Config) -> None:
    found = calibrate(shapes, "texts")
    hostile = "</title><script>alert(1)</script>"
    text = calibration_page(hostile, hostile, found.reports, [hostile])
    assert "<script>alert" not in text and text.count("&lt;script&gt;alert(1)") == 4
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert len(json.loads(data)["cuts"]) == len(found.reports)
