INSERT INTO nstore.ledger
    (target, source, run, chunk, mode, state, generation, rows,
     range_start, range_end, first_day, end_day, extracted_at, evidence, xids)
VALUES ($1, $2, $3, $4, $5, 'loaded', $6, $7, $8, $9, $10, $11, $12, $13, ARRAY[txid_current() % 4294967296])
ON CONFLICT DO NOTHING
