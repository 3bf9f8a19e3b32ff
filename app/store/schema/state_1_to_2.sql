-- state.db from version 1 to 2: what the twins of native modules disagreed on.

-- A call whose compiled and pure twin gave different answers; all but the time are texts cut to a length.
CREATE TABLE native_differences (
    id INTEGER PRIMARY KEY,
    utc_ns INTEGER NOT NULL,
    module TEXT NOT NULL,
    function TEXT NOT NULL,
    arguments TEXT NOT NULL,
    compiled TEXT NOT NULL,
    pure TEXT NOT NULL
) STRICT;

-- Modules that run on their pure twin for it; the last row of a module says whether it still has to.
CREATE TABLE native_exceptions (
    id INTEGER PRIMARY KEY,
    module TEXT NOT NULL,
    standing INTEGER NOT NULL CHECK (standing IN (0, 1)),
    actor TEXT NOT NULL,
    why TEXT NOT NULL,
    utc_ns INTEGER NOT NULL
) STRICT;
