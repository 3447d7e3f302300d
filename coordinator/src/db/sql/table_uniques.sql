-- The unique indexes that ON CONFLICT can name by their columns alone.
SELECT array_agg(a.attname::text ORDER BY a.attname) AS columns
FROM pg_index i
JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) ON k.place <= i.indnkeyatts
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid
