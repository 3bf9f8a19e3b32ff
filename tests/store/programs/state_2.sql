INSERT INTO orders (tag, strategy, account_id, contract, side, size, type, role, limit_ticks, stop_ticks, bracket_stop_ticks, bracket_target_ticks, oco, parent_tag, state, venue_id, filled, created_ns, updated_ns, reason, cancel_requested, ref, changed_ns) VALUES ('a', 'overnight_range', 7, 'CON.F.US.EP.Z26', 1, 1, 'stop', 'entry', NULL, 20000, 8, 12, '', '', 'pending', 0, 0, 0, 0, '', 0, '', 1000) ON CONFLICT (tag) DO UPDATE SET strategy = excluded.strategy, account_id = excluded.account_id, contract = excluded.contract, side = excluded.side, size = excluded.size, type = excluded.type, role = excluded.role, limit_ticks = excluded.limit_ticks, stop_ticks = excluded.stop_ticks, bracket_stop_ticks = excluded.bracket_stop_ticks, bracket_target_ticks = excluded.bracket_target_ticks, oco = excluded.oco, parent_tag = excluded.parent_tag, state = excluded.state, venue_id = excluded.venue_id, filled = excluded.filled, created_ns = excluded.created_ns, updated_ns = excluded.updated_ns, reason = excluded.reason, cancel_requested = excluded.cancel_requested, ref = excluded.ref, changed_ns = excluded.changed_ns;
INSERT INTO order_events (utc_ns, tag, event, state, venue_id, size, filled, limit_ticks, stop_ticks, reason) VALUES (1000, 'a', 'send', 'pending', 0, 1, 0, NULL, 20000, '');
INSERT INTO orders (tag, strategy, account_id, contract, side, size, type, role, limit_ticks, stop_ticks, bracket_stop_ticks, bracket_target_ticks, oco, parent_tag, state, venue_id, filled, created_ns, updated_ns, reason, cancel_requested, ref, changed_ns) VALUES ('a', 'overnight_range', 7, 'CON.F.US.EP.Z26', 1, 1, 'stop', 'entry', NULL, 20000, NULL, NULL, '', '', 'working', 9, 0, 0, 0, '', 0, '', 1795000000000000000) ON CONFLICT (tag) DO UPDATE SET strategy = excluded.strategy, account_id = excluded.account_id, contract = excluded.contract, side = excluded.side, size = excluded.size, type = excluded.type, role = excluded.role, limit_ticks = excluded.limit_ticks, stop_ticks = excluded.stop_ticks, bracket_stop_ticks = excluded.bracket_stop_ticks, bracket_target_ticks = excluded.bracket_target_ticks, oco = excluded.oco, parent_tag = excluded.parent_tag, state = excluded.state, venue_id = excluded.venue_id, filled = excluded.filled, created_ns = excluded.created_ns, updated_ns = excluded.updated_ns, reason = excluded.reason, cancel_requested = excluded.cancel_requested, ref = excluded.ref, changed_ns = excluded.changed_ns;
INSERT INTO order_events (utc_ns, tag, event, state, venue_id, size, filled, limit_ticks, stop_ticks, reason) VALUES (1795000000000000000, 'a', 'send', 'working', 9, 1, 0, NULL, 20000, '');
INSERT INTO fills (account_id, id, order_id, contract, side, size, price_ticks, fees_micro, utc_ns, gross_micro, voided, tag, strategy, trade_date) VALUES (7, 1, 10, 'CON.F.US.EP.Z26', 1, 1, 20000, 1890000, 1795000000000000000, NULL, 0, 'tag-1', 'overnight_range', '2026-11-20') ON CONFLICT (account_id, id) DO NOTHING;
INSERT INTO fills (account_id, id, order_id, contract, side, size, price_ticks, fees_micro, utc_ns, gross_micro, voided, tag, strategy, trade_date) VALUES (7, 2, 10, 'CON.F.US.EP.Z26', 1, 1, 20000, 1890000, 1795000000000000000, NULL, 0, 'tag-2', 'overnight_range', '2026-11-20') ON CONFLICT (account_id, id) DO NOTHING;
UPDATE fills SET voided = 1 WHERE account_id = 7 AND id = 2;
INSERT INTO account_snapshots (utc_ns, account_id, name, balance_micro, can_trade, simulated) VALUES (1795000000000000000, 7, 'SIM', 50000000000, 1, 0);
INSERT INTO end_of_days (account_id, trade_date, balance_micro, floor_micro) VALUES (7, '2026-11-20', 1, 2) ON CONFLICT (account_id, trade_date) DO UPDATE SET balance_micro = excluded.balance_micro, floor_micro = excluded.floor_micro;
INSERT INTO reasons (utc_ns, opened, closed_by, code, kind, scope, since_ns, detail, state, goal, until_ns, opened_by) VALUES (1, 1, '', 'halt', 'person', '*', 1, '', 2, 2, 0, 'owner');
INSERT INTO reasons (utc_ns, opened, closed_by, code, kind, scope, since_ns, detail, state, goal, until_ns, opened_by) VALUES (1795000000000000000, 0, 'owner', 'halt', 'person', '*', 1, '', 2, 2, 0, 'owner');
INSERT INTO latch (utc_ns, armed, actor, why) VALUES (1795000000000000000, 1, 'owner', 'why');
INSERT INTO goals (account_id, goal, done, detail, utc_ns) VALUES (7, 2, 0, 'pending', 1795000000000000000) ON CONFLICT (account_id) DO UPDATE SET goal = excluded.goal, done = excluded.done, detail = excluded.detail, utc_ns = excluded.utc_ns;
INSERT INTO tag_counter (id, up_to) VALUES (1, 64) ON CONFLICT (id) DO UPDATE SET up_to = max(up_to, excluded.up_to);
INSERT INTO strategy_states (strategy, account_id, text, utc_ns) VALUES ('overnight_range', 7, '{}', 1795000000000000000) ON CONFLICT (strategy, account_id) DO UPDATE SET text = excluded.text, utc_ns = excluded.utc_ns;
INSERT INTO events (utc_ns, level, code, text, account_id, strategy) VALUES (1795000000000000000, 'info', 'code', 'text', 7, 'overnight_range');
INSERT INTO audit (utc_ns, actor, command, detail, outcome) VALUES (1795000000000000000, 'owner', 'halt', 'why', 'done');
INSERT INTO native_differences (utc_ns, module, function, arguments, compiled, pure) VALUES (1795000000000000000, 'market', 'f', '()', '1', '2');
INSERT INTO native_exceptions (module, standing, actor, why, utc_ns) VALUES ('market', 1, 'owner', 'why', 1795000000000000000);
SELECT max((SELECT ifnull(max(utc_ns), 0) FROM fills), (SELECT ifnull(max(changed_ns), 0) FROM orders));
SELECT armed FROM latch ORDER BY id DESC LIMIT 1;
SELECT code, kind, scope, since_ns, detail, state, goal, until_ns, opened_by FROM reasons
WHERE id IN (SELECT max(id) FROM reasons GROUP BY code, scope) AND opened = 1 ORDER BY id;
SELECT tag, strategy, account_id, contract, side, size, type, role, limit_ticks, stop_ticks, bracket_stop_ticks, bracket_target_ticks, oco, parent_tag, state, venue_id, filled, created_ns, updated_ns, reason, cancel_requested, ref FROM orders
WHERE state IN ('pending', 'sent', 'unknown', 'suspended', 'working') OR changed_ns >= 1793790400000000000 ORDER BY rowid;
SELECT account_id, contract, sum(side * size) AS net FROM fills WHERE voided = 0
GROUP BY account_id, contract HAVING net <> 0;
SELECT account_id, id, order_id, contract, side, size, price_ticks, fees_micro, utc_ns, gross_micro, voided, tag, strategy, trade_date FROM fills WHERE (utc_ns, account_id, id) < (9223372036854775807, 9223372036854775807, 9223372036854775807)
ORDER BY utc_ns DESC, account_id DESC, id DESC LIMIT 1000;
SELECT account_id, id, order_id, contract, side, size, price_ticks, fees_micro, utc_ns, gross_micro, voided, tag, strategy, trade_date FROM fills WHERE (utc_ns, account_id, id) < (1795000000000000000, 7, 1)
ORDER BY utc_ns DESC, account_id DESC, id DESC LIMIT 1000;
SELECT account_id, trade_date, balance_micro, floor_micro FROM end_of_days ORDER BY 1, 2;
SELECT account_id, goal, done, detail, utc_ns FROM goals WHERE done = 0 ORDER BY 1;
SELECT up_to FROM tag_counter;
SELECT strategy, text FROM strategy_states ORDER BY utc_ns;
SELECT module, standing, actor, why, utc_ns FROM native_exceptions
WHERE id IN (SELECT max(id) FROM native_exceptions GROUP BY module) AND standing = 1 ORDER BY id;
SELECT f.account_id, f.id, f.order_id, f.contract, f.side, f.size, f.price_ticks, f.fees_micro, f.utc_ns, f.gross_micro, f.voided, f.tag, f.strategy, f.trade_date, o.type AS order_type, o.role AS role, o.ref AS ref
FROM fills AS f LEFT JOIN orders AS o ON o.tag = f.tag
ORDER BY f.utc_ns DESC, f.account_id DESC, f.id DESC LIMIT 9;
SELECT utc_ns, level, code, text, account_id, strategy FROM events ORDER BY id DESC LIMIT 9;
SELECT tag, strategy, account_id, contract, side, size, type, role, limit_ticks, stop_ticks, bracket_stop_ticks, bracket_target_ticks, oco, parent_tag, state, venue_id, filled, created_ns, updated_ns, reason, cancel_requested, ref FROM orders ORDER BY changed_ns DESC, rowid DESC LIMIT 9;
SELECT utc_ns, actor, command, detail, outcome FROM audit ORDER BY id DESC LIMIT 9;
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE utc_ns < 1731928000000000000 ORDER BY id LIMIT 1000);
