//! Clients by themselves: what they want done, to the last field, after what they are told.

mod consumer;
mod members;
mod script;
mod support;
