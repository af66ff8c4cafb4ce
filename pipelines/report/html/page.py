"""A self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_STYLE = "page.css"
_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")


def escape(text: str) -> str:
    """Returns a text as HTML shows it, in an attribute as well; control characters, which HTML has not, are left
    out.
    """
    return html.escape(_CONTROLS.sub("", text), quote=True)


def image_url(jpeg: bytes) -> str:
    """Returns a URL that holds a JPEG itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def page_html(title: str, body: str, style: str = "", script: str = "", data: Any = None) -> str:
    """Returns a page with the common style, then `style`; `script` finds `data` as JSON in the element `#data`.

    Its policy allows this script alone, images that are part of the page, and no request.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    css = (_FOLDER / _STYLE).read_text(encoding="utf-8") + style
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{css}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{_json(data)}</script>' if data is not None else "",
            f"<script>{script}</script>" if script else "",
            "</body>",
            "</html>",
            "",
        ]
    )


def _json(data: Any) -> str:
    """Returns JSON in which nothing ends the script element that holds it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
