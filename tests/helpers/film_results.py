"""What a run that does everything right makes of the demo's films: rows of clips, and a corpus of them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.schema import table_schema
from demo.films.films import Film, FilmsTruth
from demo.films.frame_numbers import with_number
from demo.films.render import HEIGHT, TRANSITION_FRAMES, WIDTH, gallery
from demo.images.drawing import encode
from video.schema import GROUPS_SCHEMA

FRAMES = 4
Row = dict[str, Any]


def right_rows(truth: FilmsTruth) -> list[Row]:
    """Rows as after grouping."""
    rows = [row for film in truth.films for row in (_described(film) if film.parts else _found(film))]
    return rows + [{"url": url, "status": "failed", "reason": reasons[0]} for url, reasons in truth.refused.items()]


def as_table(rows: Iterable[Row]) -> pa.Table:
    """The rows as a table."""
    return pa.Table.from_pylist(list(rows), schema=table_schema(GROUPS_SCHEMA))


def samples_of(truth: FilmsTruth, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """A sample of text -> clip for each row that is kept, with the next clip of its film as a negative."""
    kept = [row for row in rows if row["status"] == "kept"]
    samples = []
    for place, row in enumerate(kept):
        own = [other for other in kept if other["url"] == row["url"]]
        negative = own[(own.index(row) + 1) % len(own)]
        samples.append(
            {
                "pair_id": f"{place:032x}",
                "task": "video_retrieval",
                "query": {"text": row["text"] or f"frames of {row['start_s']}", "media": []},
                "positive": {"text": "", "media": [f"positive.frame_{at:02d}.jpg" for at in range(FRAMES)]},
                "negatives": [
                    {
                        "text": "",
                        "media": [f"negative_0.frame_{at:02d}.jpg" for at in range(FRAMES)],
                        "origin": "clip_sibling",
                    }
                ],
                "group": row["group"],
                "caption_origin": "original" if row["text"] else "generated",
                "caption_model": "" if row["text"] else "somebody",
                "source": {"url": row["url"] if "://" in row["url"] else Path(row["url"]).name},
                "shown": {"positive": row, "negative_0": negative},  # for `write_corpus`, which takes it out
            }
        )
    return samples


def write_corpus(
    folder: Path, truth: FilmsTruth, samples: Iterable[dict[str, Any]], mp4: dict[str, bytes] | None = None
) -> None:
    """One tar of samples; `mp4` are more members, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "films-000000.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            shown = sample.pop("shown")
            members = {"json": json.dumps(sample).encode()}
            for side, row in shown.items():
                film = next(film for film in truth.films if film.url == row["url"])
                for at, time_s in enumerate(row["frame_times_s"]):
                    members[f"{side}.frame_{at:02d}.jpg"] = jpeg(film, film.frame_at(time_s))
            for field, data in {**members, **(mp4 or {})}.items():
                info = tarfile.TarInfo(f"{sample['pair_id']}.{field}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def jpeg(film: Film, frame: int) -> bytes:
    """A frame of a film, as far as its number is concerned."""
    return encode(with_number(gallery()[0].pixels[:HEIGHT, :WIDTH], film.first_number + frame))


def _described(film: Film) -> list[Row]:
    rows = []
    for part in film.parts:
        said = {"text": part.text, "questions": [{"question": part.question, "answer": part.answer}]}
        said["questions"] = said["questions"] if part.question else []
        row = _row(film, part.start_s, min(part.end_s, film.end_s), "annotated") | said
        rows.append(row | (_ALIKE if part.again else {}))
    return rows


def _found(film: Film) -> list[Row]:
    rows, seen, half = [], set(), TRANSITION_FRAMES // 2
    for before, shot in zip([None, *film.shots], film.shots, strict=False):
        first = shot.first + (half if before and before.ending != "cut" else 0)
        until = shot.until - (half if shot.ending != "cut" else 0)
        row = _row(film, film.times_s[first], [*film.times_s, film.end_s][until], "scenes")
        if shot.reason:
            row |= {"status": "filtered", "reason": shot.reason, "group": ""}
        elif shot.scene in seen:
            row |= _ALIKE
        seen.add(shot.scene)
        rows.append(row)
    return rows


_ALIKE = {"status": "duplicate", "reason": "near_duplicate_sibling", "group": ""}


def _row(film: Film, start_s: float, end_s: float, kind: str) -> Row:
    middles = [start_s + (end_s - start_s) * (2 * part + 1) / (2 * FRAMES) for part in range(FRAMES)]
    return {
        "url": film.url,
        "video": film.name,
        "kind": kind,
        "start_s": start_s,
        "end_s": end_s,
        "frame_times_s": [film.times_s[film.frame_at(time_s)] for time_s in middles],
        "text": "",
        "questions": [],
        "video_text": "",
        "group": f"group of {film.name}",
        "status": "kept",
        "reason": "",
    }
