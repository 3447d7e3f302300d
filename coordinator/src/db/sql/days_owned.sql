SELECT count(*) FROM nstore.days WHERE target = $1 AND run = $2 AND day = ANY ($3)
