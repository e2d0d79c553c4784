"""``clusterlog setup elasticsearch``: templates, roles and keys on a search server, as a plan that is shown first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, on_screen, with_settings
from clusterlog.cli.setup.servers import DECLINED, carry_out, steps, watched
from clusterlog.errors import SettingError
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.store.elasticsearch.provision.plan import Plan, Step
    from clusterlog.store.elasticsearch.provision.server import Server
    from clusterlog.store.elasticsearch.transport import Client

SCHEMA = "clusterlog.setup/1"
USES = ("ship", "read", "setup")
_RETENTION = re.compile(r"[1-9]\d*[dhms]|forever", re.ASCII)


def _retention(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _RETENTION.fullmatch(value):
        raise click.BadParameter(f"{value!a}: expected a time such as 30d or 12h, or forever")
    return value


def _replicas(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value in (None, "auto"):
        return value
    if not re.fullmatch(r"\d{1,2}", value or "", re.ASCII):
        raise click.BadParameter(f"{value!a}: expected a number, or auto")
    return int(value or "")


def _uses(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    uses = tuple(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))
    for each in uses:
        if each not in USES:
            raise click.BadParameter(f"{each!a}: there are {', '.join(USES)}")
    return uses


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for; ``None`` stays as it is on the server."""

    retention: str | None
    replicas: Any
    uses: tuple[str, ...]
    keys_to: str
    environments: tuple[str, ...]
    remove: bool


@dataclass(slots=True)
class Told:
    """What the command has to tell at its end."""

    url: str
    server: Server
    plan: Plan
    done: int = 0
    keys: list[dict[str, str]] = field(default_factory=list)
    error: str | None = None


