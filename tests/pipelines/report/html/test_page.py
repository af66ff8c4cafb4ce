"""A page is one file: its policy names its script, and no text in it becomes code."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from pipelines.report.html.page import escape, image_url, page_html


def test_the_policy_allows_this_script_alone() -> None:
    script = "console.log('1 < 2');"
    text = page_html("A & B", "<main></main>", "p{}", script, {"a": 1})
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and f"<script>{script}</script>" in text
    assert "default-src 'none'" in text and "<title>A &amp; B</title>" in text and "p{}" in text
    assert not re.search(r"https?://", text)


def test_data_cannot_end_its_element() -> None:
    data = {"text": "</script><script>alert(1)</script>", "other": "ü — 漢"}
    text = page_html("t", "", data=data)
    [found] = re.findall(r'id="data">(.*?)</script>', text)
    assert json.loads(found) == data


def test_texts_are_escaped_and_images_are_inside() -> None:
    assert escape("<a href='x'>\x00\x1b[31m\ud800&amp;\n") == "&lt;a href=&#x27;x&#x27;&gt;[31m&amp;amp;\n"
    assert image_url(b"\xff\xd8") == "data:image/jpeg;base64,/9g="
