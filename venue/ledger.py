"""The venue's persistent state in one SQLite database, including all balances.

With a folder, the database is on disk (WAL, synchronous FULL) and locked exclusively: a second venue cannot
open it, and a killed venue loses no committed change. Without a folder it is in memory.
The columns `start` are keys of markets (`VenueMarket.key`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from venue.amounts import MICRO
from venue.auth import ApiKey
from venue.market import VenueMarket
from venue.private_files import private_file, private_folder
from venue.records import (
    LIVE,
    AccountStanding,
    Asset,
    Counterparty,
    VenueAccount,
    VenueOrder,
    VenuePayout,
    VenuePosition,
    VenueTrade,
)

FILE = "venue.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS account (
  address TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0), allowance INTEGER NOT NULL,
  fees_paid INTEGER NOT NULL, created_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS allowance (
  address TEXT, asset TEXT, spender TEXT, amount INTEGER NOT NULL CHECK (amount >= 0),
  PRIMARY KEY (address, asset, spender));
CREATE TABLE IF NOT EXISTS wallet (wallet TEXT PRIMARY KEY, address TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standing (
  address TEXT PRIMARY KEY, money_in INTEGER, closed_only INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS api_key (
  key TEXT PRIMARY KEY, secret TEXT NOT NULL, passphrase TEXT NOT NULL, address TEXT NOT NULL,
  nonce INTEGER NOT NULL, UNIQUE (address, nonce));
CREATE TABLE IF NOT EXISTS "order" (
  id TEXT PRIMARY KEY, address TEXT, wallet TEXT, owner TEXT, start INTEGER, condition_id TEXT, token TEXT,
  outcome TEXT, side TEXT, kind TEXT, price INTEGER, maker_amount INTEGER, taker_amount INTEGER, left INTEGER,
  matched_shares INTEGER, matched_usd INTEGER, status TEXT, expiration INTEGER, created_ns INTEGER);
CREATE INDEX IF NOT EXISTS order_status ON "order" (status, start);
CREATE TABLE IF NOT EXISTS trade (
  id TEXT, address TEXT, order_id TEXT, wallet TEXT, owner TEXT, role TEXT, start INTEGER, condition_id TEXT,
  token TEXT, outcome TEXT, side TEXT, price INTEGER, shares INTEGER, usd INTEGER, fee INTEGER, status TEXT,
  match_ns INTEGER, update_ns INTEGER, transaction_hash TEXT, other TEXT, PRIMARY KEY (id, address));
CREATE INDEX IF NOT EXISTS trade_order ON trade (order_id);
CREATE TABLE IF NOT EXISTS position (
  address TEXT, token TEXT, start INTEGER, outcome TEXT, shares INTEGER NOT NULL CHECK (shares >= 0),
  cost INTEGER NOT NULL, bought INTEGER NOT NULL, realized INTEGER NOT NULL, PRIMARY KEY (address, token));
CREATE TABLE IF NOT EXISTS resolution (
  start INTEGER PRIMARY KEY, up_won INTEGER, market_s INTEGER, wall_ns INTEGER);
CREATE TABLE IF NOT EXISTS split (start INTEGER PRIMARY KEY, up_pays INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS payout (
  address TEXT, token TEXT, start INTEGER, shares INTEGER, amount INTEGER, paid_ns INTEGER);
CREATE TABLE IF NOT EXISTS chain_transaction (
  hash TEXT PRIMARY KEY, sender TEXT NOT NULL, succeeded INTEGER NOT NULL, sent_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS chain_sender ON chain_transaction (sender);
CREATE TABLE IF NOT EXISTS payout_transaction (
  address TEXT, token TEXT, paid_ns INTEGER, hash TEXT NOT NULL, PRIMARY KEY (address, token, paid_ns));
CREATE TABLE IF NOT EXISTS market (start INTEGER PRIMARY KEY, terms TEXT NOT NULL);
"""


class VenueLedgerInUse(Exception):
    """Another venue uses the folder's database."""


