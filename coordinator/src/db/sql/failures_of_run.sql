SELECT source, chunk, error, line FROM nstore.load_failures WHERE run = $1 ORDER BY source, chunk
