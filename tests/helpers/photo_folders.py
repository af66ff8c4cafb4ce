"""The folder of images with texts that docs/tutorial.md is about: 119 files, and what is wrong with some of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from tests.helpers.noise_images import noise_jpeg


def write_photos(home: Path) -> None:
    """Writes `photos/` with `photos.jsonl`, and `archive/` with `archive.jsonl`.

    Of 121 rows of photos 100 are good. Five are copies of others, four small, three grey, four soft, two blurred; one
    file is cut off, one is not there, and one has no text. Of 40 rows of the archive five are copies of photos.
    """
    photos = {f"{number:03}.jpg": (noise_jpeg(number), f"a carpet with the pattern {number}") for number in range(100)}
    photos |= {f"copy-{number}.jpg": (noise_jpeg(number, 60), f"carpet {number}") for number in range(5)}
    photos |= {f"small-{number}.jpg": (_resized(200 + number), f"a small carpet {number}") for number in range(4)}
    photos |= {f"grey-{number}.jpg": (_grey(120 + number), f"a grey wall {number}") for number in range(3)}
    photos |= {f"soft-{number}.jpg": (_soft(300 + number, 2), f"a soft carpet {number}") for number in range(4)}
    photos |= {f"blurred-{number}.jpg": (_soft(310 + number, 6), f"a blurred carpet {number}") for number in range(2)}
    photos |= {"broken.jpg": (noise_jpeg(400)[:2000], "a carpet of which half is missing")}
    photos |= {"lost.jpg": (b"", "a carpet that nobody finds"), "untitled.jpg": (noise_jpeg(401), "")}
    _write(home, "photos", [(name, data, {"file": name, "text": text}) for name, (data, text) in photos.items()])
    archive = [(f"a{number:02}.jpg", noise_jpeg(500 + number if number >= 5 else number, 90)) for number in range(40)]
    rows = [
        (name, data, {"path": name, "title": f"Carpet {number}", "era": f"{1900 + number}"})
        for number, (name, data) in enumerate(archive)
    ]
    _write(home, "archive", rows)


def _write(home: Path, name: str, rows: list[tuple[str, bytes, dict[str, str]]]) -> None:
    (home / name).mkdir()
    for file, data, _ in rows:
        if data:
            (home / name / file).write_bytes(data)
    (home / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for _, _, row in rows))


def _pixels(seed: int) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(noise_jpeg(seed), np.uint8), cv2.IMREAD_COLOR)


def _jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def _resized(seed: int) -> bytes:
    return _jpeg(cv2.resize(_pixels(seed), (100, 75)))


def _grey(level: int) -> bytes:
    return _jpeg(np.full((240, 320, 3), level, np.uint8))


def _soft(seed: int, sigma: float) -> bytes:
    return _jpeg(cv2.GaussianBlur(_pixels(seed), (0, 0), sigma))
