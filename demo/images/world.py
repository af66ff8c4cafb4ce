"""Builds the demo's world: images for a web server, metadata in LAION's form about them, and the truth about every row.

    FOLDER/www/             the files that `demo.server` serves
    FOLDER/parts/*.parquet  metadata; each part has other column names and types, as published metadata does
    FOLDER/truth.parquet    the outcome of every row (schema TRUTH)

Pictures that are not planted as duplicates differ from each other in more than FAR bits of either perceptual hash;
those of a family differ in at most NEAR from their first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import Status
from demo.images.defect_kinds import DROPPED, KEPT, KINDS, DefectKind
from demo.images.drawing import BgrPixels, Bits, Picture, distances, encode, is_clear, perceptual_bits, scaled
from demo.images.photographs import crop, photographs
from demo.images.scenes import draw_marks, random_scene

BASE_URL = "http://127.0.0.1:8642"
FILTER = "similarity > 0.28 and punsafe < 0.5 and (pwatermark is None or pwatermark < 0.8)"
FAR, NEAR = 14, 2  # bits of 64

DUPLICATE = str(Status.DUPLICATE)
ONE_OF = "one_of"  # exactly one row of the family is kept, and nobody says which
FAMILIES = {  # kind -> what each member but one is
    "rescaled": "near_duplicate",
    "recompressed": "near_duplicate",
    "reencoded": "near_duplicate",
    "exact_copy": "exact_duplicate",
    "same_url": "exact_duplicate",
}
CUT = ("dissimilar", "unsafe", "watermarked")  # rows that FILTER leaves out

TRUTH = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("status", pa.string()),  # corpus.schema.Status, DROPPED (before it is an item) or ONE_OF
        pa.field("reasons", pa.list_(pa.string())),  # any of them is true; of a row that is kept: ""
        pa.field("family", pa.string()),  # of duplicates, else ""
    ]
)

_DECODINGS = (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_4)


@dataclass(frozen=True)
class World:
    """The paths of a world."""

    folder: Path
    parts: tuple[str, ...]
    truth: Path


@dataclass(frozen=True)
class WorldRow:
    """A row of the metadata and its outcome."""

    url: str | None
    text: str
    kind: str
    status: str
    reasons: tuple[str, ...] = ()
    family: str = ""
    width: int = 640
    height: int = 480


def build_world(
    folder: str | Path,
    rows: int = 600,
    seed: int = 0,
    base_url: str = BASE_URL,
    without: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> World:
    """Writes a world with this number of rows of metadata, in place of an existing one.

    The same arguments give the same bytes. `without` names kinds to leave out, such as the slow `drip` and `stall`.
    `progress` is called with the number of rows that are planted, and of all.
    Raises ValueError if `rows` is too few to hold every kind.
    """
    folder = Path(folder)
    for part in ("www", "parts"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    planted = _Planter(folder, base_url, seed).plant(rows, without, progress)
    rng = np.random.default_rng([seed, 1])
    # One part has no watermark column, so what is cut by it has to lie in the first.
    order = np.argsort([rng.random() * (0.1 if row.kind == "watermarked" else 1) for row in planted])
    planted = [planted[at] for at in order]
    ids = [1_000_000 + at for at in range(rows)]
    columns = {name: [getattr(row, name) for row in planted] for name in TRUTH.names if name != "sample_id"}
    truth = pa.table({**columns, "sample_id": [str(number) for number in ids]}, schema=TRUTH)
    pq.write_table(truth, folder / "truth.parquet")
    metadata = _metadata(planted, ids, rng)
    thirds = [metadata.slice(rows * at // 3, rows * (at + 1) // 3 - rows * at // 3) for at in range(3)]
    parts: list[Path] = []
    for number, part in enumerate((thirds[0], _as_derived(thirds[1]), _as_retyped(thirds[2]))):
        parts.append(folder / "parts" / f"part-{number:05d}.parquet")
        pq.write_table(part, parts[-1], row_group_size=100)
    return World(folder, tuple(str(part) for part in parts), folder / "truth.parquet")


class _Planter:
    """The builder of rows and their files, from one stream of random numbers."""

    def __init__(self, folder: Path, base_url: str, seed: int) -> None:
        self._www = folder / "www"
        self._base_url = base_url
        self._rng = np.random.default_rng(seed)
        self._photographs = cycle(photographs())
        self._known_bits = np.zeros((0, 128), np.bool_)
        self._files = 0

    def plant(self, rows: int, without: Collection[str], progress: Callable[[int, int], None] | None) -> list[WorldRow]:
        planted: list[WorldRow] = []

        def add(created: Iterable[WorldRow]) -> None:
            for row in created:
                planted.append(row)
                if progress is not None:
                    progress(len(planted), max(rows, len(planted)))

        add(self.row_of(kind) for kind in KINDS if kind.name not in without for _ in range(kind.rows(rows)))
        for name in FAMILIES:
            count = 0 if name in without else max(2, round(0.012 * rows))
            for number in range(count):
                add(self.family(name, f"{name}-{number:03d}"))
        fitting = len(planted)
        for name in CUT:
            add(self.cut(name) for _ in range(max(2, round(0.015 * rows))))
        add(replace(self.cut("no_url"), url=url, reasons=("no_url",)) for url in (None, ""))
        for at in self._rng.choice(fitting, size=max(2, round(0.005 * rows)), replace=False):
            planted.append(replace(planted[at], kind="repeated", status=DROPPED, reasons=("duplicate_row",), family=""))
        if len(planted) > rows:
            raise ValueError(f"rows: {rows} are too few for a world with every kind in it, {len(planted)} are needed")
        add(self.row_of(DefectKind("ordinary", KEPT)) for _ in range(rows - len(planted)))
        return planted

    def row_of(self, kind: DefectKind) -> WorldRow:
        if kind.make is None:
            url = kind.url_of(self._base_url, self._name(kind.ext))
            return WorldRow(url, random_scene(self._rng).caption, kind.name, kind.status, kind.reasons)
        picture = self.picture()
        file = self.save(kind.make(picture), kind.ext)
        url = kind.url_of(self._base_url, file)
        return WorldRow(
            url, picture.caption, kind.name, kind.status, kind.reasons, width=picture.width, height=picture.height
        )

    def family(self, name: str, family: str) -> Iterator[WorldRow]:
        """Yields the rows of a family of duplicates, the largest first."""
        picture, files = self.picture(), []
        while not (files := self.copies(name, picture)):
            picture = self.picture()
        known = name in ("rescaled", "reencoded")  # which one survives: the others are smaller
        urls = [f"{self._base_url}/images/{self.save(data, ext)}" for data, ext in files]
        if name == "same_url":
            urls = [urls[0], urls[0]]
        for number, url in enumerate(urls):
            text = picture.caption if number == 0 else f"{picture.caption}, again"
            status = ONE_OF if not known else KEPT if number == 0 else DUPLICATE
            yield WorldRow(url, text, name, status, (FAMILIES[name],), family, picture.width, picture.height)

    def copies(self, name: str, picture: Picture) -> list[tuple[bytes, str]]:
        """Returns bytes and extensions of a family's files; none if a copy would differ too much from the first."""
        rng, pixels = self._rng, picture.pixels
        first = (encode(pixels), ".jpg")
        if name == "same_url":
            return [first]
        if name == "exact_copy":
            return [first] * int(rng.integers(2, 4))
        if name == "recompressed":
            copies = [(encode(pixels, ".jpg", int(rng.integers(50, 75))), ".jpg")]
        elif name == "rescaled":
            factors = rng.uniform(0.6, 0.9, size=rng.integers(1, 3))
            copies = [(encode(scaled(pixels, factor), ".jpg", 85), ".jpg") for factor in factors]
        else:
            smaller = scaled(pixels, rng.uniform(0.7, 0.9))
            copies = [(encode(smaller, ext, 80), ext) for ext in (".webp", ".png")]
        original = perceptual_bits(_decoded(first[0]))
        for data, _ in (first, *copies):
            # Whoever hashes an image may decode it smaller: it has to look the same then too.
            decodings = [_decoded(data, flags) for flags in _DECODINGS]
            if not is_clear(decodings[0]) or any(
                max(distances(perceptual_bits(copy), original)) > NEAR for copy in decodings
            ):
                return []
        return [first, *copies]

    def cut(self, kind: str) -> WorldRow:
        """Returns a row that the source drops: nothing is served at its URL."""
        url = f"{self._base_url}/images/{self._name('.jpg')}"
        return WorldRow(url, random_scene(self._rng).caption, kind, DROPPED, ("filtered_by_expression",))

    def picture(self) -> Picture:
        """Returns a clear picture that differs from all earlier ones: crops of photographs and drawn scenes in turn."""
        while True:
            drawn = self._files % 2 == 0
            picture = (
                draw_marks(random_scene(self._rng), self._rng) if drawn else crop(next(self._photographs), self._rng)
            )
            if is_clear(picture.pixels) and self.is_new(perceptual_bits(picture.pixels)):
                return picture

    def is_new(self, bits: Bits) -> bool:
        """Returns whether no earlier picture is similar, and records this one."""
        if len(self._known_bits) and min(distances(self._known_bits, bits)) <= FAR:
            return False
        self._known_bits = np.vstack([self._known_bits, bits])
        return True

    def save(self, data: bytes, ext: str) -> str:
        name = self._name(ext)
        (self._www / name).write_bytes(data)
        return name

    def _name(self, ext: str) -> str:
        self._files += 1
        return f"{self._files:06d}{ext}"


