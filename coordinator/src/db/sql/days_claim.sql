INSERT INTO nstore.days (target, day, source, run, deletes)
SELECT $1, g.day::date, $2, $3, $6
FROM generate_series($4::date::timestamp, ($5::date - 1)::timestamp, interval '1 day') AS g (day)
ON CONFLICT (target, day) DO NOTHING
