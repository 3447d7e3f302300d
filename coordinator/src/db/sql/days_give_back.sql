-- Claims of a run that led to no load. A reload that took a part of another run's chunk keeps the rest of it:
-- that chunk counts as replaced, and its rows of the rest are still there.
DELETE FROM nstore.days d
WHERE d.run = $1
  AND NOT EXISTS (SELECT FROM nstore.ledger l
                  WHERE l.target = d.target AND l.run = d.run
                    AND d.day >= l.first_day AND d.day < l.end_day)
  AND NOT EXISTS (SELECT FROM nstore.ledger o
                  JOIN nstore.ledger l
                      ON l.target = o.target AND l.run = d.run
                     AND l.first_day < o.end_day AND l.end_day > o.first_day
                  WHERE o.target = d.target AND o.run <> d.run AND o.state = 'replaced'
                    AND d.day >= o.first_day AND d.day < o.end_day)
