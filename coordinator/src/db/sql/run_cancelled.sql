UPDATE nstore.runs SET cancelled_at = now() WHERE run = $1 AND cancelled_at IS NULL
