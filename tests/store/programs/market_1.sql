INSERT INTO latencies (tag, frame_ns, strategy_ns, gate_ns, journal_ns, send_ns, acknowledge_ns, utc_ns) VALUES ('a', 1, 2, 3, 4, 5, 6, 1795000000000000000);
INSERT INTO venue_calls (utc_ns, endpoint, status, error_code, duration_ns, attempts) VALUES (1795000000000000000, 'Order/place', 200, 0, 5, 1);
INSERT INTO bars (contract, minutes, start_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume) VALUES ('C', 1, 1, 2, 3, 4, 5, 6) ON CONFLICT (contract, minutes, start_ns) DO UPDATE SET open_ticks = excluded.open_ticks, high_ticks = excluded.high_ticks, low_ticks = excluded.low_ticks, close_ticks = excluded.close_ticks, volume = excluded.volume;
DELETE FROM latencies WHERE id IN (SELECT id FROM latencies WHERE utc_ns < 1787224000000000000 ORDER BY id LIMIT 1000);
DELETE FROM venue_calls WHERE id IN (SELECT id FROM venue_calls WHERE utc_ns < 1794395200000000000 ORDER BY id LIMIT 1000);
