"""The chain node: what a wallet's transactions change, and what is refused."""

from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from served_bench import ServedBench, served
from test_venue_data_api import MANUAL, resolve
from venue_builders import EXCHANGE_V3, Bench, Trader

from venue.market import VenueMarket

PUSD = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CTF = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
MANAGER = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"


def called(signature: str, *values: Any) -> str:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return "0x" + (keccak(text=signature)[:4] + encode(types, values)).hex()


async def rpc(world: ServedBench, method: str, *params: Any) -> Any:
    """The result of a request, or the text of its error."""
    asked = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    status, answer = await world.post("/chain", asked)
    assert (status, answer["id"]) == (200, 7)
    return answer["error"]["message"] if "error" in answer else answer["result"]


async def read(world: ServedBench, to: str, signature: str, *values: Any) -> str:
    return await rpc(world, "eth_call", {"to": to, "data": called(signature, *values)}, "latest")


def signed(trader: Trader, nonce: int, to: str, data: str, **fields: Any) -> str:
    gas = {"gasPrice": 0} if "maxFeePerGas" not in fields else {}
    transaction = {
        "to": to,
        "data": data,
        "value": 0,
        "gas": 1,
        "nonce": nonce,
        "chainId": 137,
        **gas,
        **fields,
    }
    return "0x" + Account.from_key(trader.key).sign_transaction(transaction).raw_transaction.hex()


async def send(world: ServedBench, trader: Trader, nonce: int, to: str, data: str) -> bool:
    """Send a transaction; whether its receipt is a success."""
    sent = await rpc(world, "eth_sendRawTransaction", signed(trader, nonce, to, data))
    receipt = await rpc(world, "eth_getTransactionReceipt", sent)
    assert receipt["transactionHash"] == sent
    return receipt["status"] == "0x1"


def redemption_of(market: VenueMarket) -> str:
    """The adapter's redemption of a condition; an id of 31 bytes is padded."""
    condition = bytes.fromhex(market.condition_id[2:]).ljust(32, b"\0")
    signature = "redeemPositions(address,bytes32,bytes32,uint256[])"
    return called(signature, PUSD, bytes(32), condition, [1, 2])


def redemption_from(market: VenueMarket, index: int, amount: int) -> str:
    """The Router's redemption of an amount of an outcome."""
    condition = bytes.fromhex(market.condition_id[2:])[:31]
    return called("redeem(bytes31,uint256,uint256)", condition, index, amount)


async def test_approvals_are_changed_by_transactions() -> None:
    """An allowance of pUSD and an operator of the positions, as the venue then applies them."""
    bench = Bench()
    async with served(bench) as world:
        trader = bench.trader()
        allowance = ("allowance(address,address)", trader.address, EXCHANGE_V3)
        operator = ("isApprovedForAll(address,address)", trader.address, EXCHANGE_V3)
        assert int(await read(world, PUSD, *allowance), 16) == 2**256 - 1
        assert await send(world, trader, 0, PUSD, called("approve(address,uint256)", EXCHANGE_V3, 5))
        assert int(await read(world, PUSD, *allowance), 16) == 5
        assert int(await read(world, MANAGER, *operator), 16) == 1
        assert await send(
            world, trader, 1, MANAGER, called("setApprovalForAll(address,bool)", EXCHANGE_V3, False)
        )
        assert int(await read(world, MANAGER, *operator), 16) == 0
        account = bench.venue.open_account(trader.address)
        assert bench.venue.ledger.allowance(account, "pUSD", EXCHANGE_V3) == 5
        assert bench.venue.ledger.allowance(account, "outcomes", EXCHANGE_V3) == 0
        assert await rpc(world, "eth_getTransactionCount", trader.address, "pending") == "0x2"


