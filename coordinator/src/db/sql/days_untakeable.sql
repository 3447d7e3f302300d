-- Of the days from $4 to the one before $5, those that others hold and that a reload by run $2, asked for at $3,
-- may not take: a run that is not older holds them, or the run has ledger rows for them.
WITH held AS (
    SELECT d.run, d.day FROM nstore.days d WHERE d.target = $1 AND d.run <> $2
    UNION
    SELECT l.run, g.day::date
    FROM nstore.ledger l
    CROSS JOIN LATERAL
        generate_series(l.first_day::timestamp, (l.end_day - 1)::timestamp, interval '1 day') AS g (day)
    WHERE l.target = $1 AND l.run <> $2 AND l.state = 'loaded'
)
SELECT h.run, h.day
FROM held h
JOIN nstore.runs r ON r.run = h.run
WHERE h.day >= $4 AND h.day < $5
  AND (r.created_at >= $3
       OR EXISTS (SELECT FROM nstore.ledger o
                  WHERE o.target = $1 AND o.run = $2 AND h.day >= o.first_day AND h.day < o.end_day))
