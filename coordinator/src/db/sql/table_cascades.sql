-- What a DELETE on the table $1 does besides: `changes` is true for what changes other rows, false for what may keep
-- rows from being deleted. Partitions are the table itself. With $2 a foreign key of the table on itself counts too.
WITH RECURSIVE family (oid) AS (
    SELECT $1::oid
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid
)
SELECT c.confdeltype IN ('c', 'n', 'd') AS changes,
    format('foreign key "%s" of table %s (%s)', c.conname, c.conrelid::regclass,
        CASE c.confdeltype WHEN 'c' THEN 'ON DELETE CASCADE' WHEN 'n' THEN 'ON DELETE SET NULL'
                           WHEN 'd' THEN 'ON DELETE SET DEFAULT' WHEN 'r' THEN 'ON DELETE RESTRICT'
                           ELSE 'ON DELETE NO ACTION' END) AS what
FROM pg_constraint c
JOIN family f ON c.confrelid = f.oid
WHERE c.contype = 'f' AND c.conparentid = 0 AND ($2 OR c.conrelid NOT IN (SELECT oid FROM family))
UNION ALL
SELECT true, format('inheritance child %s', i.inhrelid::regclass)
FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent
WHERE i.inhparent = $1 AND p.relkind = 'r'
UNION ALL
SELECT true, format('trigger "%s" ON DELETE of table %s', t.tgname, t.tgrelid::regclass)
FROM pg_trigger t
JOIN family f ON t.tgrelid = f.oid
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgtype & 8 <> 0 AND t.tgenabled IN ('O', 'A')
UNION ALL
SELECT true, format('rule "%s" ON DELETE of table %s', r.rulename, r.ev_class::regclass)
FROM pg_rewrite r
WHERE r.ev_class = $1 AND r.ev_type = '4' AND r.ev_enabled IN ('O', 'A')
ORDER BY 1 DESC, 2
