//! What an operator sees from outside, over real sockets.

mod admin;
