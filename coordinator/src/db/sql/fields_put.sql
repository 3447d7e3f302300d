INSERT INTO nstore.fields (target, source, column_name, run, chunk)
SELECT $1, $2, column_name, $3, $4 FROM unnest($5::text[]) AS present (column_name)
ORDER BY column_name
ON CONFLICT DO NOTHING
