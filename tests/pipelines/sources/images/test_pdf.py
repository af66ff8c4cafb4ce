"""Pages of PDFs: as they look, and what hostile ones cost."""

from __future__ import annotations

import io
import pickle
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from corpus.settings import SettingsError
from corpus.storage import StorageError
from pipelines.sources.images import pdf as pdf_pages
from pipelines.sources.images.pdf import Page, PageError, PdfImages, PdfImagesSettings, PdfSettings, render_pages
from tests.helpers.pdf_pages import render_page
from tests.helpers.small_pdfs import (
    BLUE,
    GREEN,
    RED,
    coloured,
    endless,
    huge_image,
    locked,
    pdf,
    stream,
    three_pages,
    write,
)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def colour(data: bytes) -> str:
    """Which of red, green and blue the middle has most of; white for all."""
    image = picture(data)
    middle = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(middle, tuple)
    return "white" if min(middle) > 250 else ("red", "green", "blue")[middle.index(max(middle))]


def drawn(data: bytes | str, *pages: int, **settings: float) -> list[str]:
    """The colour of each page, or the reason why there is none."""
    found = list(render_pages(data, pages, PdfSettings.model_validate(settings)))
    assert [page.number for page in found] == list(pages)
    return [page.error.reason if page.error else colour(page.image) for page in found]


def test_pages_are_counted_from_one_and_come_in_the_order_asked_for() -> None:
    assert drawn(three_pages(), 3, 1, 2, 4) == ["blue", "red", "green", "no_page"]
    with pytest.raises(ValueError, match="counted from 1"):
        render_page(three_pages(), 0)
    with pytest.raises(PageError, match="no_page: page 9 of 3") as caught:
        render_page(three_pages(), 9)
    assert (caught.value.reason, caught.value.detail) == ("no_page", "page 9 of 3")


def test_the_longest_side_and_the_format() -> None:
    turned = pdf([coloured(RED, 200, 100), coloured(GREEN, 200, 100, "/Rotate 90"), coloured(BLUE, 612, 792)])
    sizes = [picture(page.image).size for page in render_pages(turned, [1, 2, 3], PdfSettings(longest_side_px=300))]
    assert sizes == [(300, 150), (150, 300), (232, 300)]
    jpeg, png = picture(render_page(turned, 1)), picture(render_page(turned, 1, PdfSettings(format="png")))
    assert (jpeg.format, png.format, png.mode, jpeg.size) == ("JPEG", "PNG", "RGB", (1540, 770))
    assert png.getpixel((5, 5)) == (255, 0, 0)
    assert render_page(turned, 1) == render_page(turned, 1)


def test_text_is_drawn() -> None:
    fonts = "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    page = pdf([("/MediaBox [0 0 200 100]", "BT /F 40 Tf 20 40 Td (Page) Tj ET")], resources=fonts)
    image = picture(render_page(page, 1)).convert("L")
    dark = sum(image.histogram()[:100]) / (image.width * image.height)
    assert 0.02 < dark < 0.3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_a_pdf"),
        (b"<html><body>404</body></html>", "not_a_pdf"),
        (b"%PDF-1.7\nnothing more", "broken_pdf"),
        (three_pages()[:300], "broken_pdf"),
        (locked(), "encrypted_pdf"),
        (pdf([]), "empty_pdf"),
        (pdf([coloured(RED)] * 60), "too_many_pages"),
        (pdf([coloured(RED, 1e9, 1)]), "bad_page_size"),
        (pdf([coloured(RED)]).replace(b"/Count 1", b"/Count 9").replace(b"/Kids [10 0", b"/Kids [77 0"), "broken_page"),
        (pdf([coloured(RED)] * 40 + [coloured(RED, more="/Note (" + "x" * 20_000 + ")")]), "too_large"),
    ],
)
def test_what_cannot_be_drawn_has_its_reason(data: bytes, reason: str) -> None:
    assert drawn(data, 1, 2, max_pages=50, max_bytes=20_000) == [
        reason,
        reason if reason != "bad_page_size" else "no_page",
    ]


def test_sizes_that_mean_harm() -> None:
    odd = pdf([coloured(RED, 1e9, 1e9), coloured(GREEN, 0.01, 0.01), coloured(BLUE, more="/UserUnit 1000000")])
    assert drawn(odd, 1, 2, 3, longest_side_px=200) == ["red", "green", "blue"]


