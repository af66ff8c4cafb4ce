"""PDFs written by hand, a few hundred bytes each: pages of one colour, and pages that mean harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

RED, GREEN, BLUE = "1 0 0", "0 1 0", "0 0 1"


def pdf(
    pages: Sequence[tuple[str, str]], objects: Mapping[int, bytes] | None = None, resources: str = "", trailer: str = ""
) -> bytes:
    """A PDF of pages of (MediaBox and other entries, content). Own objects have numbers from 1000 on."""
    kids = " ".join(f"{10 + 2 * at} 0 R" for at in range(len(pages)))
    written = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        **(objects or {}),
    }
    for at, (entries, content) in enumerate(pages):
        page = f"<< /Type /Page /Parent 2 0 R {entries} /Contents {11 + 2 * at} 0 R /Resources << {resources} >> >>"
        written[10 + 2 * at] = page.encode()
        written[11 + 2 * at] = stream(content.encode())
    data, places = b"%PDF-1.4\n", {}
    for number in sorted(written):
        places[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, written[number])
    start = len(data)
    data += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        data += b"%d 1\n%010d 00000 n \n" % (number, place)
    size = max(written) + 1
    return data + f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()


def stream(content: bytes, entries: str = "") -> bytes:
    """A stream object's text."""
    return f"<< {entries} /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"


def coloured(colour: str, width: float = 200, height: float = 100, more: str = "") -> tuple[str, str]:
    """A page that is all of one colour."""
    return f"/MediaBox [0 0 {width} {height}] {more}", f"{colour} rg 0 0 {width} {height} re f"


def three_pages() -> bytes:
    """Red, green, blue."""
    return pdf([coloured(colour) for colour in (RED, GREEN, BLUE)])


def locked() -> bytes:
    """Wants a password that nobody knows: its digests are no one's."""
    digest = "41" * 32
    secret = f"<< /Filter /Standard /V 1 /R 2 /O <{digest}> /U <{digest}> /P -4 >>".encode()
    trailer = f"/Encrypt 1000 0 R /ID [<{'00' * 16}> <{'00' * 16}>]"
    return pdf([coloured(RED)], {1000: secret}, trailer=trailer)


def endless() -> bytes:
    """Red; then a form that draws a form ten times that draws a form ten times, twelve deep; then blue."""
    forms = {}
    for level in range(12):
        inner = f"/XObject << /F {1001 + level} 0 R >>" if level < 11 else ""
        content = b"/F Do " * 10 if level < 11 else b"0 0 9 9 re f"
        entries = f"/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Resources << {inner} >>"
        forms[1000 + level] = stream(content, entries)
    box = "/MediaBox [0 0 200 100]"
    return pdf([coloured(RED), (box, "/F Do"), coloured(BLUE)], forms, "/XObject << /F 1000 0 R >>")


def huge_image(side: int) -> bytes:
    """Red; then a page with an image of `side` by `side` pixels that is a few bytes of run lengths."""
    image = stream(
        b"\x81\x00" * 64 + b"\x80",
        f"/Type /XObject /Subtype /Image /Width {side} /Height {side} /ColorSpace /DeviceRGB /BitsPerComponent 8 "
        "/Filter /RunLengthDecode",
    )
    drawn = ("/MediaBox [0 0 200 100]", "200 0 0 100 0 0 cm /I Do")
    return pdf([coloured(RED), drawn], {1000: image}, "/XObject << /I 1000 0 R >>")


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
