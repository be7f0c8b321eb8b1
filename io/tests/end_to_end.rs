//! Does librdkafka, which most users have under their client, find a broker here?

#[path = "support/broker.rs"]
mod broker;

use std::collections::BTreeSet;
use std::time::Duration;

use broker::Broker;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;
const RECORDS: i64 = 200;
/// How long anything may take that does happen; only a failure takes as long.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A record, as partition, offset and value.
type Read = (i32, i64, String);

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.address);
    config
}

fn create_topic(broker: &Broker) {
    let admin: AdminClient<DefaultClientContext> = client(broker).create().expect("a client");
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let created = runtime.block_on(admin.create_topics([&topic], &options));
    assert_eq!(created, Ok(vec![Ok(TOPIC.to_owned())]));
}

fn member(broker: &Broker) -> BaseConsumer {
    let mut config = client(broker);
    config
        .set("group.id", "readers")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("heartbeat.interval.ms", "200");
    let consumer: BaseConsumer = config.create().expect("a client");
    consumer.subscribe(&[TOPIC]).expect("a subscription");
    consumer
}

/// Lets all consumers do what is theirs, until `done`; gives what each of them read.
fn poll_until(
    consumers: &[&BaseConsumer],
    what: &str,
    mut done: impl FnMut(&[Vec<Read>]) -> bool,
) -> Vec<Vec<Read>> {
    let mut read = vec![Vec::new(); consumers.len()];
    let turns = LIMIT.as_millis() / POLL.as_millis() / consumers.len() as u128;
    for _ in 0..turns {
        for (consumer, read) in consumers.iter().zip(&mut read) {
            if let Some(message) = consumer.poll(POLL) {
                let message = message.expect("a record");
                let value = String::from_utf8_lossy(message.payload().expect("a value"));
                read.push((message.partition(), message.offset(), value.into_owned()));
            }
        }
        if done(&read) {
            return read;
        }
    }
    panic!("after {LIMIT:?} it is not so that {what}: {read:?}");
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let assignment = consumer.assignment().expect("an assignment");
    assignment.elements().iter().map(|element| element.partition()).collect()
}

/// Produces to each partition in turn; gives the records as they must be read, sorted.
fn produce(broker: &Broker) -> Vec<Read> {
    let producer: BaseProducer =
        client(broker).set("enable.idempotence", "true").create().expect("a client");
    let mut sent = Vec::new();
    for number in 0..RECORDS {
        let partition = (number % i64::from(PARTITIONS)) as i32;
        let value = format!("order {number}");
        let record = BaseRecord::<(), _>::to(TOPIC).partition(partition).payload(&value);
        producer.send(record).expect("room for a record");
        sent.push((partition, number / i64::from(PARTITIONS), value));
    }
    producer.flush(LIMIT).expect("all are acknowledged");
    sent.sort();
    sent
}

#[test]
fn two_members_share_a_topic_and_the_next_one_finds_their_offsets() {
    let broker = Broker::start(&["--ephemeral"]);
    create_topic(&broker);
    let (first, second) = (member(&broker), member(&broker));
    poll_until(&[&first, &second], "each has half of the partitions", |_| {
        let (first, second) = (assigned(&first), assigned(&second));
        let all: BTreeSet<i32> = first.union(&second).copied().collect();
        first.len() == 2 && second.len() == 2 && all == (0..PARTITIONS).collect()
    });

    let sent = produce(&broker);
    let read = poll_until(&[&first, &second], "every record is read", |read| {
        read.iter().map(Vec::len).sum::<usize>() >= sent.len()
    });
    for (consumer, read) in [&first, &second].into_iter().zip(&read) {
        let partitions: BTreeSet<i32> = read.iter().map(|(partition, ..)| *partition).collect();
        assert_eq!(partitions, assigned(consumer));
    }
    let mut read = read.concat();
    read.sort();
    assert_eq!(read, sent);

    for consumer in [first, second] {
        consumer.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }
    let third = member(&broker);
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(TOPIC, 0, PARTITIONS - 1);
    let found = third.committed_offsets(asked, LIMIT).expect("the offsets of the group");
    let each = Offset::Offset(RECORDS / i64::from(PARTITIONS));
    let expected: Vec<_> = (0..PARTITIONS).map(|partition| (partition, each)).collect();
    let elements = found.elements();
    let found: Vec<_> =
        elements.iter().map(|element| (element.partition(), element.offset())).collect();
    assert_eq!(found, expected);
}
