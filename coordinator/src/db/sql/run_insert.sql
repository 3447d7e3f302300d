INSERT INTO nstore.runs (run, created_at, start_date, end_date, sources, installation, plan)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (run) DO NOTHING
