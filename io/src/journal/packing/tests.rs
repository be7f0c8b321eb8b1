//! What an append is in bytes, and back.

use bytes::Bytes;
use quorate_core::record::{OffsetAndMetadata, RecordKey, RecordValue};
use quorate_core::{
    Batch, BatchId, Epoch, GroupId, Offset, Record, ShardId, Text, TopicName, WallTime,
};

use super::super::Append;
use super::{HEADER, Item, Names, Packed, Row, UNSHARED, put_row, put_shared};

fn offset(partition: i32, value: Option<(i64, &str)>) -> Record {
    let (group, topic) = (GroupId::from("shop"), TopicName::from("orders"));
    let row = value.map(|(offset, metadata)| OffsetAndMetadata {
        offset,
        leader_epoch: -1,
        metadata: Text::from(metadata),
        committed_at: WallTime(1_000),
        expires_at: None,
        topic_id: Default::default(),
    });
    let key = RecordKey::Offset { group, topic, partition };
    Record { key, value: row.map(RecordValue::Offset) }
}

fn append(records: Vec<Record>) -> Append {
    let batch = Batch { id: BatchId(1), epoch: Epoch(3), base: Offset(7), records };
    Append { shard: ShardId(0), batches: vec![batch] }
}

fn records(item: &Item) -> Option<Vec<Record>> {
    let mut names = Names::default();
    let record = |row: &Row| row.record(&mut names).expect("it decodes").expect("it is known");
    item.rows().map(|rows| rows.iter().map(record).collect())
}

#[test]
fn a_row_does_not_repeat_what_it_shares_with_the_one_before_it() {
    let written = vec![
        offset(0, Some((41, ""))),
        offset(1, Some((42, ""))),
        offset(1, None),
        offset(258, Some((42, "of another length"))),
    ];
    let packed = Packed::new(&append(written.clone())).expect("it has records").finish(99);
    let head = b"\x02\0\0\0\0\0\0\0\x03\0\0\0\x04\0\0\0\0\0\0\0\x63";
    let rows = [
        // All of the first key, 20 bytes, and of its value, 24.
        &b"\0\x14\0\x01\0\x04shop\0\x06orders\0\0\0\0"[..],
        b"\x19\0\0\x04\0\0\0\0\0\0\0\x29\xff\xff\xff\xff\x01\0\0\0\0\0\0\x03\xe8\0",
        // The last byte of the key, and the value up to the offset.
        b"\x13\x01\x01\x0b\x0e\0\x04\0\0\0\0\0\0\0\x2a",
        // The same key, and a tombstone.
        b"\x14\0\0",
        // What the value shares is what it shares with the last one that there was.
        b"\x12\x02\x01\x02\x21\x09\0\x04\0\0\0\0\0\0\0\x2a\xff\xff\xff\xff\x12of another length",
    ];
    assert_eq!(
        packed.escape_ascii().to_string(),
        [head, &rows.concat()[..]].concat().escape_ascii().to_string()
    );
    let item = Item::new(Offset(7), packed).expect("a header");
    assert_eq!(
        (item.epoch, item.base, item.end(), item.log_bytes),
        (Epoch(3), Offset(7), Offset(11), 99)
    );
    assert_eq!(records(&item), Some(written));
}

/// The item of rows that are put one by one, without a look at the records.
fn by_bytes(records: &[Record]) -> Vec<u8> {
    let (mut rows, mut key, mut value) = (Vec::new(), Bytes::new(), Bytes::new());
    for record in records {
        let encoded = quorate_core::record::encode::encode(record).expect("it fits");
        let pair = encoded.value.as_deref().map(|new| (new, &value[..]));
        put_shared(&mut rows, &encoded.key, &key, pair);
        key = encoded.key;
        value = encoded.value.unwrap_or(value);
    }
    rows
}

#[test]
fn rows_that_follow_one_another_are_what_they_are_when_all_bytes_are_compared() {
    let other = |change: fn(&mut OffsetAndMetadata)| {
        let mut record = offset(9, Some((42, "m")));
        let Some(RecordValue::Offset(row)) = &mut record.value else { panic!("an offset") };
        change(row);
        record
    };
    let mut records: Vec<Record> = [0, 1, 0x0101, 0x0001_0101, -1, -1, i32::MIN, 7]
        .into_iter()
        .zip([0, 1, 0x0101, -1, -1, i64::MAX, 5, 5])
        .map(|(partition, at)| offset(partition, Some((at, "m"))))
        .collect();
    records.extend([
        offset(9, None),
        offset(9, Some((42, "m"))),
        offset(9, Some((42, "n"))),
        other(|row| row.leader_epoch = 0),
        other(|row| row.committed_at = WallTime(1_001)),
        other(|row| row.expires_at = Some(WallTime(5))),
        other(|row| row.expires_at = Some(WallTime(6))),
        other(|row| row.topic_id = uuid::Uuid::from_u128(1)),
        other(|_| {}),
    ]);
    for (group, topic) in [("shop", "others"), ("shops", "others")] {
        let key = RecordKey::Offset { group: group.into(), topic: topic.into(), partition: 9 };
        records.push(Record { key, ..other(|_| {}) });
    }
    // Any two may follow one another.
    let pairs = records.iter().flat_map(|one| records.iter().flat_map(move |two| [one, two]));
    let all: Vec<Record> = pairs.cloned().collect();
    let packed = Packed::new(&append(all.clone())).expect("it has records").finish(0);
    assert_eq!(
        packed[HEADER..].escape_ascii().to_string(),
        by_bytes(&all).escape_ascii().to_string()
    );
}

#[test]
fn an_item_that_repeats_everything_is_read_too() {
    let written = vec![offset(0, Some((41, ""))), offset(1, None)];
    let mut item = vec![0; HEADER];
    (item[0], item[12]) = (UNSHARED, 2);
    for record in &written {
        let encoded = quorate_core::record::encode::encode(record).expect("it fits");
        put_row(&mut item, &encoded.key, encoded.value.as_deref());
    }
    let item = Item::new(Offset(7), item.into()).expect("a header");
    assert_eq!(records(&item), Some(written));
}

#[test]
fn a_damaged_item_is_none() {
    let written = vec![offset(0, Some((41, ""))), offset(1, Some((42, "")))];
    let whole = Packed::new(&append(written)).expect("it has records").finish(0);
    for length in HEADER..whole.len() {
        let item = Item::new(Offset(0), whole.slice(..length)).expect("a header");
        assert_eq!(item.rows(), None, "cut to {length} bytes");
    }
    let with = |at: usize, byte: u8| {
        let mut damaged = whole.to_vec();
        damaged[at] = byte;
        Item::new(Offset(0), Bytes::from(damaged)).and_then(|item| item.rows())
    };
    // The first row shares nothing, for there is none before it.
    assert_eq!(with(HEADER, 1), None);
    // A later version.
    assert_eq!(with(0, 3), None);
}