def test_a_page_without_end_costs_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "endless.pdf", endless())
    first, second, third = drawn(str(path), 1, 2, 3, page_timeout_s=3.0, longest_side_px=64)
    # What comes first depends on the machine: the deadline, or the end of the memory.
    assert (first, third) == ("red", "blue") and second in ("render_timeout", "renderer_died")


def test_a_pdf_has_a_deadline_too(tmp_path: Path) -> None:
    path = write(tmp_path / "endless.pdf", endless())
    reasons = drawn(str(path), 2, 2, 1, 3, pdf_timeout_s=0.5, longest_side_px=64)
    assert reasons == ["render_timeout"] * 4


def test_memory_is_bounded() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"0 0 m " * 1_000_000) for _ in range(60)) + packer.flush()  # 360 MB of path
    form = stream(bomb, "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode")
    pages = [coloured(RED), ("/MediaBox [0 0 200 100]", "/F Do"), coloured(BLUE)]
    data = pdf(pages, {1000: form}, "/XObject << /F 1000 0 R >>")
    assert len(data) < 1_000_000
    first, second, third = drawn(data, 1, 2, 3, max_memory_bytes=250_000_000, longest_side_px=64)
    assert (first, third) == ("red", "blue") and second in ("renderer_died", "render_out_of_memory")
    assert drawn(three_pages(), 1, max_memory_bytes=200_000_000, longest_side_px=8192) == ["render_out_of_memory"]
    assert drawn(huge_image(200_000), 1, 2, max_memory_bytes=400_000_000, longest_side_px=64) == ["red", "white"]


def worker(path: Path, code: str) -> Path:
    path.write_text(f"import json, os, signal, sys\npages = json.loads(sys.argv[1])['pages']\n{code}")
    return path


def test_a_renderer_that_dies_costs_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = """
for page in pages:
    if page in (2, 3, 5, 6, 7):
        os.kill(os.getpid(), signal.SIGSEGV)
    print(json.dumps({"page": page, "size": 1}), end="\\nx", flush=True)
"""
    monkeypatch.setattr(pdf_pages, "_WORKER", worker(tmp_path / "dies.py", dies))
    found = list(render_pages(b"", range(1, 9), PdfSettings()))
    reasons = [page.error.reason if page.error else "" for page in found]
    assert reasons == ["", "renderer_died", "renderer_died", "", *["renderer_died"] * 4]  # given up after the fourth
    assert str(found[1].error) == "renderer_died: signal 11" and str(found[-1].error) == "renderer_died: too often"
    monkeypatch.setattr(pdf_pages, "_WORKER", worker(tmp_path / "talks.py", "print('x' * 100_000, flush=True)"))
    assert [page.error and page.error.reason for page in render_pages(b"", [1], PdfSettings())] == ["renderer_died"]


def test_a_renderer_that_claims_more_than_its_memory_has_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (PdfSettings().max_memory_bytes + 1, 1 << 80, -1):
        says = f"""
print(json.dumps({{"page": 1, "size": {size}}}), flush=True)
signal.pause()"""
        monkeypatch.setattr(pdf_pages, "_WORKER", worker(tmp_path / "claims.py", says))
        (page,) = render_pages(b"", [1], PdfSettings())
        assert page.error and page.error.reason == "renderer_died"


def test_a_renderer_that_hangs_costs_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = """
for page in pages:
    if page == 2:
        signal.pause()
    print(json.dumps({"page": page, "size": 1}), end="\\nx", flush=True)
"""
    monkeypatch.setattr(pdf_pages, "_WORKER", worker(tmp_path / "hangs.py", hangs))
    found = list(render_pages(b"", [1, 2, 3], PdfSettings(page_timeout_s=2.0)))
    assert [(page.image, page.error and str(page.error)) for page in found] == [
        (b"x", None),
        (b"", "render_timeout: nothing within 2 s"),
        (b"x", None),
    ]


