//! The catalog on disk: a keyspace of the database that it shares with the coordinator's journal.
//!
//! Rows: `t` and a topic's id for a topic; `g` with a kind and a name for the configs of a broker
//! or group; `cluster`, `format`, `epoch`, `run` (how the last run ended, or how it stores while it
//! lasts) and `producer` (the first id not handed out).

use std::collections::BTreeMap;
use std::sync::Arc;

use fjall::{Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};

use super::state::{Row, State};
use super::{
    Boot, Catalog, Completion, Configs, Entropy, FORMAT, Identity, NODE_ID, Operation, Resource,
    Topic, Topics, id_text, random_id,
};
use crate::disk::codec::{Decoder, Encoder};
use crate::disk::{self, Database, Durability, Mailbox, OpenError, Queue, Wake};

const KEYSPACE: &str = "catalog";
const MEMTABLE_BYTES: u64 = 1 << 20;
/// Counted for each operation besides its own bytes.
const ROW_BYTES: usize = 64;

const CLUSTER: &[u8] = b"cluster";
const FORMAT_ROW: &[u8] = b"format";
const EPOCH: &[u8] = b"epoch";
const RUN: &[u8] = b"run";
const PRODUCER: &[u8] = b"producer";

const CLEAN: &[u8] = b"clean";
const RUNS_SYNC: &[u8] = b"sync";
const RUNS_OS: &[u8] = b"os";

/// The catalog of a database.
pub struct FjallCatalog {
    rows: Keyspace,
    state: State,
    queue: Queue,
    mailbox: Arc<Mailbox<Completion>>,
}

impl FjallCatalog {
    /// Opens the catalog that is in `database`, or makes one, and notes that the broker runs.
    ///
    /// `queue` is that of the database's writer, `wake` wakes the thread that owns the catalog.
    pub fn open(
        database: &Database,
        queue: Queue,
        entropy: Entropy<'_>,
        wake: Wake,
    ) -> Result<(Self, Boot), OpenError> {
        let options = KeyspaceCreateOptions::default()
            .max_memtable_size(MEMTABLE_BYTES)
            .manual_journal_persist(true);
        let rows = database.keyspace(KEYSPACE, options)?;
        let store = Store { database, rows: &rows };
        let identity = store.identity(entropy)?;
        let (leader_epoch, clean) = store.begin_run(&identity)?;
        let topics = Topics::new(store.topics()?);
        let next_producer_id = store.number(PRODUCER)?.unwrap_or(0);
        let configs = store.configs()?;
        let state = State::new(topics.clone(), configs.clone(), next_producer_id);
        let catalog = Self { rows, state, queue, mailbox: Mailbox::new(wake) };
        Ok((catalog, Boot { identity, topics, configs, leader_epoch, clean }))
    }
}

impl Catalog for FjallCatalog {
    fn submit(&mut self, token: u64, operation: Operation) {
        let (outcome, row) = self.state.apply(operation);
        self.queue.submit(Box::new(Write {
            rows: self.rows.clone(),
            row,
            completion: Completion { token, outcome },
            mailbox: Arc::clone(&self.mailbox),
        }));
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        self.mailbox.take(out);
    }
}

/// An operation that was decided. One that was refused goes the same way, without a row, so that
/// it does not overtake what it was refused for.
struct Write {
    rows: Keyspace,
    row: Option<Row>,
    completion: Completion,
    mailbox: Arc<Mailbox<Completion>>,
}

impl disk::Operation for Write {
    fn bytes(&self) -> usize {
        let configs = match &self.row {
            Some(Row::Put(topic)) => &topic.configs,
            Some(Row::Configs(_, configs)) => configs,
            _ => return ROW_BYTES,
        };
        // A name has at most 249 bytes, that of a group 32 KiB.
        ROW_BYTES + configs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }

    fn write(&mut self, batch: &mut OwnedWriteBatch) -> fjall::Result<()> {
        match &self.row {
            Some(Row::Put(topic)) => batch.insert(&self.rows, topic_key(topic), encode(topic)),
            Some(Row::Remove(id)) => batch.remove(&self.rows, [b"t", &id.as_bytes()[..]].concat()),
            Some(Row::Configs(of, configs)) => {
                let key = configs_key(of);
                if configs.is_empty() {
                    batch.remove(&self.rows, key);
                } else {
                    let mut row = Encoder::default();
                    encode_configs(&mut row, configs);
                    batch.insert(&self.rows, key, row.finish());
                }
            }
            Some(Row::NextProducerId(id)) => batch.insert(&self.rows, PRODUCER, id.to_be_bytes()),
            Some(Row::Clean) => batch.insert(&self.rows, RUN, CLEAN),
            None => {}
        }
        Ok(())
    }

    fn written(self: Box<Self>) {
        self.mailbox.push(self.completion);
    }
}

/// The rows while the catalog is opened.
struct Store<'a> {
    database: &'a Database,
    rows: &'a Keyspace,
}

