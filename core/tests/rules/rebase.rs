//! The same situation at another time is the same situation.

use std::time::Duration;

use quorate_core::*;

use crate::support::*;

/// What the shard does when its next deadline passes, and then when what it writes is stored.
fn next(mut shard: Shard) -> Vec<Effect> {
    let mono = shard.next_deadline().expect("members have sessions");
    let (now, mut out) = (Now { mono, wall: WallTime(0) }, Effects::wanting(NoteKinds::ALL));
    shard.step(now, Input::Deadline, &mut out);
    shard.step(now, Input::Appended { through: BatchId(9) }, &mut out);
    out.drain().collect()
}

#[test]
fn a_shard_that_is_rebased_is_as_it_was_at_its_start_and_goes_on_in_the_same_way() {
    let mut bench = Bench::new(Config { retention_check_interval: Duration::MAX, ..quick() });
    let (ids, _) = bench.stable(&[None, Some("a")]);
    bench.stores = false;
    let token = bench.send(beat(&ids[0], 0, None));
    let mut early = bench.shard.clone();
    early.rebase(bench.now.mono);

    bench.answers.remove(&token);
    bench.pass_ms(3_000);
    ids.iter().for_each(|id| _ = bench.heartbeat(id, 1));
    let mut late = bench.shard.clone();
    assert_ne!(late.fingerprint(), early.fingerprint());
    late.rebase(bench.now.mono);
    assert_eq!(late.fingerprint(), early.fingerprint());
    assert_eq!((late.next_offset(), late.next_deadline()), (Offset(0), early.next_deadline()));
    assert_eq!(next(late), next(early));
}

#[test]
fn what_waits_for_a_batch_is_part_of_the_fingerprint() {
    let mut bench = Bench::new(quick());
    let (ids, _) = bench.stable(&[None]);
    bench.stores = false;
    bench.send(leave(&[(ids[0].as_str(), None)]));
    let before = bench.shard.clone();
    let abandoned = bench.send(beat(&ids[0], 1, None));
    let waiting = bench.shard.fingerprint();
    assert_ne!(waiting, before.fingerprint());
    bench.step(Input::Abandoned { token: Token(abandoned) });
    assert_ne!(bench.shard.fingerprint(), waiting);
}
