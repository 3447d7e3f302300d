-- Claims of other runs' appends on the days from $3 to the one before $4, each with what its run has loaded that overlaps the
-- day; NULL where it is nothing. Claims of cancelled runs hold nobody up: nothing more of them is loaded.
SELECT d.day, d.run, l.range_start, l.range_end
FROM nstore.days d
JOIN nstore.runs r ON r.run = d.run
LEFT JOIN nstore.ledger l
    ON l.target = d.target AND l.run = d.run AND l.state IN ('loaded', 'replaced')
   AND d.day >= l.first_day AND d.day < l.end_day
WHERE d.target = $1 AND d.run <> $2 AND NOT d.deletes AND r.cancelled_at IS NULL
  AND ($3::date IS NULL OR d.day >= $3) AND ($4::date IS NULL OR d.day < $4)
ORDER BY d.day, d.run, l.range_start
