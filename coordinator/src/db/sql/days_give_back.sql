-- Claims of a run that led to no load.
DELETE FROM nstore.days d
WHERE d.run = $1
  AND NOT EXISTS (SELECT FROM nstore.ledger l
                  WHERE l.target = d.target AND l.run = d.run
                    AND d.day >= l.first_day AND d.day < l.end_day)
