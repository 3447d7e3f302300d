SELECT run, day FROM nstore.days WHERE target = $1 AND run <> $2
