//! Range -> chunks; pure.
