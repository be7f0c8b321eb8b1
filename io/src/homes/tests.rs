//! Homes by themselves, over a log that completes when the test says so.

use std::sync::{Arc, Mutex};

use kafka_protocol::ResponseError;
use tokio::sync::Notify;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::disk::locked;
use crate::log::contract::{RULES, record_set};
use crate::log::producers::SequenceError;

const T: i64 = 1_700_000_000_000;
const KEY: PartitionKey = PartitionKey { topic_id: Uuid::from_u128(1), index: 0 };
const OTHER: PartitionKey = PartitionKey { topic_id: Uuid::from_u128(2), index: 3 };

/// What was submitted, and what is to complete.
#[derive(Default)]
struct Script {
    submitted: Vec<(u64, Operation)>,
    completed: Vec<Completion>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Log for Scripted {
    fn submit(&mut self, token: u64, operation: Operation) {
        locked(&self.0).submitted.push((token, operation));
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut locked(&self.0).completed);
    }
}

impl Scripted {
    /// Completes the oldest operation.
    fn complete(&self, outcome: Outcome) {
        let mut script = locked(&self.0);
        let (token, _) = script.submitted.remove(0);
        script.completed.push(Completion { token, outcome });
    }

    /// The oldest operation is an append, and stored.
    fn store(&self) {
        let (_, operation) = locked(&self.0).submitted[0].clone();
        let Operation::Append { partition, batch } = operation else { panic!("{operation:?}") };
        self.complete(Outcome::Appended { partition, last: batch.last });
    }
}

fn homes() -> (Homes, Scripted) {
    let log = Scripted::default();
    (Homes::new(Box::new(log.clone()), 0, TailBudget::new(1 << 20), Vec::new()), log)
}

fn now(minutes: u64) -> Now {
    let mono = Instant::after_start(Duration::from_secs(60 * minutes));
    Now { mono, wall: WallTime(T + 60_000 * minutes as i64) }
}

fn append(homes: &mut Homes, key: PartitionKey, sequence: i32) -> Appending {
    let set = record_set(&[b"v"], T, (9, 0), sequence);
    homes.append(key, &set, &RULES, WallTime(T)).expect("it is in order")
}

fn watch(homes: &mut Homes, number: u64, high_watermarks: [i64; 2]) -> Arc<Notify> {
    let wake = Arc::new(Notify::new());
    let seen = [KEY, OTHER].into_iter().zip(high_watermarks);
    let seen = seen.map(|(partition, high_watermark)| Seen { partition, high_watermark });
    homes.watch(WatchId { core: 1, number }, seen.collect(), Arc::clone(&wake));
    wake
}

fn is_woken(wake: &Notify) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = wake.notified() => true,
            () = std::future::ready(()) => false,
        }
    })
}

#[test]
fn a_producer_is_told_when_its_own_append_is_stored() {
    let (mut homes, log) = homes();
    let mut first = append(&mut homes, KEY, 0);
    let mut second = append(&mut homes, KEY, 1);
    let mut again = append(&mut homes, KEY, 0);
    assert_eq!((first.base, second.base, again.base, again.append_time), (0, 1, 0, T));
    homes.turn(now(0));
    assert_eq!(first.stored.try_recv(), Err(TryRecvError::Empty));
    log.store();
    homes.turn(now(0));
    assert_eq!(first.stored.try_recv(), Ok(Ok(())));
    assert_eq!(again.stored.try_recv(), Ok(Ok(())));
    assert_eq!(second.stored.try_recv(), Err(TryRecvError::Empty));
    assert!(homes.storing_bytes() > 0);
    log.store();
    homes.turn(now(0));
    assert_eq!(second.stored.try_recv(), Ok(Ok(())));
    assert_eq!(append(&mut homes, KEY, 1).stored.try_recv(), Ok(Ok(())), "repeated and stored");
    assert_eq!(homes.storing_bytes(), 0);
}