@click.command(short_help="Make templates and roles on a search server; --dry-run shows them.")
@with_settings("home", "store", "token_file")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@click.option("--retention", metavar="TIME", callback=_retention, help="How long events are kept: 30d, 12h or forever.")
@click.option("--replicas", metavar="N", callback=_replicas, help="Copies of each shard; auto: one from two nodes on.")
@click.option("--keys", "uses", metavar="USES", callback=_uses, help="Make API keys: ship, read, setup or several.")
@click.option("--keys-to", metavar="DIR", help="Where the keys go, as USE.token; - shows them.  [default: the home]")
@click.option("--environment", "environments", metavar="NAME", multiple=True, help="Make keys for its streams alone.")
@click.option("--remove", is_flag=True, help="Take back what this command made; events stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_screen
@as_json
def elasticsearch(
    settings: Settings,
    dry_run: bool,
    retention: str | None,
    replicas: Any,
    uses: tuple[str, ...],
    keys_to: str | None,
    environments: tuple[str, ...],
    remove: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Make templates and roles for clusterlog's events on Elasticsearch or OpenSearch.

    The server is asked what it knows, and gets the best of it. What is there already is left as it is; what was made by
    somebody else is never touched. A retention or number of replicas that is not given stays as it is there; at first
    those are 30d and auto. Streams that were made with other mappings or settings are rolled over: what is in them
    stays, what comes gets the new ones.

    Fields of your own go into the component template clusterlog@custom, which is never written here.

    \b
    Rights that are needed:
      monitor, manage_index_templates
      manage on logs-clusterlog.*-*
      manage_security for the roles
    """  # noqa: D301 - click wants the character itself
    wish = Wish(retention, replicas, uses, keys_to or settings.home, environments, remove)
    asks = not (yes or as_json or dry_run) and watched()
    _check(wish, keys_to)
    if remove and not (asks or yes or dry_run):
        raise click.UsageError("--remove needs --yes where nobody can be asked")
    if not settings.store:
        raise SettingError("no server is named: --store https://host:9200, or the setting store")
    from clusterlog.store.elasticsearch.transport import Client

    with closing(Client.of(settings, kind="control")) as client:
        told = _planned(client, wish)
        if not as_json:
            _show(told)
        if told.plan.refused:
            _emit(told, as_json)
            raise SettingError(told.plan.refused[0])
        if dry_run or not told.plan.steps:
            _emit(told, as_json)
            return 0
        if asks and not click.confirm("make these changes?", err=True):
            paint.say("nothing was changed")
            return DECLINED
        _carry_out(client, told, as_json)
    return 0


def _check(wish: Wish, keys_to: str | None) -> None:
    if wish.remove and (wish.retention or wish.replicas is not None or wish.uses or wish.environments):
        raise click.UsageError("--remove stands alone: what else is asked for would be made, not taken back")
    if wish.environments and not wish.uses:
        raise click.UsageError("--environment is for keys: name some with --keys")
    if keys_to and not (wish.uses or wish.remove):
        raise click.UsageError("--keys-to is for keys: name some with --keys")


def _planned(client: Client, wish: Wish) -> Told:
    from clusterlog.store.elasticsearch.provision import found as present
    from clusterlog.store.elasticsearch.provision import keys, rights
    from clusterlog.store.elasticsearch.provision.plan import completed, templates
    from clusterlog.store.elasticsearch.provision.removal import removal
    from clusterlog.store.elasticsearch.provision.server import ask

    with paint.progress("asking the server", "questions") as advance:
        server = ask(client, advance)
    found, security = present.look(client), rights.look(client)
    if wish.remove:
        return Told(client.url, server, removal(found, security, keys.token_files(rights.USES, wish.keys_to)))
    plan = templates(server.present, completed(wish.retention, wish.replicas, found), found)
    plan += rights.roles(security)
    if wish.uses:
        uses = [use for use in rights.USES if use in wish.uses]
        patterns = rights.patterns(wish.environments)
        lacks = keys.lacking(client, uses, security, patterns) if security.on else {}
        plan += keys.keys(keys.token_files(uses, wish.keys_to), security, patterns, lacks)
    return Told(client.url, server, plan)


def _show(told: Told) -> None:
    from clusterlog.cli.drawing import plan as drawing

    with paint.paged():
        paint.show_rows(drawing.server(told.server, told.url))
        paint.show_rows(drawing.plan(told.plan))


def _carry_out(client: Client, told: Told, as_json: bool) -> None:
    from clusterlog.store.elasticsearch.provision.apply import perform

    def work(counted: Callable[[], None]) -> None:
        def done(step: Step, answer: Any) -> None:
            told.keys += _key(step, answer)
            if not as_json:
                _say_done(step, told.keys)
            counted()

        perform(client, told.plan, done)

    carry_out(told, len(told.plan.steps), work, lambda: _emit(told, as_json), quiet=as_json)


def _key(step: Step, answer: Any) -> list[dict[str, str]]:
    """What is told of a key that was made: its secret where it was not written into a file."""
    from clusterlog.store.elasticsearch.provision.keys import SHOWN, encoded

    if step.kind != "API key" or step.action != "create":
        return []
    place = {"token": encoded(answer)} if step.file == SHOWN else {"file": step.file}
    return [{"name": step.name, "id": str(answer.get("id")), **place}]


def _say_done(step: Step, keys: list[dict[str, str]]) -> None:
    from clusterlog.cli.drawing.plan import DONE

    into = f" in {step.file}" if step.file and step.file != "-" and step.action == "create" else ""
    paint.say(escaped(f"{DONE[step.action]} {step.kind} {step.name}{into}"))
    if step.kind == "API key" and step.action == "create" and "token" in keys[-1]:
        paint.show(f"{step.name} {keys[-1]['token']}")


def _emit(told: Told, as_json: bool) -> None:
    if not as_json:
        return
    document = {
        "schema": SCHEMA,
        "store": told.url,
        "server": {"flavour": told.server.flavour, "version": told.server.version, "profile": told.server.profile},
        "left_out": [
            {"what": feature.what, "instead": feature.without, "reason": reason}
            for feature, reason in told.server.left_out()
        ],
        "notes": list(told.plan.notes),
        "refused": list(told.plan.refused),
        "kept": list(told.plan.kept),
        "plan": list(steps(told.plan, told.done)),
        "keys": told.keys,
        "error": told.error,
    }
    paint.emit(json.dumps(document).encode())
