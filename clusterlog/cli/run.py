"""``clusterlog run -- COMMAND``: the command takes the place of this process, and its Pythons log here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.options import with_settings
from clusterlog.errors import HomeBusy, NotAllowed, SettingError
from clusterlog.integrations.launch import DEBUG, LEVEL, interpreter
from clusterlog.settings import Settings

_FORWARDED = ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "ALRM")
_FROM_TERMINAL = 0x80
"""``si_code`` of a signal from the kernel (sigaction(2)): the terminal sends those to the command as well."""
_SHIPPER_ENDS_S = 15.0


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, options_metavar="[OPTIONS] --"
)
@click.argument(
    "command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARG]...", shell_complete=candidates.programs
)
@click.option("--ship", "ships", is_flag=True, help="Deliver to the store beside it, until the command ends.")
@with_settings("service", "node", "debug", "home")
def run(settings: Settings, command: tuple[str, ...], ships: bool) -> int:
    """Run a program so that it logs here, without touching its code.

    Every Python that the command starts logs into the home: what goes through `logging`, uncaught exceptions, and each
    request that uvicorn, gunicorn, Starlette, FastAPI or Flask serves, under the id in its response header. The
    program's own console stays as it is, but for the id in its server's lines.

    \b
      clusterlog run -- gunicorn shop.wsgi
      clusterlog run --service shop --ship -- uvicorn shop:app --workers 2
    """  # noqa: D301 - click wants the character itself
    if not command:
        raise SettingError("nothing to run: clusterlog run -- COMMAND, such as: clusterlog run -- gunicorn shop.wsgi")
    if command[0].startswith("-"):  # options that are not ours are let through, for they may be the command's
        raise click.NoSuchOption(command[0], ctx=click.get_current_context())
    _try_home(settings)
    environ = _environment(settings)
    program = interpreter.program(command, environ)
    refusal = interpreter.refusal(program, environ)
    if refusal:
        raise SettingError(refusal)
    begin = _beside_a_shipper if ships else _become
    return begin(settings, program.path, command, environ)


def _try_home(settings: Settings) -> None:
    """Raise what speaks against this home, while there is somebody to tell it."""
    from clusterlog.ship.homelock import HomeLock

    try:
        HomeLock.take(settings.home_path).release()
    except HomeBusy:  # somebody ships it, so it is a home
        return


def _environment(settings: Settings) -> dict[str, str]:
    """What the command's processes find: the settings of this call, and the way in."""
    environ = interpreter.bootstrapped(os.environ)
    environ |= {"CLUSTERLOG_HOME": settings.home, LEVEL: settings.level, DEBUG: ",".join(settings.debug)}
    for name in ("service", "node"):
        if settings.origins[name] == "argument":
            environ[f"CLUSTERLOG_{name.upper()}"] = getattr(settings, name)
    return environ


def _become(settings: Settings, path: str, command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(path, list(command), dict(environ))
    except OSError as error:
        raise _cannot_run(command[0], error) from None


def _cannot_run(name: str, error: OSError) -> NotAllowed | SettingError:
    if isinstance(error, PermissionError):
        return NotAllowed(f"cannot run {name}: permission denied")
    return SettingError(f"cannot run {name}: {(error.strerror or str(error)).lower()}")


def _beside_a_shipper(settings: Settings, path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command as a child, and a shipper that ends after it; signals and exit code are the command's own."""
    from clusterlog.ship.homelock import HomeLock

    if HomeLock.holder(settings.home_path):
        paint.say(f"clusterlog: {settings.home} is being shipped already")
        _become(settings, path, command, environ)
    watched = {getattr(signal, f"SIG{name}") for name in (*_FORWARDED, "CHLD")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    shipper = _begin_shipper(settings, unblock)
    try:
        # Descriptors are inherited as by exec: a server may be handed its sockets.
        child = subprocess.Popen(
            list(command),
            executable=path,
            env=dict(environ),
            close_fds=False,
            preexec_fn=unblock,  # noqa: PLW1509 - this process has one thread
        )
    except OSError as error:
        _end_shipper(shipper)
        raise _cannot_run(command[0], error) from None
    code = _forward_until_end(child, watched)
    _end_shipper(shipper)
    unblock()
    return _ended_as(code)


def _begin_shipper(settings: Settings, unblock: Any) -> subprocess.Popen[bytes]:
    """A session of its own, so that Ctrl-C leaves it time; the end of its standard input tells it of our end."""
    command = [sys.executable, "-m", "clusterlog", "ship", "--until-eof", "--home", settings.home]
    # Not as an argument: a URL may hold a password, and everybody on a machine may see arguments.
    told = {"CLUSTERLOG_SINK": settings.sink} if settings.sink else {}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env={**os.environ, **told},
        start_new_session=True,
        preexec_fn=unblock,  # noqa: PLW1509 - this process has one thread
    )


def _forward_until_end(child: subprocess.Popen[bytes], watched: set[signal.Signals]) -> int:
    while True:
        told = signal.sigwaitinfo(watched)
        if told.si_signo == signal.SIGCHLD:
            code = child.poll()
            if code is not None:
                return code
        elif told.si_code != _FROM_TERMINAL:
            child.send_signal(told.si_signo)


def _end_shipper(shipper: subprocess.Popen[bytes]) -> None:
    """It delivers what is left; one that cannot is not waited for any longer, and what waits stays in the spool."""
    if shipper.stdin is not None:
        shipper.stdin.close()
    try:
        shipper.wait(_SHIPPER_ENDS_S)
    except subprocess.TimeoutExpired:
        shipper.kill()
        shipper.wait()


def _ended_as(code: int) -> int:
    """The exit code of the command; where a signal ended it, that signal ends this process."""
    if code >= 0:
        return code
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    sys.stdout.flush()
    os.kill(os.getpid(), -code)
    return 128 - code
