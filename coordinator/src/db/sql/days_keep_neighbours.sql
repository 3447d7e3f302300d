-- Rows of other runs that touch the days from $3 to the one before $4, with $5 only those of appends without a key, are
-- about to count as replaced. The other days of these rows still have theirs: a claim keeps them held.
INSERT INTO nstore.days (target, day, source, run)
SELECT l.target, g.day::date, l.source, l.run
FROM nstore.ledger l
CROSS JOIN LATERAL
    generate_series(l.first_day::timestamp, (l.end_day - 1)::timestamp, interval '1 day') AS g (day)
WHERE l.target = $1 AND l.run <> $2 AND l.state = 'loaded'
  AND l.end_day > $3 AND l.first_day < $4
  AND NOT (g.day::date >= $3 AND g.day::date < $4)
  AND (l.keyless OR NOT $5)
ON CONFLICT (target, day) DO NOTHING
