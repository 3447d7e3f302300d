-- What may change or refuse rows that go into the table $1; `stops` is true for what a load cannot live with.
SELECT false AS stops, format('trigger "%s" runs at each INSERT and may change rows', t.tgname) AS what
FROM pg_trigger t
WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgtype & 4 <> 0 AND t.tgenabled IN ('O', 'A')
UNION ALL
SELECT true, format('rule "%s" ON INSERT: rows are loaded by COPY, which runs no rules; use a trigger instead', r.rulename)
FROM pg_rewrite r
WHERE r.ev_class = $1 AND r.ev_type = '3' AND r.ev_enabled IN ('O', 'A')
UNION ALL
SELECT false, format('constraint "%s" refuses rows that break %s', c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c
WHERE c.conrelid = $1 AND c.contype IN ('c', 'x', 'f')
ORDER BY 1 DESC, 2
