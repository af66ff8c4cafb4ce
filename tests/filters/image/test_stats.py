"""What is said of image files of every kind: real photographs, planted faults, pictures of known greys."""

import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import filters.image.stats
from corpus.bisection import run_rows
from corpus.image.pdq import pdq_hash
from corpus.media import MediaWriter
from corpus.schema import item_id
from corpus.settings import SettingsError
from corpus.stage import ITEMS, Shard
from corpus.storage import Store
from demo.images import defects as faults
from demo.images.drawing import Picture
from demo.images.photographs import photographs
from filters.image.stats import ImageStats, ImageStatsSettings, inspect_image
from tests.helpers.cases import cases
from tests.helpers.extras import installed_or_skip
from tests.helpers.media_columns import location_columns

MAX_PIXELS = 20_000_000
PHOTOGRAPH = Picture(photographs()[0].pixels[:300, :400], "a photograph")
HEIGHT, WIDTH = PHOTOGRAPH.pixels.shape[:2]


def inspect(data: bytes) -> dict[str, Any]:
    return inspect_image(data, MAX_PIXELS)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg(pixels: np.ndarray, quality: int = 85) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def shard_of(tmp_path: Path, contents: list[bytes]) -> Shard:
    """The contents as a shard whose bytes lie in another order than its rows."""
    store = Store(tmp_path)
    media = MediaWriter(store, "media/photos/000000.tar")
    places = {row: media.add(item_id(contents[row]), "bin", contents[row]) for row in reversed(range(len(contents)))}
    media.commit()
    rows = range(len(contents))
    columns = location_columns(
        [item_id(data) for data in contents],
        [media.path] * len(contents),
        [places[row][0] for row in rows],
        [places[row][1] for row in rows],
        ["bin"] * len(contents),
    )
    return Shard("photos", "000000", 0, np.arange(len(contents)), {ITEMS: pa.table(columns)}, store)


def test_each_row_says_what_its_own_image_is(tmp_path: Path) -> None:
    contents = [
        jpeg(PHOTOGRAPH.pixels),
        b"<html>gone</html>",
        png(PHOTOGRAPH.pixels[:90, :60]),
        jpeg(PHOTOGRAPH.pixels)[:4000],
        faults.rotated(PHOTOGRAPH),
    ]
    stage = ImageStats(ImageStatsSettings())
    table = run_rows(stage, stage.setup(), shard_of(tmp_path, contents))
    assert table.schema.names == [*stage.schema.names, "status", "reason"]
    assert table.column("status").to_pylist() == ["kept", "failed", "kept", "failed", "kept"]
    assert table.column("reason").to_pylist() == ["", "not_an_image", "", "truncated", ""]
    assert table.column("width").to_pylist() == [WIDTH, None, 60, WIDTH, WIDTH]
    assert table.column("height").to_pylist() == [HEIGHT, None, 90, HEIGHT, HEIGHT]
    assert table.column("format").to_pylist() == ["jpeg", None, "png", "jpeg", "jpeg"]
    assert table.column("sha256").to_pylist() == [hashlib.sha256(data).digest() for data in contents]
    measured = table.drop_columns(
        [*stage.schema.names[:2], *stage.schema.names[3:7], "bytes", "sha256", "detail", "status", "reason"]
    )
    for row in measured.to_pylist():
        assert len({value is None for value in row.values()}) == 1
    assert measured.column("phash").null_count == 2


def test_what_a_decoder_raises_is_its_rows_reason_however_many_they_are(tmp_path: Path) -> None:
    """AVIF's decoder raises RuntimeError: no reason to give up the shard."""
    good = save("avif", quality=30)
    start = good.index(b"mdat") + 4
    broken = [good[:start] + bytes([n]) * 60 + good[start + 60 :] for n in range(40)]
    for data in broken:
        with pytest.raises(RuntimeError), Image.open(io.BytesIO(data)) as image:
            image.load()
    stage = ImageStats(ImageStatsSettings())
    table = run_rows(stage, stage.setup(), shard_of(tmp_path, [*broken, good]))
    assert table.column("reason").to_pylist() == ["undecodable"] * 40 + [""]
    details = table.column("detail").to_pylist()
    assert all(detail.startswith("RuntimeError: ") for detail in details[:40]), details
    assert details[40] == ""


