-- What proves that a chunk is complete, and what became of those of its rows that were not added as they came.

ALTER TABLE nstore.ledger
    -- the name of the strongest proof; NULL: the chunk is unproven
    ADD COLUMN evidence text,
    -- rows whose key the table held with other values from an earlier run: the table's rows stayed
    ADD COLUMN changed_rows bigint NOT NULL DEFAULT 0,
    -- rows that the table refused, within the limit of the mapping; the first ones are in nstore.rejects
    ADD COLUMN rejected_rows bigint NOT NULL DEFAULT 0,
    -- rows that took a default of the table for a value that is absent or null
    ADD COLUMN defaulted_rows bigint NOT NULL DEFAULT 0,
    -- xmin of the rows that the load inserted: tells rows of this run from those of others
    ADD COLUMN xids bigint[] NOT NULL DEFAULT '{}';

-- Columns whose field was in some record that was loaded: what a later chunk must not lack as a whole.
CREATE TABLE nstore.fields (
    target text NOT NULL REFERENCES nstore.targets ON DELETE CASCADE,
    source text NOT NULL,
    column_name text NOT NULL,
    run text NOT NULL,
    chunk text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, source, column_name)
);
