"""Holding the clips of the demo's films against what was planted: every cut found, every text with its own clip.

Tables only; what was published of them is looked at in `film_samples`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from corpus.schema import Status
from demo.films.films import Film, FilmShot, Part, Truth
from video.grouping.groups import NEAR_DUPLICATE_SIBLING
from video.schema import ClipKind

_NEAR_FRAMES = 2  # at the edge of a fade or dissolve: where it begins is a matter of degree
_NEAR_S = 0.002
Row = Mapping[str, Any]


def compare_clips(truth: Truth, clips: pa.Table) -> list[str]:
    """What is not as planted, a line for each; empty if all is.

    `clips` are all rows of the source after grouping (`video.schema.GROUPS_SCHEMA`, status and reason), any order.
    """
    columns = [name for name in clips.column_names if name not in ("parts", "hashes")]
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in clips.select(columns).to_pylist():
        rows[row["url"]].append(row)
    differences = list(_refused(truth.refused, rows))
    for film in truth.films:
        own = sorted(rows.pop(film.url, []), key=lambda row: (row["start_s"] is None, row["start_s"]))
        check = _described if film.parts else _found
        differences += [f"{film.name}: {line}" for line in [*check(film, own), *_groups(film, own)]]
    return differences + [f"{url}: no such video should be here" for url in rows]


def border_f1(film: Film, rows: Iterable[Row]) -> tuple[float, list[int], list[int]]:
    """How well the borders of clips agree with the hard cuts, to the frame; the cuts that are missed, and the borders
    that are none. The film's ends, and what lies in a fade or a dissolve, are neither."""
    borders = {film.frame_at(row[name]) for row in rows for name in ("start_s", "end_s")}
    borders -= {0, len(film.times_s)}
    soft = [(start - _NEAR_FRAMES, end + _NEAR_FRAMES) for start, end in film.transitions]
    borders = {border for border in borders if not any(start <= border <= end for start, end in soft)}
    cuts = set(film.hard_cuts)
    hits = len(borders & cuts)
    return 2 * hits / max(1, len(borders) + len(cuts)), sorted(cuts - borders), sorted(borders - cuts)


def _refused(refused: Mapping[str, list[str]], rows: dict[str, list[Row]]) -> Iterator[str]:
    for url, reasons in refused.items():
        ends = [(row["status"], row["reason"]) for row in rows.pop(url, [])]
        if len(ends) != 1 or ends[0][0] != Status.FAILED or ends[0][1] not in reasons:
            yield f"{url}: one row that failed ({' or '.join(reasons)}) was to be expected, but there is {ends}"


def _described(film: Film, rows: list[Row]) -> Iterator[str]:
    """A clip for each annotated part, with its own words, and no other."""
    left = [row for row in rows if row["start_s"] is not None]
    for part in film.parts:
        where = f"part {part.start_s:g} to {part.end_s:g} s"
        end_s = min(part.end_s, film.end_s)
        row = next((row for row in left if _near(row["start_s"], part.start_s) and _near(row["end_s"], end_s)), None)
        if row is None:
            yield f"{where}: there is no such clip"
            continue
        left.remove(row)
        questions = [(each["question"], each["answer"]) for each in row["questions"] or []]
        if row["kind"] != ClipKind.ANNOTATED or row["text"] != part.text or questions != questions_on(part):
            yield f"{where}: {row['kind']}, {row['text']!r} and {questions} are said of it"
        if row["reason"] not in ("", NEAR_DUPLICATE_SIBLING):
            yield f"{where}: it is {row['status']} ({row['reason']})"
    for row in left:
        yield f"nobody described {row['start_s']:g} to {row['end_s']:g} s, but there is a clip"


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _NEAR_S


def questions_on(part: Part) -> list[tuple[str, str]]:
    """What is asked about a part, with the answers."""
    return [(part.question, part.answer)] if part.question else []


def _found(film: Film, rows: list[Row]) -> Iterator[str]:
    """A clip for each shot, from cut to cut; those that show nothing with their reasons."""
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


def _groups(film: Film, rows: list[Row]) -> Iterator[str]:
    """One group of all clips that are kept, in which no scene is twice, and which no scene is missing from."""
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
            yield f"scene {scene} is missing: its clip at {row['start_s']:.2f} s stands aside for none of its kind"


def scenes_of(film: Film, row: Row) -> tuple[int, ...]:
    """What is to be seen in a clip."""
    return tuple(shot.scene for shot in _inner_shots(film, row))


def _inner_shots(film: Film, row: Row) -> list[FilmShot]:
    return film.shots_in(film.frame_at(row["start_s"]) + _NEAR_FRAMES, film.frame_at(row["end_s"]) - _NEAR_FRAMES)
