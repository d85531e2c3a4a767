//! The sink from outside: real logs, real stores, real processes.

mod audit;
mod cli;
mod duplicates;
mod group;
mod journal;
mod kafka;
mod lake;
mod process;
mod registry;
mod s3;
