-- Rows of other runs that touch the days from $3 to the one before $4; with $5 only those of appends without a key.
UPDATE nstore.ledger SET state = 'replaced'
WHERE target = $1 AND run <> $2 AND state = 'loaded'
  AND end_day > $3 AND first_day < $4
  AND (keyless OR NOT $5)
