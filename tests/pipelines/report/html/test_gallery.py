"""A gallery has images as they are, texts escaped, and both where both are to be seen."""

from __future__ import annotations

from pipelines.report.html.gallery import GalleryEntry, gallery_html


def test_images_texts_and_both() -> None:
    text = gallery_html(
        [
            GalleryEntry("0.5", images=(b"a", b"b"), title="row 1", attributes={"number": "0.5"}),
            GalleryEntry("0.7", texts=("<i>x</i>", "y" * 1_000)),
            GalleryEntry("0.9", images=(b"c",), texts=("z",)),
        ],
        "pool",
    )
    assert text.startswith('<div class="gallery pool">') and text.count("<figure") == 3 == text.count("<figcaption>")
    assert text.count("<img ") == 3 and text.count('class="several image"') == 1 and text.count('class="text"') == 2
    assert 'data-number="0.5" title="row 1"' in text and 'alt="sample at 0.5"' in text
    assert "&lt;i&gt;x&lt;/i&gt;" in text and f"{'y' * 319}…</p>" in text, "a long text is cut"