def test_a_full_temporary_folder_is_no_pdfs_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/planted")
    with Path("/dev/full").open("w+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda: full)
        with pytest.raises(StorageError, match=r"/planted: the temporary file of a PDF: .*No space left"):
            next(render_pages(three_pages(), [1], PdfSettings()))


def test_without_a_renderer_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "print(json.dumps({'page': 0, 'reason': 'no_renderer', 'detail': 'no pypdfium2'}))"
    monkeypatch.setattr(pdf_pages, "_WORKER", worker(tmp_path / "none.py", script))
    with pytest.raises(SettingsError, match=r"no pypdfium2: pip install 'rzen-corpus\[documents\]'"):
        render_page(three_pages(), 1)


def test_an_iterator_that_is_left_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    popen = pdf_pages.subprocess.Popen

    def noted(*args: object, **more: object) -> object:
        started.append(popen(*args, **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(pdf_pages.subprocess, "Popen", noted)
    pages = render_pages(endless(), [1, 2], PdfSettings(longest_side_px=64))
    first = next(pages)
    assert isinstance(first, Page) and started[0].poll() is None
    pages.close()  # type: ignore[attr-defined]
    assert started[0].poll() is not None
    assert started[0].args[0] == sys.executable


def test_files_and_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", three_pages())
    assert drawn(str(path), 2) == ["green"] and drawn(f"file://{path}", 2) == ["green"]
    assert drawn(str(tmp_path / "no.pdf"), 1) == ["missing_image"]
    assert drawn(str(path), 1, 2, max_bytes=10) == ["too_large", "too_large"]


def test_a_pdf_is_meant_by_its_whole_name_before_others_that_end_so(tmp_path: Path) -> None:
    write(tmp_path / "pdfs" / "a.pdf", pdf([coloured(BLUE)]))
    write(tmp_path / "pdfs" / "sub" / "a.pdf", pdf([coloured(RED)]))
    write(tmp_path / "pdfs" / "sub" / "b.pdf", pdf([coloured(GREEN)]))
    settings = PdfImagesSettings(paths=(f"{tmp_path}/pdfs", f"{tmp_path}/pdfs/sub/b.pdf"), longest_side_px=64)
    names = {"a.pdf#page=1": "blue", "a#page=1": "blue", "sub/a#page=1": "red", "b.pdf#page=1": "green"}
    found = dict(PdfImages(settings).open(10**6)(list(names)))
    assert [found[at].reason or colour(found[at].data) for at in range(4)] == list(names.values())
    two = PdfImagesSettings(paths=(f"{tmp_path}/pdfs", f"{tmp_path}/pdfs/sub"))
    assert [one.reason for _, one in PdfImages(two).open(10**6)(["a.pdf#page=1"])] == ["ambiguous_image"]


def test_the_resolver_finds_pages_by_the_ends_of_paths(tmp_path: Path) -> None:
    write(tmp_path / "reports" / "2023" / "a.pdf", three_pages())
    write(tmp_path / "reports" / "2024" / "a.PDF", pdf([coloured(BLUE)]))
    write(tmp_path / "other" / "broken.pdf", b"%PDF-1.4 no")
    write(tmp_path / "other" / "twice.pdf", three_pages())
    write(tmp_path / "more" / "twice.pdf", three_pages())
    settings = PdfImagesSettings(paths=(str(tmp_path),), longest_side_px=64)
    resolver = pickle.loads(pickle.dumps(PdfImages(settings)))  # noqa: S301 - as workers get it
    names = {
        "2023/a.pdf#page=3": "blue",
        "2023/a.pdf#page=1": "red",
        "2023/a#page=2": "green",
        "2023/a.pdf#page=4": "no_page",
        "./2024/a.PDF#page=1": "blue",
        "broken.pdf#page=1": "broken_pdf",
        "twice.pdf#page=1": "ambiguous_image",
        "twice#page=1": "ambiguous_image",
        "none.pdf#page=1": "missing_image",
    }
    assert all(resolver.matches(name) for name in names)
    assert not any(resolver.matches(name) for name in ("a.pdf", "a.pdf#page=0", "a.pdf#page=x", "a.parquet#row=1"))
    found = dict(resolver.open(10**6)(list(names)))
    assert sorted(found) == list(range(len(names)))
    outcomes = {name: found[at].reason or colour(found[at].data) for at, name in enumerate(names)}
    assert outcomes == names
    assert [one.reason for _, one in resolver.open(10)(["2024/a.PDF#page=1"])] == ["too_large"]
    files = [file[0] for file in resolver.identity()["files"]]
    assert len(files) == 5 and "page_timeout_s" not in resolver.identity()
