SELECT source, chunk, state, rows, skipped, generation, loaded_at
FROM nstore.ledger
WHERE run = $1
ORDER BY source, range_start