def test_pdq_hashes_are_columns_where_the_settings_ask_for_them(tmp_path: Path) -> None:
    installed_or_skip("pdqhash")
    contents = [jpeg(PHOTOGRAPH.pixels), b"<html>gone</html>", jpeg(PHOTOGRAPH.pixels, 40)]
    plain, stage = ImageStats(ImageStatsSettings()), ImageStats(ImageStatsSettings(pdq=True))
    table, without = (run_rows(each, each.setup(), shard_of(tmp_path, contents)) for each in (stage, plain))
    assert table.drop_columns(["pdq", "pdq_quality"]).equals(without)
    assert table.column("pdq").type == pa.binary(32) and table.column("pdq_quality").to_pylist() == [100, None, 100]
    one, none, other = table.column("pdq").to_pylist()
    assert none is None and (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() <= 20
    assert stage.fingerprint_inputs() != plain.fingerprint_inputs()


def test_pdq_without_its_library_is_a_fault_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pdqhash", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"stages\.image_stats\.pdq: .*rzen-corpus\[pdq\]"):
        ImageStats(ImageStatsSettings(pdq=True)).fingerprint_inputs()
    with pytest.raises(ImportError, match=r"rzen-corpus\[pdq\]"):
        pdq_hash(PHOTOGRAPH.pixels[:, :, 0])


def test_an_empty_shard_gives_an_empty_table(tmp_path: Path) -> None:
    stage = ImageStats(ImageStatsSettings())
    table = stage.setup()(shard_of(tmp_path, []))
    assert table.num_rows == 0


def save(form: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(PHOTOGRAPH.pixels[:, :, ::-1])
    image.convert(mode).save(file, form, **options)
    return file.getvalue()


@cases(
    ("data", "form", "mode"),
    [
        (faults.plain(PHOTOGRAPH), "jpeg", "RGB"),
        (faults.progressive(PHOTOGRAPH), "jpeg", "RGB"),
        (faults.grey(PHOTOGRAPH), "jpeg", "L"),
        (faults.cmyk(PHOTOGRAPH), "jpeg", "CMYK"),
        (faults.rotated(PHOTOGRAPH), "jpeg", "RGB"),
        (faults.png(PHOTOGRAPH), "png", "RGB"),
        (faults.palette(PHOTOGRAPH), "png", "P"),
        (faults.sixteen_bit(PHOTOGRAPH), "png", "L;16"),
        (save("png", "RGBA"), "png", "RGBA"),
        (faults.webp(PHOTOGRAPH), "webp", "RGB"),
        (save("gif"), "gif", "P"),
        (save("bmp"), "bmp", "RGB"),
        (save("tiff"), "tiff", "RGB"),
        (save("avif"), "avif", "RGB"),
    ],
)
def test_a_photograph_is_the_same_however_it_is_stored(data: bytes, form: str, mode: str) -> None:
    said, plain = inspect(data), inspect(png(PHOTOGRAPH.pixels))
    assert (said["status"], said["reason"]) == ("kept", "")
    assert (said["format"], said["mode"], said["animated"]) == (form, mode, False)
    assert (said["width"], said["height"]) == (WIDTH, HEIGHT)
    assert said["aspect_ratio"] == pytest.approx(WIDTH / HEIGHT)
    assert (said["phash"] ^ plain["phash"]).bit_count() <= 4
    assert (said["dhash"] ^ plain["dhash"]).bit_count() <= 4
    assert said["brightness"] == pytest.approx(plain["brightness"], abs=3)
    assert said["contrast"] == pytest.approx(plain["contrast"], rel=0.05)
    assert said["sharpness"] == pytest.approx(plain["sharpness"], rel=0.2)


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims side × side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def damaged_png() -> bytes:
    data = bytearray(png(PHOTOGRAPH.pixels))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


@cases(
    ("data", "reason"),
    [
        (b"", "not_an_image"),
        (faults.svg(PHOTOGRAPH), "unsupported_format"),
        (faults.jpeg_xl(PHOTOGRAPH), "unsupported_format"),
        (faults.short_png(PHOTOGRAPH), "truncated"),
        (faults.long_strip(PHOTOGRAPH), "side_too_long"),
        (faults.truncated(PHOTOGRAPH), "truncated"),
        (faults.truncated_png(PHOTOGRAPH), "truncated"),
        (faults.truncated(PHOTOGRAPH) + b"\xff\xd9", "truncated"),
        (faults.garbage(PHOTOGRAPH), "truncated"),
        (damaged_png(), "undecodable"),
        (bomb(0), "undecodable"),
        (bomb(1000), "truncated"),
        (bomb(5000), "too_many_pixels"),
        (bomb(2**32 - 1), "too_many_pixels"),
        (b"\0\0\0\x14ftypheic\0\0\0\0heic", "unsupported_format"),
    ],
)
def test_what_is_no_whole_image_fails_with_its_reason(data: bytes, reason: str) -> None:
    said = inspect(data)
    assert (said["status"], said["reason"]) == ("failed", reason)
    assert said["sha256"] == hashlib.sha256(data).digest()
    assert "phash" not in said


def test_nothing_is_decoded_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(filters.image.stats, "read_grey_image", lambda *_, **__: decoded.append(1))
    data = png(PHOTOGRAPH.pixels)
    assert inspect_image(data, WIDTH * HEIGHT - 1)["reason"] == "too_many_pixels"
    assert inspect_image(data, WIDTH * HEIGHT, WIDTH - 1)["reason"] == "side_too_long"
    assert not decoded


def test_a_huge_image_is_inspected() -> None:
    said = inspect(jpeg(cv2.resize(PHOTOGRAPH.pixels, (4400, 3300))))
    assert (said["width"], said["height"], said["status"]) == (4400, 3300, "kept")
    assert (said["phash"] ^ inspect(png(PHOTOGRAPH.pixels))["phash"]).bit_count() <= 2


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (300, 1), (2, 2), (3000, 3)])
def test_slivers_are_inspected(width: int, height: int) -> None:
    said = inspect(jpeg(np.full((height, width, 3), 90, np.uint8)))
    assert (said["width"], said["height"], said["status"]) == (width, height, "kept")
    assert said["aspect_ratio"] == max(width, height) / min(width, height)
    assert said["sharpness"] == 0


