//! What the shell can be told, with Kafka 4.4's defaults. Kafka's names are given.

use std::time::Duration;

/// Settings of a [`Broker`](crate::broker::Broker), after the command line was read.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Settings of the coordinator.
    pub core: quorate_core::Config,
    /// `node.id`.
    pub node_id: i32,
    /// `offsets.topic.num.partitions`: how many shards the coordinator has.
    pub shards: u32,
    /// `num.partitions` of a topic that is created without a number.
    pub num_partitions: i32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `message.max.bytes`: the largest record batch.
    pub message_max_bytes: usize,
    /// `socket.request.max.bytes`: the largest request.
    pub socket_request_max_bytes: usize,
    /// `queued.max.request.bytes`: request bodies and unsent answers of all connections. Kafka's
    /// default is no limit; ours keeps a broker on a small machine alive.
    pub queued_max_request_bytes: usize,
    /// `connections.max.idle.ms`; none where connections are never closed for silence.
    pub connections_max_idle: Option<Duration>,
    /// `advertised.listeners`: what clients are told to connect to. None: the address of the
    /// listener, or, where it is a wildcard, the one that the client reached.
    pub advertised: Option<(String, u16)>,
}

impl Default for BrokerConfig {
    fn default() -> BrokerConfig {
        BrokerConfig {
            core: quorate_core::Config::default(),
            node_id: 1,
            shards: 50,
            num_partitions: 1,
            auto_create_topics: true,
            message_max_bytes: 1_048_588,
            socket_request_max_bytes: 104_857_600,
            queued_max_request_bytes: 256 << 20,
            connections_max_idle: Some(Duration::from_secs(600)),
            advertised: None,
        }
    }
}
