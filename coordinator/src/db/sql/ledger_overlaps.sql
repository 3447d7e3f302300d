-- Loaded ranges that overlap chunks of run $3, whatever the mode, but for the chunks' own rows; each with the chunk's
-- place, and whether it is of the same run and source.
SELECT c.place, l.range_start, l.range_end, l.run, l.run = $3 AND l.source = $2
FROM nstore.targets t
CROSS JOIN unnest($4::text[], $5::timestamptz[], $6::timestamptz[])
    WITH ORDINALITY AS c (chunk, range_start, range_end, place)
JOIN nstore.ledger l ON l.span && nstore.span(t.number, c.range_start, c.range_end)
WHERE t.target = $1 AND l.state = 'loaded' AND NOT (l.run = $3 AND l.source = $2 AND l.chunk = c.chunk)
ORDER BY c.place, l.range_start
