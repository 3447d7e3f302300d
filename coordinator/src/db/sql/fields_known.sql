SELECT column_name, run, chunk FROM nstore.fields WHERE target = $1 AND source = $2
