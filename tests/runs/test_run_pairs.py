"""Whole runs over sources of given pairs: images found in archives, judged once, and every pair accounted for."""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from corpus.settings import SettingsError, parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.report.terminal import Terminal, Verbosity
from pipelines.runner import RunResult, run
from pipelines.status import plan_run, workspace_status
from tests.helpers.extras import engine_or_skip
from tests.helpers.film_runs import samples
from tests.helpers.noise_images import noise_jpeg
from tests.helpers.whole_runs import digests, merged


class Sets:
    """MegaPairs in miniature: its images in a tar, a zip and a folder, three of them missing or spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "loose").mkdir(parents=True)
        files = {f"images/{n:03d}.jpg": noise_jpeg(n) for n in range(24)}
        files["images/again.jpg"] = noise_jpeg(3, quality=60)  # number 3, encoded anew
        files["images/broken.jpg"] = noise_jpeg(90)[:2000]
        with tarfile.open(folder / "one.tar", "w") as tar:
            for name in list(files)[:10]:
                self._add(tar, name, files[name])
        with zipfile.ZipFile(folder / "two.zip", "w") as archive:
            for number, name in enumerate(list(files)[10:20]):
                kind = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
                archive.writestr(name, files[name], kind)
        for name in list(files)[20:]:
            (folder / "loose" / name.rpartition("/")[2]).write_bytes(files[name])
        lines = [self.triplet(n, (n + 1) % 24, [n, (n + 5) % 24]) for n in range(24)]
        lines += [
            self.triplet("again", 4, ["again", 8]),  # with number 3's text: the same pair
            self.triplet(5, "gone", [5]),
            self.triplet(6, 9, [6, "gone", "broken"]),
        ]
        lines[24]["q_text"] = lines[3]["q_text"]
        texts = [json.dumps(line) for line in lines] + ['{"q_img": "images/001.jpg"']
        (folder / "megapairs.jsonl").write_text("\n".join(texts) + "\n")

    @staticmethod
    def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    @staticmethod
    def triplet(query: int | str, target: int | str, negatives: list[Any]) -> dict[str, Any]:
        def path(name: int | str) -> str:
            return f"images/{name:03d}.jpg" if isinstance(name, int) else f"images/{name}.jpg"

        text = [f"change {query} into {target}"]
        return {"q_img": path(query), "q_text": text, "t_img": path(target), "hns": [path(n) for n in negatives]}

    def settings(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> dict[str, Any]:
        data: dict[str, Any] = {
            "workspace": str(home / "workspace"),
            "engine": {"kind": "local", "workers": 1, **engine},
            "sources": {
                "megapairs": {
                    "kind": "megapairs",
                    "files": [str(self.folder / "megapairs.jsonl")],
                    "shard_rows": 10,
                    "licence": "MIT",
                    "images": {
                        "archives": {"paths": [str(self.folder / name) for name in ("one.tar", "two.zip", "loose")]}
                    },
                }
            },
            "datasets": {"megapairs": {"kind": "existing_pairs", "source": "megapairs", "task": "image_retrieval"}},
            "mixtures": {
                "one": {
                    "corpus": str(home / "corpus"),
                    "pairs_per_shard": 10,
                    "datasets": {"megapairs": {"negatives": 2}},
                }
            },
        }
        return merged(data, changes or {})

    def run(self, home: Path, changes: Mapping[str, Any] | None = None, /, **engine: Any) -> RunResult:
        config = parse_settings(self.settings(home, changes, **engine), Config)
        return run(config, Selection(), Console(quiet=True))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    return Sets(tmp_path_factory.mktemp("sets") / "set")


@pytest.fixture(scope="module")
def done(sets: Sets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end. Not to be written to."""
    home = tmp_path_factory.mktemp("done-pairs")
    assert sets.run(home).failed == []
    return home


def test_every_pair_has_its_end(sets: Sets, done: Path) -> None:
    config = parse_settings(sets.settings(done), Config)
    assert workspace_status(config).funnels["megapairs"] == {
        "rows_in": 28,
        "kept": 26,
        "removed": {"filtered": {"not_json": 1}, "failed": {"positive_missing_image": 1}},
    }


