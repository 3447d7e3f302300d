//! Committed CSVs -> tables, exactly once.
