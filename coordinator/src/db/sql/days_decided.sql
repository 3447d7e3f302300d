-- Days of a run's own ledger rows, whatever became of them.
SELECT DISTINCT g.day::date
FROM nstore.ledger l
CROSS JOIN LATERAL
    generate_series(l.first_day::timestamp, (l.end_day - 1)::timestamp, interval '1 day') AS g (day)
WHERE l.target = $1 AND l.run = $2
