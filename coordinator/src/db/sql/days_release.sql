DELETE FROM nstore.days WHERE target = $1 AND run <> $2 AND day >= $3 AND day < $4
