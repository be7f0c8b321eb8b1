//! A Kafka group coordinator as a pure state machine.