def test_pairs_hold_the_images_that_they_name(done: Path) -> None:
    assert verify(str(done / "corpus")).faults == []
    found = samples(done / "corpus", "megapairs")
    assert len(found) == 25, "the pair that is there twice, once with a copy of its image, is published once"
    numbers = {noise_jpeg(n): n for n in range(24)} | {noise_jpeg(3, quality=60): 3}
    for sample in found:
        _, query, _, target = sample["json"]["query"]["text"].split()
        assert numbers[sample["query.jpg"]] == (3 if query == "again" else int(query))
        assert numbers[sample["positive.jpg"]] == int(target)
        origins = [negative["origin"] for negative in sample["json"]["negatives"]]
        assert origins[0] == "given" and sample["negative_0.jpg"] == sample["query.jpg"]
        assert sample["json"]["source"]["licence"] == "MIT"
    origins = {sample["json"]["query"]["text"]: [n["origin"] for n in sample["json"]["negatives"]] for sample in found}
    assert origins["change 6 into 9"] == ["given", "random"]


def test_images_that_lie_as_they_are_stay_where_they_lie(sets: Sets, done: Path) -> None:
    tars = list((done / "workspace" / "media" / "megapairs").glob("*.tar"))
    copied = sum(path.stat().st_size for path in tars)
    deflated = sum(len(noise_jpeg(n)) for n in range(11, 20, 2))
    assert deflated <= copied < 4 * deflated, "only what a zip has deflated is copied, once for each shard"


def test_a_changed_threshold_looks_for_no_image(sets: Sets, done: Path) -> None:
    config = parse_settings(sets.settings(done, {"stages": {"quality": {"min_side_px": 100}}}), Config)
    found = plan_run(config, Selection())
    to_do = {step.name for step, planned in found.steps if any(p.state != "done" for p in planned)}
    assert to_do == {"quality", "duplicates", "dedup_by_image", "pairs", "clusters"}


@pytest.mark.parametrize(("engine", "workers"), [("local", 2), ("ray", 2)])
def test_the_same_pairs_on_every_engine(sets: Sets, done: Path, tmp_path: Path, engine: str, workers: int) -> None:
    engine_or_skip(engine)
    assert sets.run(tmp_path, kind=engine, workers=workers).failed == []
    assert digests(tmp_path / "corpus") == digests(done / "corpus")


def test_malformed_rows_are_counted_in_a_line_and_listed_in_a_file(sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{\n" * 7)
    changes = {"sources": {"megapairs": {"files": [str(sets.folder), str(tmp_path / "bad.jsonl")]}}}
    data = sets.settings(tmp_path, {**changes, "mixtures": {"one": {"datasets": {"megapairs": {"negatives": 1}}}}})
    config = parse_settings(data, Config)
    console = Terminal(io.StringIO(), width=500)
    result = run(config, Selection(), console)
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    (line,) = [line for line in printed if line.startswith("megapairs: ") and "malformed" in line]
    assert re.fullmatch(r"megapairs: \d+ malformed records: not_json 8(, \w+ \d+)*", line)
    assert not any("bad.jsonl, line" in line for line in printed)
    path = f"{config.workspace}/runs/{result.run_id}.malformed.txt"
    assert f"they are listed in {path}" in printed
    listed = Path(path).read_text().splitlines()
    assert listed[0] == line and any("megapairs.jsonl, line 28: not_json" in each for each in listed)
    assert sum("bad.jsonl, line" in each for each in listed) == 7
    assert any(each.startswith(f"{line}; listed in ") for each in plan_run(config, Selection()).notices)


def test_verbose_prints_each_malformed_row(sets: Sets, done: Path) -> None:
    console = Terminal(io.StringIO(), width=500)
    console.verbosity = Verbosity.VERBOSE
    run(parse_settings(sets.settings(done), Config), Selection(), console)
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    (line,) = [line for line in printed if "line 28" in line]
    assert line.startswith("megapairs: ") and "megapairs.jsonl, line 28: not_json" in line


def test_a_missing_archive_shows_before_any_row_is_read(sets: Sets, tmp_path: Path) -> None:
    gone = {"archives": {"paths": [str(tmp_path / "gone.tar")]}}
    config = parse_settings(sets.settings(tmp_path, {"sources": {"megapairs": {"images": gone}}}), Config)
    with pytest.raises(SettingsError, match=r"gone\.tar"):
        run(config, Selection(), Console(quiet=True))
    assert not list((tmp_path / "workspace").glob("tables/**/*"))


def test_a_missing_file_shows_before_another_source_is_read(sets: Sets, tmp_path: Path) -> None:
    more = {
        "gone": {"kind": "text_pairs", "format": {"kind": "flagembedding"}, "files": [str(tmp_path / "gone.jsonl")]}
    }
    config = parse_settings(sets.settings(tmp_path, {"sources": more}), Config)
    with pytest.raises(SettingsError, match=r"gone\.jsonl"):
        run(config, Selection(), Console(quiet=True))
    assert not list((tmp_path / "workspace").glob("tables/**/*"))
