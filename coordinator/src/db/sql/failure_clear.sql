DELETE FROM nstore.load_failures WHERE run = $1 AND source = $2 AND chunk = ANY ($3)
