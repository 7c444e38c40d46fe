from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from forwarder.cloudwatch.catalogue import GroupInfo
from forwarder.errors import AccessDeniedError, ListingLimitError
from forwarder.groups.listing import CALLS_PER_S, FORGET_S, FRESH_S, PATTERNS_MAX, GroupListing
from forwarder.targets import GroupTarget, parse_target

ECS = parse_target("/ecs/*")


class Rig:
    def __init__(self, pages: int = 1) -> None:
        self.now_s = 0.0
        self.asked: list[str] = []
        self.pages = pages
        self.error: AccessDeniedError | None = None
        self.listing = GroupListing(self._list, lambda: self.now_s)

    async def _list(self, target: GroupTarget, on_page: Callable[[], None]) -> list[GroupInfo]:
        self.asked.append(str(target))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        for _ in range(self.pages):
            on_page()
        return [GroupInfo(f"{target.prefix}web", 1, None, None)]


async def test_viewers_share_an_answer_for_a_few_seconds() -> None:
    rig = Rig()
    answers = await asyncio.gather(*(rig.listing.match(ECS) for _ in range(50)))
    assert {one.name for groups in answers for one in groups} == {"/ecs/web"}
    rig.now_s = FRESH_S - 0.1
    await rig.listing.match(ECS)
    assert len(rig.asked) == 1
    rig.now_s = FRESH_S
    await rig.listing.match(ECS)
    assert len(rig.asked) == rig.listing.calls == 2


@pytest.mark.parametrize(("patterns", "pages"), [(1, 40), (10, 1), (10, 7)])
async def test_however_much_there_is_to_list_the_calls_stay_few(patterns: int, pages: int) -> None:
    rig = Rig(pages)
    targets = [parse_target(f"/{number}/*") for number in range(patterns)]
    for target in targets:
        await rig.listing.match(target)
    begun = rig.listing.calls
    for _ in range(600):
        rig.now_s += 1
        for target in targets:
            await rig.listing.match(target)
    # The first round was one burst; rates hold from then on.
    assert rig.listing.calls - begun <= 600 * CALLS_PER_S + begun
    assert len(rig.asked) > patterns


async def test_a_failure_is_shared_for_a_moment_and_then_tried_again() -> None:
    rig = Rig()
    rig.error = AccessDeniedError("no")
    for _ in range(3):
        with pytest.raises(AccessDeniedError):
            await rig.listing.match(ECS)
    assert len(rig.asked) == 1
    rig.error, rig.now_s = None, 10
    assert await rig.listing.match(ECS)


async def test_patterns_are_bounded_and_forgotten() -> None:
    rig = Rig()
    for number in range(PATTERNS_MAX):
        await rig.listing.match(parse_target(f"/{number}/*"))
    with pytest.raises(ListingLimitError, match="try again"):
        await rig.listing.match(ECS)
    rig.now_s = FORGET_S
    assert await rig.listing.match(ECS)
