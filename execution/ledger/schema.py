"""The ledger's tables, and the migration steps of older files.

A released step is never edited: later changes are later steps. Money is TEXT, because SQLite's REAL cannot
represent a cent exactly; times are INTEGER nanoseconds on the machine's clock.

A market is unique within a *session*. On Polymarket there is only one session, so that a market is never
bought twice; a practice venue that starts over with a new account starts a new session, because it may replay
the same recorded market.
"""

APPLICATION_ID = 0x50_42_4C_47
"""Identifies a SQLite file as a ledger; the bytes spell PBLG."""


def _amount(column: str) -> str:
    """SQL of a plain non-negative decimal number: no sign, exponent, NaN or infinity."""
    return f"{column} TEXT NOT NULL CHECK ({column} GLOB '[0-9]*' AND {column} NOT GLOB '*[^0-9.]*')"


def _append_only(table: str) -> str:
    return "\n".join(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;"
        for verb in ("UPDATE", "DELETE")
    )


_FIRST = f"""
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    mode TEXT NOT NULL CHECK (mode IN ('simulation', 'live')),
    venue TEXT NOT NULL CHECK (venue IN ('recorded', 'synthetic', 'polymarket')),
    clock_speed REAL NOT NULL CHECK (clock_speed > 0),
    {_amount("starting_cash")},
    cash_drift TEXT NOT NULL,
    note TEXT NOT NULL,
    CHECK (session = '' OR (venue <> 'polymarket' AND mode = 'simulation'))
) STRICT;

CREATE TABLE markets (
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    start INTEGER NOT NULL,
    interval INTEGER NOT NULL CHECK (interval > 0),
    condition_id TEXT NOT NULL,
    up_token TEXT NOT NULL,
    down_token TEXT NOT NULL CHECK (down_token <> up_token),
    {_amount("fee_rate")},
    {_amount("tick")},
    rule TEXT NOT NULL CHECK (rule IN ('spot', 'twap30', 'twap60')),
    title TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (session, slug)
) STRICT;

CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    second REAL NOT NULL,
    now_ns INTEGER NOT NULL,
    outcome TEXT CHECK (outcome IN ('Up', 'Down')),
    reason TEXT CHECK (reason IN ('mode', 'not_tradable', 'stale_data', 'outside_window', 'no_history',
        'no_signals', 'low_score', 'no_trend', 'disagreement', 'no_edge', 'risk', 'no_ask',
        'too_expensive', 'thin_book')),
    detail TEXT NOT NULL,
    {_amount("p")},
    ask TEXT,
    price_cap TEXT,
    fair REAL,
    edge REAL,
    score REAL,
    confidence REAL,
    rule TEXT NOT NULL,
    evidence BLOB NOT NULL,
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
CREATE INDEX decisions_by_run ON decisions (run_id);
CREATE INDEX decisions_by_market ON decisions (session, slug);
{_append_only("decisions")}

CREATE TABLE intents (
    intent_id TEXT PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    decision_id INTEGER NOT NULL REFERENCES decisions (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    token_id TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('Up', 'Down')),
    {_amount("usd")},
    {_amount("ask")},
    {_amount("price_cap")},
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    created_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('intent', 'sent', 'matched', 'no_fill', 'refused', 'unknown', 'reversed')),
    order_id TEXT,
    detail TEXT NOT NULL,
    CHECK (order_id IS NOT NULL OR state IN ('intent', 'refused', 'no_fill')),
    UNIQUE (intent_id, session, slug, outcome),
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
-- One market is never bought twice: another intent is possible only after one that ended without a purchase.
CREATE UNIQUE INDEX one_living_intent ON intents (session, slug) WHERE state NOT IN ('no_fill', 'refused');
CREATE UNIQUE INDEX intents_by_order ON intents (order_id) WHERE order_id IS NOT NULL;
CREATE TRIGGER intents_stay BEFORE DELETE ON intents
    BEGIN SELECT RAISE(ABORT, 'intents are never deleted'); END;

CREATE TABLE order_states (
    id INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL REFERENCES intents (intent_id),
    ts_ns INTEGER NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX order_states_by_intent ON order_states (intent_id);
{_append_only("order_states")}

CREATE TABLE fills (
    session TEXT NOT NULL,
    trade_id TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    order_id TEXT NOT NULL,
    intent_id TEXT NOT NULL,
    slug TEXT NOT NULL,
    outcome TEXT NOT NULL,
    {_amount("shares")} CHECK (CAST(shares AS REAL) > 0),
    {_amount("price")} CHECK (CAST(price AS REAL) BETWEEN 0 AND 1),
    {_amount("fee")},
    ts_ns INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('MATCHED', 'MINED', 'CONFIRMED', 'FAILED')),
    PRIMARY KEY (session, trade_id),
    -- A fill that names another market or side than its order is not this order's.
    FOREIGN KEY (intent_id, session, slug, outcome) REFERENCES intents (intent_id, session, slug, outcome)
) STRICT;
CREATE INDEX fills_by_intent ON fills (intent_id);
CREATE TRIGGER fills_forward BEFORE UPDATE OF status ON fills
    WHEN NOT (OLD.status = 'MATCHED' AND NEW.status IN ('MINED', 'CONFIRMED', 'FAILED')
        OR OLD.status = 'MINED' AND NEW.status IN ('CONFIRMED', 'FAILED'))
    BEGIN SELECT RAISE(ABORT, 'a fill only moves forward'); END;
CREATE TRIGGER fills_fixed
    BEFORE UPDATE OF session, trade_id, intent_id, slug, outcome, shares, price, fee ON fills
    BEGIN SELECT RAISE(ABORT, 'a fill does not change'); END;
CREATE TRIGGER fills_stay BEFORE DELETE ON fills
    BEGIN SELECT RAISE(ABORT, 'fills are never deleted'); END;

CREATE TABLE settlements (
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    outcome TEXT NOT NULL CHECK (outcome IN ('Up', 'Down')),
    source TEXT NOT NULL,
    settled_ns INTEGER NOT NULL,
    PRIMARY KEY (session, slug),
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
{_append_only("settlements")}

CREATE TABLE redemptions (
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    {_amount("amount")},
    ts_ns INTEGER NOT NULL,
    PRIMARY KEY (session, slug),
    FOREIGN KEY (session, slug) REFERENCES settlements (session, slug)
) STRICT;
{_append_only("redemptions")}

CREATE TABLE cash_checks (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    ts_ns INTEGER NOT NULL,
    ledger_cash TEXT NOT NULL,
    venue_cash TEXT NOT NULL,
    difference TEXT NOT NULL
) STRICT;
CREATE INDEX cash_checks_by_run ON cash_checks (run_id);
{_append_only("cash_checks")}
"""

