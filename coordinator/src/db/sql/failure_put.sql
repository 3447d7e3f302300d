INSERT INTO nstore.load_failures (run, source, chunk, target, error, line)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (run, source, chunk)
DO UPDATE SET target = excluded.target, error = excluded.error, line = excluded.line, failed_at = now()
