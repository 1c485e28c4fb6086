"""The payouts that explain a surplus: against brute force, and at the limit of the search."""

from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.settlement.payouts import paid

TOLERANCE = Decimal("0.00001")
amounts = st.integers(1, 3_000_000).map(lambda micro: Decimal(micro) / 10**6)
few = st.lists(amounts | st.sampled_from([Decimal("1.052631"), Decimal("1.0101")]), max_size=8)


def named(owed: list[Decimal]) -> dict[str, Decimal]:
    return {f"m{number}": amount for number, amount in enumerate(owed)}


def sums(owed: list[Decimal]) -> set[Decimal]:
    return {sum(chosen, Decimal(0)) for size in range(len(owed) + 1) for chosen in combinations(owed, size)}


@given(few, st.data())
def test_any_choice_of_payouts_explains_itself(owed: list[Decimal], data: st.DataObject) -> None:
    """Every set of payouts, with any rounding, is found, or a nearer one; each market at most once."""
    chosen = data.draw(st.sets(st.sampled_from(sorted(named(owed)))) if owed else st.just(set()))
    noise = Decimal(data.draw(st.integers(-10, 10))) / 10**6
    surplus = sum((named(owed)[slug] for slug in chosen), Decimal(0)) + noise
    found = paid(surplus, named(owed), TOLERANCE)
    assert found is not None
    assert len(found) == len(set(found))
    difference = sum((named(owed)[slug] for slug in found), Decimal(0)) - surplus
    assert abs(difference) <= abs(noise)


@given(few, st.integers(-2_000_000, 9_000_000).map(lambda micro: Decimal(micro) / 10**6))
def test_what_no_choice_adds_up_to_is_not_explained(owed: list[Decimal], surplus: Decimal) -> None:
    """None exactly if brute force finds no sum within the tolerance."""
    possible = any(abs(total - surplus) <= TOLERANCE for total in sums(owed))
    assert (paid(surplus, named(owed), TOLERANCE) is not None) is possible


@pytest.mark.parametrize(
    ("surplus", "owed", "expected"),
    [
        ("0", [], ()),
        ("0", ["1.05"], ()),
        ("0.00001", ["1.05"], ()),
        ("0.000011", ["1.05"], None),
        ("1.04999", ["1.05", "5"], ("m0",)),
        ("1.049989", ["1.05", "5"], None),
        ("-0.00001", ["1.05"], ()),
        ("1.05", ["1.05", "1.05"], ("m0",)),
        ("2.10", ["1.05", "1.05"], ("m0", "m1")),
        ("3", ["1", "2", "3"], ("m0", "m1")),
        ("5", ["1", "2", "3"], ("m1", "m2")),
        ("-1.05", ["1.05"], None),
        ("1.06", ["1.05"], None),
        ("2.2", ["1.05", "1.05"], None),
    ],
)
def test_examples(surplus: str, owed: list[str], expected: tuple[str, ...] | None) -> None:
    """None, one of equals (the oldest), all, more, and less."""
    assert paid(Decimal(surplus), named([Decimal(amount) for amount in owed]), TOLERANCE) == expected


def test_months_of_unredeemed_wins_are_no_work() -> None:
    """Of 400 payouts, none, all, three, and all but three are found; a search without end is aborted."""
    owed = named([Decimal(1_000_000 + 7919 * (number % 37)) / 10**6 for number in range(400)])
    three = sum(list(owed.values())[5:8], Decimal(0))
    total = sum(owed.values(), Decimal(0))
    for surplus, count in ((Decimal(0), 0), (total, 400), (three, 3), (total - three, 397)):
        found = paid(surplus, owed, TOLERANCE)
        assert found is not None
        assert len(found) == count
    distinct = named([Decimal(2**20 + 2**number) / 10**6 for number in range(20)])
    assert paid(distinct["m7"], distinct, TOLERANCE) == ("m7",)  # sums above the surplus are skipped
    assert paid(sum(list(distinct.values())[::2], Decimal(0)), distinct, TOLERANCE) is None
    many = named([Decimal(2**30 + 2**number) / 10**6 for number in range(30)])
    four = ("m0", "m1", "m2", "m3")  # only the sums up to four of thirty are tried, not those of five or six
    assert paid(sum((many[slug] for slug in four), Decimal(0)), many, TOLERANCE) == four
