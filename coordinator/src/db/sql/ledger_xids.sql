SELECT DISTINCT unnest(xids) FROM nstore.ledger WHERE target = $1 AND run = $2 AND state = 'loaded'
