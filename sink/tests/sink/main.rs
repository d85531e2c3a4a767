//! The sink from outside: real logs, real stores, real processes.

mod audit;
mod cli;
mod dead_letters;
mod duplicates;
mod gap;
mod group;
mod journal;
mod kafka;
mod lag;
mod lake;
mod memory;
mod observed;
mod outages;
mod process;
mod rebuild;
mod registry;
mod s3;
mod stores;
