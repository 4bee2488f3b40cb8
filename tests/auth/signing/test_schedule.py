"""Whatever happens when, a key is known before it signs and until its last token has died."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from codelab.auth.signing.schedule import OVERLAP, SHOWN, Due, due
from codelab.auth.signing.schemas import KeyState, SigningKey
from tests.support.tokens import MIDNIGHT

LIFETIME = timedelta(days=1)
STEPS = st.lists(
    st.tuples(st.sampled_from([1, 5, 60, 299, 310, 899, 900, 5000, 86_400]), st.booleans()), min_size=1, max_size=60
)


def key(kid: str, state: KeyState, seconds: float = 0, **more) -> SigningKey:
    at = MIDNIGHT + timedelta(seconds=seconds)
    times = {KeyState.ACTIVE: "activated_at", KeyState.RETIRING: "retiring_at"}
    told = {times[state]: at} if state in times else {}
    return SigningKey(kid=kid, alg="RS256", state=state, created_at=at, **told, **more)


ACTIVE = key("a", KeyState.ACTIVE)


def test_where_there_is_no_key_one_is_made_at_once() -> None:
    assert due([], MIDNIGHT, LIFETIME) == Due(begin=True)


def test_a_key_that_is_young_is_left_alone() -> None:
    assert not due([ACTIVE], MIDNIGHT + LIFETIME - timedelta(seconds=1), LIFETIME)
    assert due([ACTIVE], MIDNIGHT + LIFETIME, LIFETIME) == Due(begin=True)


def test_one_heir_is_enough() -> None:
    heir = key("b", KeyState.PENDING, LIFETIME.total_seconds())
    assert not due([ACTIVE, heir], MIDNIGHT + LIFETIME, LIFETIME)


def test_a_key_is_shown_for_five_minutes_and_more_before_it_signs() -> None:
    heir = key("b", KeyState.PENDING)
    assert timedelta(seconds=300) < SHOWN
    assert not due([ACTIVE, heir], MIDNIGHT + SHOWN - timedelta(seconds=1), LIFETIME)
    assert due([ACTIVE, heir], MIDNIGHT + SHOWN, LIFETIME) == Due(promote="b")


def test_a_key_is_shown_until_its_last_token_has_died() -> None:
    old = key("o", KeyState.RETIRING)
    assert timedelta(seconds=900) <= OVERLAP
    assert not due([old, ACTIVE], MIDNIGHT + OVERLAP - timedelta(seconds=1), LIFETIME)
    assert due([old, ACTIVE], MIDNIGHT + OVERLAP, LIFETIME) == Due(retire=frozenset({"o"}))


def apply(keys: dict[str, SigningKey], todo: Due, at, fresh: str) -> None:
    """What a transaction does of it."""
    was_active = [found for found in keys.values() if found.state is KeyState.ACTIVE]
    for kid in todo.retire:
        del keys[kid]
    if todo.promote is not None:
        for old in was_active:
            keys[old.kid] = old.model_copy(update={"state": KeyState.RETIRING, "retiring_at": at})
        heir = keys[todo.promote]
        keys[heir.kid] = heir.model_copy(update={"state": KeyState.ACTIVE, "activated_at": at})
    if todo.begin:
        state = KeyState.PENDING if was_active else KeyState.ACTIVE
        keys[fresh] = key(fresh, state, (at - MIDNIGHT).total_seconds())


@given(STEPS)
def test_through_any_history(steps: list[tuple[int, bool]]) -> None:
    keys: dict[str, SigningKey] = {}
    at, first, last_signed = MIDNIGHT, "", {}
    for number, (seconds, rotates) in enumerate(steps):
        at += timedelta(seconds=seconds)
        before = dict(keys)
        apply(keys, due(list(keys.values()), at, LIFETIME), at, f"k{number}")
        pending = [found for found in keys.values() if found.state is KeyState.PENDING]
        if rotates and not pending:
            apply(keys, Due(begin=True), at, f"r{number}")
        (active,) = [found for found in keys.values() if found.state is KeyState.ACTIVE]
        first = first or active.kid
        assert active.kid == first or active.activated_at - active.created_at >= SHOWN
        for gone in before.keys() - keys.keys():
            assert at - last_signed[gone] >= timedelta(seconds=600)
        # It may have signed at any moment until another took its place.
        last_signed |= {found.kid: at for found in before.values() if found.state is KeyState.ACTIVE}
        last_signed[active.kid] = at
