"""The command line: names and one-line help here, everything else in ``commands``.

A command's module is imported only when that command runs, so that ``gapless --help`` and shell
completion are fast.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from common.errors import (
    EXIT_DONE,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    EndedBySignalError,
    GaplessError,
)
from gapless import terminal
from gapless.terminal import say

COMMANDS: Final[dict[str, str]] = {
    "demo": "Watch a simulated CloudWatch, and switch faults with keys.",
    "tail": "Watch log groups, or forwarders, live and complete.",
    "replay": "Open the record of a viewer, or another tool's log, and play it.",
    "groups": "List the log groups of the account.",
    "executions": "List the executions of a log group.",
    "streams": "List the log streams of a log group.",
    "forward": "Serve log groups to viewers over a WebSocket.",
    "forwarders": "List the forwarders that run in the background, or stop one.",
    "journal": "List the owners and servers of a shared journal.",
    "doctor": "Check whether everything that gapless needs works here.",
    "purge": "Delete the journals of unused log groups.",
    "verify": "Compare what a forwarder serves with CloudWatch itself.",
    "simulate": "Run the simulator and a forwarder, headless.",
    "inject": "Switch a fault of a running simulator on, or heal all.",
    "scenario": "Rehearse what can go wrong, and judge the result.",
}

_INTERNAL: Final[dict[str, str]] = {"tab": "gapless.viewing.tab"}
"""Modules of commands that only other commands start; they are not in the help."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The same as in ``common.signals``, whose import of asyncio would slow ``--help`` down."""


class _CommandInterruptedError(KeyboardInterrupt):
    """Raised by Ctrl+C.

    A KeyboardInterrupt itself that leaves exec(), which makes dataclasses, sets a flag in the
    interpreter: ``python -m`` then ends by SIGINT, and the exit code is lost, even if the exception
    was caught. A subclass does not set it.
    """


class _ReaderLeftError(Exception):
    """The reader of the output has left, as ``| head`` does: not a failure."""


@contextmanager
def _noticing_reader() -> Iterator[None]:
    """Raise another error for a broken pipe; click would exit with 1."""
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderLeftError from error


class LazyGroup(click.Group):
    """A group that imports its commands only when they are needed."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's
    ) -> click.Context:
        """Parse the arguments, which prints the help."""
        with _noticing_reader():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with _noticing_reader():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of ``COMMANDS``."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS and cmd_name not in _INTERNAL:
            return None
        module = _INTERNAL.get(cmd_name, f"gapless.commands.{cmd_name}")
        command: click.Command = import_module(module).command
        from gapless.settings import add_variables  # noqa: PLC0415 - not needed for --help

        add_variables(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in the help, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_versions(context: click.Context, parameter: click.Parameter, value: object) -> None:
    del parameter
    if not value or context.resilient_parsing:
        return
    from gapless.doctor.versions import report, versions  # noqa: PLC0415 - not needed for --help

    click.echo(report(versions(os.environ)))
    context.exit()


@click.group(
    name="gapless",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option can also be set by a GAPLESS_* variable or in config.toml in the user's "
    "settings directory (or the file that GAPLESS_CONFIG names). Shell completion: "
    'eval "$(_GAPLESS_COMPLETE=bash_source gapless)"; likewise zsh_source, fish_source.\n\n'
    "Exit codes: 0 done, 1 failure, 2 usage, 3 cannot connect, 4 incomplete, 5 and 6 execution "
    "FAILED and STOPPED, 130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_versions,
    help="Show the versions that a bug report needs, and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch CloudWatch Logs in a terminal, verified to be complete."""
    name = ctx.invoked_subcommand
    command = cli.get_command(ctx, name) if name else None
    if command is None or name is None:
        return
    from gapless.settings import (  # noqa: PLC0415 - likewise
        defaults_of,
        settings_file,
        unknown_variables,
    )

    for line in unknown_variables(command, os.environ, cli):
        say(line)
    ctx.default_map = {name: defaults_of(command, settings_file(os.environ), cli)}


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit code. Every error is one line on stderr."""
    try:
        code = cli.main(args=list(arguments), prog_name="gapless", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_DONE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except EndedBySignalError as error:
        return error.exit_code
    except _ReaderLeftError:
        return EXIT_DONE
    except (click.ClickException, GaplessError) as error:
        return _report(error)
    except Exception as error:  # noqa: BLE001 - the last resort: a traceback in a file, a line for the user
        return _report_unexpected(error)


def main() -> NoReturn:
    """Run the ``gapless`` command and exit."""
    # Python has no stream where the caller closed a descriptor, as `>&-` does. One to nowhere
    # also takes that descriptor, which a socket would get otherwise.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - likewise
    _on_ending_signals(_raise_ended)
    terminal.draw_first_picture(sys.argv[1:], os.environ)
    code = run(sys.argv[1:])
    _on_ending_signals(signal.SIG_DFL)  # nothing is left to clean up
    terminal.erase_first_picture()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # Otherwise Python reports the error again while it shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if code == EXIT_DONE and _is_unwritten(error):
                code = _report_unwritten(error)
    sys.exit(code)


def _on_ending_signals(handler: Callable[[int, object], NoReturn] | signal.Handlers) -> None:
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, handler)


def _raise_ended(number: int, frame: object) -> NoReturn:
    del frame
    if number == signal.SIGINT:
        raise _CommandInterruptedError
    raise EndedBySignalError(number)


def _report(error: click.ClickException | GaplessError) -> int:
    if isinstance(error, GaplessError):
        return _print_error(str(error), error.exit_code)
    text = error.format_message()
    terminal.erase_first_picture()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(text, err=True)
        return EXIT_USAGE
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{text} (see '{error.ctx.command_path} --help')"
    return _print_error(text, error.exit_code)


def _is_unwritten(error: OSError) -> bool:
    """Whether there was no room for output; where a file was opened, the error names it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and error.filename is None


def _report_unwritten(error: OSError) -> int:
    return _print_error(
        f"the output could not be written ({error.strerror}): make room, and run it again",
        EXIT_FAILURE,
    )


def _report_unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and _is_unwritten(error):
        return _report_unwritten(error)
    from common.state import save_traceback  # noqa: PLC0415 - for the rarest of paths

    path = save_traceback(error)
    where = f"; the traceback is in {path}" if path else ""
    return _print_error(f"unexpected error: {type(error).__name__}: {error}{where}", EXIT_FAILURE)


def _print_error(text: str, code: int) -> int:
    say(text)
    return code
