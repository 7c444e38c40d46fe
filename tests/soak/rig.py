"""One soak: the processes, the faults, the samples, and the judgement."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.request import urlopen

from common.errors import GaplessError, UsageError
from common.http import HttpStatusError
from common.processes import ChildProcess, start_gapless
from common.times import iso
from gapless.rehearsal.result import UNSAFE, WRONG, findings, is_met
from gapless.rehearsal.viewer import RecordingViewer
from simulator.client import ControlApi
from simulator.oracle.record import Identity
from simulator.scenarios.base import DAY_MS, Heal, Inject, Step
from tests.soak.outputs import (
    Life,
    OutputVerdict,
    digest,
    is_hostile_match,
    judge_output,
    other_texts,
    text_digest,
)
from tests.soak.plan import ROUND_MS, draw_round
from tests.soak.processes import QUERIES, EndlessConsumer, SoakedScreen, measure, proved_ms
from tests.soak.trend import Sample, Trend, trend_of

RATE: Final = 40
SINCE_MS: Final = 2 * DAY_MS

SAMPLE_S: Final = 3.0
GESTURE_S: Final = 2.0
LOOK_S: Final = 90.0
LIVES_S: Final = (15.0, 45.0)
"""Shortest and longest life of a consumer."""
DOWN_S: Final = (0.0, 4.0)

HOLD_MS: Final = 10_000
"""How long strict order holds a line that no mark has passed (``--hold``)."""

CONVERGE_S: Final = 900.0
"""Time after the last fault until everything must be shown. Events that are days late are found by
the scan of everything since ``--since``, which rests twenty times as long as it takes: minutes,
once the soak has written a hundred thousand lines."""

TICK_S: Final = 0.1

HELD_BYTES: Final = {"recorder": 2_048, "screen": 2_048}
"""What these hold of each line by design, in memory: the line, its keys and its digest."""


class SoakReport:
    """What a soak showed.

    Attributes:
        wrong: What was wrong, a line each.
        facts: What happened and was used, a line each.
    """

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.facts: list[str] = []

    def finish(self, trends: Sequence[Trend]) -> None:
        """Add each program's longest life, and what any life shows to be wrong."""
        by_name: dict[str, list[Trend]] = {}
        for trend in trends:
            by_name.setdefault(trend.name.split()[0], []).append(trend)
        for lives in by_name.values():
            longest, *others = sorted(lives, key=lambda one: -one.lived_s)
            self.facts.append(longest.describe())
            if others:
                peak = max(one.peak_rss for one in others) / (1 << 20)
                self.facts.append(f"    and {len(others)} shorter lives, RSS peak {peak:.1f} MiB")
        self.wrong += [text for trend in trends for text in trend.findings()]


