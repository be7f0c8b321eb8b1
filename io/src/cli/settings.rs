//! The broker's settings, under Kafka's names and with Kafka 4.4's defaults (spec section 19).
//!
//! Decided here: what each setting that has an effect means. A setting of Kafka's that has none yet
//! is accepted and named in a warning, so that a user's settings carry over; a name that Kafka does
//! not have is an error.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::time::Duration;

use super::endpoint::{Endpoint, EndpointError};
use super::known::{Kind, is_of_a_plugin, known_settings, nearest};
use super::listeners::{self, ListenerSpec, is_of_listeners};
use super::value::{ValueError, by_address, check, int, list, long, millis, size, truth};

/// What the broker runs with. [`Settings::default`] is what it runs with if nothing is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `listeners`, `advertised.listeners`, `listener.security.protocol.map`: where to listen, and
    /// what clients are told. Kafka's default is every interface; ours is loopback, since nothing
    /// is encrypted. Never empty.
    pub listeners: Vec<ListenerSpec>,
    /// `max.connections.per.ip`: how many connections one address may have.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`: the same for some addresses.
    pub max_connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `max.connections`: how many connections there may be; while there are so many, nobody else
    /// is let in.
    pub max_connections: usize,
    /// `num.network.threads`: how many threads own shards, partitions and connections. Kafka's
    /// default is 3; ours is the number of cores.
    pub num_network_threads: usize,
    /// `queued.max.request.bytes`: bytes of requests and unsent answers of all connections
    /// together. Kafka's default is no limit; ours is 256 MiB.
    pub queued_max_request_bytes: usize,
    /// `socket.request.max.bytes`: the longest request.
    pub socket_request_max_bytes: usize,
    /// `connections.max.idle.ms`: how long a connection may be silent. `None`: for ever.
    pub connections_max_idle: Option<Duration>,
    /// `num.partitions`: how many partitions a topic has if nobody says.
    pub num_partitions: u32,
    /// `auto.create.topics.enable`: whether asking for a topic's metadata creates it.
    pub auto_create_topics: bool,
    /// `accept.any.replication.factor`, not Kafka's: whether a topic may ask for more replicas than
    /// there are brokers. It has one in any case.
    pub accept_any_replication_factor: bool,
    /// `message.max.bytes`: the longest record batch.
    pub message_max_bytes: usize,
    /// `log.retention.check.interval.ms`: how often partitions are looked through for what is too
    /// old or too much.
    pub log_retention_check_interval: Duration,
    /// `log.cleaner.backoff.ms`: how often partitions are looked through for what can be compacted.
    pub log_cleaner_backoff: Duration,
    /// `log.initial.task.delay.ms`: how long after the start either happens first.
    pub log_initial_task_delay: Duration,
    /// `group.min.session.timeout.ms`: the shortest session timeout of a classic group's member.
    pub group_min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: the longest one.
    pub group_max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for
    /// more members (KIP-134).
    pub group_initial_rebalance_delay: Duration,
    /// `group.max.size`: the most members of a classic group (KIP-389).
    pub group_max_size: usize,
    /// `group.classic.server.assignor`, not Kafka's: what a leader's empty assignment is replaced
    /// by.
    pub classic_server_assignor: ClassicServerAssignor,
    /// `offset.metadata.max.bytes`: the longest metadata of a committed offset, in UTF-16 units.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long offsets outlive their use (KIP-211).
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often they are looked through.
    pub offsets_retention_check_interval: Duration,
    /// `offsets.topic.num.partitions`: how many partitions `__consumer_offsets` has, which is the
    /// number of shards. Counts at the first start with a data folder; later ones keep what is
    /// there.
    pub offsets_topic_num_partitions: u32,
    /// `offsets.commit.timeout.ms`: how long an answer waits for its record to be stored.
    pub offsets_commit_timeout: Duration,
    /// `offsets.load.buffer.size`: bytes of records that are read at a time while a shard loads.
    pub offsets_load_buffer_size: usize,
    /// `durability`, not Kafka's: what is stored before it is acknowledged.
    pub durability: Durability,
    /// What is to be said at the start, one line each.
    pub warnings: Vec<String>,
    /// Every setting with its value, for DescribeConfigs.
    pub effective: BTreeMap<String, Effective>,
}

