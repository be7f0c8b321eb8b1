//! Does a whole broker, over real sockets and stores in memory, answer as a connection expects?

mod broker;
mod clocks;
mod connections;
mod groups;
mod limits;
mod stops;
