"""The command line: names and one-line helps here, everything else in ``commands``.

A command's module is imported only when that command is run, so that ``gapless --help`` and
shell completion answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

import click

from common.errors import (
    EXIT_DONE,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    EndedBySignalError,
    GaplessError,
)
from gapless import __version__, terminal
from gapless.terminal import say

COMMANDS: Final[dict[str, str]] = {
    "demo": "Watch a simulated CloudWatch, with faults at a key's press.",
    "tail": "Watch log groups, or forwarders, live and complete.",
    "groups": "List the log groups that there are to watch.",
    "executions": "List the executions of a log group.",
    "forward": "Serve log groups to viewers over a WebSocket.",
    "verify": "Compare what a forwarder serves with CloudWatch itself.",
    "simulate": "Run the simulator and a forwarder, headless.",
    "inject": "Switch a fault of a running simulator on, or heal all.",
    "scenario": "Rehearse what can go wrong, and have it judged.",
}

_PARTS: Final = frozenset({"tab"})
"""Commands that others start; they are not for people, and not in the help."""

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of ``COMMANDS``."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        del ctx
        if cmd_name not in COMMANDS and cmd_name not in _PARTS:
            return None
        command: click.Command = import_module(f"gapless.commands.{cmd_name}").command
        from gapless.settings import add_variables  # noqa: PLC0415 - not needed for --help

        add_variables(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    name="gapless",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option is also read from GAPLESS_* variables and from config.toml in the "
    "user's settings directory (or the file that GAPLESS_CONFIG names). Shell completion: "
    'eval "$(_GAPLESS_COMPLETE=bash_source gapless)"; likewise zsh_source, fish_source.',
)
@click.version_option(__version__, prog_name="gapless")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Watch CloudWatch Logs in a terminal and miss nothing, with proof of it on screen."""
    name = ctx.invoked_subcommand
    command = cli.get_command(ctx, name) if name else None
    if command is None or name is None:
        return
    from gapless.settings import defaults_of, settings_file  # noqa: PLC0415 - likewise

    ctx.default_map = {name: defaults_of(command, settings_file(os.environ))}


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code. Every error is one line on stderr."""
    try:
        code = cli.main(args=list(arguments), prog_name="gapless", standalone_mode=False)
        return code if isinstance(code, int) else EXIT_DONE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except EndedBySignalError as error:
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone, `| head` for one: that is no failure.
        return EXIT_DONE
    except (click.ClickException, GaplessError) as error:
        return _told(error)
    except Exception as error:  # noqa: BLE001 - the last resort: a file for us, a line for them
        return _unexpected(error)


def main() -> NoReturn:
    """The ``gapless`` command."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)
    terminal.draw_first_picture(sys.argv[1:], os.environ)
    code = run(sys.argv[1:])
    terminal.erase_first_picture()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # Python would complain once more while it shuts down; nobody is left to read it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _end(number: int, frame: object) -> NoReturn:
    del frame
    raise EndedBySignalError(number)


def _told(error: click.ClickException | GaplessError) -> int:
    if isinstance(error, GaplessError):
        return _said(str(error), error.exit_code)
    text = error.format_message()
    terminal.erase_first_picture()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(text, err=True)
        return EXIT_USAGE
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{text} (see '{error.ctx.command_path} --help')"
    return _said(text, error.exit_code)


def _unexpected(error: Exception) -> int:
    from common.state import report_fault  # noqa: PLC0415 - for the rarest of paths

    path = report_fault(error)
    where = f"; the traceback is in {path}" if path else ""
    return _said(f"unexpected fault: {type(error).__name__}: {error}{where}", EXIT_FAILURE)


def _said(text: str, code: int) -> int:
    say(text)
    return code
