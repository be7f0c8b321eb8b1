//! The part of the contract that is about compaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Open, Opened, T, partition, topic};
use crate::guard::batch::{BatchHeader, Compression, seal};
use crate::guard::packing::pack;
use crate::guard::record::{Record, Records};
use crate::log::{Index, Operation, Outcome, PartitionKey, Thin};

/// How long tombstones stay, in milliseconds.
const RETENTION: i64 = 1000;

/// Key and value of a record; no value is a tombstone.
type Pair<'a> = (&'a str, Option<&'a str>);

/// Offset, key and value of a record.
type Stored = (i64, String, Option<String>);

/// A record set of one batch of records with keys, all of one time.
pub fn keyed_set(pairs: &[Pair<'_>], compression: Compression, producer: (i64, i16)) -> Bytes {
    let mut plain = Vec::new();
    for (offset_delta, (key, value)) in (0..).zip(pairs) {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        let record = Record { offset_delta, timestamp: T, key, value, headers: &[0] };
        record.write(T, &mut plain);
    }
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: compression as i16,
        last_offset_delta: pairs.len() as i32 - 1,
        base_timestamp: T,
        max_timestamp: T,
        producer_id: producer.0,
        producer_epoch: producer.1,
        base_sequence: if producer.0 < 0 { -1 } else { 0 },
        record_count: pairs.len() as i32,
    };
    let mut batch = BytesMut::new();
    header.write(&mut batch);
    batch.extend_from_slice(&pack(compression, &plain));
    seal(&mut batch);
    batch.freeze()
}

impl Opened {
    /// Compacts a partition but for its last batch, at a time, from an offset on.
    fn compact(&mut self, key: PartitionKey, from: i64, now: i64, max_bytes: usize) -> i64 {
        let (start, end) = (self.home(key).start(), self.home(key).high_watermark() - 1);
        let before = i64::MAX;
        let index = Index { partition: key, from, end, before, max_bytes };
        let Outcome::Indexed(latest) = self.run(Operation::Index(index)) else {
            panic!("no index")
        };
        let kept = Arc::new(self.home(key).producers().batches().collect());
        let mut next = Some(start);
        while let Some(from) = next {
            let thin = Thin {
                partition: key,
                from,
                latest: Arc::clone(&latest),
                kept: Arc::clone(&kept),
                now,
                delete_retention: RETENTION,
                max_bytes: 200,
            };
            let Outcome::Thinned { changes, next: more } = self.run(Operation::Thin(thin)) else {
                panic!("nothing is said of the batches")
            };
            next = more;
            assert_eq!(self.run(Operation::Rewrite { partition: key, changes }), Outcome::Done);
        }
        latest.end
    }

    /// Offset, key and value of every record, and attributes of every batch that is read.
    fn records(&mut self, key: PartitionKey) -> (Vec<Stored>, Vec<i16>) {
        let end = self.home(key).end();
        let (mut records, mut attributes) = (Vec::new(), Vec::new());
        for bytes in self.read(key, 0, end) {
            let header = BatchHeader::parse(&bytes).expect("a header");
            assert_eq!(header.crc, crc32c::crc32c(&bytes[21..]));
            assert_eq!(header.size(), bytes.len());
            attributes.push(header.attributes);
            let body = header.unpacked(&bytes).expect("it is unpacked");
            for record in Records::new(&header, &body) {
                let record = record.expect("a record");
                assert_eq!(record.timestamp, T);
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let offset = header.base_offset + i64::from(record.offset_delta);
                let name = text(record.key.expect("a key"));
                records.push((offset, name, record.value.map(text)));
            }
        }
        (records, attributes)
    }
}

fn told(all: &[(i64, &str, Option<&str>)]) -> Vec<Stored> {
    let all = all.iter();
    all.map(|(at, key, value)| (*at, key.to_string(), value.map(str::to_owned))).collect()
}

