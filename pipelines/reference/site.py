"""The sources of the site: the pages of docs/ and of the reference, in one folder, and the settings that they take.

    python -m pipelines.reference build/site       # then: mkdocs build --strict --config-file build/site/mkdocs.yml

The reference is made when the site is, and is not committed: what is committed would have to be made anew with every
setting that changes. Pages are plain Markdown, so that another generator can take them; mkdocs.yml of the repository
has the look and the navigation, in whose entries `*` stands for any pages, and those that are not there are left out.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

import yaml

from corpus.settings import SettingsError
from pipelines.cli import app
from pipelines.graph import STAGES
from pipelines.reference.commands import command_page
from pipelines.reference.kinds import dataset_pages, encoder_page, section_pages, source_pages
from pipelines.reference.stages import FOLDER, page_name, stage_pages

ROOT = Path(__file__).parents[2]
FILES = "files"  # the folder of the site with files of the repository that pages lead to
UNLISTED = "More"  # the title of pages that the navigation doesn't name

# Pages of the repository outside docs/, and where they are in the site.
_OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "results.md",
}
_ALIASES = {"CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"\[((?:\\.|[^\]\\])*)\]\(([^)\s]+)\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"^<!-- table: ([a-z ]+) -->\n(.*?)^<!-- end of table -->\n", re.MULTILINE | re.DOTALL)
_STAGE_CELL = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def write_site(folder: Path, root: Path = ROOT) -> list[str]:
    """Writes the pages and the settings of the site to a folder, which is emptied; returns the paths of the pages.

    Raises SettingsError where the folder of the repository has no pages, or a page leads to what isn't there.
    """
    if not (root / "docs").is_dir():
        raise SettingsError(f"{root}: no docs/ here: the site is built in a checkout of the repository")
    if folder.exists():
        shutil.rmtree(folder)
    pages = {**reference_pages(), **repository_pages(root, folder / "docs")}
    for path, text in pages.items():
        target = folder / "docs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    shutil.copytree(root / "docs/assets", folder / "docs/assets")
    settings = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["nav"] = navigation(settings["nav"], list(pages))
    settings["docs_dir"] = "docs"
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return list(pages)


def reference_pages() -> dict[str, str]:
    """Returns the pages that are made of the classes, by their paths in the site."""
    return {
        **stage_pages(),
        **source_pages(),
        **dataset_pages(),
        **encoder_page(),
        **section_pages(),
        **command_page(app),
    }


def repository_pages(root: Path, files: Path | None = None) -> dict[str, str]:
    """Returns the pages of the repository by their paths in the site, with links that are right there.

    Files of the repository that they lead to are copied below `files`.
    """
    in_docs = {f"docs/{path.name}": path.name for path in sorted((root / "docs").glob("*.md"))}
    places = {**in_docs, **{path: place for path, place in _OUTSIDE.items() if (root / path).is_file()}}
    pages = {}
    for path, place in places.items():
        links = _Links(root, path, places, files)
        text = links.mended((root / path).read_text(encoding="utf-8"))
        pages[place] = _TABLE.sub(lambda found: _with_stage_links(found[1], found[2]), text)
    return pages


def navigation(entries: Iterable[Any], pages: Iterable[str]) -> list[Any]:
    """Returns the entries of a navigation with the pages that are there: patterns in full, others left out.

    Pages that no entry names are the last section.
    """
    known = dict.fromkeys(pages)
    named: set[str] = set()
    for pattern in _patterns(entries):
        named.update({pattern} & set(known))
    result = [entry for each in entries for entry in _expanded(each, known, named)]
    unlisted = [page for page in known if page not in named]
    return [*result, *([{UNLISTED: unlisted}] if unlisted else [])]


def _patterns(entries: Any) -> Iterable[str]:
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, Mapping):
        for inner in entries.values():
            yield from _patterns(inner)
    else:
        for entry in entries:
            yield from _patterns(entry)


def _expanded(entry: Any, pages: Mapping[str, Any], named: set[str]) -> Iterable[Any]:
    """Yields what stands for an entry. A pattern stands for pages that nothing before it, and no name, has."""
    if isinstance(entry, str):
        found = [page for page in pages if page == entry or (fnmatchcase(page, entry) and page not in named)]
        named.update(found)
        yield from found
        return
    for title, inner in entry.items():
        if isinstance(inner, str):
            yield from ({title: page} for page in _expanded(inner, pages, named))
        elif below := [each for part in inner for each in _expanded(part, pages, named)]:
            yield {title: below}


def _with_stage_links(name: str, table: str) -> str:
    """Returns a generated table; one of stages has links to the page of each, which the repository does not have."""
    over = [each for each in STAGES if "stages" in name and (each.over_pairs or name.rpartition(" ")[2] in each.over)]
    pages = {each.name: f"{FOLDER}/{page_name(each)}.md" for each in over}
    return _STAGE_CELL.sub(lambda cell: f"| [`{cell[1]}`]({pages[cell[1]]}) |" if cell[1] in pages else cell[0], table)


class _Links:
    """The relative links of a page of the repository, as they are in the site."""

    def __init__(self, root: Path, page: str, places: Mapping[str, str], files: Path | None) -> None:
        self._root, self._page, self._places, self._files = root, page, {**_ALIASES, **places}, files

    def mended(self, text: str) -> str:
        """Returns the page's text with its links mended; code stays as it is."""
        parts = _CODE.split(text)
        return "".join(part if at % 2 else _LINK.sub(self._mended, part) for at, part in enumerate(parts))

    def _mended(self, link: re.Match[str]) -> str:
        """Returns a link of the site. Where its text is the name of the file, it has the page's title instead."""
        target, hash_mark, anchor = link[2].partition("#")
        if "://" in target or target.startswith("mailto:") or not target:
            return link[0]
        path = normpath(str(PurePosixPath(self._page).parent / target))
        place = self._place(path)
        title = _TITLE.search((self._root / path).read_text(encoding="utf-8")) if link[1].endswith(".md") else None
        folder = str(PurePosixPath(self._places[self._page]).parent)
        return f"[{title[1] if title else link[1]}]({relpath(place, folder)}{hash_mark}{anchor})"

    def _place(self, path: str) -> str:
        """Returns where a file of the repository is in the site."""
        if path in self._places:
            return self._places[path]
        if path.startswith("..") or not (self._root / path).is_file():
            raise SettingsError(f"{self._page}: a link to {path}: the repository has no such file")
        if self._files is not None:
            copy = self._files / FILES / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._root / path, copy)
        return f"{FILES}/{path}"
