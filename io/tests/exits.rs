//! How does the process leave: its disk full, its data in use, told to stop?
//!
//! A disk is made full by a limit on how long files may be, set while the broker runs: writing
//! further fails from then on, as it does without space.
#![cfg(target_os = "linux")]

#[path = "support/wire.rs"]
mod wire;

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, GroupId, JoinGroupRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use quorate_io::log::contract::record_set;
use rlimit::Resource;
use wire::Connection;

const NONE: i16 = 0;
const LOADING: i16 = 14;
const NOT_COORDINATOR: i16 = 16;
/// How long a file may be on a full disk. A broker that has just started has written less.
const FULL: u64 = 256 << 10;
/// What fills it in at most this many steps of 4,000 bytes.
const STEPS: i64 = 1000;

/// The binary as a child that ignores the signal which comes with too long a file.
struct Process {
    child: Child,
    address: String,
}

fn command(data: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_quorate")])
        .args(["--listen", "127.0.0.1:0", "--set", "group.initial.rebalance.delay.ms=60000"])
        .arg("--data")
        .arg(data)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Process {
    fn start(data: &Path) -> Process {
        let mut child = command(data).spawn().expect("the binary runs");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it says something");
        let (_, address) = line.split_once("listening on ").expect("it listens");
        Process { child, address: address.trim().to_owned() }
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.address).expect("it accepts")
    }

    fn fill_the_disk(&self) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        rlimit::prlimit(pid, Resource::FSIZE, Some((FULL, FULL)), None).expect("a child of ours");
    }

    fn terminate(&self) {
        let kill = [r#"kill -TERM "$0""#, &self.child.id().to_string()].map(str::to_owned);
        assert!(Command::new("sh").arg("-c").args(kill).status().expect("it runs").success());
    }

    /// Waits for its end: the exit code, and what it said of it.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let stderr = self.child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it is text");
        (self.child.wait().expect("it ends").code(), said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where a test fails; else it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic() -> TopicName {
    TopicName(text("clicks"))
}

fn group() -> GroupId {
    GroupId(text("orders"))
}

fn create_topic(connection: &mut Connection) {
    let topic = CreatableTopic::default()
        .with_name(topic())
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    assert_eq!(connection.call(7, &request).expect("an answer").topics[0].error_code, NONE);
}

/// Long enough to fill a disk in a short time.
fn value(number: i64) -> String {
    format!("{number:04000}")
}

/// Commits the offset; None if the connection ends instead of an answer.
fn commit(connection: &mut Connection, offset: i64) -> Option<i16> {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(&value(offset))));
    let topic =
        OffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic]);
    let answer = connection.call(8, &request);
    answer.ok().map(|answer| answer.topics[0].partitions[0].error_code)
}

fn committed(connection: &mut Connection) -> (i64, String) {
    let topic =
        OffsetFetchRequestTopic::default().with_name(topic()).with_partition_indexes(vec![0]);
    let request =
        OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]));
    loop {
        let answer = connection.call(7, &request).expect("an answer");
        if answer.error_code != LOADING {
            let found = &answer.topics[0].partitions[0];
            let metadata = found.metadata.as_ref().expect("there is one").to_string();
            return (found.committed_offset, metadata);
        }
    }
}

/// Appends the record; its offset, or None if the connection ends instead of an answer.
fn append(connection: &mut Connection, number: i64) -> Option<i64> {
    let set = record_set(&[value(number).as_bytes()], 1_700_000_000_000, (-1, -1), -1);
    let partition = PartitionProduceData::default().with_records(Some(set));
    let topic = TopicProduceData::default().with_name(topic()).with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let answer = connection.call(9, &request).ok()?;
    let told = &answer.responses[0].partition_responses[0];
    assert_eq!(told.error_code, NONE);
    Some(told.base_offset)
}

/// The batch at an offset, and the high watermark.
fn fetch(connection: &mut Connection, offset: i64) -> (Bytes, i64) {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1);
    let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_session_epoch(-1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    let answer = connection.call(12, &request).expect("an answer");
    let told = &answer.responses[0].partitions[0];
    assert_eq!(told.error_code, NONE);
    (told.records.clone().expect("a batch"), told.high_watermark)
}

/// What a broker says whose database can no longer be written.
fn disk_full(data: &Path, database: &str) -> String {
    format!(
        "error: writing to {} failed: FjallError: Io(Os {{ code: 27, kind: FileTooLarge, \
         message: \"File too large\" }}). What was acknowledged is kept, what was not may be \
         lost. Check the disk (space, health), then start again\n",
        data.join(database).display()
    )
}

