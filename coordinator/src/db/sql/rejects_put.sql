INSERT INTO nstore.rejects (target, source, run, chunk, line, reason, record)
SELECT $1, $2, $3, $4, line, reason, record FROM unnest($5, $6, $7) AS r(line, reason, record)
ON CONFLICT (target, source, run, chunk, line) DO NOTHING