def _decoded(data: bytes, flags: int = cv2.IMREAD_COLOR) -> BgrPixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert pixels is not None
    return pixels


def _metadata(planted: list[WorldRow], ids: list[int], rng: np.random.Generator) -> pa.Table:
    """Returns the metadata in LAION's form, with scores."""

    def score(kind: str, good: tuple[float, float], bad: tuple[float, float]) -> list[float]:
        return [rng.uniform(*(bad if row.kind == kind else good)) for row in planted]

    return pa.table(
        {
            "SAMPLE_ID": pa.array(ids, pa.int64()),
            "URL": pa.array([row.url for row in planted], pa.string()),
            "TEXT": pa.array([row.text for row in planted], pa.string()),
            "HEIGHT": pa.array([row.height for row in planted], pa.int32()),
            "WIDTH": pa.array([row.width for row in planted], pa.int32()),
            "LICENSE": pa.array(rng.choice(["?", "CC-BY 4.0", "CC0"], size=len(planted)).tolist(), pa.string()),
            "NSFW": pa.array(["UNLIKELY"] * len(planted), pa.string()),
            "similarity": pa.array(score("dissimilar", (0.29, 0.42), (0.1, 0.27)), pa.float64()),
            "punsafe": pa.array(score("unsafe", (0.0, 0.4), (0.6, 1.0)), pa.float64()),
            "pwatermark": pa.array(score("watermarked", (0.0, 0.7), (0.85, 1.0)), pa.float64()),
        }
    )


def _as_derived(table: pa.Table) -> pa.Table:
    """Returns the metadata as other tools write it: lower case, `caption`, `key`, float sizes, no watermark score."""
    names = {"sample_id": "key", "text": "caption"}
    table = table.drop_columns(["pwatermark"])
    table = table.rename_columns([names.get(name.lower(), name.lower()) for name in table.column_names])
    for name, kind in (("key", pa.string()), ("width", pa.float64()), ("height", pa.float64())):
        table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
    return table


def _as_retyped(table: pa.Table) -> pa.Table:
    """Returns the metadata with other types of the same columns, and no licence."""
    table = table.rename_columns(["hash", *(name.title() for name in table.column_names[1:])])
    types = {"Url": pa.large_string(), "Text": pa.large_string(), "Width": pa.int64(), "Similarity": pa.float32()}
    for name, kind in types.items():
        table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
    at = table.column_names.index("License")
    return table.set_column(at, "License", pa.nulls(table.num_rows))
