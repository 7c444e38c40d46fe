"""``make peers``: compares gapless with other tools under the same CloudWatch faults.

Prints a Markdown table. Tools that are not installed are skipped with a message. The variables
PEERS_AWS and PEERS_AWSLOGS give other paths of ``aws`` (version 2) and ``awslogs``.
"""

from __future__ import annotations

import argparse
import sys

from tests.peers.rig import SITUATIONS, Result, find_peers, run


def main() -> None:
    """Run the selected situations, by default all, and print a row for each program."""
    parser = argparse.ArgumentParser(prog="make peers")
    parser.add_argument("--rates", type=int, nargs="*", default=[200, 2_000])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--visible-within", type=int, nargs="*", default=[0, 5_000], metavar="MS")
    parser.add_argument("--only", help="run only situations whose name contains this text")
    given = parser.parse_args()
    peers, absent = find_peers()
    for peer in absent:
        _say(f"{peer.name}: skipped, {peer.command} is not installed")
    _say(
        "| situation | events/s | visible within | program | accepted | lost | duplicated "
        "| misordered | lag p50 / p99 | |\n|---|--:|--:|---|--:|--:|--:|--:|--:|---|"
    )
    for situation in SITUATIONS:
        if given.only is not None and given.only not in situation.name:
            continue
        for within_ms in given.visible_within:
            for rate in given.rates:
                for result in run(situation, rate, given.seconds, within_ms, peers):
                    _say(f"| {situation.name} | {rate:,} | {within_ms / 1000:.0f} s {_row(result)}")


def _row(result: Result) -> str:
    lost = f"{result.lost:,}"
    if result.lost:
        lost += f" ({result.lost * 100 / result.accepted:.1f} %)"
    lag = f"{result.lag_p50_ms / 1000:.1f} / {result.lag_p99_ms / 1000:.1f} s"
    return (
        f"| {result.tool} | {result.accepted:,} | {lost} | {result.duplicated:,} "
        f"| {result.misordered:,} | {lag} | {'exited early' if result.died else ''} |"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


main()
