-- Loaded ranges of newer extractions that overlap chunks, each with the chunk's place. With $6 those of any source,
-- but only of loads that delete rows.
SELECT c.place, l.range_start, l.range_end
FROM nstore.targets t
CROSS JOIN unnest($3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
    WITH ORDINALITY AS c (range_start, range_end, extracted_at, place)
JOIN nstore.ledger l ON l.span && nstore.span(t.number, c.range_start, c.range_end)
WHERE t.target = $1 AND l.state = 'loaded' AND l.extracted_at > c.extracted_at
  AND CASE WHEN $6 THEN l.mode <> 'append' ELSE l.source = $2 END
ORDER BY c.place, l.range_start