/// What has happened to a write when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk (`fdatasync`): it outlives the machine's power.
    Sync,
    /// The operating system has it, as Kafka does by default: it outlives the broker.
    Os,
}

/// What members of a classic group get whose leader assigns nothing to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicServerAssignor {
    /// The partitions they subscribe to, dealt in turn.
    RoundRobin,
    /// Nothing, as in Kafka.
    None,
}

/// The value of a setting, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The value; `None` for null, and for passwords, which are not shown.
    pub value: Option<String>,
    /// Where it is from.
    pub source: Source,
    /// Values that were set too and do not hold, the one that would be next first.
    pub behind: Vec<(Source, Option<String>)>,
}

impl Effective {
    /// All values that were set, the one that holds first; none if nobody set any.
    pub fn set(&self) -> impl Iterator<Item = (Source, Option<&str>)> {
        let first = (self.source, self.value.as_deref());
        let behind = self.behind.iter().map(|(source, value)| (*source, value.as_deref()));
        std::iter::once(first).chain(behind).filter(|(source, _)| *source != Source::Default)
    }
}

/// Where a value is from, in the words of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// DEFAULT_CONFIG: nobody set it.
    Default,
    /// STATIC_BROKER_CONFIG: the settings file, a variable or the command line.
    Static,
    /// DYNAMIC_DEFAULT_BROKER_CONFIG: set for all brokers while they run (KIP-226).
    DynamicDefault,
    /// DYNAMIC_BROKER_CONFIG: set for this broker while it runs.
    Dynamic,
}

/// A setting that the broker cannot start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Kafka 4.4 has no such setting.
    #[error(
        "Kafka 4.4 has no broker setting '{name}': {}",
        match nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "take it out".to_owned(),
        }
    )]
    Unknown {
        /// The name that was given.
        name: String,
        /// The name that may have been meant.
        nearest: Option<&'static str>,
    },
    /// Kafka would not take this value.
    #[error("{name} = '{value}' cannot be: {source}")]
    Value {
        /// The setting.
        name: String,
        /// The value that was given.
        value: String,
        /// What it is to be.
        source: ValueError,
    },
    /// A listener that cannot be served.
    #[error("{name}: {source}")]
    Endpoint {
        /// The setting.
        name: String,
        /// What is wrong with the listener.
        source: EndpointError,
    },
}

/// Whether a setting is the default of a config of topics that has an effect.
fn is_of_topics(name: &str) -> bool {
    matches!(
        name,
        "log.cleaner.delete.retention.ms"
            | "log.cleaner.max.compaction.lag.ms"
            | "log.cleaner.min.cleanable.ratio"
            | "log.cleaner.min.compaction.lag.ms"
            | "log.cleanup.policy"
            | "log.message.timestamp.after.max.ms"
            | "log.message.timestamp.before.max.ms"
            | "log.message.timestamp.type"
            | "log.retention.bytes"
            | "log.retention.hours"
            | "log.retention.minutes"
            | "log.retention.ms"
            | "max.decompressed.message.bytes"
            | "min.insync.replicas"
    )
}

