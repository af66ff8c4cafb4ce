"""Renders pages of one PDF, as a program of its own: `pipelines.sources.images.pdf` starts it, with limits.

The PDF comes on standard input, the request as JSON in the first argument. For each page goes out a line of JSON,
{"page", "size"} with as many bytes after it, or {"page", "reason", "detail"}; where nothing can be read of the whole
PDF, one line with page 0. Imports only what it needs: it starts anew for every PDF.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from typing import Any, BinaryIO

# PDFium's FPDF_ERR_: PASSWORD, and SUCCESS, which it says where it read everything and found no page.
_REASONS = {4: "encrypted_pdf", 0: "empty_pdf"}
_SIGNATURE_BYTES = 1024  # in which a PDF says that it is one


def main() -> None:
    """Renders the pages that the first argument requests."""
    request = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever else is printed is no response
    try:
        _render_all(request, sys.stdin.buffer.read(), out)
    except MemoryError:
        _write_response(out, {"page": 0, "reason": "render_out_of_memory", "detail": "while it was opened"})
    except ModuleNotFoundError as error:
        _write_response(out, {"page": 0, "reason": "no_renderer", "detail": str(error)})


def _render_all(request: dict[str, Any], data: bytes, out: BinaryIO) -> None:
    import pypdfium2

    if b"%PDF-" not in data[:_SIGNATURE_BYTES]:
        _write_response(out, {"page": 0, "reason": "not_a_pdf", "detail": f"begins with {data[:8]!r}"})
        return
    try:
        pdf = pypdfium2.PdfDocument(data)
        count = len(pdf)
    except pypdfium2.PdfiumError as error:
        reason = _REASONS.get(getattr(error, "err_code", -1), "broken_pdf")
        _write_response(out, {"page": 0, "reason": reason, "detail": str(error)})
        return
    if not 0 < count <= request["max_pages"]:
        reason = "too_many_pages" if count else "empty_pdf"
        _write_response(out, {"page": 0, "reason": reason, "detail": f"{count} pages"})
        return
    pdf.init_forms()  # fields that are filled in are part of the picture
    for page in request["pages"]:
        if page > count:
            _write_response(out, {"page": page, "reason": "no_page", "detail": f"page {page} of {count}"})
            continue
        try:
            image = _render(pdf, page, request)
        except (pypdfium2.PdfiumError, ValueError) as error:
            reason = "bad_page_size" if isinstance(error, ValueError) else "broken_page"
            _write_response(out, {"page": page, "reason": reason, "detail": str(error)})
        except MemoryError:
            _write_response(out, {"page": page, "reason": "render_out_of_memory", "detail": f"page {page}"})
        else:
            _write_response(out, {"page": page, "size": len(image)}, image)


def _render(pdf: Any, page: int, request: dict[str, Any]) -> bytes:
    """Renders one page as an image file. Raises ValueError where its sides are no lengths, or differ too much."""
    loaded = pdf[page - 1]
    try:
        width, height = loaded.get_size()  # points, as it is turned
        if not all(math.isfinite(side) and side > 0 for side in (width, height)):
            raise ValueError(f"{width} by {height} points")
        if max(width, height) > request["max_aspect_ratio"] * min(width, height):
            raise ValueError(f"{width:g} by {height:g} points: more than 1 to {request['max_aspect_ratio']:g}")
        # pypdfium2 rounds up, so a hair less.
        scale = request["longest_side_px"] / max(width, height) * (1 - 1e-6)
        image = loaded.render(scale=scale).to_pil().convert("RGB")
    finally:
        loaded.close()
    file = io.BytesIO()
    if request["format"] == "png":
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=request["jpeg_quality"], subsampling=0)  # thin coloured letters stay sharp
    return file.getvalue()


def _write_response(out: BinaryIO, header: dict[str, Any], content: bytes = b"") -> None:
    out.write(json.dumps(header).encode() + b"\n" + content)
    out.flush()


if __name__ == "__main__":
    main()
