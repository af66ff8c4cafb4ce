"""What a newcomer reads: what will be done, then what was made, and commands that work as they stand."""

from __future__ import annotations

import io
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.run import DEMO_SETTINGS, run_demo
from demo.screen import LOG, SETTINGS, NextCommand, program, screen_of
from pipelines.publish.verify import Verified
from pipelines.report.terminal import Terminal, Verbosity, print_line

ROOT = Path(__file__).parents[2]
STEPS = {"world": "images", "run": "all stages", "verify": "all samples", "compare": "with what was planted"}
SOURCES = ("laion", "records", "passages")  # of the demo's


def printed(console: Terminal) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def terminal(width: int = 80) -> Terminal:
    return Terminal(io.StringIO(), width=width)


def small_settings(path: Path) -> Path:
    """The demo's settings with a few of its sources."""
    data: dict[str, Any] = yaml.safe_load(DEMO_SETTINGS.read_text())
    data["sources"] = {name: data["sources"][name] for name in SOURCES}
    data["datasets"] = {name: each for name, each in data["datasets"].items() if each["source"] in SOURCES}
    data["mixtures"].pop("films")
    chosen = data["mixtures"]["sets"]
    chosen["datasets"] = {name: each for name, each in chosen["datasets"].items() if name in SOURCES}
    for stage in ("clips", "groups", "windows", "download_videos", "negatives", "embed"):
        data["stages"].pop(stage)
    data["stages"]["caption"]["sources"].pop("films")
    data["stages"]["caption"].pop("windows")
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A small demo that has run in the folder `demo-run`: the folder above it, and the lines of the screen."""
    folder = tmp_path_factory.mktemp("newcomer")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    console = terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with screen_of(console, Path("demo-run"), STEPS) as screen:
            screen.introduce("A small demo.")
            assert run_demo(screen, None, 200, small_settings(folder / "small.yaml"), port) == []
    return folder, printed(console)


def test_the_first_lines_say_what_is_done_before_anything_heavy_is_imported() -> None:
    code = (
        "import io, sys, tempfile, pathlib\n"
        "from demo.screen import screen_of\n"
        "from pipelines.report.terminal import Terminal\n"
        "console = Terminal(io.StringIO(), width=60)\n"
        "with screen_of(console, pathlib.Path(tempfile.mkdtemp()), {'world': 'images', 'run': 'stages'}) as screen:\n"
        "    screen.introduce('It builds a small world, and it checks that every fault of it is found.')\n"
        "print(console.file.getvalue())\n"
        "print([name for name in ('numpy', 'pyarrow', 'cv2', 'pydantic', 'aiohttp') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[:4] == [
        "It builds a small world, and it checks that every fault of",
        "it is found.",
        "  1  world  images",
        "  2  run    stages",
    ]
    assert lines[-1] == "[]", "imported before the first line"


def test_the_screen_is_short_and_the_log_has_the_rest(demo: tuple[Path, list[str]]) -> None:
    folder, lines = demo
    assert [line for line in lines if line[:1].isdigit() and line[1:3] == "/4"] == [
        f"{number}/4 {name}" for number, name in enumerate(STEPS, 1)
    ]
    assert len(lines) < 60 and all(len(line) <= 80 for line in lines[: lines.index("Try next")]), lines
    malformed = [line for line in lines if " malformed record" in line]
    assert [line.partition(":")[0] for line in malformed] == ["passages", "records"]
    assert malformed[1] == "records: 3 malformed records: bad_text 1, no_positive 1, not_json 1"
    log = (folder / "demo-run" / LOG).read_text()
    assert not any("line 19: not_json" in line or line.startswith("pairs: ") for line in lines)
    for detail in (
        "records.jsonl, line 19: not_json",
        " pairs: ",
        "│ duplicate │ near_duplicate ",
        "2/4 run",
        *malformed,
    ):
        assert detail in log, detail
    assert "    every planted fault, cut and pair was found, and nothing else was removed" in lines


def test_the_end_says_what_was_made_and_where_it_is(demo: tuple[Path, list[str]]) -> None:
    folder, lines = demo
    made = lines[lines.index("Made") + 1 : lines.index("Try next")]
    places = {line.split()[0]: folder / line.split()[1] for line in made if line}
    assert set(places) == {"demo", "sets", "workspace", "settings", "log"}
    assert all(path.exists() for path in places.values())
    (corpus,) = [line for line in made if line.split()[:1] == ["sets"]]
    assert "samples in" in corpus and corpus.endswith(" MB")


def test_the_commands_to_try_next_work_as_they_are_printed(demo: tuple[Path, list[str]]) -> None:
    folder, lines = demo
    commands = [line for line in lines[lines.index("Try next") + 1 :] if line and not line.startswith("#")]
    assert len(commands) == 3
    outputs = []
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        outputs.append(done.stdout)
    assert "written: demo-run/report.html" in outputs[0] and (folder / "demo-run" / "report.html").is_file()
    assert "duplicate by duplicates: " in outputs[1]
    assert ": sound; read " in outputs[2]


def test_a_path_with_a_space_is_one_word_of_a_command(tmp_path: Path) -> None:
    console, folder = terminal(width=400), tmp_path / "my demo"
    verified = Verified([], tars=1, samples=2_000, bytes=3_200_000)
    with screen_of(console, folder, STEPS) as screen:
        screen.end(
            {"all": (str(folder / "corpus"), verified)}, "work", [NextCommand("a look", "show", folder / SETTINGS)]
        )
    lines = printed(console)
    assert shlex.split(lines[-1]) == [*program(), "show", str(folder / SETTINGS)]
    (made,) = [line for line in lines if line.split()[:1] == ["all"]]
    assert str(folder / "corpus") in made and made.endswith("   2,000 samples in 1 tar, 3.2 MB")


def test_the_terminal_prints_all_again_after_the_demo(tmp_path: Path) -> None:
    console = terminal()
    with screen_of(console, tmp_path / "demo", STEPS):
        print_line(console, "a stage's line")
        print_line(console, "failed: planted", Verbosity.QUIET)
    print_line(console, "a line after it")
    assert printed(console) == ["failed: planted", "a line after it"]
    assert "a stage's line" in (tmp_path / "demo" / LOG).read_text()


def test_the_program_is_called_by_its_name_where_that_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(sys.executable).with_name("rzen-corpus")
    monkeypatch.setenv("PATH", str(script.parent))
    assert shutil.which("rzen-corpus") == str(script) and program() == ["rzen-corpus"]
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(script.parents[2])
    assert program() == [str(script.relative_to(script.parents[2]))]
