"""Compares the tables of clips of the demo's films with the planted truth: every cut found, every text with its clip.

`clip_samples` checks what is published of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from corpus.schema import Status
from demo.films.films import AnnotatedPart, Film, FilmShot, FilmsTruth
from video.grouping.groups import NEAR_DUPLICATE_SIBLING
from video.schema import ClipKind

_NEAR_FRAMES = 2  # tolerance at the edge of a fade or dissolve, whose beginning is gradual
_NEAR_S = 0.002
ClipFields = Mapping[str, Any]


def compare_clips(truth: FilmsTruth, clips: pa.Table) -> list[str]:
    """Lists the differences from the planted truth, a line each.

    `clips` are all rows of the source after grouping (`video.schema.GROUPS_SCHEMA`, status and reason), any order.
    """
    columns = [name for name in clips.column_names if name not in ("parts", "hashes")]
    rows: dict[str, list[ClipFields]] = defaultdict(list)
    for row in clips.select(columns).to_pylist():
        rows[row["url"]].append(row)
    differences = list(_refused_faults(truth.refused, rows))
    for film in truth.films:
        film_rows = sorted(rows.pop(film.url, []), key=lambda row: (row["start_s"] is None, row["start_s"]))
        check = _annotated_faults if film.parts else _scene_faults
        differences += [f"{film.name}: {line}" for line in [*check(film, film_rows), *_group_faults(film, film_rows)]]
    return differences + [f"{url}: no such video should be here" for url in rows]


def border_f1(film: Film, rows: Iterable[ClipFields]) -> tuple[float, list[int], list[int]]:
    """Computes the F1 score of the borders of clips as hard cuts, to the frame; the missed cuts; the borders that are
    none. The ends of the film, and borders within a fade or a dissolve, do not count."""
    borders = {film.frame_at(row[name]) for row in rows for name in ("start_s", "end_s")}
    borders -= {0, len(film.times_s)}
    soft = [(start - _NEAR_FRAMES, end + _NEAR_FRAMES) for start, end in film.transitions]
    borders = {border for border in borders if not any(start <= border <= end for start, end in soft)}
    cuts = set(film.hard_cuts)
    hits = len(borders & cuts)
    return 2 * hits / max(1, len(borders) + len(cuts)), sorted(cuts - borders), sorted(borders - cuts)


def _refused_faults(refused: Mapping[str, list[str]], rows: dict[str, list[ClipFields]]) -> Iterator[str]:
    for url, reasons in refused.items():
        outcomes = [(row["status"], row["reason"]) for row in rows.pop(url, [])]
        if len(outcomes) != 1 or outcomes[0][0] != Status.FAILED or outcomes[0][1] not in reasons:
            yield f"{url}: one row that failed ({' or '.join(reasons)}) was to be expected, but there is {outcomes}"


def _annotated_faults(film: Film, rows: list[ClipFields]) -> Iterator[str]:
    """Checks that each annotated part has a clip with its text, and that there is no other clip."""
    remaining = [row for row in rows if row["start_s"] is not None]
    for part in film.parts:
        where = f"part {part.start_s:g} to {part.end_s:g} s"
        end_s = min(part.end_s, film.end_s)
        row = next(
            (row for row in remaining if _near(row["start_s"], part.start_s) and _near(row["end_s"], end_s)), None
        )
        if row is None:
            yield f"{where}: there is no such clip"
            continue
        remaining.remove(row)
        questions = [(each["question"], each["answer"]) for each in row["questions"] or []]
        if row["kind"] != ClipKind.ANNOTATED or row["text"] != part.text or questions != questions_on(part):
            yield f"{where}: {row['kind']}, {row['text']!r} and {questions} are its texts"
        if row["reason"] not in ("", NEAR_DUPLICATE_SIBLING):
            yield f"{where}: it is {row['status']} ({row['reason']})"
    for row in remaining:
        yield f"{row['start_s']:g} to {row['end_s']:g} s is not annotated, but there is a clip"


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _NEAR_S


def questions_on(part: AnnotatedPart) -> list[tuple[str, str]]:
    """Returns the questions about a part, with the answers."""
    return [(part.question, part.answer)] if part.question else []


def _scene_faults(film: Film, rows: list[ClipFields]) -> Iterator[str]:
    """Checks that each shot has a clip, from cut to cut, and shots without content their reasons."""
    score, missed, wrong = border_f1(film, [row for row in rows if row["start_s"] is not None])
    if missed or wrong:
        yield f"F1 of its cuts is {score:.3f}: frames {missed} are cuts that were missed, {wrong} are none"
    for row in rows:
        if row["start_s"] is None:
            yield f"a row without times is {row['status']} ({row['reason']})"
            continue
        first, until = film.frame_at(row["start_s"]), film.frame_at(row["end_s"])
        where = f"clip {row['start_s']:.2f} to {row['end_s']:.2f} s"
        if across := [cut for cut in film.hard_cuts if first < cut < until]:
            yield f"{where}: reaches over the cuts at frames {across}"
        for start, end in film.transitions:
            if max(start, first) + _NEAR_FRAMES < min(end, until):
                yield f"{where}: holds {min(end, until) - max(start, first)} frames of a transition"
        reasons = {shot.reason for shot in film.shots_in(first + _NEAR_FRAMES, until - _NEAR_FRAMES)}
        if row["reason"] != NEAR_DUPLICATE_SIBLING and reasons != {row["reason"]}:
            yield f"{where}: planted as {sorted(reasons)}, but it is {row['status']} ({row['reason']})"
    shots = Counter(shot.first for row in rows if row["start_s"] is not None for shot in _inner_shots(film, row))
    for shot in film.shots:
        if shots[shot.first] != 1:
            yield f"the shot from frame {shot.first} is in {shots[shot.first]} clips"


def _group_faults(film: Film, rows: list[ClipFields]) -> Iterator[str]:
    """Checks that the kept clips are one group, with each scene once."""
    kept = [row for row in rows if row["status"] == Status.KEPT]
    if len({row["group"] for row in kept}) != 1 or not all(row["group"] for row in kept):
        yield f"its {len(kept)} clips are in the groups {sorted({row['group'] or '' for row in kept})}"
    scenes = [(scenes_of(film, row), row) for row in rows if row["start_s"] is not None]
    times = Counter(scene for scene, row in scenes if row["status"] == Status.KEPT)
    for scene, count in times.items():
        if count > 1:
            yield f"scene {scene} is in its group {count} times"
    for scene, row in scenes:
        if row["reason"] == NEAR_DUPLICATE_SIBLING and not times[scene]:
            yield f"scene {scene} is missing: its clip at {row['start_s']:.2f} s is a duplicate of none"


def scenes_of(film: Film, row: ClipFields) -> tuple[int, ...]:
    """Returns the scenes in a clip."""
    return tuple(shot.scene for shot in _inner_shots(film, row))


def _inner_shots(film: Film, row: ClipFields) -> list[FilmShot]:
    return film.shots_in(film.frame_at(row["start_s"]) + _NEAR_FRAMES, film.frame_at(row["end_s"]) - _NEAR_FRAMES)