pub(super) fn the_last_record_of_each_key_stays(open: Open<'_>) {
    let topics = [1, 3, 5, 6, 7].map(topic);
    let (one, none) = (partition(7, 0), Compression::None);
    let mut opened = Opened::new(open, &topics, 2);
    opened.append(one, &keyed_set(&[("a", Some("1")), ("b", Some("1"))], none, (-1, -1)));
    let packed = keyed_set(&[("a", Some("2")), ("c", Some("2"))], Compression::Gzip, (-1, -1));
    opened.append(one, &packed);
    opened.append(one, &keyed_set(&[("d", Some("3"))], Compression::Zstd, (9, 0)));
    opened.append(
        one,
        &keyed_set(&[("b", None), ("a", Some("4")), ("d", Some("4"))], none, (-1, -1)),
    );
    opened.append(one, &keyed_set(&[("e", Some("5"))], none, (-1, -1)));
    opened.outcomes(5);

    assert_eq!(opened.compact(one, 0, T, usize::MAX), 8);
    let mut left = vec![
        (3, "c", Some("2")),
        (5, "b", None),
        (6, "a", Some("4")),
        (7, "d", Some("4")),
        (8, "e", Some("5")),
    ];
    // The first batch is gone, the one of a producer is empty, and a tombstone has its time.
    let attributes = vec![1, 0, 0x40, 0];
    assert_eq!(opened.records(one), (told(&left), attributes.clone()));
    assert_eq!(opened.read(one, 0, 9), opened.read(one, 3, 9), "a reader goes on at what is next");

    opened.compact(one, 8, T + RETENTION - 1, usize::MAX);
    assert_eq!(opened.records(one), (told(&left), attributes.clone()), "it stays for its time");
    drop(opened);
    opened = Opened::new(open, &topics, 2);
    assert_eq!(opened.home(one).end(), 9);
    assert_eq!(opened.home(one).producers().len(), 1);
    opened.compact(one, 8, T + RETENTION, usize::MAX);
    left.remove(1);
    assert_eq!(opened.records(one), (told(&left), attributes));
}

/// Random batches, compacted now and then, against a map.
pub(super) fn compaction_is_as_a_map_says(open: Open<'_>) {
    let topics = [1, 3, 5, 6, 7].map(topic);
    let key = partition(7, 1);
    let kinds = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let names: Vec<String> = (0..12).map(|n| format!("key {n}")).collect();
    let mut opened = Opened::new(open, &topics, 2);
    let mut model: BTreeMap<String, (i64, Option<String>)> = BTreeMap::new();
    let (mut random, mut compacted) = (7_u64, 0);
    let mut draw = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % bound
    };
    for round in 0..150 {
        let values: Vec<_> = (0..1 + draw(6))
            .map(|n| (names[draw(12)].as_str(), (draw(5) > 0).then(|| format!("{round} {n}"))))
            .collect();
        let pairs: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_deref())).collect();
        let batch = opened.append(key, &keyed_set(&pairs, kinds[draw(5)], (-1, -1)));
        opened.outcomes(1);
        for (offset, (name, value)) in (batch.base..).zip(values) {
            model.insert(name.to_owned(), (offset, value));
        }
        if draw(10) == 0 {
            // Sometimes there is no room for all keys at once.
            compacted = opened.compact(key, compacted, T, 300 + draw(2000));
        }
        if draw(40) == 0 {
            drop(opened);
            opened = Opened::new(open, &topics, 2);
        }
    }
    let last: BTreeMap<_, _> = {
        let (records, _) = opened.records(key);
        let offsets: Vec<_> = records.iter().map(|record| record.0).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b));
        records.into_iter().map(|(offset, name, value)| (name, (offset, value))).collect()
    };
    assert_eq!(last, model);
    while compacted < opened.home(key).end() - 6 {
        compacted = opened.compact(key, compacted, T, usize::MAX);
    }
    let (records, _) = opened.records(key);
    assert!(records.len() <= model.len() + 6, "{} of {} keys", records.len(), model.len());
}
