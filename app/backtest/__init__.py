"""Replay: the same engine, gate and ledger over recorded bars on a virtual clock, and the report of it."""
