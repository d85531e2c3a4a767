//! The real binaries, killed under load, judged by the independent reader.
//!
//! Goal: whatever is killed, an acknowledged event is one row, in its user's order, and the files tile the log.
//! Method: the load generator offers a steady rate while processes get SIGKILL; it judges at the end, and again when
//! everything has stopped. The size is small by default; `FOOTFALL_TEST_EVENTS` and `FOOTFALL_TEST_RATE` raise it, and
//! `FOOTFALL_TEST_FOLDER` keeps the lake.

mod audit;
mod evolution;
mod kafka;
mod kills;
mod lake;
mod load;
mod one_process;
mod outage;
mod rewinds;
mod service;