/// The most that `queued.max.request.bytes` allows if nobody says: 256 MiB, which is enough for two
/// requests of the longest kind and too little to exhaust a small machine.
const QUEUED_MAX_REQUEST_BYTES: usize = 256 << 20;

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            listeners: vec![ListenerSpec::plaintext(Endpoint::new("127.0.0.1", 9092))],
            max_connections_per_ip: i32::MAX as usize,
            max_connections_per_ip_overrides: BTreeMap::new(),
            max_connections: i32::MAX as usize,
            num_network_threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            queued_max_request_bytes: QUEUED_MAX_REQUEST_BYTES,
            socket_request_max_bytes: 104_857_600,
            connections_max_idle: Some(Duration::from_secs(600)),
            num_partitions: 1,
            auto_create_topics: true,
            accept_any_replication_factor: false,
            message_max_bytes: 1_048_588,
            log_retention_check_interval: Duration::from_secs(300),
            log_cleaner_backoff: Duration::from_secs(15),
            log_initial_task_delay: Duration::from_secs(30),
            group_min_session_timeout: Duration::from_secs(6),
            group_max_session_timeout: Duration::from_secs(1800),
            group_initial_rebalance_delay: Duration::from_secs(3),
            group_max_size: i32::MAX as usize,
            classic_server_assignor: ClassicServerAssignor::RoundRobin,
            offset_metadata_max_bytes: 4096,
            offsets_retention: Duration::from_secs(10_080 * 60),
            offsets_retention_check_interval: Duration::from_secs(600),
            offsets_topic_num_partitions: 50,
            offsets_commit_timeout: Duration::from_secs(5),
            offsets_load_buffer_size: 5_242_880,
            durability: Durability::Sync,
            warnings: Vec::new(),
            effective: BTreeMap::new(),
        };
        for known in known_settings().values() {
            settings.note(known.name, known.default, Source::Default);
        }
        // The three defaults that are not Kafka's.
        let listeners = format!("PLAINTEXT://{}", settings.listeners[0].listen);
        let threads = settings.num_network_threads.to_string();
        let bytes = settings.queued_max_request_bytes.to_string();
        settings.note("listeners", Some(&listeners), Source::Default);
        settings.note("num.network.threads", Some(&threads), Source::Default);
        settings.note("queued.max.request.bytes", Some(&bytes), Source::Default);
        settings
    }
}

/// The settings with these names and values, everything else as it is by default.
pub fn resolve(given: BTreeMap<String, String>) -> Result<Settings, SettingError> {
    let mut settings = Settings::default();
    let default = settings.listeners.remove(0);
    settings.listeners = listeners::resolve(&given, default)
        .map_err(|(name, source)| SettingError::Endpoint { name: name.to_owned(), source })?;
    let mut without_effect = Vec::new();
    for (name, value) in &given {
        let shown = match known_settings().get(name.as_str()) {
            None if is_of_a_plugin(name) => None,
            None => {
                let nearest = nearest(name);
                return Err(SettingError::Unknown { name: name.clone(), nearest });
            }
            Some(known) => {
                check(known, value).map_err(|source| {
                    let (name, value) = (name.clone(), value.clone());
                    SettingError::Value { name, value, source }
                })?;
                Some(value.trim()).filter(|_| known.kind != Kind::Password)
            }
        };
        settings.note(name, shown, Source::Static);
        let has_effect = settings.apply(name, value).map_err(|source| {
            let (name, value) = (name.clone(), value.clone());
            SettingError::Value { name, value, source }
        })?;
        if !has_effect {
            without_effect.push(name.as_str());
        }
    }
    settings.fit_queue_to_requests(&given)?;
    if !without_effect.is_empty() {
        settings.warnings.push(format!(
            "settings of Kafka's that have no effect yet: {}",
            without_effect.join(", ")
        ));
    }
    Ok(settings)
}

impl Settings {
    /// These settings with others in front that were set while the broker runs. Values that Kafka
    /// would not take were refused when they came, and are left out.
    #[must_use]
    pub fn with(mut self, source: Source, given: &BTreeMap<String, String>) -> Settings {
        for (name, value) in given {
            if self.apply(name, value).is_ok() {
                self.note(name, Some(value.trim()), source);
            }
        }
        self
    }

    /// Whether a value that is set while the broker runs can have its effect.
    pub fn takes(&self, name: &str, value: &str) -> Result<(), ValueError> {
        self.clone().apply(name, value).map(|_| ())
    }

