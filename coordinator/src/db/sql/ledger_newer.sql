-- Loaded ranges of newer extractions that overlap a chunk's.
SELECT range_start, range_end
FROM nstore.ledger
WHERE target = $1 AND source = $2 AND state = 'loaded'
  AND range_end > $3 AND range_start < $4
  AND extracted_at > $5
ORDER BY range_start
