"""``clusterlog trace``: one request put together again."""

from __future__ import annotations

import click

from clusterlog.cli import paint
from clusterlog.cli.find.request import documents
from clusterlog.cli.find.stored import opened
from clusterlog.cli.options import as_json, on_screen, with_settings
from clusterlog.cli.setup import candidates
from clusterlog.encode.compact import dumps
from clusterlog.settings import Settings


@click.command()
@click.argument("request_id", metavar="ID", shell_complete=candidates.request_ids)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone, as where the locale is not UTF-8.")
@click.option("--width", type=click.IntRange(40, 1000), help="Columns to draw in; in a pipe nothing is cut.")
@with_settings("home")
@on_screen
@as_json
def trace(settings: Settings, request_id: str, ascii_only: bool, width: int | None, as_json: bool) -> None:
    """Show one request: every event on every node in causal order, what failed first, where the time went.

    ID is a request id, as it stands in the response header X-Request-ID, or its end as `search` shows it, or a trace
    id (32 hex digits).
    """
    from clusterlog.search.story.journey import journey

    with opened(settings) as store:
        found = journey(documents(store, request_id.strip(), settings))
    if as_json:
        from clusterlog.search.story.document import document

        paint.emit(dumps(document(found)))
        return
    from clusterlog.cli.drawing.story import rows

    with paint.paged():
        paint.show_rows(rows(found, width=width or paint.width(), ascii_only=ascii_only or not paint.unicode()))