async def test_a_v1_condition_is_redeemed_once_it_has_an_outcome() -> None:
    """Before it the transaction would revert; then all its winning shares are paid."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        trader, market = bench.trader(), bench.market
        await bench.place(trader, trader.buy(market.up_token, 496, 620))
        held = await read(world, CTF, "balanceOf(address,uint256)", trader.address, int(market.up_token))
        assert int(held, 16) == 8_000_000
        redemption = redemption_of(market)
        reason = "execution reverted: result for condition not received yet"
        assert await rpc(world, "eth_estimateGas", {"to": ADAPTER, "data": redemption}) == reason
        assert not await send(world, trader, 0, ADAPTER, redemption)
        resolve(bench)
        before = bench.venue.open_account(trader.address).balance
        assert await rpc(world, "eth_estimateGas", {"to": ADAPTER, "data": redemption}) == "0x30d40"
        assert await send(world, trader, 1, ADAPTER, redemption)
        assert bench.venue.open_account(trader.address).balance - before == 8_000_000
        assert bench.venue.ledger.positions_of(trader.address) == []
        assert not await send(world, trader, 2, ROUTER, redemption_from(market, 0, 1))


async def test_a_v2_position_is_redeemed_in_parts() -> None:
    """One outcome of a condition, at most what is held, and its transaction is in the wallet's activity."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        trader, market = bench.trader(), bench.venue.schedule.at(bench.market.start + 900)
        assert market is not None
        await bench.place(trader, trader.buy(market.up_token, 496, 620))
        resolve(bench)
        resolve_at = market.end + 100 - bench.venue.clock.market_s()
        bench.clock.forward(resolve_at)
        bench.venue.step()
        up, down = map(int, market.tokens)
        batch = ("balanceOfBatch(address[],uint256[])", [trader.address] * 2, [up, down])
        answer = bytes.fromhex((await read(world, MANAGER, *batch))[2:])
        assert [int.from_bytes(answer[i : i + 32]) for i in range(0, 128, 32)] == [32, 2, 8_000_000, 0]

        before = bench.venue.open_account(trader.address).balance
        results: list[bool] = []
        for nonce, part in enumerate([(0, 8_000_001), (1, 1), (2, 1), (0, 3_000_000), (0, 5_000_000)]):
            results.append(await send(world, trader, nonce, ROUTER, redemption_from(market, *part)))
            bench.clock.forward(1)
        assert not await send(world, trader, 5, ADAPTER, redemption_of(market))
        assert results == [False, False, False, True, True]
        assert bench.venue.open_account(trader.address).balance - before == 8_000_000
        _, activity = await world.get("/data-api/v2/activity", user=trader.address, type="REDEEM")
        paid = {row["transaction_hash"]: row["usdc_size"] for row in activity["data"]}
        sent = (
            "0x"
            + keccak(
                bytes.fromhex(signed(trader, 3, ROUTER, redemption_from(market, 0, 3_000_000))[2:])
            ).hex()
        )
        assert paid[sent] == 3


async def test_a_node_refuses_what_it_cannot_execute() -> None:
    """Another chain, a used nonce, bytes that are no transaction, an unknown contract or method."""
    bench = Bench()
    async with served(bench) as world:
        trader = bench.trader()
        approval = called("approve(address,uint256)", EXCHANGE_V3, 5)
        assert await send(world, trader, 0, PUSD, approval)
        for raw, text in (
            (signed(trader, 0, PUSD, approval), "nonce too low"),
            (signed(trader, 1, PUSD, approval, chainId=1), "invalid chain id for signer"),
            ("0x02c0", "transaction could not be decoded"),
            ("0x", "transaction could not be decoded"),
        ):
            assert await rpc(world, "eth_sendRawTransaction", raw) == text
        dynamic = signed(trader, 1, PUSD, approval, maxFeePerGas=0, maxPriorityFeePerGas=0)
        assert (await rpc(world, "eth_sendRawTransaction", dynamic)).startswith("0x")
        assert "has no such function" in await read(world, PUSD, "balanceOf(address)", trader.address)
        assert "malformed arguments" in await rpc(
            world, "eth_call", {"to": CTF, "data": called("balanceOf(address,uint256)", CTF, 1)[:-2]}
        )
        assert "does not exist" in await rpc(world, "eth_mine")
        assert "invalid params" in await rpc(world, "eth_call")
        assert await rpc(world, "eth_chainId") == "0x89"
        assert await rpc(world, "eth_getTransactionReceipt", "0x00") is None
        _, both = await world.post("/chain", [{"method": "eth_chainId", "id": n} for n in (1, 2)])
        assert [row["id"] for row in both] == [1, 2]


async def test_money_of_another_type_is_not_in_an_own_account() -> None:
    """Where the shares are in the wallet of signature type 3, the key's own address has and redeems none."""
    bench = Bench(options=MANUAL)
    async with served(bench) as world:
        trader, v1 = bench.trader(), bench.market
        v2 = bench.venue.schedule.at(v1.start + 900)
        assert v2 is not None
        for market in (v1, v2):
            await bench.place(trader, trader.buy(market.up_token, 496, 620))
        await world.post("/practice/accounts", {"address": trader.address, "signature_type": 3})
        for contract, market in ((CTF, v1), (MANAGER, v2)):
            owned = ("balanceOf(address,uint256)", trader.address, int(market.up_token))
            assert int(await read(world, contract, *owned), 16) == 0
        bench.clock.forward(2000)
        bench.venue.step()
        before = bench.venue.open_account(trader.address).balance
        assert await send(world, trader, 0, ADAPTER, redemption_of(v1))
        assert not await send(world, trader, 1, ROUTER, redemption_from(v2, 0, 1))
        assert bench.venue.open_account(trader.address).balance == before
        assert len(bench.venue.ledger.positions_of(trader.address)) == 2
