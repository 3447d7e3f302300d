-- What runs other than $2 have loaded from newer extractions into chunks' ranges, by any mode but replace: among
-- whole-table loads, the times of their manifests decide. Each with the chunk's place.
SELECT c.place, max(l.run)
FROM nstore.targets t
CROSS JOIN unnest($3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
    WITH ORDINALITY AS c (range_start, range_end, extracted_at, place)
JOIN nstore.ledger l ON l.span && nstore.span(t.number, c.range_start, c.range_end)
WHERE t.target = $1 AND l.run <> $2 AND l.state = 'loaded' AND l.mode <> 'replace'
  AND l.extracted_at > c.extracted_at
GROUP BY c.place
ORDER BY c.place
