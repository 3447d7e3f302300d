-- A whole-table load of a run that was asked for later than $2.
SELECT l.run
FROM nstore.ledger l
JOIN nstore.runs r ON r.run = l.run
WHERE l.target = $1 AND l.state = 'loaded' AND l.mode = 'replace'
  AND r.created_at > $2 AND l.run <> $3
LIMIT 1
