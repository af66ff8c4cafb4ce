"""The demo of captioning: drawn scenes, read by the test VLM through vLLM, and held against what they show."""

from __future__ import annotations

from pathlib import Path

from corpus.settings import load_mapping, parse_settings
from corpus.stages import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.config import Config
from pipelines.demo.play import PORT, moved_to
from pipelines.demo.server import serve
from pipelines.demo.vlm import CHECKPOINT
from pipelines.demo.vlm.world import build_vlm_world
from pipelines.plan import Selection
from pipelines.publishing.verify import verify
from pipelines.report import show_funnel
from pipelines.run import plan, run
from pipelines.terminal import Terminal, print_line
from recaption.caption import CAPTION

SETTINGS = Path(__file__).parents[3] / "configs" / "demo-vlm.yaml"
RIGHT_SHARE = 0.95  # of the captions, word for word


def play(folder: Path, engine: str | None, rows: int, console: Terminal) -> list[str]:
    """Run the demo in `folder`; returns everything that is not as it should be."""
    data = load_mapping(SETTINGS)
    data["stages"]["caption"]["backend"]["model"] = str(CHECKPOINT)
    if engine is not None:
        data["engine"] = {**data.get("engine", {}), "kind": engine}
    config = parse_settings(moved_to(folder, data), Config, where=str(SETTINGS))
    print_line(console, f"{rows:,} scenes, in {folder / 'world'}")
    world = build_vlm_world(folder / "world", rows, f"http://127.0.0.1:{PORT}")
    with serve(folder / "world", PORT):
        result = run(config, Selection(), console)
    show_funnel(console, result.funnels)
    faults = list(result.failed)
    for name, path in result.corpora.items():
        found = verify(path)
        faults += found.faults
        print_line(console, f"corpus {name}: {path}, {found.samples:,} samples, {len(found.faults)} faults")
    if not faults:
        faults = judge(captions(config), world.captions, console)
    return faults


def judge(written: dict[str, str | None], truth: dict[str, str], console: Terminal) -> list[str]:
    """What is wrong with the captions as a whole; prints how many are right, and a few of them."""
    shown = {url for url, caption in truth.items() if caption}
    faults = [] if shown == written.keys() else [f"{len(shown)} scenes could be read, {len(written)} were captioned"]
    right = sum(caption == truth.get(url) for url, caption in written.items())
    for url, caption in list(written.items())[:5]:
        print_line(console, f"  {url.rpartition('/')[2]}: {caption}")
    print_line(
        console, f"held against the drawn truth: {right:,} of {len(written):,} captions are right, word for word"
    )
    if right < RIGHT_SHARE * len(written):
        faults.append(f"{right} of {len(written)} captions are right, expected {RIGHT_SHARE:.0%}")
    return faults


def captions(config: Config) -> dict[str, str | None]:
    """URL -> generated caption of every row that was to get one."""
    workspace = Workspace(config.workspace)
    planned, _ = plan(config, Selection())
    found: dict[str, str | None] = {}
    for step, tables in planned.steps:
        for one in tables if step.name == CAPTION else ():
            source, shard = one.node.source, one.task.shard
            rows = TableKey("tables", source, ROWS).path(shard, dict(planned.indexes[source].shards)[shard])
            urls = workspace.read_table(rows, ["url"]).column("url").to_pylist()
            said = workspace.read_table(one.task.output, ["caption", "status"]).to_pylist()
            found |= {url: row["caption"] for url, row in zip(urls, said, strict=True) if row["status"] == "kept"}
    return found
