"""What a stock reader shows of published bytes, of files of every kind that it would show wrong."""

import io
from typing import Any

import numpy as np
from PIL import Image

from corpus.image.decode import apply_orientation
from corpus.image.encode import needs_rewrite, rewrite
from corpus.image.header import sniff
from corpus.image.stock_reader import decoder_errors, load_image, open_image

WIDTH, HEIGHT = 64, 48
ACROSS, DOWN = np.meshgrid(np.linspace(30, 200, WIDTH), np.linspace(0, 55, HEIGHT))
COLOUR = np.dstack([ACROSS + DOWN, 255 - ACROSS, 60 + DOWN]).astype(np.uint8)  # no turn leaves it as it is
GREY = np.asarray(Image.fromarray(COLOUR).convert("L"))
IN_GREY = np.dstack([GREY] * 3)
BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}  # the orientation that undoes another


def save(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def turned(form: str, orientation: int, **options: Any) -> bytes:
    """A file that lies turned, and says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(Image.fromarray(apply_orientation(COLOUR, BACK[orientation])), form, exif=exif, **options)


def ink(form: str, mode: str = "RGBA", **options: Any) -> bytes:
    """Black everywhere, and as opaque as the picture is dark: on white it is the picture in grey."""
    black = np.zeros((HEIGHT, WIDTH, 1 if mode == "LA" else 3), np.uint8)
    return save(Image.fromarray(np.dstack([black, 255 - GREY]), mode), form, **options)


def see_through(form: str) -> bytes:
    """The picture in 8 colours on a ground of a palette's transparent black; on white, the picture on white."""
    image = Image.fromarray(COLOUR).quantize(8)
    pixels = np.asarray(image) + 1
    pixels[:, : WIDTH // 2] = 0
    made = Image.fromarray(pixels.astype(np.uint8), "P")
    made.putpalette([0, 0, 0, *image.getpalette()[:24]])
    return save(made, form, transparency=0)


def sixteen(form: str) -> bytes:
    return save(Image.fromarray(GREY.astype(np.uint16) * 257), form)


def animation(form: str, **options: Any) -> bytes:
    return save(
        Image.fromarray(COLOUR), form, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))], **options
    )


def stock(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def is_rewritten(data: bytes) -> bool:
    header = sniff(data)
    with decoder_errors():
        image = open_image(data, header)
        load_image(image, data, header)
        return needs_rewrite(image, header)


WRONG: dict[str, tuple[bytes, np.ndarray, str]] = {  # file, the picture that it shows, the format it is published in
    **{f"png turned {n}": (turned("PNG", n), COLOUR, "png") for n in range(2, 9)},
    **{f"jpeg turned {n}": (turned("JPEG", n, quality=95, subsampling=0), COLOUR, "jpeg") for n in range(2, 9)},
    "webp turned": (turned("WEBP", 6, quality=95), COLOUR, "jpeg"),
    "lossless webp turned": (turned("WEBP", 8, lossless=True), COLOUR, "png"),
    "avif turned": (turned("AVIF", 6, quality=95), COLOUR, "jpeg"),
    "png of 16-bit grey": (sixteen("PNG"), IN_GREY, "png"),
    "tiff of 16-bit grey": (sixteen("TIFF"), IN_GREY, "png"),
    "ink in png": (ink("PNG"), IN_GREY, "png"),
    "ink in grey png": (ink("PNG", "LA"), IN_GREY, "png"),
    "ink in lossless webp": (ink("WEBP", lossless=True, exact=True), IN_GREY, "png"),
    "ink in webp": (ink("WEBP", quality=95), IN_GREY, "jpeg"),
    "ink in avif": (ink("AVIF", quality=95), IN_GREY, "jpeg"),
    "ink in tiff": (ink("TIFF"), IN_GREY, "png"),
    "gif of several frames": (animation("GIF"), COLOUR, "png"),
    "webp of several frames": (animation("WEBP", quality=95), COLOUR, "jpeg"),
    "png of several frames": (animation("PNG"), COLOUR, "png"),
    "tiff of several pages": (animation("TIFF"), COLOUR, "png"),
}


def test_what_a_stock_reader_would_show_wrong_is_written_anew_and_shown_right() -> None:
    wrong = []
    for name, (data, wanted, form) in WRONG.items():
        made = rewrite(data, 95)
        header, shown = sniff(made), stock(made)
        far = 9.0 if shown.shape != wanted.shape else float(np.abs(shown.astype(int) - wanted).mean())
        least = 7 if "gif" in name else 0.01 if form == "png" else 5
        if not is_rewritten(data) or is_rewritten(made) or header.format != form or far > least:
            wrong.append((name, is_rewritten(data), is_rewritten(made), header.format, far))
    assert wrong == []


def test_hidden_colours_of_a_palette_become_white() -> None:
    for form in ("PNG", "GIF"):
        data = see_through(form)
        shown = stock(rewrite(data, 95))
        assert is_rewritten(data), form
        assert (shown[:, : WIDTH // 2] == 255).all(), form
        assert np.abs(shown[:, WIDTH // 2 :].astype(int) - COLOUR[:, WIDTH // 2 :]).mean() < 12, form


def test_what_a_stock_reader_shows_right_stays() -> None:
    image = Image.fromarray(COLOUR)
    right = {
        "jpeg": save(image, "JPEG"),
        "jpeg upright by its own word": turned("JPEG", 1),
        "grey jpeg": save(image.convert("L"), "JPEG"),
        "cmyk jpeg": save(image.convert("CMYK"), "JPEG"),
        "png": save(image, "PNG"),
        "palette": save(image.quantize(16), "PNG"),
        "gif": save(image, "GIF"),
        "webp": save(image, "WEBP"),
        "avif": save(image, "AVIF"),
        "bmp": save(image, "BMP"),
        "tiff": save(image, "TIFF"),
        "tiff that Pillow turns": turned("TIFF", 6),
        "bilevel": save(image.convert("1"), "PNG"),
    }
    assert [name for name, data in right.items() if is_rewritten(data)] == []


def test_the_same_bytes_come_out_again() -> None:
    for name, (data, _, _) in WRONG.items():
        assert rewrite(data, 90) == rewrite(data, 90), name
    small, large = (len(rewrite(WRONG["jpeg turned 6"][0], quality)) for quality in (40, 95))
    assert small < large


def test_without_loss_it_is_a_png() -> None:
    data = WRONG["jpeg turned 6"][0]
    made = rewrite(data, 95, lossless=True)
    assert sniff(made).format == "png"
    assert (stock(made) == apply_orientation(stock(data), 6)).all()
