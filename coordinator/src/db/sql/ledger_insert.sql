-- One row per chunk. A chunk that is not answered has a row, or overlaps a loaded one of a table without a key.
INSERT INTO nstore.ledger
    (target, source, run, chunk, mode, keyless, state, generation, rows, range_start, range_end, span,
     first_day, end_day, extracted_at, evidence, xids)
SELECT t.target, $2, $3, c.chunk, $4, $5, c.state, c.generation, c.rows, c.range_start, c.range_end,
    nstore.span(t.number, c.range_start, c.range_end), c.first_day, c.end_day, c.extracted_at, c.evidence,
    ARRAY[txid_current() % 4294967296]
FROM nstore.targets t
CROSS JOIN unnest($6::text[], $7::int4[], $8::int8[], $9::timestamptz[], $10::timestamptz[], $11::date[],
                  $12::date[], $13::timestamptz[], $14::text[], $15::text[])
    AS c (chunk, generation, rows, range_start, range_end, first_day, end_day, extracted_at, evidence, state)
WHERE t.target = $1
ORDER BY c.range_start
ON CONFLICT DO NOTHING
RETURNING chunk
