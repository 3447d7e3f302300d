DELETE FROM nstore.load_failures WHERE run = $1
