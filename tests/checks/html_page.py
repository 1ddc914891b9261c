"""Reads an HTML page strictly: what a browser would load, run or mend is a fault here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "rect", "line", "path", "col", "hr"}


@dataclass
class Element:
    """An element with its attributes, and all the text below it."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Elements below it of a name, with these attributes."""
        here = [
            one
            for one in self.children
            if one.name == name and all(one.attributes.get(key) == value for key, value in attributes.items())
        ]
        return here + [found for one in self.children for found in one.all(name, **attributes)]

    def by_id(self, name: str) -> Element:
        (found,) = [one for one in self.everything() if one.attributes.get("id") == name]
        return found

    def everything(self) -> list[Element]:
        return [self, *(below for one in self.children for below in one.everything())]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        counted = Counter(name for name, _ in attrs)
        assert max(counted.values(), default=0) <= 1, f"<{tag}> has an attribute twice: {attrs}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(html: str) -> Element:
    """The page; AssertionError where tags do not nest."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"never closed: {[one.name for one in reader.open]}"
    return reader.root


def plain(text: str) -> str:
    """Text with plain spaces, each once."""
    return " ".join(text.replace("\u00a0", " ").replace("\u202f", " ").split())
