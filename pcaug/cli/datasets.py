"""``pcaug datasets``: the cards."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pcaug.corpus.card import DatasetCard

NEW, TREE = "new", "classes"


def datasets(
    name: Annotated[
        str | None, typer.Argument(help="A card to show in full; 'new' drafts one for FOLDER, 'classes' shows the class tree.")
    ] = None,
    folder: Annotated[Path | None, typer.Argument(help="With 'new': a folder of scans of one kind.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="With 'new': the card's file, NAME.toml.")] = None,
    classes_of: Annotated[str | None, typer.Option(help="With 'new': the card that knows what the class ids mean.")] = None,
    check: Annotated[Path | None, typer.Option(help="Compare a download in this folder with the published checksums.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print all cards as one page of Markdown.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With 'new': replace the file.")] = False,
) -> None:
    """List the dataset cards; show one: layout, classes, splits, licence, how to obtain it; or draft one for a folder."""
    import sys

    from pcaug.cli.console import emit_json, out
    from pcaug.corpus.card import all_cards, load_card
    from pcaug.errors import PcaugError

    if (folder is not None) != (name == NEW):
        raise PcaugError("a card is drafted from a folder", do="pcaug datasets new FOLDER")
    if folder is not None:
        _draft(folder, output, classes_of, force=force)
    elif name == TREE:
        emit_json(_tree_json()) if json else out().print(_tree(), soft_wrap=True, markup=False)
    elif markdown:
        from pcaug.corpus.card_page import page

        sys.stdout.write(page(all_cards().values()))
    elif name is None:
        cards = all_cards()
        if json:
            emit_json([card.model_dump(mode="json", exclude={"classes"}) for card in cards.values()])
        else:
            console = out()
            if not console.is_terminal:
                console.width = 240  # a pipe has no edge to wrap at
            console.print(_table(list(cards.values())))
    elif check is not None:
        _check(load_card(name), check)
    elif json:
        emit_json(load_card(name).model_dump(mode="json"))
    else:
        card = load_card(name)
        out().print(_head(card))
        out().print(_classes(card))


def _draft(folder: Path, output: Path | None, classes_of: str | None, *, force: bool) -> None:
    from pcaug.cli.console import fresh, out
    from pcaug.corpus.draft import TODO, draft
    from pcaug.files import write_text

    text = draft(folder, output.stem if output else None, classes_of)
    name = next(line for line in text.splitlines() if line.startswith("name = ")).split('"')[1]
    path = fresh(output or Path(f"{name}.toml"), force=force)
    write_text(path, text)
    command = shlex.join(["pcaug", "convert", str(folder), "CORPUS", "--card", str(path)])
    do = "correct sensor, frame and unit, "
    if text.rstrip().endswith("[classes]"):
        do += "name the class ids' place ([labels]), since none were found, or pass --unlabelled"
    elif f'node = "{TODO}"' in text:
        do += f"replace each {TODO} (pcaug datasets classes lists the nodes)"
    else:
        do += "check its classes"
    out().print(f"{path}: {do}, then {command}", soft_wrap=True, markup=False)


def _tree() -> str:
    """The class tree, indented, each class with its id, and the presets with their classes."""
    from pcaug.catalogue import taxonomy

    tree = taxonomy()
    lines = [f"{tree.name}: a point's label is the id of its class"]

    def add(parent: int | None, depth: int) -> None:
        for node in tree.nodes.values():
            if node.parent == parent:
                lines.append(f"{node.id:4}  {'  ' * depth}{node.name}")
                add(node.id, depth + 1)

    add(None, 0)
    presets = (f"  {name}: {', '.join(classes)}" for name, classes in tree.presets.items())
    return "\n".join([*lines, "", "presets (--set classes=NAME), with the classes that they train:", *presets])


def _tree_json() -> dict[str, Any]:
    """The same as plain values: rows of the tree, and preset -> class -> names of its nodes."""
    from pcaug.catalogue import taxonomy

    tree = taxonomy()
    nodes = [
        {"id": node.id, "name": node.name, "parent": None if node.parent is None else tree.label_name(node.parent)}
        for node in tree.nodes.values()
    ]
    presets = {
        name: {key: [tree.label_name(node) for node in members] for key, members in classes.items()}
        for name, classes in tree.presets.items()
    }
    return {"name": tree.name, "classes": nodes, "presets": presets}


def _check(card: DatasetCard, folder: Path) -> None:
    from pcaug.cli.console import out
    from pcaug.corpus.card import check_download
    from pcaug.errors import FileError

    wrong = []
    for name, verdict in check_download(card, folder).items():
        out().print(f"{name:24} {verdict}", markup=False)
        wrong += [name] if verdict == "differs" else []
    if wrong:
        raise FileError(f"differ from what was published: {', '.join(wrong)}", folder, "download them again")


def _table(cards: list[DatasetCard]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "dataset", "kind", "read as", "classes", "licence", box=None)
    for card in cards:
        kind = f"{card.sensor}, synthetic" if card.synthetic else card.sensor
        table.add_row(card.name, escape(card.title), kind, card.encoding, str(len(card.classes)), escape(card.licence))
    return table


def _head(card: DatasetCard) -> Any:
    from rich.markup import escape
    from rich.table import Table

    head = Table(show_header=False, box=None, title=f"{card.name}: {escape(card.title)}", title_justify="left")
    for key in (
        "layout",
        "files",
        "encoding",
        "sensor",
        "device",
        "frame",
        "licence",
        "flags",
        "citation",
        "url",
        "obtain",
        "notes",
    ):
        value = getattr(card, key)
        head.add_row(key, escape(value if isinstance(value, str) else ", ".join(value)))
    head.add_row(
        "fields", escape(", ".join(f"{field} ({meaning})" if meaning else field for field, meaning in card.fields.items()))
    )
    for split, members in (*card.splits.items(), *card.split_lists.items()):
        more = f" and {len(members) - 12} more" if len(members) > 12 else ""
        head.add_row(split, escape(", ".join(members[:12])) + more)
    head.add_row("splits", escape(card.split_note))
    for fact, known in card.verified.items():
        head.add_row("verified" if known else "[yellow]not verified[/]", escape(fact))
    return head


def _classes(card: DatasetCard) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from pcaug.catalogue import taxonomy

    tree = taxonomy()
    table = Table("id", "", "class", "node", "", "points", box=None)
    table.columns[-1].justify = "right"
    for key, row in card.classes.items():
        colour = ",".join(map(str, row.colour or tree.colour(tree.id(row.node))))
        points = f"{row.points:,}" if row.points is not None else ""
        table.add_row(key, f"[on rgb({colour})]  [/]", escape(row.name), row.node, "minor" if row.minor else "", points)
    return table
