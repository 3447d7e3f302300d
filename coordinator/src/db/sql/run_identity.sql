-- Installation and plan of a run, and whether anything of it was loaded or claimed.
SELECT installation, plan,
    EXISTS (SELECT FROM nstore.ledger l WHERE l.run = r.run) OR EXISTS (SELECT FROM nstore.days d WHERE d.run = r.run)
FROM nstore.runs r
WHERE run = $1
FOR UPDATE
