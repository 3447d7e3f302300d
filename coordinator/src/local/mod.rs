//! Private servers and workers for one machine.
