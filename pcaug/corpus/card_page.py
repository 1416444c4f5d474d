"""The page of all dataset cards, docs/datasets.md: generated, so that it says what the cards say."""

from __future__ import annotations

from collections.abc import Iterable

from pcaug import catalogue
from pcaug.corpus.card import DatasetCard

HEAD = """\
# Datasets

Written by `pcaug datasets --markdown` from the cards in `datasets/`: correct those, then `make docs`.

Each dataset below is read as downloaded: `pcaug info FOLDER`, `pcaug convert FOLDER CORPUS`, `pcaug merge FOLDER ... -o CORPUS`.
Where paths do not prove which dataset it is, name it: `--card NAME`. A set of your own is a card of ten lines:
`pcaug datasets new FOLDER` writes a first one. Nothing here is shipped or downloaded by pcaug: licences are the publishers', and
their word counts, not this page's. A colour in brackets is the node's, where a dataset has none of its own.

"""
FLAGS = {"by": "name the source", "nc": "no commerce", "sa": "share alike", "nd": "no derivatives"}
MANY = 12
"""Members of a split that are named; longer lists are in the card."""


def page(cards: Iterable[DatasetCard]) -> str:
    """The page as Markdown, in the order of the cards' names."""
    cards = sorted(cards, key=lambda card: card.name)
    rows = []
    for card in cards:
        cells = (f"[{card.name}](#{card.name})", card.title, _kind(card), card.encoding, str(len(card.classes)), card.licence)
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    table = "| name | dataset | kind | read as | classes | licence |\n| --- | --- | --- | --- | ---: | --- |\n" + "\n".join(rows)
    return HEAD + table + "\n\n" + "\n".join(_section(card) for card in cards)


def _section(card: DatasetCard) -> str:
    facts = {
        "layout": card.layout, "kind": f"{_kind(card)}; {card.device}", "frame": card.frame, "fields": _fields(card),
        "splits": _splits(card), "licence": "; ".join([card.licence, *(FLAGS[flag] for flag in card.flags)]),
        "citation": card.citation, "site": f"<{card.url}>", "to obtain": card.obtain, "notes": card.notes,
        "known from a real file or the publisher": ", ".join(fact for fact, known in card.verified.items() if known),
        "not verified": ", ".join(fact for fact, known in card.verified.items() if not known),
    }  # fmt: skip
    lines = [f"- **{key}**: {_cell(value)}" for key, value in facts.items() if value]
    return f"## {card.name}\n\n{_cell(card.title)}\n\n" + "\n".join(lines) + f"\n\n{_classes(card)}\n"


def _kind(card: DatasetCard) -> str:
    return f"{card.sensor}, synthetic" if card.synthetic else card.sensor


def _fields(card: DatasetCard) -> str:
    told = [f"`{name}` ({meaning})" if meaning else f"`{name}`" for name, meaning in card.fields.items()]
    return ", ".join(["`x y z`", *told])


def _splits(card: DatasetCard) -> str:
    told = [f"{split}: {_some(members)}" for split, members in card.splits.items()]
    told += [f"{split}: listed in {', '.join(names)}" for split, names in card.split_lists.items()]
    return "; ".join([*told, card.split_note] if card.split_note else told)


def _some(members: tuple[str, ...]) -> str:
    if len(members) > MANY:
        return f"{len(members)} named in the card"
    return ", ".join(f"`{member}`" for member in members)


def _classes(card: DatasetCard) -> str:
    taxonomy = catalogue.taxonomy()
    counted = any(c.points is not None for c in card.classes.values())
    lines = ["| id | class | node | colour |", "| ---: | --- | --- | --- |"]
    if counted:
        lines = [lines[0] + " points |", lines[1] + " ---: |"]
    for key, c in card.classes.items():
        node = f"{c.node} (minor)" if c.minor else c.node
        colour = "#{:02x}{:02x}{:02x}".format(*(c.colour or taxonomy.colour(taxonomy.id(c.node))))
        points = ["" if c.points is None else f"{c.points:,}"] if counted else []
        lines.append("| " + " | ".join([key, _cell(c.name), node, colour if c.colour else f"({colour})", *points]) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text of a card inside a table or a list: one line, no markup of its own."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split()) if not text.startswith("<http") else text