class VenueLedger:
    """The database, in terms of accounts, orders, trades and positions.

    Parameters
    ----------
    folder : Path, optional
        Folder of the database; in memory if absent.

    Raises
    ------
    VenueLedgerInUse
        If another process uses the folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            private_folder(folder, FILE)
            # SQLite gives the write-ahead log the same mode.
            private_file(folder / FILE)
        path = ":memory:" if folder is None else str(folder / FILE)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise VenueLedgerInUse(str(error)) from error

    def close(self) -> None:
        """Write pending changes and close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are applied together or not at all; nested use joins the outer transaction."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- the venue's own state ---------------------------------------------------------------

    def meta(self, key: str) -> int | None:
        """A stored integer about the venue itself."""
        text = self.text(key)
        return None if text is None else int(text)

    def set_meta(self, key: str, value: int) -> None:
        self.set_text(key, str(value))

    def text(self, key: str) -> str | None:
        """A stored text about the venue itself."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row["value"]

    def set_text(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def markets(self) -> list[VenueMarket]:
        """Markets read from an upstream venue, oldest first."""
        rows = self._db.execute("SELECT terms FROM market ORDER BY start")
        return [msgspec.json.decode(row["terms"], type=VenueMarket) for row in rows]

    def add_market(self, market: VenueMarket) -> None:
        terms = msgspec.json.encode(market).decode()
        self._db.execute("INSERT OR REPLACE INTO market VALUES (?, ?)", (market.key, terms))

    def resolutions(self) -> dict[int, tuple[int, int]]:
        """Resolved markets: key → (micro pUSD that an Up share pays, market second of the resolution)."""
        rows = self._db.execute(
            "SELECT r.start, coalesce(s.up_pays, r.up_won * ?) AS up_pays, r.market_s"
            " FROM resolution r LEFT JOIN split s USING (start)",
            (MICRO,),
        )
        return {row["start"]: (row["up_pays"], row["market_s"]) for row in rows}

    def add_resolution(self, start: int, up_pays: int, market_s: int, wall_ns: int) -> None:
        up_won = up_pays == MICRO
        self._db.execute("INSERT INTO resolution VALUES (?, ?, ?, ?)", (start, up_won, market_s, wall_ns))
        if 0 < up_pays < MICRO:
            self._db.execute("INSERT INTO split VALUES (?, ?)", (start, up_pays))

    # --- accounts ----------------------------------------------------------------------------

    def account(self, address: str) -> VenueAccount | None:
        return self._one(VenueAccount, "SELECT * FROM account WHERE address = ?", address)

    def add_account(self, account: VenueAccount) -> None:
        self._insert("account", account)

    def set_funds(self, address: str, *, balance: int | None, allowance: int | None) -> None:
        """Overwrite an account's balance or allowance; None leaves it unchanged."""
        self._db.execute(
            "UPDATE account SET balance = coalesce(?, balance), allowance = coalesce(?, allowance) "
            "WHERE address = ?",
            (balance, allowance, address),
        )

    def allowance(self, account: VenueAccount, asset: Asset, spender: str) -> int:
        """The maximum that one order of a spender may take of an account's asset (micro units)."""
        row = self._db.execute(
            "SELECT amount FROM allowance WHERE address = ? AND asset = ? AND spender = ?",
            (account.address, asset, spender),
        ).fetchone()
        return account.allowance if row is None else row["amount"]

    def set_allowance(self, address: str, asset: Asset, spender: str, amount: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO allowance VALUES (?, ?, ?, ?)", (address, asset, spender, amount)
        )

    def clear_allowances(self, address: str) -> None:
        """Give every spender the allowance of the account again."""
        self._db.execute("DELETE FROM allowance WHERE address = ?", (address,))

    def standing(self, address: str) -> AccountStanding:
        """Special properties of an account; the defaults unless a test set them."""
        row = self._db.execute("SELECT * FROM standing WHERE address = ?", (address,)).fetchone()
        return (
            AccountStanding(address)
            if row is None
            else msgspec.convert(dict(row), AccountStanding, strict=False)
        )

    def put_standing(self, standing: AccountStanding) -> None:
        self._insert("standing", standing, "INSERT OR REPLACE")

    def pay(self, address: str, amount: int, fee: int = 0) -> None:
        """Add to an account's balance (negative: subtract), and subtract and count a fee.

        Raises
        ------
        sqlite3.IntegrityError
            If the balance would become negative.
        """
        self._db.execute(
            "UPDATE account SET balance = balance + ?, fees_paid = fees_paid + ? WHERE address = ?",
            (amount - fee, fee, address),
        )

    def wallet_owner(self, wallet: str) -> str | None:
        """The account that trades through a wallet: the wallet's own address, or the one it is bound to."""
        row = self._db.execute("SELECT address FROM wallet WHERE wallet = ?", (wallet,)).fetchone()
        return None if row is None else row["address"]

    def bind_wallet(self, wallet: str, address: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO wallet VALUES (?, ?)", (wallet, address))

    def key(self, key: str) -> ApiKey | None:
        return self._one(ApiKey, "SELECT * FROM api_key WHERE key = ?", key)

    def key_of(self, address: str, nonce: int) -> ApiKey | None:
        return self._one(ApiKey, "SELECT * FROM api_key WHERE address = ? AND nonce = ?", address, nonce)

    def keys_of(self, address: str) -> list[ApiKey]:
        return self._all(ApiKey, "SELECT * FROM api_key WHERE address = ?", address)

    def add_key(self, key: ApiKey) -> None:
        self._insert("api_key", key)

    def remove_key(self, key: str) -> None:
        self._db.execute("DELETE FROM api_key WHERE key = ?", (key,))

    # --- orders and trades -------------------------------------------------------------------

    def order(self, order_id: str) -> VenueOrder | None:
        return self._one(VenueOrder, 'SELECT * FROM "order" WHERE id = ?', order_id)

    def put_order(self, order: VenueOrder) -> None:
        """Insert or replace an order."""
        self._insert('"order"', order, "INSERT OR REPLACE")

    def open_orders(self, *, start: int | None = None, address: str | None = None) -> list[VenueOrder]:
        """Resting orders, oldest first, of one market or one account or all."""
        return self._all(
            VenueOrder,
            'SELECT * FROM "order" WHERE status = ? AND coalesce(start = ?, 1) '
            "AND coalesce(address = ?, 1) ORDER BY created_ns, id",
            LIVE,
            start,
            address,
        )

    def orders_of(self, address: str) -> list[VenueOrder]:
        return self._all(VenueOrder, 'SELECT * FROM "order" WHERE address = ? ORDER BY created_ns', address)

    def put_trade(self, trade: VenueTrade) -> None:
        self._insert("trade", trade, "INSERT OR REPLACE")

    def trade(self, trade_id: str, address: str) -> VenueTrade | None:
        return self._one(VenueTrade, "SELECT * FROM trade WHERE id = ? AND address = ?", trade_id, address)

    def trades_of(self, address: str) -> list[VenueTrade]:
        """An account's trades, newest first."""
        sql = "SELECT * FROM trade WHERE address = ? ORDER BY match_ns DESC, id"
        return self._all(VenueTrade, sql, address)

    def trade_ids(self, order_id: str) -> list[str]:
        rows = self._db.execute("SELECT id FROM trade WHERE order_id = ? ORDER BY match_ns, id", (order_id,))
        return [row["id"] for row in rows]

    def unfinished_trades(self) -> list[VenueTrade]:
        """Trades that are neither confirmed nor failed."""
        return self._all(VenueTrade, "SELECT * FROM trade WHERE status NOT IN ('CONFIRMED', 'FAILED')")

    # --- positions ---------------------------------------------------------------------------

    def position(self, address: str, token: str) -> VenuePosition | None:
        return self._one(
            VenuePosition, "SELECT * FROM position WHERE address = ? AND token = ?", address, token
        )

    def put_position(self, position: VenuePosition) -> None:
        self._insert("position", position, "INSERT OR REPLACE")

    def positions_of(self, address: str) -> list[VenuePosition]:
        """Positions with shares, newest market first."""
        sql = "SELECT * FROM position WHERE address = ? AND shares > 0 ORDER BY start DESC, token"
        return self._all(VenuePosition, sql, address)

    def holders(self, start: int) -> list[VenuePosition]:
        """Every account's positions in one market."""
        return self._all(VenuePosition, "SELECT * FROM position WHERE start = ? AND shares > 0", start)

    def add_payout(self, payout: VenuePayout) -> None:
        self._insert("payout", payout)

    def payouts_of(self, address: str) -> list[VenuePayout]:
        return self._all(VenuePayout, "SELECT * FROM payout WHERE address = ? ORDER BY paid_ns", address)

    # --- transactions on chain ----------------------------------------------------------------

    def add_chain_transaction(
        self, transaction_hash: str, sender: str, succeeded: bool, sent_ns: int
    ) -> None:
        self._db.execute(
            "INSERT INTO chain_transaction VALUES (?, ?, ?, ?)",
            (transaction_hash, sender, succeeded, sent_ns),
        )

    def chain_transaction(self, transaction_hash: str) -> bool | None:
        """Whether a transaction succeeded; None if it is unknown."""
        row = self._db.execute(
            "SELECT succeeded FROM chain_transaction WHERE hash = ?", (transaction_hash,)
        ).fetchone()
        return None if row is None else bool(row["succeeded"])

    def chain_transactions(self, sender: str) -> int:
        """Number of a sender's transactions."""
        return self._db.execute(
            "SELECT count(*) FROM chain_transaction WHERE sender = ?", (sender,)
        ).fetchone()[0]

    def set_payout_transaction(self, payout: VenuePayout, transaction_hash: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO payout_transaction VALUES (?, ?, ?, ?)",
            (payout.address, payout.token, payout.paid_ns, transaction_hash),
        )

    def payout_transaction(self, payout: VenuePayout) -> str | None:
        """Hash of the wallet's transaction that redeemed a position; None if the venue paid it."""
        row = self._db.execute(
            "SELECT hash FROM payout_transaction WHERE address = ? AND token = ? AND paid_ns = ?",
            (payout.address, payout.token, payout.paid_ns),
        ).fetchone()
        return None if row is None else row["hash"]

    # --- rows to objects ---------------------------------------------------------------------

    def _insert(self, table: str, record: msgspec.Struct, verb: str = "INSERT") -> None:
        values = [
            msgspec.json.encode(value).decode() if isinstance(value, Counterparty) else value
            for value in msgspec.structs.astuple(record)
        ]
        names = ", ".join(record.__struct_fields__)
        marks = ", ".join("?" * len(values))
        self._db.execute(f"{verb} INTO {table} ({names}) VALUES ({marks})", values)

    def _one[T: msgspec.Struct](self, kind: type[T], sql: str, *values: Any) -> T | None:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else _record(kind, row)

    def _all[T: msgspec.Struct](self, kind: type[T], sql: str, *values: Any) -> list[T]:
        return [_record(kind, row) for row in self._db.execute(sql, values)]


def _record[T: msgspec.Struct](kind: type[T], row: sqlite3.Row) -> T:
    fields = dict(row)
    if "other" in fields:
        fields["other"] = msgspec.json.decode(fields["other"])
    return msgspec.convert(fields, kind)
