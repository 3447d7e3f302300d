//! Whole extractions against a small scripted server.
