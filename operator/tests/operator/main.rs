//! What an operator sees from outside: real sockets, real processes, real signals.

mod admin;
mod process;
