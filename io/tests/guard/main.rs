//! Can bytes from outside do harm? What the guard lets through, the decoder must take as told.

mod batches;
