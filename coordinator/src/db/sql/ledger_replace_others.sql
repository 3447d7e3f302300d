UPDATE nstore.ledger SET state = 'replaced'
WHERE target = $1 AND state = 'loaded' AND NOT (run = $2 AND source = $3)
