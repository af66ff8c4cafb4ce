"""The pages of the site before they are built: links are right there, nothing is left out of the navigation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from corpus.settings import SettingsError
from pipelines.reference.site import ROOT, UNLISTED, navigation, repository_pages, write_site


def planted(folder: Path, pages: dict[str, str]) -> Path:
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_links_are_those_of_the_site(tmp_path: Path) -> None:
    root = planted(
        tmp_path / "repository",
        {
            "README.md": "# Start\n[docs/a.md](docs/a.md#part) [the end](docs/a.md) [x](https://x.org/a.md)",
            "docs/a.md": "# Page A\n\n[back](../README.md) [RESULTS.md](../benchmarks/RESULTS.md) "
            "[a file](../configs/x.yaml) `[code](nowhere.md)`\n\n```\n[code](nowhere.md)\n```\n",
            "benchmarks/RESULTS.md": "# Results\n\n[a](../docs/a.md)",
            "configs/x.yaml": "a: 1",
        },
    )
    pages = repository_pages(root, tmp_path / "files")
    assert pages == {
        "a.md": "# Page A\n\n[back](index.md) [Results](results.md) [a file](files/configs/x.yaml) "
        "`[code](nowhere.md)`\n\n```\n[code](nowhere.md)\n```\n",
        "index.md": "# Start\n[Page A](a.md#part) [the end](a.md) [x](https://x.org/a.md)",
        "results.md": "# Results\n\n[a](a.md)",
    }
    assert (tmp_path / "files/files/configs/x.yaml").read_text() == "a: 1"


def test_a_link_to_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    for target in ("absent.md", "../../elsewhere.md"):
        root = planted(tmp_path, {"docs/a.md": f"# A\n\n[x]({target})"})
        with pytest.raises(SettingsError, match=r"docs/a\.md: a link to .*: the repository has no such file"):
            repository_pages(root)


def test_tables_of_stages_lead_to_their_pages() -> None:
    page = repository_pages(ROOT)["stages.md"]
    assert "<!-- table" not in page
    assert "| [`image_stats`](reference/stages/image_stats.md) |" in page
    images, _, clips = page.partition("## Clips")
    assert "reference/stages/download-images.md" in images and "reference/stages/download-clips.md" in clips


def test_a_navigation_has_the_pages_that_are_there() -> None:
    entries = [
        {"Start": ["index.md", {"Tutorial": "tutorial.md"}]},
        {"Later": [{"Never": "absent.md"}]},
        {"Deploy": [{"Docker": "deploy-docker.md"}, "deploy-*.md"]},
        {"Reference": [{"Stages": ["stages/index.md", "stages/*.md"]}]},
    ]
    pages = ["index.md", "deploy-a.md", "deploy-docker.md", "stages/index.md", "stages/b.md", "stages/a.md", "new.md"]
    assert navigation(entries, pages) == [
        {"Start": ["index.md"]},
        {"Deploy": [{"Docker": "deploy-docker.md"}, "deploy-a.md"]},
        {"Reference": [{"Stages": ["stages/index.md", "stages/b.md", "stages/a.md"]}]},
        {UNLISTED: ["new.md"]},
    ]


def test_every_page_is_written_and_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "site/docs").mkdir(parents=True)
    (tmp_path / "site/docs/stale.md").write_text("of another time")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.reference", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    written = {str(path.relative_to(tmp_path / "site/docs")) for path in (tmp_path / "site/docs").rglob("*.md")}
    assert done.stdout.startswith(f"{len(written)} pages")
    assert {"index.md", "stages.md", "reference/commands.md", "reference/stages/quality.md"} <= written
    assert "stale.md" not in written
    settings = yaml.safe_load((tmp_path / "site/mkdocs.yml").read_text())
    places = re.findall(r"[\w/.-]+\.md", yaml.safe_dump(settings["nav"]))
    assert sorted(places) == sorted(written), "each once"


def test_without_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no docs/ here"):
        write_site(tmp_path / "site", tmp_path)
