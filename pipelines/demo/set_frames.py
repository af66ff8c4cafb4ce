"""The demo's set of videos that lie as folders of frames, each with what somebody said of it: LLaVA-Hound's form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpus.records import Status
from pipelines.demo.painter import Painter
from pipelines.demo.planted import Pair, Planted, Side
from pipelines.demo.set_files import write_files, write_lines

FRAMES = 4  # of each pair, as the demo's settings have it
_CHOSEN = {  # frames that there are -> those of a pair, counted from 1
    4: (1, 2, 3, 4),
    11: (1, 4, 8, 11),
    5: (1, 2, 4, 5),
    2: (1, 1, 2, 2),
}


def plant_llava_hound(folder: Path, painter: Painter) -> Planted:
    """Videos of many frames and of few; the tenth frame comes after the ninth, whatever their names' order."""
    planted = Planted()
    files: dict[str, bytes] = {}
    lines: list[dict[str, Any] | str] = []
    for number, (frames, chosen) in enumerate([*_CHOSEN.items(), (4, (1, 2, 3, 4))]):
        names = [f"frames/v_{number}/c01_{frame}.jpeg" for frame in range(1, frames + 1)]
        files |= {name: painter.image(name) for name in names}
        if number == 4:  # a video that begins as the first one does
            files[names[0]] = files["frames/v_0/c01_1.jpeg"]
            names[0] = "frames/v_0/c01_1.jpeg"
        text = f"First {painter.caption()}, then {painter.caption()}."
        lines.append(_record(f"v_{number}", text))
        planted.keep(Pair(Side(text), Side("", " + ".join(names[frame - 1] for frame in chosen))))
    files |= {f"frames/broken/c01_{frame}.jpeg": painter.image("")[:-4000] for frame in range(1, FRAMES + 1)}
    (folder / "frames" / "empty").mkdir(parents=True)
    lines += [
        _record("broken", painter.caption()),
        _record("empty", painter.caption()),
        _record("nowhere", painter.caption()),
        _record("../../..", painter.caption()),
        {**_record("v_0", ""), "conversations": [{"from": "gpt", "value": painter.caption()}]},
    ]
    planted.remove("positive_truncated", Status.FAILED)
    for reason in ("no_frames", "no_frames", "no_video", "bad_turns"):
        planted.remove(reason)
    write_lines(folder / "captions.jsonl", lines)
    write_files(folder, files)
    return planted


def _record(video: str, caption: str) -> dict[str, Any]:
    said = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": caption}]
    return {"id": video, "video": video, "conversations": said}
