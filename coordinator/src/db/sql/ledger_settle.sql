-- What became of a row that this transaction inserted. Rows may have gone in by subtransactions, with ids of their own.
UPDATE nstore.ledger
SET state = $5, rows = $6, skipped = $7, changed_rows = $8, rejected_rows = $9, defaulted_rows = $10,
    xids = xids || $11::bigint[]
WHERE target = $1 AND source = $2 AND run = $3 AND chunk = $4
