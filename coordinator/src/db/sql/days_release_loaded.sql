-- Claims of other runs whose rows a whole-table load has taken away.
DELETE FROM nstore.days d
WHERE d.target = $1 AND d.run <> $2
  AND EXISTS (SELECT FROM nstore.ledger l
              WHERE l.target = d.target AND l.run = d.run
                AND d.day >= l.first_day AND d.day < l.end_day)
