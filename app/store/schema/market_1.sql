-- market.db, version 1: what may be lost with the power: history and measurements. 0x506C4D31 = "PlM1".
PRAGMA application_id = 1349274929;

-- Completed bars, stamped with their open time.
CREATE TABLE bars (
    contract TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    open_ticks INTEGER NOT NULL,
    high_ticks INTEGER NOT NULL,
    low_ticks INTEGER NOT NULL,
    close_ticks INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    PRIMARY KEY (contract, minutes, start_ns)
) STRICT, WITHOUT ROWID;

-- Monotonic stamps of one order on its way; 0 = stage not passed.
CREATE TABLE latencies (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    tag TEXT NOT NULL,
    frame_ns INTEGER NOT NULL,
    strategy_ns INTEGER NOT NULL,
    gate_ns INTEGER NOT NULL,
    journal_ns INTEGER NOT NULL,
    send_ns INTEGER NOT NULL,
    acknowledge_ns INTEGER NOT NULL
) STRICT;

-- REST calls; status 0 = no answer.
CREATE TABLE venue_calls (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    status INTEGER NOT NULL,
    error_code INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
