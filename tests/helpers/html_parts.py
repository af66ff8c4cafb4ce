"""Reads pieces of HTML in tests: elements by tag and class, with their texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"img", "br", "input", "meta", "link", "hr"}


@dataclass
class Part:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[Part | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, blanks joined."""
        return " ".join(" ".join(part if isinstance(part, str) else part.text for part in self.parts).split())

    def all(self, tag: str, style: str = "") -> list[Part]:
        """The elements in it, at any depth, that have a tag and a class."""
        return [each for each in self._within() if each.tag == tag and style in ("", *each.styles)]

    @property
    def styles(self) -> list[str]:
        """Its classes."""
        return self.attributes.get("class", "").split()

    def rows(self) -> list[list[str]]:
        """The texts of the cells of its tables, head rows among them."""
        return [[cell.text for cell in row.parts if isinstance(cell, Part)] for row in self.all("tr")]

    @property
    def tags(self) -> set[str]:
        """The tags of the elements in it."""
        return {part.tag for part in self._within()}

    @property
    def ids(self) -> list[str]:
        """The ids of the elements in it."""
        return [part.attributes["id"] for part in self._within() if "id" in part.attributes]

    def _within(self) -> Iterator[Part]:
        for part in self.parts:
            if isinstance(part, Part):
                yield part
                yield from part._within()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Part("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        part = Part(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(part)
        if tag not in _VOID:
            self.open.append(part)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Part(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def read_html(text: str) -> Part:
    """Reads HTML, and checks that each element is closed by its own tag."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"not closed: {[part.tag for part in reader.open[1:]]}"
    return reader.open[0]
