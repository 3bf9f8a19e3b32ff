-- state.db, version 1: what must never be lost. Money in micro-USD, prices in ticks, times in UTC nanoseconds,
-- flags 0 or 1, trade dates as text YYYY-MM-DD. No floating point anywhere. 0x506C5331 = "PlS1".
PRAGMA application_id = 1349276465;

-- One row an order of the account, as it is now.
CREATE TABLE orders (
    tag TEXT PRIMARY KEY NOT NULL,
    strategy TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    contract TEXT NOT NULL,
    side INTEGER NOT NULL CHECK (side IN (-1, 1)),
    size INTEGER NOT NULL,
    type TEXT NOT NULL,
    role TEXT NOT NULL,
    limit_ticks INTEGER,
    stop_ticks INTEGER,
    bracket_stop_ticks INTEGER,
    bracket_target_ticks INTEGER,
    oco TEXT NOT NULL,
    parent_tag TEXT NOT NULL,
    state TEXT NOT NULL,
    venue_id INTEGER NOT NULL,
    filled INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    ref TEXT NOT NULL,
    changed_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_state ON orders (state);
CREATE INDEX orders_by_change ON orders (changed_ns);

-- How each order came to be what it is; never changed, only added to.
CREATE TABLE order_events (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    tag TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    venue_id INTEGER NOT NULL,
    size INTEGER NOT NULL,
    filled INTEGER NOT NULL,
    limit_ticks INTEGER,
    stop_ticks INTEGER,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX order_events_by_tag ON order_events (tag);

-- Executions, each booked once. gross_micro is the venue's own figure of a closing execution.
CREATE TABLE fills (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    contract TEXT NOT NULL,
    side INTEGER NOT NULL CHECK (side IN (-1, 1)),
    size INTEGER NOT NULL,
    price_ticks INTEGER NOT NULL,
    fees_micro INTEGER NOT NULL,
    utc_ns INTEGER NOT NULL,
    gross_micro INTEGER,
    voided INTEGER NOT NULL CHECK (voided IN (0, 1)),
    tag TEXT NOT NULL,
    strategy TEXT NOT NULL,
    trade_date TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX fills_by_time ON fills (utc_ns, account_id, id);

CREATE TABLE account_snapshots (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    balance_micro INTEGER NOT NULL,
    can_trade INTEGER NOT NULL CHECK (can_trade IN (0, 1)),
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1))
) STRICT;

CREATE TABLE end_of_days (
    account_id INTEGER NOT NULL,
    trade_date TEXT NOT NULL,
    balance_micro INTEGER NOT NULL,
    floor_micro INTEGER NOT NULL,
    PRIMARY KEY (account_id, trade_date)
) STRICT;

-- Reasons opened (1) and closed (0); the last row of a code and scope says whether it is open. closed_by is empty while open.
CREATE TABLE reasons (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    opened INTEGER NOT NULL CHECK (opened IN (0, 1)),
    closed_by TEXT NOT NULL,
    code TEXT NOT NULL,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    detail TEXT NOT NULL,
    state INTEGER NOT NULL,
    goal INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    opened_by TEXT NOT NULL
) STRICT;
CREATE INDEX reasons_by_key ON reasons (code, scope);

-- The latch; the last row holds. No row = not armed.
CREATE TABLE latch (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    armed INTEGER NOT NULL CHECK (armed IN (0, 1)),
    actor TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;

-- The halt goal of each account, as it is now.
CREATE TABLE goals (
    account_id INTEGER PRIMARY KEY NOT NULL,
    goal INTEGER NOT NULL,
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    detail TEXT NOT NULL,
    utc_ns INTEGER NOT NULL
) STRICT;

-- One row: tag counters up to and including up_to may have been used.
CREATE TABLE tag_counter (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    up_to INTEGER NOT NULL
) STRICT;

CREATE TABLE strategy_states (
    strategy TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    text TEXT NOT NULL,
    utc_ns INTEGER NOT NULL,
    PRIMARY KEY (strategy, account_id)
) STRICT;

-- The event list for the owner.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    level TEXT NOT NULL,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    strategy TEXT NOT NULL
) STRICT;

-- Commands by a person.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    actor TEXT NOT NULL,
    command TEXT NOT NULL,
    detail TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
