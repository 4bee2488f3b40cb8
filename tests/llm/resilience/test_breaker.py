"""A breaker opens when it should, lets one probe through, and forgets."""

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from codelab.llm.resilience.breaker import REFUSED, Breaker, Rules
from tests.llm.resilience.doubles import Clock

RULES = Rules()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(RULES, clock=clock, random=Random(7))  # noqa: S311 - jitter


def fail(breaker, times=1, **how):
    for _ in range(times):
        breaker.failed(breaker.enter(), **how)


def succeed(breaker, times=1, **how):
    for _ in range(times):
        breaker.succeeded(breaker.enter(), **how)


def opened(breaker, clock):
    fail(breaker, 10)
    clock.now = breaker.until
    return breaker


def test_it_opens_at_half_of_ten_calls(breaker):
    succeed(breaker, 5)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"
    assert breaker.enter() == REFUSED


def test_nine_failures_say_nothing(breaker):
    fail(breaker, 9)
    assert breaker.state == "closed"


def test_five_failed_connections_in_a_row_do(breaker):
    fail(breaker, 4, connect=True)
    succeed(breaker)
    fail(breaker, 4, connect=True)
    assert breaker.state == "closed"
    fail(breaker, connect=True)
    assert breaker.state == "open"


def test_another_failure_is_not_one_more_in_a_row(breaker):
    fail(breaker, 4, connect=True)
    fail(breaker)
    fail(breaker, 4, connect=True)
    assert breaker.state == "closed"


def test_what_was_before_it_closed_is_forgotten(breaker, clock):
    opened(breaker, clock)
    succeed(breaker)
    fail(breaker, 9)
    assert breaker.state == "closed"


def test_failures_leave_the_window(breaker, clock):
    fail(breaker, 9)
    clock.now += RULES.window_s + RULES.window_s / 10
    fail(breaker, 9)
    assert breaker.state == "closed"


def test_a_slow_answer_counts_as_a_failure(breaker):
    succeed(breaker, 5)
    succeed(breaker, 5, slow=True)
    assert breaker.state == "open"


def test_it_is_open_no_longer_than_the_first_time_allows(breaker, clock):
    fail(breaker, 10)
    assert RULES.open_s / 2 <= breaker.until - clock.now <= RULES.open_s


def test_half_open_is_one_probe_at_a_time(breaker, clock):
    opened(breaker, clock)
    assert breaker.state == "half_open"
    probe = breaker.enter()
    assert probe != REFUSED
    assert [breaker.enter() for _ in range(3)] == [REFUSED] * 3
    breaker.succeeded(probe)
    assert breaker.state == "closed"


def test_a_cancelled_probe_gives_its_slot_back(breaker, clock):
    opened(breaker, clock)
    probe = breaker.enter()
    breaker.dropped(probe)
    assert breaker.enter() not in {REFUSED, probe}


def test_a_probe_that_has_begun_lets_the_others_in(breaker, clock):
    opened(breaker, clock)
    ticket = breaker.begun(breaker.enter())
    assert breaker.state == "closed"
    assert breaker.enter() == ticket


def test_a_slow_probe_is_none(breaker, clock):
    opened(breaker, clock)
    breaker.begun(breaker.enter(), slow=True)
    assert breaker.state == "open"


def test_the_open_time_doubles_up_to_its_cap_and_starts_again(breaker, clock):
    spans = []
    opened(breaker, clock)
    for _ in range(8):
        fail(breaker)
        spans.append(breaker.until - clock.now)
        clock.now = breaker.until
    assert all(span <= RULES.longest_open_s for span in spans)
    assert min(spans[-2:]) >= RULES.longest_open_s / 2
    succeed(breaker)
    fail(breaker, 10)
    assert breaker.until - clock.now <= RULES.open_s


def test_retry_after_is_honoured_at_once_and_for_no_longer(breaker, clock):
    fail(breaker, retry_after=20)
    assert breaker.state == "open"
    assert 20 <= breaker.until - clock.now <= 22


