SELECT max(extracted_at) FROM nstore.ledger WHERE target = ANY ($1) AND state = 'loaded'
