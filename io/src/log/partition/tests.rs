//! What a partition answers, step by step as Kafka 4.4 was recorded to (subject logs).

use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::*;
use crate::guard::check::check;
use crate::log::contract::{RULES, record_set};

const T: i64 = 1_700_000_000_000;
const KEY: PartitionKey = PartitionKey { topic_id: Uuid::from_u128(1), index: 0 };
fn partition() -> Partition {
    Partition::new(KEY, 0, TailBudget::new(1 << 20))
}

/// Appends `values` and has them stored at once. Gives the offset, and for a repetition its time.
fn produce(
    partition: &mut Partition,
    producer: (i64, i16),
    sequence: i32,
    values: &[&str],
) -> Result<(i64, i64), ResponseError> {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    let set = record_set(&values, T, producer, sequence);
    let checked = check(&set, &RULES).expect("a good batch");
    match partition.append(1, &checked, T).map_err(|error| error.code())? {
        Appended::New(batch) => {
            partition.appended(batch.last);
            Ok((batch.base, -1))
        }
        Appended::Repeated(written) => Ok((written.base, written.max_timestamp)),
    }
}

/// Producer id and epoch, sequence, values; and the offset and time that are answered.
type Step<'a> = (i64, i16, i32, &'a [&'a str], Result<(i64, i64), ResponseError>);

#[test]
fn sequence_numbers_are_judged_as_kafka_does() {
    let mut log = partition();
    let out_of_order = Err(ResponseError::OutOfOrderSequenceNumber);
    let who = 5;
    let steps: [Step; 20] = [
        (who, 0, 0, &["a"], Ok((0, -1))),
        (who, 0, 1, &["b", "c"], Ok((1, -1))),
        (who, 0, 1, &["b", "c"], Ok((1, T + 1))),
        (who, 0, 0, &["a"], Ok((0, T))),
        (who, 0, 5, &["f"], out_of_order),
        (who, 0, 2, &["half"], out_of_order),
        (who, 0, 3, &["d"], Ok((3, -1))),
        (who, 0, 4, &["x"], Ok((4, -1))),
        (who, 0, 5, &["x"], Ok((5, -1))),
        (who, 0, 6, &["x"], Ok((6, -1))),
        (who, 0, 7, &["x"], Ok((7, -1))),
        (who, 0, 8, &["x"], Ok((8, -1))),
        (who, 0, 0, &["a"], out_of_order),
        (who, 0, 4, &["x"], Ok((4, T))),
        (who, 1, 0, &["next epoch"], Ok((9, -1))),
        (who, 0, 9, &["old epoch"], Err(ResponseError::InvalidProducerEpoch)),
        (who, 2, 5, &["not from 0"], out_of_order),
        (who + 1, 0, 0, &["stranger"], Ok((10, -1))),
        (who + 2, 0, 7, &["stranger from 7"], Ok((11, -1))),
        (who + 3, -1, 0, &["no epoch"], Ok((12, -1))),
    ];
    for (step, (id, epoch, sequence, values, answer)) in steps.into_iter().enumerate() {
        assert_eq!(produce(&mut log, (id, epoch), sequence, values), answer, "step {step}");
    }
    assert_eq!((log.end(), log.high_watermark()), (13, 13));
}

#[test]
fn a_sequence_goes_on_from_0_after_the_greatest() {
    let mut log = partition();
    assert_eq!(produce(&mut log, (9, 0), i32::MAX - 1, &["x", "y"]), Ok((0, -1)));
    assert_eq!(produce(&mut log, (9, 0), 0, &["x", "y"]), Ok((2, -1)));
    let out_of_order = Err(ResponseError::OutOfOrderSequenceNumber);
    assert_eq!(produce(&mut log, (9, 0), 1, &["x", "y"]), out_of_order);
    assert_eq!(produce(&mut log, (9, 0), i32::MAX - 1, &["x", "y"]), Ok((0, T + 1)));
}

/// Starts an append that is not stored yet.
fn begin(partition: &mut Partition, token: u64, sequence: i32) -> Appended {
    let set = record_set(&[b"v"], T, (9, 0), sequence);
    let checked = check(&set, &RULES).expect("a good batch");
    partition.append(token, &checked, T).expect("in order")
}

#[test]
fn what_is_not_stored_yet_cannot_be_read() {
    let mut log = partition();
    let Appended::New(first) = begin(&mut log, 1, 0) else { panic!("new") };
    let Appended::New(second) = begin(&mut log, 2, 1) else { panic!("new") };
    assert_eq!(log.read(0, 9999, true), Ok(ReadFrom::Memory(Vec::new())));
    assert!(log.appended(first.last));
    assert_eq!(log.read(0, 9999, true), Ok(ReadFrom::Memory(vec![first.bytes.clone()])));
    assert_eq!(log.read(1, 9999, true), Ok(ReadFrom::Memory(Vec::new())));
    assert_eq!(log.read(2, 9999, true), Ok(ReadFrom::Memory(Vec::new())));
    assert_eq!(log.read(3, 9999, true), Err(OutOfRange { offset: 3, start: 0, end: 2 }));
    assert_eq!(log.read(-1, 9999, true), Err(OutOfRange { offset: -1, start: 0, end: 2 }));
    assert!(log.appended(second.last));
    assert!(!log.appended(first.last), "it does not move back");
    let both = vec![first.bytes, second.bytes];
    assert_eq!(log.read(0, 9999, true), Ok(ReadFrom::Memory(both)));
}

#[test]
fn a_rejected_append_and_those_behind_it_leave_no_trace() {
    let mut log = partition();
    let Appended::New(first) = begin(&mut log, 1, 0) else { panic!("new") };
    log.appended(first.last);
    begin(&mut log, 2, 1);
    begin(&mut log, 3, 2);
    begin(&mut log, 4, 3);
    log.rejected(3);
    assert_eq!(log.end(), 2);
    log.rejected(2);
    assert_eq!(log.end(), 1);
    let Appended::New(again) = begin(&mut log, 5, 1) else { panic!("it was never stored") };
    assert_eq!(again.base, 1);
    log.rejected(4);
    assert_eq!(log.end(), 2, "what was taken back already is not taken back again");
    log.appended(again.last);
    let both = vec![first.bytes, again.bytes];
    assert_eq!(log.read(0, 9999, true), Ok(ReadFrom::Memory(both)));
}

#[test]
fn a_repetition_of_what_is_not_stored_yet_names_the_offset_to_wait_for() {
    let mut log = partition();
    begin(&mut log, 1, 0);
    let Appended::Repeated(written) = begin(&mut log, 2, 0) else { panic!("repeated") };
    assert_eq!((written.base, written.last(), log.high_watermark()), (0, 0, 0));
}

#[test]
fn older_batches_are_read_from_the_store() {
    let budget = TailBudget::new(500);
    let mut log = Partition::new(KEY, 0, budget.clone());
    for base in 0..10 {
        let produced = produce(&mut log, (-1, -1), -1, &["a record of some length"]);
        assert_eq!(produced, Ok((base, -1)));
    }
    assert!(budget.used() <= 500);
    let read = Read { partition: KEY, offset: 0, end: 10, max_bytes: 77, min_one: true };
    assert_eq!(log.read(0, 77, true), Ok(ReadFrom::Store(read)));
    assert!(matches!(log.read(9, 77, true), Ok(ReadFrom::Memory(batches)) if batches.len() == 1));
    drop(log);
    assert_eq!(budget.used(), 0);
}

/// As Kafka's recorded answers (subject logs, `delete_records`).
#[test]
fn records_are_deleted_up_to_an_offset() {
    let mut log = partition();
    for base in 0..6 {
        assert_eq!(produce(&mut log, (-1, -1), -1, &["x"]), Ok((base, -1)));
    }
    let to = |start| Ok(Some(Operation::TruncateBefore { partition: KEY, start }));
    assert_eq!((log.truncate_before(2), log.start()), (to(2), 2));
    assert_eq!(log.read(1, 99, true), Err(OutOfRange { offset: 1, start: 2, end: 6 }));
    assert_eq!((log.truncate_before(1), log.start()), (Ok(None), 2));
    let beyond = OutOfRange { offset: 99, start: 2, end: 6 };
    assert_eq!((log.truncate_before(99), log.start()), (Err(beyond), 2));
    assert_eq!((log.truncate_before(-1), log.start()), (to(6), 6));
    assert_eq!(log.end(), 6);
}

#[test]
fn a_snapshot_is_due_after_its_bytes_and_at_a_stop() {
    let mut log = partition();
    assert_eq!(log.snapshot(true), None);
    let megabyte = "m".repeat(1 << 20);
    assert_eq!(produce(&mut log, (9, 0), 0, &[&megabyte]), Ok((0, -1)));
    assert_eq!(log.snapshot(false), None);
    for sequence in 1..16 {
        let produced = produce(&mut log, (9, 0), sequence, &[&megabyte]);
        assert_eq!(produced, Ok((i64::from(sequence), -1)));
    }
    let Some(Operation::Snapshot { partition, snapshot }) = log.snapshot(false) else {
        panic!("16 MiB were appended")
    };
    assert_eq!((partition, snapshot.end), (KEY, 16));
    assert_eq!(Snapshot::decode(&snapshot.encode()), Some(snapshot));
    assert_eq!(log.snapshot(true), None);
}