#[test]
fn producers_are_told_to_look_for_the_leader_when_their_append_is_refused() {
    let (mut homes, log) = homes();
    let mut first = append(&mut homes, KEY, 0);
    let mut second = append(&mut homes, KEY, 1);
    let cause = "the store sleeps".to_owned();
    log.complete(Outcome::Rejected(Rejection::Unavailable { partition: KEY, cause }));
    homes.turn(now(0));
    for stored in [&mut first.stored, &mut second.stored] {
        assert_eq!(stored.try_recv(), Ok(Err(ResponseError::NotLeaderOrFollower)));
    }
    assert_eq!(homes.partition(KEY).end(), 0);
}

#[test]
fn a_gap_is_refused_and_asks_nothing_of_the_log() {
    let (mut homes, log) = homes();
    append(&mut homes, KEY, 0);
    let set = record_set(&[b"v"], T, (9, 0), 5);
    let refused = homes.append(KEY, &set, &RULES, WallTime(T)).expect_err("it is not in order");
    let fault = SequenceError::OutOfOrder { producer_id: 9, found: 5, expected: 1 };
    assert_eq!(refused, AppendError::Sequence { fault });
    assert_eq!(locked(&log.0).submitted.len(), 1);
}

#[test]
fn a_fetch_is_woken_once_by_the_first_partition_that_moves() {
    let (mut homes, log) = homes();
    let wake = watch(&mut homes, 1, [0, 0]);
    append(&mut homes, OTHER, 0);
    homes.turn(now(0));
    assert!(!is_woken(&wake), "nothing is stored yet");
    log.store();
    homes.turn(now(0));
    assert!(is_woken(&wake));
    assert_eq!(homes.watchers.len(), 0);
    assert!(is_woken(&watch(&mut homes, 2, [0, 0])), "it has not seen what has come");
    assert!(!is_woken(&watch(&mut homes, 3, [0, 1])));
}

#[test]
fn a_fetch_that_is_given_up_leaves_nothing_behind() {
    let (mut homes, _) = homes();
    let (one, two) = (watch(&mut homes, 1, [0, 0]), watch(&mut homes, 2, [0, 0]));
    homes.unwatch(WatchId { core: 1, number: 1 });
    assert_eq!(homes.watchers.len(), 1);
    homes.stop();
    assert_eq!((is_woken(&one), is_woken(&two), homes.watchers.len()), (false, true, 0));
}

#[test]
fn who_waits_for_a_partition_is_told_when_its_topic_is_deleted() {
    let (mut homes, log) = homes();
    let mut appending = append(&mut homes, KEY, 0);
    let wake = watch(&mut homes, 1, [0, 0]);
    homes.delete(KEY.topic_id, true);
    assert_eq!(appending.stored.try_recv(), Err(TryRecvError::Closed));
    assert!(is_woken(&wake));
    log.store();
    homes.turn(now(0));
    let delete = Operation::Delete { topic_id: KEY.topic_id };
    assert_eq!(locked(&log.0).submitted, [(2, delete)]);
}

#[test]
fn a_stop_is_quiet_once_the_producers_are_stored() {
    let (mut homes, log) = homes();
    append(&mut homes, KEY, 0);
    log.store();
    homes.turn(now(0));
    assert!(!homes.is_quiet());
    let (_, operation) = locked(&log.0).submitted[0].clone();
    assert!(matches!(operation, Operation::Snapshot { partition: KEY, .. }), "{operation:?}");
    log.complete(Outcome::Done);
    assert!(homes.is_quiet());
}

#[test]
fn a_producer_that_is_silent_for_a_day_is_forgotten() {
    let (mut homes, log) = homes();
    homes.turn(now(0));
    assert_eq!(homes.next_deadline(), Some(now(10).mono));
    append(&mut homes, KEY, 0);
    log.store();
    homes.turn(now(24 * 60));
    assert_eq!(append(&mut homes, KEY, 0).append_time, T, "it is known for the day");
    homes.turn(now(24 * 60 + 11));
    assert_eq!(append(&mut homes, KEY, 0).append_time, -1, "it is one like any other");
}

#[test]
fn producer_ids_are_taken_one_by_one() {
    let (mut homes, _) = homes();
    assert_eq!(homes.take_producer_id(), None);
    homes.add_producer_ids(5..7);
    let taken: Vec<_> = (0..3).map(|_| homes.take_producer_id()).collect();
    assert_eq!(taken, [Some(5), Some(6), None]);
}
