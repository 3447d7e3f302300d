//! Submit, watch, reconcile, finish.
