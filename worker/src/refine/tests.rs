//! What becomes of whole pages.