_SECOND = f"""
CREATE TABLE mode_changes (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    ts_ns INTEGER NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('simulation', 'live')),
    allows_orders INTEGER NOT NULL CHECK (allows_orders IN (0, 1)),
    why TEXT NOT NULL
) STRICT;
{_append_only("mode_changes")}

CREATE TABLE halts (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    ts_ns INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('halt', 'resume')),
    why TEXT NOT NULL
) STRICT;
{_append_only("halts")}

CREATE TABLE weights (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    ts_ns INTEGER NOT NULL,
    markets INTEGER NOT NULL CHECK (markets >= 0),
    source TEXT NOT NULL,
    before REAL NOT NULL CHECK (before BETWEEN 0 AND 1),
    after REAL NOT NULL CHECK (after BETWEEN 0 AND 1)
) STRICT;
{_append_only("weights")}
"""

_THIRD = f"""
CREATE TABLE marks (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    second REAL NOT NULL,
    {_amount("p")} CHECK (CAST(p AS REAL) BETWEEN 0 AND 1),
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
CREATE INDEX marks_by_market ON marks (session, slug);
{_append_only("marks")}

CREATE TABLE delays (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    why TEXT NOT NULL,
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
CREATE INDEX delays_by_market ON delays (session, slug);
{_append_only("delays")}

-- The funnel is counted from this alone, without a look at the rows with their evidence.
CREATE INDEX decisions_by_reason ON decisions (session, slug, reason, now_ns);
DROP INDEX decisions_by_market;
"""

_KEPT = (
    "id, run_id, session, slug, second, now_ns, outcome, reason, detail, p, ask, price_cap, fair, edge,"
    " score, confidence, rule, evidence"
)
_FOURTH = f"""
-- A CHECK cannot be changed in place. Foreign keys are off meanwhile, so that intents go on naming decisions.
CREATE TABLE new_decisions (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    second REAL NOT NULL,
    now_ns INTEGER NOT NULL,
    outcome TEXT CHECK (outcome IN ('Up', 'Down')),
    reason TEXT CHECK (reason IN ('mode', 'not_tradable', 'stale_data', 'outside_window', 'no_history',
        'no_signals', 'low_score', 'low_weight', 'no_trend', 'disagreement', 'no_edge', 'risk', 'no_ask',
        'too_expensive', 'thin_book')),
    detail TEXT NOT NULL,
    {_amount("p")},
    ask TEXT,
    price_cap TEXT,
    fair REAL,
    edge REAL,
    score REAL,
    confidence REAL,
    weight REAL,
    rule TEXT NOT NULL,
    evidence BLOB NOT NULL,
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
INSERT INTO new_decisions ({_KEPT}) SELECT {_KEPT} FROM decisions ORDER BY id;
DROP TABLE decisions;
ALTER TABLE new_decisions RENAME TO decisions;
CREATE INDEX decisions_by_run ON decisions (run_id);
CREATE INDEX decisions_by_reason ON decisions (session, slug, reason, now_ns);
{_append_only("decisions")}
"""