#[test]
fn commits_that_were_acknowledged_before_the_disk_was_full_are_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Process::start(folder.path());
    let mut connection = broker.connect();
    create_topic(&mut connection);
    while commit(&mut connection, 0) != Some(NONE) {}
    broker.fill_the_disk();
    let failed = (1..STEPS).find(|offset| match commit(&mut connection, *offset) {
        Some(error) => {
            assert_eq!(error, NONE);
            false
        }
        None => true,
    });
    let failed = failed.expect("the disk is full in the end");
    assert_eq!(broker.ended(), (Some(4), disk_full(folder.path(), "coordinator")));

    let broker = Process::start(folder.path());
    let mut connection = broker.connect();
    let last = committed(&mut connection);
    // The one that failed was not acknowledged: it may be there or not.
    let allowed = [failed - 1, failed].map(|offset| (offset, value(offset)));
    assert!(allowed.contains(&last), "{last:?} is not one of {allowed:?}");
    broker.terminate();
    assert_eq!(broker.ended(), (Some(0), String::new()));
}

#[test]
fn records_that_were_acknowledged_before_the_disk_was_full_are_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Process::start(folder.path());
    let mut connection = broker.connect();
    create_topic(&mut connection);
    broker.fill_the_disk();
    let failed = (0..STEPS).find(|number| match append(&mut connection, *number) {
        Some(offset) => {
            assert_eq!(offset, *number);
            false
        }
        None => true,
    });
    let failed = failed.expect("the disk is full in the end");
    assert_eq!(broker.ended(), (Some(4), disk_full(folder.path(), "logs")));

    let broker = Process::start(folder.path());
    let mut connection = broker.connect();
    for number in 0..failed {
        let (batch, end) = fetch(&mut connection, number);
        assert!([failed, failed + 1].contains(&end), "{failed} are acknowledged, {end} are there");
        assert_eq!(batch[..8], number.to_be_bytes());
        // Behind the value is the number of headers alone.
        assert_eq!(batch[batch.len() - 4001..batch.len() - 1], *value(number).as_bytes());
    }
    broker.terminate();
    assert_eq!(broker.ended(), (Some(0), String::new()));
}

#[test]
fn a_second_process_on_the_same_data_leaves_with_3() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = Process::start(folder.path());
    let second = command(folder.path()).output().expect("the binary runs");
    let said = format!(
        "error: the data in {} is in use by another process; stop it, or choose another data \
         folder\n",
        folder.path().join("coordinator").display()
    );
    let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!((second.status.code(), stderr), (Some(3), said));
    first.terminate();
    assert_eq!(first.ended(), (Some(0), String::new()));
}

#[test]
fn an_address_in_use_is_left_with_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has one").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let output = command.args(["--ephemeral", "--listen", &address]).output();
    let output = output.expect("the binary runs");
    let said = format!(
        "error: cannot listen on {address}: Address already in use (os error 98); stop what \
         listens there, or choose another address with --listen HOST:PORT\n"
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), stderr), (Some(2), said));
}

#[test]
fn a_data_folder_that_cannot_be_one_is_left_with_4() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "something else").expect("a file");
    let output = command(&file).output().expect("the binary runs");
    let said = format!(
        "error: cannot open the data in {}: FjallError: Io(Os {{ code: 20, kind: NotADirectory, \
         message: \"Not a directory\" }}). Check that it is a folder which may be written, and the \
         disk (space, health), or choose another with --data\n",
        file.join("coordinator").display()
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), stderr), (Some(4), said));
}

/// Waits until the group that is being formed is there.
fn wait_for_the_group(connection: &mut Connection) {
    loop {
        let answer = connection.call(4, &ListGroupsRequest::default()).expect("an answer");
        let states: Vec<_> = answer.groups.iter().map(|group| &*group.group_state).collect();
        if states == ["PreparingRebalance"] {
            return;
        }
    }
}

#[test]
fn told_to_stop_it_answers_a_parked_join_and_leaves_with_0() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Process::start(folder.path());
    let (mut member, mut other) = (broker.connect(), broker.connect());
    create_topic(&mut other);
    while commit(&mut other, 0) != Some(NONE) {}
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let join = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    member.send(3, &join).expect("it reads");
    wait_for_the_group(&mut other);
    broker.terminate();
    let answer = member.answer::<JoinGroupRequest>(3).expect("an answer");
    assert_eq!((answer.error_code, answer.generation_id), (NOT_COORDINATOR, -1));
    let end = member.answer::<JoinGroupRequest>(3).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::UnexpectedEof));
    assert_eq!(broker.ended(), (Some(0), String::new()));
}
