"""The order lifecycle satisfies its guarantees in every interleaving, and from every crash point."""

import copy
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle_world import World

from config import ROOT
from tools.order_lifecycle_table import table

STEPS = 250
"""Steps of one run, after which its four markets are used up."""


def run(seed: int, steps: int = STEPS) -> World:
    world = World(Random(seed))
    for _ in range(steps):
        world.step()
    world.come_to_rest()
    world.check_end()
    return world


@given(st.integers(0, 2**64))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_interleaving_ends_with_the_venue_in_the_ledger(seed):
    """Whatever is lost, late, doubled or killed: one live order per market, each trade recorded once."""
    run(seed)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_million_inputs():
    """A million inputs of random interleavings satisfy every guarantee."""
    inputs = seed = 0
    while inputs < 1_000_000:
        inputs += run(seed).inputs
        seed += 1


@given(st.integers(0, 2**64), st.integers(20, 200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_prefix_of_the_written_rows_reaches_the_same_end(seed, steps):
    """A process that starts from the rows written so far reaches the same end as the running one."""
    world = World(Random(seed))
    for _ in range(steps):
        world.step()
    successor = copy.deepcopy(world)
    successor.start()
    for one in (world, successor):
        one.come_to_rest()
        one.check_end()
    assert successor.book.fills == world.book.fills


def rest_with_cash(world: World) -> None:
    """The end of a world with lies: the cash is compared, and another start books what is left."""
    world.come_to_rest()
    world.compare_cash()
    world.come_to_rest()
    world.check_end()
    world.start()
    world.come_to_rest()
    world.check_end()
    assert world.drift == world.deposits
    assert world.ledger_cash == world.venue_cash


@given(st.integers(0, 2**64))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_cost_of_a_refused_order_is_its_fill_and_never_a_withdrawal(seed):
    """A venue executes orders that it refuses, and deposits are made between runs: every trade is recorded,
    and exactly the deposits are booked as such, whatever is lost or killed."""
    world = World(Random(seed), lies=True)
    for _ in range(STEPS):
        world.step()
    rest_with_cash(world)


@given(st.integers(0, 2**64), st.integers(20, 200))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_prefix_of_the_rows_finds_a_refused_order_that_was_executed(seed, steps):
    """A process that starts from the rows written so far finds the same trades and deposits."""
    world = World(Random(seed), lies=True)
    for _ in range(steps):
        world.step()
    successor = copy.deepcopy(world)
    successor.start()
    for one in (world, successor):
        rest_with_cash(one)


def test_the_state_table_is_the_code():
    """docs/order-lifecycle.md equals the present state machine."""
    assert (ROOT / "docs/order-lifecycle.md").read_text() == table()
