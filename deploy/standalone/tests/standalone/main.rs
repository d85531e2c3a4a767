//! The binary `footfall` as its users meet it: a process, its ports, its data folder.

mod boot;
mod columns;
mod console;
mod footfall;
mod metrics;
mod path;
