-- Days whose rows the target holds, by runs other than $2. A day that was claimed and loaded stays held
-- when a reload took only the neighbours that shared its chunk.
SELECT l.run, g.day::date AS day
FROM nstore.ledger l
CROSS JOIN LATERAL
    generate_series(l.first_day::timestamp, (l.end_day - 1)::timestamp, interval '1 day') AS g (day)
WHERE l.target = $1 AND l.run <> $2 AND l.state = 'loaded'
UNION
SELECT d.run, d.day
FROM nstore.days d
JOIN nstore.ledger l
    ON l.target = d.target AND l.run = d.run AND d.day >= l.first_day AND d.day < l.end_day
WHERE d.target = $1 AND d.run <> $2
