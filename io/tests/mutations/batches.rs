//! Produced batches, damaged with their checksum put right again.

use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;
use quorate_io::guard::batch::{BatchHeader, HEADER_BYTES};
use quorate_io::guard::check::{ProduceRules, check};
use quorate_io::guard::record::Records;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::build::{Batch, record, record_with, sized, varint};
use crate::generate::{below, once_in};
use crate::{counted, inputs};

const RULES: ProduceRules = ProduceRules {
    api_version: 9,
    append_time: None,
    max_message_bytes: 1 << 20,
    earliest: i64::MIN,
    latest: i64::MAX,
    keys: false,
    max_record_bytes: usize::MAX,
};

/// What a decoder of compressed records has of its own, when it finds that there are none.
const UNPACKING_BYTES: usize = 1 << 20;

fn random_batch(rng: &mut ChaCha8Rng) -> Batch {
    let count = 1 + below(rng, 4);
    let mut batch = Batch::of(&vec![b"".as_slice(); count]);
    batch.body.clear();
    for n in 0..count as i64 {
        let value = if once_in(rng, 4) { varint(-1) } else { sized(&vec![b'v'; below(rng, 100)]) };
        let headers = [&*varint(2), &sized(b"name"), &sized(b"content"), &sized(b""), &varint(-1)];
        batch.body.extend(match once_in(rng, 2) {
            true => record(n, below(rng, 5000) as i64 - 2000, &value),
            false => record_with(n, n, &value, &headers.concat()),
        });
    }
    if once_in(rng, 4) {
        (batch.producer, batch.sequence) = ((7, 0), i32::MAX);
    }
    batch
}

/// Numbers that come near to overflow, or in the way of each other.
fn damage(rng: &mut ChaCha8Rng, batch: &mut Batch) {
    let at = below(rng, batch.body.len());
    match below(rng, 8) {
        0 => batch.body[at] ^= 1 << below(rng, 8),
        1 => batch.body[at] = rng.next_u32() as u8,
        2 => batch.body.truncate(at),
        3 => drop(batch.body.splice(at..=at, varint(i64::from(rng.next_u32() as i32)))),
        4 => drop(batch.body.splice(at..=at, varint(rng.next_u64() as i64))),
        5 => batch.base_timestamp = [i64::MAX, i64::MAX - 3000, i64::MIN, -1][below(rng, 4)],
        6 => batch.count = [0, -1, 1, 2, 3, i32::MAX][below(rng, 6)],
        _ => batch.last_offset_delta = [0, -1, 1, 2, i32::MAX][below(rng, 5)],
    }
}

#[test]
fn a_batch_that_is_accepted_is_decoded_to_as_many_records() {
    let _alone = crate::COUNTING.lock().unwrap_or_else(crate::PoisonError::into_inner);
    let (mut accepted, mut after_damage) = (0, 0);
    for seed in 0..inputs() {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut batch = random_batch(rng);
        let damaged = once_in(rng, 2);
        if damaged {
            damage(rng, &mut batch);
        }
        let bytes = batch.bytes();
        let (checked, allocated) = counted(0, || check(&bytes, &RULES));
        let packed = BatchHeader::parse(&bytes).is_ok_and(|head| head.attributes & 7 != 0);
        let most = if packed { UNPACKING_BYTES } else { 0 };
        assert!(allocated <= most, "seed {seed}: the check allocates {allocated} bytes");
        let Ok(checked) = checked else {
            assert!(damaged, "seed {seed}: {checked:?}");
            continue;
        };
        accepted += 1;
        after_damage += u64::from(damaged);
        let times = Records::new(&checked.header, &bytes[HEADER_BYTES..])
            .map(|record| record.unwrap().timestamp);
        assert_eq!(times.fold(-1, i64::max), checked.max_timestamp, "seed {seed}");
        match RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(&bytes)) {
            Ok(decoded) => {
                let count = checked.header.record_count as usize;
                assert_eq!(decoded.records.len(), count, "seed {seed}");
            }
            // Header names are not looked at, as Kafka does not.
            Err(error) => assert!(error.to_string().contains("utf-8"), "seed {seed}: {error}"),
        }
    }
    println!("{accepted} batches accepted, {after_damage} of them damaged");
    assert!(after_damage * 100 > inputs() && accepted < inputs());
}
