-- What nstore knows about its loads. Everything here lives in the schema nstore.

CREATE TABLE nstore.runs (
    run text PRIMARY KEY,
    created_at timestamptz NOT NULL,
    start_date date NOT NULL,
    end_date date NOT NULL,
    sources text[] NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE nstore.targets (
    target text PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    oid oid NOT NULL,
    made_by_nstore boolean NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- One row per chunk that was decided for good, whatever its generation.
CREATE TABLE nstore.ledger (
    target text NOT NULL REFERENCES nstore.targets ON DELETE CASCADE,
    source text NOT NULL,
    run text NOT NULL REFERENCES nstore.runs,
    chunk text NOT NULL,
    mode text NOT NULL,
    state text NOT NULL CHECK (state IN ('loaded', 'superseded', 'replaced')),
    generation integer NOT NULL,
    rows bigint NOT NULL,
    skipped bigint NOT NULL DEFAULT 0,
    range_start timestamptz NOT NULL,
    range_end timestamptz NOT NULL,
    first_day date NOT NULL,
    end_day date NOT NULL,
    extracted_at timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, source, run, chunk)
);
CREATE INDEX ON nstore.ledger (run);
CREATE INDEX ON nstore.ledger (target, source, range_end);

-- Days that belong to one run of an append without a key: the unique key is the claim.
CREATE TABLE nstore.days (
    target text NOT NULL REFERENCES nstore.targets ON DELETE CASCADE,
    day date NOT NULL,
    source text NOT NULL,
    run text NOT NULL REFERENCES nstore.runs,
    PRIMARY KEY (target, day)
);
CREATE INDEX ON nstore.days (run);

-- Chunks whose rows the table refused.
CREATE TABLE nstore.load_failures (
    run text NOT NULL,
    source text NOT NULL,
    chunk text NOT NULL,
    target text NOT NULL,
    error text NOT NULL,
    line text,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, source, chunk)
);
