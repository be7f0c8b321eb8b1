//! Can bytes from outside do harm? Each case that was found, by itself.

mod batches;
mod build;
mod decode;
mod frames;
mod packed;
mod requests;
