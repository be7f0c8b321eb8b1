//! What a broker that stops still answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, CreateTopicsResponse, GroupId, HeartbeatResponse,
    JoinGroupResponse, OffsetCommitRequest, OffsetCommitResponse, SyncGroupResponse, TopicName,
};
use quorate_core::{Epoch, ShardId};
use quorate_io::broker::Stores;
use quorate_io::cli::Settings;
use quorate_io::journal::{Append, Completion, Journal, JournalStore, Wake};
use tokio::net::TcpListener;

use crate::broker::{
    Client, framed, heartbeat, join, start, start_with, sync, text, two_joined, wait_for,
};

const NOT_COORDINATOR: i16 = 16;

#[test]
fn a_stop_closes_connections_that_ask_nothing() {
    let broker = start(2);
    let mut client = broker.connect();
    client.send(&framed(ApiKey::Heartbeat, 4, 5, &heartbeat("orders")));
    assert_eq!(client.receive::<HeartbeatResponse>(4).0, 5);
    assert_eq!(broker.stop(), Ok(()));
    assert!(client.is_closed());
}

#[test]
fn a_stop_answers_who_is_parked() {
    let broker = start(2);
    let mut leader = broker.connect();
    leader.send(&framed(ApiKey::JoinGroup, 3, 1, &join("orders", "")));
    leader.receive::<JoinGroupResponse>(3);
    // The leader never joins again, so the second member is parked for as long.
    let mut follower = broker.connect();
    follower.send(&framed(ApiKey::JoinGroup, 3, 8, &join("orders", "")));
    wait_for(&broker, "PreparingRebalance");
    assert_eq!(broker.stop(), Ok(()));
    let (id, answer) = follower.receive::<JoinGroupResponse>(3);
    assert_eq!((id, answer.error_code), (8, NOT_COORDINATOR));
    assert!(follower.is_closed());
}

#[test]
fn a_stop_answers_who_waits_for_the_leaders_assignment() {
    let broker = start(1);
    let [_leader, (mut follower, id)] = two_joined(&broker, "orders");
    follower.send(&framed(ApiKey::SyncGroup, 3, 8, &sync("orders", 2, &id)));
    wait_for(&broker, "CompletingRebalance");
    assert_eq!(broker.stop(), Ok(()));
    let (number, answer) = follower.receive::<SyncGroupResponse>(3);
    assert_eq!((number, answer.error_code), (8, NOT_COORDINATOR));
    assert!(follower.is_closed());
}

/// Holds back what a journal is to store.
struct Gate {
    open: AtomicBool,
    came: Mutex<Sender<()>>,
    wakes: Mutex<Vec<Wake>>,
}

impl Gate {
    fn new() -> (Arc<Gate>, Receiver<()>) {
        let (came, comes) = channel();
        let (open, wakes) = (AtomicBool::new(false), Mutex::default());
        (Arc::new(Gate { open, came: Mutex::new(came), wakes }), comes)
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        self.wakes.lock().expect("no panic").iter().for_each(|wake| wake());
    }
}

/// A journal behind a gate, and a handle of it.
struct Gated<J> {
    journal: J,
    gate: Arc<Gate>,
    held: Vec<Append>,
}

impl JournalStore for Gated<Arc<dyn JournalStore>> {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        self.gate.wakes.lock().expect("no panic").push(Arc::clone(&wake));
        let (journal, gate) = (self.journal.handle(wake), Arc::clone(&self.gate));
        Box::new(Gated { journal, gate, held: Vec::new() })
    }
}

impl Journal for Gated<Box<dyn Journal>> {
    fn acquire(&mut self, shards: &[ShardId]) {
        self.journal.acquire(shards);
    }

    fn replay(&mut self, shard: ShardId, epoch: Epoch) {
        self.journal.replay(shard, epoch);
    }

    fn append(&mut self, appends: Vec<Append>) {
        self.held.extend(appends);
        self.gate.came.lock().expect("no panic").send(()).expect("the test listens");
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        if self.gate.open.load(Ordering::SeqCst) && !self.held.is_empty() {
            self.journal.append(std::mem::take(&mut self.held));
        }
        self.journal.poll(out);
    }
}

fn create(client: &mut Client, topic: &TopicName) {
    let topic = CreatableTopic::default()
        .with_name(topic.clone())
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic]);
    client.send(&framed(ApiKey::CreateTopics, 7, 1, &request));
    let (_, created) = client.receive::<CreateTopicsResponse>(7);
    assert_eq!(created.topics[0].error_code, 0);
}

#[test]
fn a_stop_waits_for_a_commit_that_is_being_stored_and_answers_it() {
    let (gate, comes) = Gate::new();
    let behind = Arc::clone(&gate);
    let gated = |stores: Stores| {
        let gated = Gated { journal: stores.journal, gate: behind, held: Vec::new() };
        Stores { journal: Arc::new(gated), ..stores }
    };
    let broker = start_with::<TcpListener>(2, Settings::default(), gated, |listener| listener);
    let mut client = broker.connect();
    let topic = TopicName(text("clicks"));
    create(&mut client, &topic);
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(5);
    let topic =
        OffsetCommitRequestTopic::default().with_name(topic).with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("orders")))
        .with_topics(vec![topic]);
    client.send(&framed(ApiKey::OffsetCommit, 8, 6, &commit));
    comes.recv().expect("it is to be stored");
    let stopped = broker.stop_while(|| gate.open());
    assert_eq!(stopped, Ok(()));
    let (id, committed) = client.receive::<OffsetCommitResponse>(8);
    assert_eq!((id, committed.topics[0].partitions[0].error_code), (6, 0));
    assert!(client.is_closed());
}
