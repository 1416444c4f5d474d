"""``pcaug datasets``: the cards."""

from __future__ import annotations

from typing import Annotated

import typer


def datasets(
    name: Annotated[str | None, typer.Argument(help="A card to show whole.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the dataset cards, or show one: layout, classes, splits, licence, how to obtain it."""
    from rich.markup import escape
    from rich.table import Table

    from pcaug.cli.console import emit_json, out
    from pcaug.corpus.card import all_cards, load_card
    from pcaug.formats import FORMATS

    if name is None:
        cards = all_cards()
        if json:
            emit_json([card.model_dump(mode="json", exclude={"classes"}) for card in cards.values()])
            return
        table = Table("name", "dataset", "sensor", "classes", "read", "licence", box=None)
        for card in cards.values():
            read = "yes" if card.encoding in FORMATS else "no"
            table.add_row(card.name, escape(card.title), card.sensor, str(len(card.classes)), read, escape(card.licence))
        console = out()
        if not console.is_terminal:
            console.width = 240  # a pipe has no edge to wrap at
        console.print(table)
        return
    card = load_card(name)
    if json:
        emit_json(card.model_dump(mode="json"))
        return
    head = Table(show_header=False, box=None, title=f"{card.name}: {escape(card.title)}", title_justify="left")
    for key in ("sensor", "frame", "encoding", "files", "licence", "citation", "url", "obtain"):
        value = getattr(card, key)
        head.add_row(key, escape(value if isinstance(value, str) else ", ".join(value)))
    for split, members in card.splits.items():
        head.add_row(split, ", ".join(members))
    for fact, known in card.verified.items():
        head.add_row("verified" if known else "[yellow]not verified[/]", escape(fact))
    out().print(head)
    table = Table("id", "class", "node", "", box=None)
    for key, row in card.classes.items():
        table.add_row(key, escape(row.name), row.node, "minor" if row.minor else "")
    out().print(table)