_FIFTH = f"""
-- A market may pay without a winner, and an operator may record what it paid. A NOT NULL cannot be lifted in
-- place; foreign keys are off meanwhile.
CREATE TABLE settlements_with_payouts (
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    outcome TEXT CHECK (outcome IN ('Up', 'Down')),
    {_amount("up_pays")} CHECK (CAST(up_pays AS REAL) BETWEEN 0 AND 1),
    {_amount("down_pays")} CHECK (CAST(down_pays AS REAL) BETWEEN 0 AND 1),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    settled_ns INTEGER NOT NULL,
    PRIMARY KEY (session, slug),
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug),
    CHECK (coalesce(outcome, '') = CASE
        WHEN up_pays = '1' AND down_pays = '0' THEN 'Up'
        WHEN up_pays = '0' AND down_pays = '1' THEN 'Down' ELSE '' END)
) STRICT;
INSERT INTO settlements_with_payouts
    SELECT session, slug, run_id, outcome, CASE outcome WHEN 'Up' THEN '1' ELSE '0' END,
        CASE outcome WHEN 'Up' THEN '0' ELSE '1' END, source, '', settled_ns FROM settlements ORDER BY rowid;
DROP TABLE settlements;
ALTER TABLE settlements_with_payouts RENAME TO settlements;
{_append_only("settlements")}
"""

_SIXTH = f"""
CREATE TABLE strikes (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    rule TEXT NOT NULL CHECK (rule IN ('spot', 'twap30', 'twap60')),
    {_amount("price")} CHECK (CAST(price AS REAL) > 0),
    source TEXT NOT NULL,
    source_ns INTEGER
) STRICT;
CREATE INDEX strikes_by_market ON strikes (session, slug);
{_append_only("strikes")}
"""

_SEVENTH = f"""
-- A CHECK cannot be changed in place; foreign keys are off meanwhile.
CREATE TABLE runs_on_more_venues (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    mode TEXT NOT NULL CHECK (mode IN ('simulation', 'live')),
    venue TEXT NOT NULL CHECK (venue IN ('recorded', 'synthetic', 'mixed', 'polymarket')),
    clock_speed REAL NOT NULL CHECK (clock_speed > 0),
    {_amount("starting_cash")},
    cash_drift TEXT NOT NULL,
    note TEXT NOT NULL,
    CHECK (session = '' OR (venue <> 'polymarket' AND mode = 'simulation'))
) STRICT;
INSERT INTO runs_on_more_venues SELECT * FROM runs ORDER BY id;
DROP TABLE runs;
ALTER TABLE runs_on_more_venues RENAME TO runs;
"""

_EIGHTH = """
-- Earlier files have markets of the first version only. The tokens of a v2 market are position ids.
ALTER TABLE markets ADD COLUMN version TEXT NOT NULL DEFAULT 'v1' CHECK (version IN ('v1', 'v2'));
ALTER TABLE intents ADD COLUMN version TEXT NOT NULL DEFAULT 'v1' CHECK (version IN ('v1', 'v2'));
ALTER TABLE intents ADD COLUMN position_id TEXT
    CHECK (position_id IS CASE version WHEN 'v2' THEN token_id END);
"""

_NINTH = f"""
-- One row per change, and one for the first value: most markets have the terms of the one before.
CREATE TABLE terms (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    session TEXT NOT NULL,
    slug TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    term TEXT NOT NULL CHECK (term IN ('fee_rate', 'tick', 'minimum_shares', 'taker_delay')),
    value TEXT NOT NULL,
    before TEXT CHECK (before <> value),
    before_slug TEXT,
    CHECK ((before IS NULL) = (before_slug IS NULL)),
    FOREIGN KEY (session, slug) REFERENCES markets (session, slug)
) STRICT;
CREATE INDEX terms_by_term ON terms (session, term);
{_append_only("terms")}
"""

_TENTH = f"""
CREATE TABLE order_stages (
    intent_id TEXT NOT NULL REFERENCES intents (intent_id),
    stage TEXT NOT NULL,
    ns INTEGER NOT NULL CHECK (ns >= 0),
    PRIMARY KEY (intent_id, stage)
) STRICT, WITHOUT ROWID;
{_append_only("order_stages")}
"""

_ELEVENTH = """
-- Empty: of a run with one series, as all earlier ones.
ALTER TABLE weights ADD COLUMN series TEXT NOT NULL DEFAULT '';
"""

STEPS: tuple[str, ...] = (
    _FIRST,
    _SECOND,
    _THIRD,
    _FOURTH,
    _FIFTH,
    _SIXTH,
    _SEVENTH,
    _EIGHTH,
    _NINTH,
    _TENTH,
    _ELEVENTH,
)
"""The file's ``PRAGMA user_version`` is the number of steps applied to it."""
