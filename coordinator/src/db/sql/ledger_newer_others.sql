-- What runs other than $2 have loaded from newer extractions into a chunk's range, by any mode but replace:
-- among whole-table loads, the times of their manifests decide.
SELECT run
FROM nstore.ledger
WHERE target = $1 AND run <> $2 AND state = 'loaded' AND mode <> 'replace'
  AND range_end > $3 AND range_start < $4
  AND extracted_at > $5
ORDER BY extracted_at DESC
LIMIT 1