impl Store<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<fjall::Slice>, OpenError> {
        self.rows.get(key).map_err(|error| self.database.failed(error))
    }

    fn number(&self, key: &[u8]) -> Result<Option<i64>, OpenError> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let name = String::from_utf8_lossy(key);
        let value = (&*value).try_into().map_err(|_| {
            self.database.damaged(format!("row {name} has {} bytes, not 8", value.len()))
        })?;
        Ok(Some(i64::from_be_bytes(value)))
    }

    fn identity(&self, entropy: Entropy<'_>) -> Result<Identity, OpenError> {
        let format = self.number(FORMAT_ROW)?.unwrap_or(FORMAT.into());
        let format = u32::try_from(format).unwrap_or(u32::MAX);
        if format > FORMAT {
            let folder = self.database.folder().to_owned();
            return Err(OpenError::NewerFormat { folder, found: format, known: FORMAT });
        }
        let cluster_id = match self.get(CLUSTER)? {
            Some(id) => String::from_utf8_lossy(&id).into_owned(),
            None => id_text(random_id(entropy)),
        };
        Ok(Identity { cluster_id, node_id: NODE_ID, format })
    }

    /// Stores that the broker runs, and gives the leader epoch, and whether the last stop was
    /// clean. It is synced in any case: a mark of a clean stop that comes back after a power
    /// failure would hide that records are lost.
    fn begin_run(&self, identity: &Identity) -> Result<(i32, bool), OpenError> {
        let last = self.get(RUN)?;
        let clean = last.as_deref().is_none_or(|last| last == CLEAN);
        let lost = i64::from(last.as_deref() == Some(RUNS_OS));
        let epoch = self.number(EPOCH)?.unwrap_or(0) + lost;
        let mut batch = self.database.batch();
        batch.insert(self.rows, FORMAT_ROW, i64::from(FORMAT).to_be_bytes());
        batch.insert(self.rows, CLUSTER, identity.cluster_id.as_str());
        batch.insert(self.rows, EPOCH, epoch.to_be_bytes());
        let runs = match self.database.durability() {
            Durability::Sync => RUNS_SYNC,
            Durability::Os => RUNS_OS,
        };
        batch.insert(self.rows, RUN, runs);
        self.database.commit(batch)?;
        self.database.sync().map_err(|error| self.database.failed(error))?;
        let epoch = i32::try_from(epoch)
            .map_err(|_| self.database.damaged(format!("leader epoch {epoch} is out of range")))?;
        Ok((epoch, clean))
    }

    fn topics(&self) -> Result<Vec<Topic>, OpenError> {
        let rows = self.rows.prefix(b"t").map(|row| {
            let (key, value) = row.into_inner().map_err(|error| self.database.failed(error))?;
            decode(&key, &value)
                .ok_or_else(|| self.database.damaged(format!("topic row {key:02x?}")))
        });
        rows.collect()
    }

    fn configs(&self) -> Result<Configs, OpenError> {
        let rows = self.rows.prefix(b"g").map(|row| {
            let (key, value) = row.into_inner().map_err(|error| self.database.failed(error))?;
            let configs = decode_configs(&mut Decoder::new(&value));
            parse_configs_key(&key)
                .zip(configs)
                .ok_or_else(|| self.database.damaged(format!("config row {key:02x?}")))
        });
        rows.collect()
    }
}

/// The kinds of resources in keys.
const BROKERS: u8 = 0;
const BROKER: u8 = 1;
const GROUP: u8 = 2;

fn configs_key(of: &Resource) -> Vec<u8> {
    let mut key = Encoder::default();
    key.raw(b"g");
    match of {
        Resource::Brokers => key.u8(BROKERS),
        Resource::Broker(id) => key.u8(BROKER).i32(*id),
        Resource::Group(name) => key.u8(GROUP).str(name),
        Resource::Topic(_) => unreachable!("a topic's configs are in its row"),
    };
    key.finish()
}

fn parse_configs_key(key: &[u8]) -> Option<Resource> {
    let mut key = Decoder::new(key);
    key.u8()?;
    let of = match key.u8()? {
        BROKERS => Resource::Brokers,
        BROKER => Resource::Broker(key.i32()?),
        GROUP => Resource::Group(key.str()?.into()),
        _ => return None,
    };
    key.end()?;
    Some(of)
}

fn encode_configs(row: &mut Encoder, configs: &BTreeMap<String, String>) {
    row.count(configs.len());
    for (name, value) in configs {
        row.str(name).str(value);
    }
}

fn decode_configs(row: &mut Decoder<'_>) -> Option<BTreeMap<String, String>> {
    (0..row.count()?).map(|_| Some((row.str()?.to_owned(), row.str()?.to_owned()))).collect()
}

fn topic_key(topic: &Topic) -> Vec<u8> {
    [b"t", &topic.id.as_bytes()[..]].concat()
}

fn encode(topic: &Topic) -> Vec<u8> {
    let mut row = Encoder::default();
    row.str(&topic.name).i32(topic.partitions).u8(topic.internal.into());
    encode_configs(&mut row, &topic.configs);
    row.finish()
}

fn decode(key: &[u8], value: &[u8]) -> Option<Topic> {
    let mut key = Decoder::new(key);
    key.u8()?;
    let id = key.uuid()?;
    key.end()?;
    let mut row = Decoder::new(value);
    let name = row.str()?.into();
    let partitions = row.i32()?;
    let internal = row.u8()? != 0;
    let configs = decode_configs(&mut row)?;
    row.end()?;
    Some(Topic { name, id, partitions, configs, internal })
}
