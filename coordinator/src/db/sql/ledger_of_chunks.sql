SELECT source, chunk, state, rows, skipped, generation, loaded_at, evidence,
    changed_rows, rejected_rows, defaulted_rows
FROM nstore.ledger
WHERE run = $1 AND source = $2 AND chunk = ANY ($3)
