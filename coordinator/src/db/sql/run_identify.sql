UPDATE nstore.runs
SET created_at = $2, start_date = $3, end_date = $4, sources = $5, installation = $6, plan = $7, cancelled_at = NULL
WHERE run = $1
