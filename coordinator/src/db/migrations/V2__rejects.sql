-- Rows of loaded chunks that did not fit their mapping: the first ones of each chunk, as the source sent them. All of
-- them lie in storage beside the chunk's artifact.

CREATE TABLE nstore.rejects (
    target text NOT NULL REFERENCES nstore.targets ON DELETE CASCADE,
    source text NOT NULL,
    run text NOT NULL REFERENCES nstore.runs,
    chunk text NOT NULL,
    -- its line in the file, from 1
    line integer NOT NULL,
    reason text NOT NULL,
    record text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, source, run, chunk, line)
);
CREATE INDEX ON nstore.rejects (run);