class Soak:
    """A run; ``run`` is its whole life.

    Args:
        seed: Draws faults, keys and kills.
        minutes: How long faults go on.
        folder: An empty folder.
        say: Prints progress.
    """

    def __init__(self, seed: int, minutes: float, folder: Path, say: Callable[[str], None]) -> None:
        self._seed = seed
        self._seconds = minutes * 60
        self._folder = folder
        self._say = say
        self._rng = Random(f"soak/{seed}")
        self._pause = threading.Event()
        self._samples: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
        self._injected: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._looks = 0
        self._steps: list[tuple[float, Step]] = []
        self._next: dict[str, float] = {}
        self.report = SoakReport()
        self._simulator: ChildProcess
        self._api: ControlApi
        self._recorder: RecordingViewer
        self._screen: SoakedScreen
        self._consumers: list[EndlessConsumer] = []
        self._url = ""
        self._began = 0.0

    def run(self) -> SoakReport:
        """Run to the end."""
        with contextlib.ExitStack() as stack:
            try:
                self._start(stack)
                self._storm()
                self._converge()
            except (GaplessError, AssertionError) as error:
                self.report.wrong.append(str(error))
        self.report.finish(
            [
                trend_of(f"{name} {pid}", samples, line_bytes=HELD_BYTES.get(name, 0))
                for (name, pid), samples in self._samples.items()
                if len(samples) > 1
            ]
        )
        return self.report

    def _start(self, stack: contextlib.ExitStack) -> None:
        arguments = ("simulate", "--seed", str(self._seed), "--rate", str(RATE))
        program = ("--forwarder-program", "-m tests.soak.forwarder")
        self._simulator = stack.enter_context(
            start_gapless("the simulator", [*arguments, *program, "--group-age", "30d"])
        )
        ready = self._simulator.ready()
        self._url = str(ready["control"])
        self._api = ControlApi(self._url)
        since_ms = time.time_ns() // 1_000_000 - SINCE_MS
        websocket = str(ready["websocket"])
        for name in ("recorder", "viewers"):
            (self._folder / name).mkdir()
        self._recorder = stack.enter_context(
            RecordingViewer(websocket, since_ms, self._folder / "recorder")
        )
        viewers = self._folder / "viewers"
        self._screen = SoakedScreen(websocket, iso(since_ms), viewers, self._seed)
        stack.callback(self._screen.close)
        for query in QUERIES:
            consumer = EndlessConsumer(query, websocket, iso(since_ms), viewers)
            stack.callback(consumer.close)
            self._consumers.append(consumer)
        self._keep_running()

    # Faults

    def _storm(self) -> None:
        began = self._began = time.monotonic()
        self._next = dict.fromkeys(("sample", "gesture", "look"), began)
        self._next["look"] += LOOK_S / 3
        for consumer in self._consumers:
            self._next[consumer.query.name] = began + self._rng.uniform(*LIVES_S)
        number = 0
        while (now := time.monotonic()) < began + self._seconds:
            # The second half kills no forwarder, screen or recorder: their trends need one life.
            kills = now < began + self._seconds / 2
            if now >= began + number * ROUND_MS / 1_000:
                start = began + number * ROUND_MS / 1_000
                drawn = draw_round(self._seed, number, kills=kills)
                self._steps += [(start + step.at_ms / 1_000, step) for step in drawn]
                number += 1
                self._say(f"round {number}: {self._api_accepted()} lines accepted")
            self._take_steps(now)
            self._tick(kills=kills)
        self._api.heal()

    def _take_steps(self, now: float) -> None:
        due = [step for at, step in self._steps if at <= now]
        self._steps = [(at, step) for at, step in self._steps if at > now]
        for step in due:
            action = step.action
            if isinstance(action, Heal):
                self._api.switch_off(action.name) if action.name else self._api.heal()
            elif isinstance(action, Inject):
                self._inject(action)

    def _inject(self, action: Inject) -> None:
        fault = action.fault
        body = {"type": fault.type, "toxicity": fault.toxicity, "attributes": fault.attributes}
        try:
            self._api.switch_on(body)
            self._injected[fault.type] += 1
        except (UsageError, HttpStatusError):  # no viewer to kill at this moment, a full queue
            self._refused[fault.type] += 1

    def _tick(self, *, kills: bool) -> None:
        self._pause.wait(TICK_S)
        if not self._simulator.is_running:
            raise self._simulator.failure()
        self._keep_running()
        now = time.monotonic()
        if now >= self._next["sample"]:
            self._next["sample"] = now + SAMPLE_S
            self._sample(now)
        if now >= self._next["gesture"]:
            self._next["gesture"] = now + GESTURE_S
            self._screen.gesture()
        if now >= self._next["look"]:
            self._look()
            self._next["look"] = time.monotonic() + LOOK_S
        for consumer in self._consumers:
            # In the second half, one consumer lives on, for its trend.
            if now >= self._next[consumer.query.name] and (kills or consumer.query.is_strict):
                self._next[consumer.query.name] = now + self._rng.uniform(*LIVES_S)
                consumer.end()
                self._next[f"start {consumer.query.name}"] = now + self._rng.uniform(*DOWN_S)

    def _keep_running(self) -> None:
        for viewer in (self._recorder, self._screen):
            if not (viewer.is_running or (viewer is self._screen and self._screen.has_quit)):
                viewer.start()
                pid = viewer.pid
                if pid is not None:
                    with contextlib.suppress(UsageError, HttpStatusError):
                        self._api.register_viewer(pid)
        now = time.monotonic()
        for consumer in self._consumers:
            if not consumer.is_running and now >= self._next.get(f"start {consumer.query.name}", 0):
                consumer.start()

    # Samples

    def _sample(self, now: float) -> None:
        state = self._api.changes(None)
        lines = self._api_accepted()
        pids: dict[str, int | None] = {
            "forwarder": state["forwarder"]["pid"],
            "recorder": self._recorder.pid,
            "screen": self._screen.pid,
            **{one.query.name: one.pid for one in self._consumers},
        }
        for name, pid in pids.items():
            sample = None if pid is None else measure(pid, now, lines)
            if pid is not None and sample is not None:
                self._samples[name, pid].append(sample)

    def _api_accepted(self) -> int:
        with urlopen(f"{self._url}/simulator/workload") as answer:
            return int(json.load(answer)["accepted"])

    # Judgement

    def _look(self) -> None:
        """Judge the recorder and the screen while faults are on."""
        self._looks += 1
        for name, record in (
            ("recorder", self._recorder.record(self._pause)),
            ("screen", self._screen.record()),
        ):
            if record is not None:
                verdict = self._api.verdict(record)
                wrong = findings(verdict, UNSAFE)
                if wrong:
                    self.report.wrong.append(
                        f"{name}, look {self._looks}: {', '.join(wrong)}: {verdict['examples']}"
                    )

    def _converge(self) -> None:
        """Wait until every viewer shows everything, then judge them all."""
        healed = time.monotonic()
        while not self._api.stop_writing():
            self._pause.wait(TICK_S)
        quiet_ms = time.time_ns() // 1_000_000
        self._wait_green("recorder", lambda: self._recorder.record(self._pause), quiet_ms, healed)
        self._wait_green("screen", self._screen.record, quiet_ms, healed)
        verdict = self._api.verdict(self._screen.quit())
        if not is_met("clean", verdict):
            self.report.wrong.append(f"the screen's last record: {findings(verdict, WRONG)}")
        self._judge_consumers(healed)
        self._note_facts()

    def _wait_green(
        self, name: str, record_of: Callable[[], bytes | None], quiet_ms: int, healed: float
    ) -> None:
        while True:
            self._keep_running()
            record = record_of()
            if record is not None:
                verdict = self._api.verdict(record)
                proved = proved_ms(record)
                if is_met("clean", verdict) and proved >= quiet_ms:
                    seconds = time.monotonic() - healed
                    self.report.facts.append(f"{name}: {_clean(verdict)}, green in {seconds:.0f} s")
                    return
            if time.monotonic() - healed > CONVERGE_S:
                msg = f"{name} is not complete after {CONVERGE_S:.0f} s"
                if record is not None:
                    wrong = findings(verdict, WRONG)
                    msg += f": {wrong}, verified to {proved - quiet_ms:+} ms: {verdict['examples']}"
                raise AssertionError(msg)
            self._pause.wait(1)

    def _judge_consumers(self, healed: float) -> None:
        ledger = self._ledger()
        accepted = [identity for identity, _ in ledger]
        by_json = Counter(map(digest, accepted))
        by_text = Counter(map(text_digest, accepted))
        matching = Counter(digest(one) for one in accepted if is_hostile_match(one[2]))
        # Strict order holds a line until its own time has come, or the consumer ends in order.
        now_ms = time.time_ns() // 1_000_000
        by_now = Counter(digest(one) for one in accepted if one[1] < now_ms - HOLD_MS)
        for consumer in self._consumers:
            query = consumer.query
            others = other_texts(ledger, text_digest if query.output == "text" else digest)
            every = by_text if query.output == "text" else by_json
            expected = matching if query.is_filtered else every
            now = expected & by_now if query.is_strict else expected
            self._wait_printed(consumer, partial(judge_output, now, every, others=others), healed)
            verdict = judge_output(expected, every, consumer.lives(), others)
            wrong = verdict.findings()
            if wrong:
                self.report.wrong.append(
                    f"consumer {query.name}: {', '.join(wrong)}: {verdict.examples}"
                )
            self.report.facts.append(
                f"consumer {query.name}: {verdict.expected} expected, {verdict.printed} printed in "
                f"{consumer.kills} lives, {verdict.repeated} repeated after kills "
                f"(printed up to {verdict.oldest_repeat_s:.1f} s before)"
            )

    def _wait_printed(
        self,
        consumer: EndlessConsumer,
        judge: Callable[[Iterable[Life]], OutputVerdict],
        healed: float,
    ) -> None:
        """Wait until a consumer has printed what is expected, and end it in order."""
        while time.monotonic() - healed < CONVERGE_S:
            self._keep_running()
            if not judge(consumer.lives()).lost:
                break
            self._pause.wait(2)
        consumer.end(signal.SIGTERM)
        # One more life repeats nothing.
        consumer.start()
        self._pause.wait(5)
        consumer.end(signal.SIGTERM)

    def _ledger(self) -> list[tuple[Identity, str | None]]:
        """The accepted events, with the texts that CloudWatch returned at times instead."""
        with urlopen(f"{self._url}/simulator/ledger") as answer:
            events: list[dict[str, Any]] = [json.loads(line) for line in answer]
        return [
            ((one["log_stream"], one["timestamp"], one["message"]), one.get("other_text"))
            for one in events
        ]

    def _note_facts(self) -> None:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self._injected.items()))
        forwarders = sum(name == "forwarder" for name, _ in self._samples)
        self.report.facts += [
            f"faults: {self._injected.total()} ({faults}); refused {dict(self._refused) or 0}",
            f"lives: recorder {self._recorder.starts}, screen {self._screen.starts}, {forwarders=}",
            f"{self._screen.gestures} gestures, {self._looks} looks",
        ]


def _clean(verdict: dict[str, Any]) -> str:
    return f"{verdict['shown']} of {verdict['owed']} lines shown, {verdict['marks']} marks"
