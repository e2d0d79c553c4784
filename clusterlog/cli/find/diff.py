"""``clusterlog diff``: one request beside another, or beside a healthy one that is like it."""

from __future__ import annotations

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.find.request import documents
from clusterlog.cli.home.stored import opened
from clusterlog.cli.options import on_screen, with_format, with_settings, with_times
from clusterlog.encode.compact import dumps
from clusterlog.settings import Settings


@click.command()
@click.argument("a", metavar="A", shell_complete=candidates.request_ids)
@click.argument("b", metavar="[B]", required=False, shell_complete=candidates.request_ids)
@click.option("--all", "everything", is_flag=True, help="Also every event of both, side by side.")
@with_times
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone, as where the locale is not UTF-8.")
@click.option("--width", metavar="COLUMNS", type=click.IntRange(40, 1000), help="Draw for so many, also in a pipe.")
@with_settings("home", "store", "token_file")
@on_screen
@with_format("human", "plain", "json")
def diff(
    settings: Settings,
    a: str,
    b: str | None,
    everything: bool,
    since: int | None,
    until: int | None,
    ascii_only: bool,
    width: int | None,
    output: str,
) -> None:
    """Compare request A with request B: what only one did, what took longer, what had other values or another order.

    Without B with a healthy twin of A: of those that asked the same of the same service near in time (within --since
    and --until), succeeded and took as long as is typical, the nearest. Exit 1 if there is none, or no request A or B.
    """
    from clusterlog.search.compare.comparison import compare
    from clusterlog.search.compare.twin import healthy_twin
    from clusterlog.search.story.journey import journey

    with opened(settings) as store:
        one = journey(documents(store, a, settings))
        twin = None if b else healthy_twin(store, one, since=since, until=until)
        found = compare(one, twin.journey if twin else journey(documents(store, b or "", settings)))
        if output == "json":
            from clusterlog.search.compare.document import document

            paint.emit(dumps(document(found, twin)))
            return
        from clusterlog.cli.drawing.differences import rows

        room = width or (paint.width() if output == "human" else None)
        drawn = rows(found, twin, everything=everything, width=room, ascii_only=ascii_only or not paint.unicode())
        with paint.paged() if output == "human" else paint.looks("never"):
            paint.show_rows(drawn)