def test_an_animation_says_so() -> None:
    assert inspect(faults.animated(PHOTOGRAPH))["animated"]


def test_transparency_is_measured_as_white() -> None:
    clear = inspect(png(np.zeros((80, 80, 4), np.uint8)))
    assert (clear["brightness"], clear["contrast"]) == (255, 0)


def sized(pixels: np.ndarray, longest_px: int) -> np.ndarray:
    scale = longest_px / max(pixels.shape[:2])
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def test_blur_tells_blurred_photographs_from_sharp_ones_at_any_size() -> None:
    sharp, slightly, blurred = [], [], []
    for photograph in photographs():
        for longest_px, quality in ((200, 90), (330, 50), (500, 75)):
            pixels = sized(photograph.pixels, longest_px)
            sharp.append(inspect(jpeg(pixels, quality))["sharpness"])
            for share, blurs in ((0.01, slightly), (0.015, blurred), (0.03, blurred)):
                soft = cv2.GaussianBlur(pixels, (0, 0), share * longest_px)
                blurs.append(inspect(jpeg(soft, quality))["sharpness"])
    assert min(sharp) > 1.2
    assert max(slightly) < 0.8
    assert max(blurred) < 0.4


def test_blur_does_not_follow_from_contrast() -> None:
    for photograph in photographs():
        pixels = sized(photograph.pixels, 320)
        full = inspect(png(pixels))["sharpness"]
        pale = inspect(png((pixels * 0.5 + 100).astype(np.uint8)))["sharpness"]
        assert pale == pytest.approx(full, rel=0.25)


FILES = [faults.plain(PHOTOGRAPH), faults.png(PHOTOGRAPH), faults.webp(PHOTOGRAPH), faults.animated(PHOTOGRAPH)]


@given(st.sampled_from(FILES), st.integers(0), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6))
def test_damage_raises_nothing(data: bytes, cut: int, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in damage:
        damaged[place % len(data)] = value
    said = inspect(bytes(damaged[: len(data) - cut % 50]))
    assert (said["status"] == "kept") == (said["reason"] == "")
