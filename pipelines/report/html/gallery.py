"""A gallery as HTML: images, texts, or images with texts, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.report.html.page import escape, image_url

_MAX_CHARACTERS = 320  # of a text


@dataclass(frozen=True)
class GalleryEntry:
    """One thing in a gallery: its images, its texts and what is said of it."""

    caption: str
    images: tuple[bytes, ...] = ()  # JPEG
    texts: tuple[str, ...] = ()
    title: str = ""  # where it comes from
    attributes: dict[str, str] = field(default_factory=dict)  # `data-...`, for a script


def gallery_html(entries: Sequence[GalleryEntry], classes: str = "") -> str:
    """Returns a list of figures; those with texts have the width of the gallery."""
    figures = "".join(figure(entry) for entry in entries)
    return f'<div class="gallery {classes}">{figures}</div>'


def figure(entry: GalleryEntry) -> str:
    """Returns one figure of a gallery."""
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in entry.attributes.items())
    classes = "text" if entry.texts else "several image" if len(entry.images) > 1 else "image"
    images = "".join(f'<img src="{image_url(each)}" alt="{escape(_alternative(entry))}">' for each in entry.images)
    texts = "".join(f'<p dir="auto">{escape(_shortened(text))}</p>' for text in entry.texts)
    return (
        f'<figure class="{classes}"{data} title="{escape(entry.title)}">'
        + (f'<div class="images">{images}</div>' if images else "")
        + (f'<div class="texts">{texts}</div>' if texts else "")
        + f"<figcaption>{escape(entry.caption)}</figcaption></figure>"
    )


def _alternative(entry: GalleryEntry) -> str:
    return f"sample at {entry.caption}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
