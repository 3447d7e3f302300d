-- Rows of other runs that touch the days from $3 to the one before $4.
UPDATE nstore.ledger SET state = 'replaced'
WHERE target = $1 AND run <> $2 AND state = 'loaded'
  AND end_day > $3 AND first_day < $4