    /// Sets the field that a setting is about. False: it has no effect yet.
    fn apply(&mut self, name: &str, value: &str) -> Result<bool, ValueError> {
        match name {
            // They are looked at together.
            name if is_of_listeners(name) => {}
            "max.connections.per.ip" => self.max_connections_per_ip = size(value)?,
            "max.connections.per.ip.overrides" => {
                self.max_connections_per_ip_overrides = by_address(value)?;
            }
            "max.connections" => self.max_connections = size(value)?,
            "num.network.threads" => self.num_network_threads = size(value)?,
            "queued.max.request.bytes" => {
                let bytes = usize::try_from(long(value)?).ok().filter(|bytes| *bytes > 0);
                self.queued_max_request_bytes = bytes.unwrap_or(QUEUED_MAX_REQUEST_BYTES);
            }
            "socket.request.max.bytes" => self.socket_request_max_bytes = size(value)?,
            "connections.max.idle.ms" => {
                let millis = u64::try_from(long(value)?).ok();
                self.connections_max_idle = millis.map(Duration::from_millis);
            }
            "num.partitions" => self.num_partitions = int(value)?.unsigned_abs(),
            "auto.create.topics.enable" => self.auto_create_topics = truth(value)?,
            "accept.any.replication.factor" => {
                self.accept_any_replication_factor = truth(value)?;
            }
            "message.max.bytes" => self.message_max_bytes = size(value)?,
            "log.retention.check.interval.ms" => {
                self.log_retention_check_interval = millis(value)?;
            }
            "log.cleaner.backoff.ms" => self.log_cleaner_backoff = millis(value)?,
            "log.initial.task.delay.ms" => self.log_initial_task_delay = millis(value)?,
            // The defaults of topics, which are looked up where topics are.
            name if is_of_topics(name) => {}
            "group.min.session.timeout.ms" => self.group_min_session_timeout = millis(value)?,
            "group.max.session.timeout.ms" => self.group_max_session_timeout = millis(value)?,
            "group.initial.rebalance.delay.ms" => {
                self.group_initial_rebalance_delay = millis(value)?;
            }
            "group.max.size" => self.group_max_size = size(value)?,
            "group.coordinator.rebalance.protocols" => {
                if !list(value).contains(&"classic") {
                    return Err(ValueError::Classic);
                }
            }
            "group.classic.server.assignor" => {
                self.classic_server_assignor = match value.trim() {
                    "none" => ClassicServerAssignor::None,
                    _ => ClassicServerAssignor::RoundRobin,
                };
            }
            "offset.metadata.max.bytes" => self.offset_metadata_max_bytes = size(value)?,
            "offsets.retention.minutes" => {
                self.offsets_retention = Duration::from_secs(60 * size(value)? as u64);
            }
            "offsets.retention.check.interval.ms" => {
                self.offsets_retention_check_interval = millis(value)?;
            }
            "offsets.topic.num.partitions" => {
                self.offsets_topic_num_partitions = int(value)?.unsigned_abs();
            }
            "offsets.commit.timeout.ms" => self.offsets_commit_timeout = millis(value)?,
            "offsets.load.buffer.size" => self.offsets_load_buffer_size = size(value)?,
            "durability" => {
                self.durability = match value.trim() {
                    "os" => Durability::Os,
                    _ => Durability::Sync,
                };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// All requests together have at least the room of one, as Kafka checks it. If only the longest
    /// request was set, the room grows with it.
    fn fit_queue_to_requests(
        &mut self,
        given: &BTreeMap<String, String>,
    ) -> Result<(), SettingError> {
        const NAME: &str = "queued.max.request.bytes";
        let one = self.socket_request_max_bytes;
        if self.queued_max_request_bytes >= one {
            return Ok(());
        }
        if self.queued_max_request_bytes != QUEUED_MAX_REQUEST_BYTES
            && let Some(value) = given.get(NAME)
        {
            let (name, value) = (NAME.to_owned(), value.clone());
            return Err(SettingError::Value {
                name,
                value,
                source: ValueError::UnderOneRequest(one),
            });
        }
        self.queued_max_request_bytes = one;
        let source = self.effective.get(NAME).map_or(Source::Default, |shown| shown.source);
        self.note(NAME, Some(&one.to_string()), source);
        Ok(())
    }

    fn note(&mut self, name: &str, value: Option<&str>, source: Source) {
        let value = value.map(str::to_owned);
        let before = self.effective.remove(name).filter(|before| before.source != Source::Default);
        let behind = before.map_or_else(Vec::new, |Effective { value, source: from, behind }| {
            if from == source {
                return behind;
            }
            [vec![(from, value)], behind].concat()
        });
        self.effective.insert(name.to_owned(), Effective { value, source, behind });
    }
}
