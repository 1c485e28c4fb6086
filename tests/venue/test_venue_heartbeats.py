"""Order heartbeats, and whether orders score for rewards."""

import pytest
from served_bench import served
from venue_builders import Bench

from venue.heartbeats import Heartbeats, WrongHeartbeat


def test_each_heartbeat_names_the_id_of_the_last_answer() -> None:
    """The first id is empty; another id is refused with the expected one, and the deadline stays."""
    beats = Heartbeats()
    first = beats.accept("key", "", 100)
    for wrong in ("", "other"):
        with pytest.raises(WrongHeartbeat) as refused:
            beats.accept("key", wrong, 110)
        assert refused.value.expected == first
    assert beats.expired(115) == []
    assert beats.expired(115.1) == ["key"]
    with pytest.raises(WrongHeartbeat) as refused:
        beats.accept("key", first, 116)
    assert refused.value.expected == ""
    assert beats.accept("key", "", 116) != first


async def test_a_key_that_stops_loses_its_resting_orders() -> None:
    """Fifteen seconds after its last heartbeat; a key without heartbeats, and later orders, stay."""
    bench = Bench()
    async with served(bench) as world:
        silent, other = bench.trader(), bench.trader()
        for trader in (silent, other):
            await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 5, 100))
        ids = [""]
        for _ in range(2):
            status, answer = await world.post("/v1/heartbeats", {"heartbeat_id": ids[-1]}, silent)
            assert status == 200
            ids.append(answer["heartbeat_id"])
            bench.clock.forward(14)
            bench.venue.step()
            assert len(bench.venue.ledger.open_orders()) == 2
        assert await world.post("/v1/heartbeats", {"heartbeat_id": ids[1]}, silent) == (
            400,
            {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": ids[2]},
        )
        bench.clock.forward(2)
        bench.venue.step()
        assert [order.address for order in bench.venue.ledger.open_orders()] == [other.address]
        await bench.place(silent, silent.limit(bench.market.up_token, "BUY", 5, 100))
        bench.clock.forward(60)
        bench.venue.step()
        assert len(bench.venue.ledger.open_orders()) == 2


async def test_no_order_scores_and_only_own_orders_are_known() -> None:
    """The markets pay no rewards; an order of another account is not found."""
    bench = Bench()
    async with served(bench) as world:
        trader, other = bench.trader(), bench.trader()
        placed = await bench.place(trader, trader.limit(bench.market.up_token, "BUY", 5, 100))
        order_id = placed.order.id
        assert await world.get("/order-scoring", trader, order_id=order_id) == (200, {"scoring": False})
        assert await world.post("/orders-scoring", [order_id, "0x0"], trader) == (200, {order_id: False})
        not_found = (404, {"error": "order not found"})
        assert await world.get("/order-scoring", other, order_id=order_id) == not_found
        assert await world.get("/order-scoring", trader) == (400, {"error": "Invalid order ID"})
        assert (await world.get("/order-scoring", order_id=order_id))[0] == 401
        assert (await world.post("/v1/heartbeats", {}, trader))[0] == 400
