WITH
    failures AS (DELETE FROM nstore.load_failures WHERE target = $1),
    figures AS (
        SELECT (SELECT count(*) FROM nstore.ledger WHERE target = $1) AS ledger_rows,
               (SELECT count(*) FROM nstore.days WHERE target = $1) AS days
    ),
    gone AS (DELETE FROM nstore.targets WHERE target = $1 RETURNING target)
SELECT EXISTS (SELECT FROM gone) AS known, ledger_rows, days FROM figures