def test_retry_after_lengthens_what_is_open_already(breaker, clock):
    late = breaker.enter()
    fail(breaker, 10)
    breaker.failed(late, retry_after=100)
    assert breaker.until - clock.now >= 100


def test_a_call_from_before_changes_nothing_after(breaker, clock):
    before = [breaker.enter() for _ in range(20)]
    opened(breaker, clock)
    succeed(breaker)
    for ticket in before:
        breaker.failed(ticket)
    assert breaker.state == "closed"


class Calls(RuleBasedStateMachine):
    """Any interleaving of calls: the promises hold after each step."""

    tickets = Bundle("tickets")

    @initialize(seed=st.integers(0, 100))
    def begin(self, seed):
        self.clock = Clock()
        self.rules = Rules(min_calls=4, connect_failures=3)
        self.breaker = Breaker(self.rules, clock=self.clock, random=Random(seed))  # noqa: S311 - jitter
        self.probe = REFUSED
        self.promised = 0.0  # nobody is asked before this, by Retry-After

    @rule(target=tickets)
    def enter(self):
        was = self.breaker.state
        ticket = self.breaker.enter()
        if was == "closed":
            assert ticket != REFUSED
        elif was == "open":
            assert ticket == REFUSED
        elif self.probe:
            assert ticket == REFUSED  # the one probe is under way
        else:
            assert ticket != REFUSED
            self.probe = ticket
        assert ticket == REFUSED or self.clock.now >= self.promised
        return ticket

    @rule(ticket=consumes(tickets), slow=st.booleans())
    def succeed(self, ticket, slow):
        self.end(ticket, lambda: self.breaker.succeeded(ticket, slow=slow))

    @rule(ticket=consumes(tickets), connect=st.booleans(), after=st.sampled_from([None, None, 0.5, 40.0]))
    def fail(self, ticket, connect, after):
        self.end(ticket, lambda: self.breaker.failed(ticket, connect=connect, retry_after=after))
        if after and ticket != REFUSED:
            self.promised = max(self.promised, self.clock.now + after)
            assert self.breaker.until >= self.clock.now + after

    @rule(ticket=consumes(tickets))
    def drop(self, ticket):
        was = self.breaker.state
        self.end(ticket, lambda: self.breaker.dropped(ticket))
        assert self.breaker.state == was  # it says nothing

    @rule(ticket=tickets)
    def begin_to_answer(self, ticket):
        self.end(ticket, lambda: self.breaker.begun(ticket))

    def end(self, ticket, tell):
        if ticket == REFUSED:
            return
        was, opens = self.breaker.state, self.breaker.until
        tell()
        if self.breaker.state == "closed":
            self.promised = 0.0
        if was != "closed" and ticket != self.probe:
            assert self.breaker.state != "closed"  # only the probe closes it
            assert self.breaker.until >= opens
        if ticket == self.probe:
            self.probe = REFUSED

    @rule(seconds=st.sampled_from([0.1, 1, 5, 31, 90]))
    def wait(self, seconds):
        self.clock.now += seconds

    @precondition(lambda self: self.breaker.state == "closed" and not self.breaker.wait_s)
    @rule()
    def connections_fail(self):
        for _ in range(self.rules.connect_failures):
            self.breaker.failed(self.breaker.enter(), connect=True)
        assert self.breaker.state == "open"

    @invariant()
    def open_time_is_bounded(self):
        if getattr(self, "breaker", None) and self.breaker.state == "open":
            longest = max(self.rules.longest_open_s, 40 * 1.1)
            assert 0 < self.breaker.wait_s <= longest

    @invariant()
    def counts_are_sound(self):
        if getattr(self, "breaker", None):
            window = self.breaker._window
            assert 0 <= window.failures <= window.calls


Calls.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCalls = Calls.TestCase
