"""What the tests of whole runs share: a small world on a real server, settings for it, and digests of a corpus."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from corpus.settings import parse_settings
from demo.server import RunningServer
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import RunResult, run

SLOW = ("drip", "stall")  # kinds that cost a deadline for each attempt; the demo has them


@dataclass(frozen=True)
class Web:
    """A world that is being served."""

    folder: Path
    serving: RunningServer
    parts: tuple[str, ...]
    truth: Path

    def settings(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> dict[str, Any]:
        """Settings for a run in `home`; `changes` are merged in, key by key."""
        data: dict[str, Any] = {
            "workspace": str(home / "workspace"),
            "engine": {"kind": "local", "workers": 1, **engine},
            "sources": {
                "laion": {
                    "kind": "laion",
                    "files": list(self.parts),
                    "filter": "similarity > 0.28 and punsafe < 0.5 and (pwatermark is None or pwatermark < 0.8)",
                    "sample_rows": 10_000,
                    "shard_rows": 50,
                }
            },
            "stages": {
                "download": {
                    "max_pixels": 100_000_000,
                    "fetch": {
                        "private_allowlist": [self.serving.base_url.removeprefix("http://")],
                        "total_timeout_s": 5,
                        "read_timeout_s": 5,
                        "backoff_s": 0.02,
                        "max_bytes": 4_000_000,
                    },
                },
                "caption": {"sources": {"laion": {}}},
            },
            "datasets": {"laion": {"source": "laion", "captions": "both"}},
            "mixtures": {"one": {"corpus": str(home / "corpus"), "pairs_per_shard": 40, "datasets": {"laion": {}}}},
        }
        return merged(data, changes or {})

    def run(self, home: Path, changes: Mapping[str, Any] | None = None, /, **engine: Any) -> RunResult:
        """Run everything in `home`; the server forgets what it was asked before."""
        self.serving.reset()
        config = parse_settings(self.settings(home, changes, **engine), Config)
        return run(config, Selection(), Console(quiet=True))

    def config_file(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> Path:
        """The same settings as a file."""
        path = home / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self.settings(home, changes, **engine)))
        return path


def merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, Mapping):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def digests(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """Relative path -> SHA-256 of every file."""
    files = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stage_tables(home: Path, stage: str) -> dict[str, str]:
    """Digests of a stage's tables in a workspace, by their paths."""
    return digests(home / "workspace", f"*/**/{stage}/*.parquet")


def assert_same_run(home: Path, expected: Path) -> None:
    """Checks that two runs published the same bytes from tables of the same names, and that no scratch was left."""
    assert digests(home / "corpus") == digests(expected / "corpus")
    for stage in ("image_stats", "quality", "duplicates", "caption", "pairs"):
        assert stage_tables(home, stage).keys() == stage_tables(expected, stage).keys() != set()
    assert not list(home.glob("workspace/runs/scratch*"))


def command(*arguments: str | Path) -> list[str]:
    """The command line, as a process."""
    return [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line and wait for it."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, check=False)
