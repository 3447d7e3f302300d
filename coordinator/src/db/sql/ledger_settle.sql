-- What became of a row that this transaction inserted.
UPDATE nstore.ledger SET state = $5, rows = $6, skipped = $7
WHERE target = $1 AND source = $2 AND run = $3 AND chunk = $4
