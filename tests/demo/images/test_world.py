"""The demo's world holds what its truth says: measured with imagehash, Pillow and OpenCV, not with its own code."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import imagehash
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo.images.defect_kinds import KINDS
from demo.images.world import CUT, DUPLICATE, FAMILIES, KEPT, ONE_OF, World, build_world

ROWS = 300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), ROWS, seed=3)


@pytest.fixture(scope="module")
def truth(world: World) -> list[dict[str, object]]:
    return pq.read_table(world.truth).to_pylist()


def content(world: World, row: dict[str, object]) -> bytes:
    return (world.folder / "www" / unquote(urlsplit(str(row["url"])).path).rsplit("/", 1)[-1]).read_bytes()


def grey(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return pixels


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_arguments_same_bytes(world: World, tmp_path: Path) -> None:
    for stale in ("www/999999.jpg", "parts/part-00007.parquet"):  # what lies there already must not matter
        (tmp_path / stale).parent.mkdir()
        (tmp_path / stale).write_bytes(b"of another world")
    build_world(tmp_path, ROWS, seed=3)
    assert digests(tmp_path) == digests(world.folder)


def test_every_kind_is_planted(truth: list[dict[str, object]]) -> None:
    found = Counter(row["kind"] for row in truth)
    assert sum(found.values()) == ROWS
    assert set(found) == {kind.name for kind in KINDS} | {*FAMILIES, *CUT, "no_url", "repeated", "ordinary"}
    assert all(found[kind.name] == kind.rows(ROWS) for kind in KINDS)


def test_kinds_can_be_left_out(tmp_path: Path) -> None:
    slow = ("drip", "stall", "pixel_bomb", "rescaled")
    world = build_world(tmp_path, 260, without=slow)
    kinds = pq.read_table(world.truth).column("kind").to_pylist()
    assert len(kinds) == 260 and not set(kinds) & set(slow)


def test_too_few_rows_say_how_many_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows: 60 are too few .*, \d+ are needed"):
        build_world(tmp_path, 60, without=("pixel_bomb",))


def test_metadata_parts_differ_in_names_and_types_and_hold_all_rows(
    world: World, truth: list[dict[str, object]]
) -> None:
    tables = [pq.read_table(part) for part in world.parts]
    assert [(table.column_names[1], table.column_names[2]) for table in tables] == [
        ("URL", "TEXT"),
        ("url", "caption"),
        ("Url", "Text"),
    ]
    widths = [
        str(table.schema.field(name).type) for table, name in zip(tables, ("WIDTH", "width", "Width"), strict=True)
    ]
    assert widths == ["int32", "double", "int64"]
    urls = [url for table in tables for url in table.column(1).to_pylist()]
    texts = [text for table in tables for text in table.column(2).to_pylist()]
    assert list(zip(urls, texts, strict=True)) == [(row["url"], row["text"]) for row in truth]


def test_rows_to_be_cut_are_beyond_the_cuts_and_others_are_not(world: World, truth: list[dict[str, object]]) -> None:
    at = 0
    for part in world.parts:
        table = pq.read_table(part)
        table = table.rename_columns([name.lower() for name in table.column_names])
        good = pc.and_(pc.greater(table["similarity"], 0.28), pc.less(table["punsafe"], 0.5))
        if "pwatermark" in table.column_names:
            good = pc.and_(good, pc.less(table["pwatermark"], 0.8))
        cut = [row["kind"] in CUT for row in truth[at : at + len(table)]]
        assert pc.invert(good).to_pylist() == cut
        at += len(table)


def test_pictures_are_far_apart_and_families_close(world: World, truth: list[dict[str, object]]) -> None:
    firsts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    apart = []
    for row in truth:
        if row["status"] not in (KEPT, DUPLICATE, ONE_OF) or not str(row["url"]).startswith("http://127.0.0.1:8642/"):
            continue
        image = Image.open(io.BytesIO(content(world, row)))
        if image.mode == "I;16":  # of which Pillow makes white when it converts
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        bits = (imagehash.phash(image).hash.ravel(), imagehash.dhash(image).hash.ravel())
        family = str(row["family"])
        if family and family in firsts:
            assert (bits[0] != firsts[family][0]).sum() <= 4
            continue
        firsts[family or str(row["url"])] = bits
        apart.append(bits)
    for which in range(2):
        stack = np.array([bits[which] for bits in apart])
        distances = (stack[:, None] != stack[None]).sum(axis=2) + 64 * np.eye(len(stack), dtype=int)
        assert distances.min() > 10


def test_the_named_survivor_is_the_largest(world: World, truth: list[dict[str, object]]) -> None:
    families: dict[str, list[dict[str, object]]] = {}
    for row in truth:
        if row["family"]:
            families.setdefault(str(row["family"]), []).append(row)
    assert {name.split("-")[0] for name in families} == set(FAMILIES)
    for members in families.values():
        assert len(members) >= 2
        if ONE_OF in {row["status"] for row in members}:
            assert {row["status"] for row in members} == {ONE_OF}
            continue
        sizes = {str(row["url"]): grey(content(world, row)).size for row in members}
        (survivor,) = [str(row["url"]) for row in members if row["status"] == KEPT]
        assert all(sizes[survivor] > size for url, size in sizes.items() if url != survivor)


def test_exact_copies_are_exact(world: World, truth: list[dict[str, object]]) -> None:
    for name in ("exact_copy-000", "same_url-000"):
        members = [row for row in truth if row["family"] == name]
        assert len({content(world, row) for row in members}) == 1
        assert len({row["url"] for row in members}) == (1 if name.startswith("same") else len(members))
        assert len({row["text"] for row in members}) == len({row["text"] for row in members})


def test_what_is_kept_is_sharp_lit_and_of_a_usual_shape(world: World, truth: list[dict[str, object]]) -> None:
    for row in truth:
        if row["kind"] != "ordinary":
            continue
        pixels = grey(content(world, row))
        assert min(pixels.shape) >= 200 and max(pixels.shape) <= 2.1 * min(pixels.shape)
        assert 50 < pixels.mean() < 205 and pixels.std() > 20
        assert sharpness(pixels) > 0.08


def sharpness(pixels: np.ndarray) -> float:
    small = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var() / max(1.0, small.var()))


@pytest.mark.parametrize(
    "kind, holds",
    [
        ("blurred", lambda pixels: sharpness(pixels) < 0.01),
        ("too_dark", lambda pixels: pixels.mean() < 12),
        ("too_bright", lambda pixels: pixels.mean() > 243),
        ("flat", lambda pixels: pixels.std() < 1),
        ("too_small", lambda pixels: min(pixels.shape) <= 24),
        ("single_pixel", lambda pixels: pixels.shape == (1, 1)),
        ("extreme_aspect_ratio", lambda pixels: pixels.shape == (200, 2400)),
    ],
)
def test_faults_are_what_they_are_called(world: World, truth: list[dict[str, object]], kind: str, holds) -> None:
    found = [grey(content(world, row)) for row in truth if row["kind"] == kind]
    assert found and all(holds(pixels) for pixels in found)


@pytest.mark.parametrize(
    "kind, form, mode",
    [
        ("png", "PNG", "RGB"),
        ("webp", "WEBP", "RGB"),
        ("grey", "JPEG", "L"),
        ("cmyk", "JPEG", "CMYK"),
        ("palette", "PNG", "P"),
        ("sixteen_bit", "PNG", "I;16"),
        ("transparent", "PNG", "RGBA"),
        ("animated", "GIF", "P"),
    ],
)
def test_unusual_files_are_what_they_are_called(
    world: World, truth: list[dict[str, object]], kind: str, form: str, mode: str
) -> None:
    for row in truth:
        if row["kind"] == kind:
            image = Image.open(io.BytesIO(content(world, row)))
            assert (image.format, image.mode, getattr(image, "n_frames", 1)) == (
                form,
                mode,
                4 if kind == "animated" else 1,
            )
            image.load()


def test_rotated_and_progressive_files_say_so(world: World, truth: list[dict[str, object]]) -> None:
    for row in truth:
        if row["kind"] == "rotated":
            assert Image.open(io.BytesIO(content(world, row))).getexif()[0x0112] == 6
        if row["kind"] == "progressive":
            assert Image.open(io.BytesIO(content(world, row))).info["progressive"]


@pytest.mark.parametrize("kind", ["truncated", "truncated_png", "garbage"])
def test_broken_files_do_not_load(world: World, truth: list[dict[str, object]], kind: str) -> None:
    for row in truth:
        if row["kind"] == kind:
            with pytest.raises((OSError, SyntaxError)):
                Image.open(io.BytesIO(content(world, row))).load()


def test_pixel_bomb_is_small_and_true(world: World, truth: list[dict[str, object]]) -> None:
    (data,) = [content(world, row) for row in truth if row["kind"] == "pixel_bomb"]
    assert len(data) < 200_000 and struct.unpack(">II", data[16:24]) == (30_000, 30_000)
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(data[41 : 41 + struct.unpack(">I", data[33:37])[0]])
    assert len(unpacked) == 30_000 * 3_751 and unpacker.eof
