from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tui.client.tally import Tally, Total
from wire.digest import MODULUS

keys = st.integers(0, 40)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(keys, max_size=12), st.integers(1, 50)),
        st.tuples(st.just("unconfirm"), st.lists(keys, max_size=5), st.just(0)),
        st.tuples(st.just("rebase"), st.just([]), st.just(0)),
    ),
    max_size=25,
)


@given(steps, st.integers(0, 20), keys, keys, st.integers(0, 60))
def test_a_tally_is_a_sorted_dictionary(
    script: list[tuple[str, list[int], int]], base: int, low: int, high: int, seq: int
) -> None:
    with patch("tui.client.tally.CHUNK_EVENTS", 3):
        tally, model = Tally(base), dict[int, tuple[int, int]]()
        for what, some, first in script:
            if what == "add":
                digests = [(key * 7919 << 40) % MODULUS for key in some]
                seqs = [first + place for place in range(len(some))]
                tally.add_many(some, digests, seqs)
                model |= dict(zip(some, zip(digests, seqs, strict=True), strict=True))
            elif what == "unconfirm":
                known = [key for key in some if key in model]
                tally.unconfirm(known)
                model |= {key: (model[key][0], 0) for key in known}
            else:
                tally.unconfirm_all()
                model = {key: (digest, 0) for key, (digest, _) in model.items()}
        counted = [
            key for key, (_, at) in sorted(model.items()) if low <= key <= high and base < at <= seq
        ]
        digest = sum(model[key][0] for key in counted) % MODULUS
        assert tally.total(low, high, seq) == Total(len(counted), digest)
        assert tally.keys_between(low, high, seq) == counted
        assert len(tally) == len(model)
        assert tally.unconfirmed == sum(at == 0 for _, at in model.values())
        assert tally.count_above(low) == sum(key > low for key in model)
