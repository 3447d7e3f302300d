-- What a chunk covers, not how its range is written, decides whether its rows are there; whose run it is, and whether
-- its plan is the same.

ALTER TABLE nstore.runs
    -- the installation (storage) that the run belongs to, and a hash of what it plans; NULL: recorded before both were
    ADD COLUMN installation text,
    ADD COLUMN plan text,
    ADD COLUMN cancelled_at timestamptz;

ALTER TABLE nstore.targets ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;

-- Target and instants as one range of numbers, so that ranges of different targets never overlap: microseconds since
-- 1970, plus 10^18 for each target. The index needs no extension.
CREATE FUNCTION nstore.span(number bigint, range_start timestamptz, range_end timestamptz) RETURNS numrange
LANGUAGE sql STABLE AS $$
    SELECT numrange(number * 1e18 + round(extract(epoch FROM range_start)::numeric * 1000000),
                    number * 1e18 + round(extract(epoch FROM range_end)::numeric * 1000000))
$$;

ALTER TABLE nstore.ledger
    ADD COLUMN span numrange,
    -- an append into a table without a key: nothing but the ledger keeps its rows from coming twice
    ADD COLUMN keyless boolean NOT NULL DEFAULT false;
UPDATE nstore.ledger l SET span = nstore.span(t.number, l.range_start, l.range_end)
FROM nstore.targets t WHERE t.target = l.target;
ALTER TABLE nstore.ledger
    ALTER COLUMN span SET NOT NULL,
    ADD CONSTRAINT ledger_keyless_spans EXCLUDE USING gist (span WITH &&) WHERE (keyless AND state = 'loaded');
CREATE INDEX ledger_spans ON nstore.ledger USING gist (span) WHERE state = 'loaded';
DROP INDEX nstore.ledger_target_source_range_end_idx;

-- A claim of a load that deletes rows: it keeps appends without a key away, not other loads that delete.
ALTER TABLE nstore.days ADD COLUMN deletes boolean NOT NULL DEFAULT false;
