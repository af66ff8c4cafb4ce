"""One page of a PDF as an image file."""

from __future__ import annotations

from pipelines.sources.images.pdf import PdfSettings, render_pages


def render_page(source: bytes | str, page: int, settings: PdfSettings | None = None) -> bytes:
    """Renders one page of a PDF (its bytes, path or fsspec URL) as a JPEG or PNG file. Raises PageError.

    It starts a process for this page: for several of a PDF there is `render_pages`.
    """
    rendered = next(render_pages(source, [page], settings or PdfSettings()))
    if rendered.error:
        raise rendered.error
    return rendered.image
