use quorate_core::{GroupId, RecordKey};

use super::*;
use crate::plan::NodeIndex;

const ME: Process = Process { node: NodeIndex(0), number: 1 };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A tombstone is as good as any record here.
fn record(group: &str) -> Record {
    Record { key: RecordKey::Group(GroupId::from(group)), value: None }
}

fn batch(id: u64, epoch: u64, base: u64, groups: &[&str]) -> Batch {
    let records = groups.iter().map(|group| record(group)).collect();
    Batch { id: BatchId(id), epoch: Epoch(epoch), base: Offset(base), records }
}

fn acquired() -> Journal {
    let mut journal = Journal::default();
    assert_eq!(journal.acquire(1), Some((Epoch(1), Offset(0), Decisions::default())));
    journal
}

fn told(epoch: u64, fate: Fate) -> Told {
    Told { writer: ME, epoch: Epoch(epoch), fate }
}

#[test]
fn appends_are_stored_when_due_and_told_of_together() {
    let mut journal = acquired();
    let (one, two) = (batch(1, 1, 0, &["a", "b"]), batch(2, 1, 2, &["a"]));
    assert_eq!(journal.append(ms(0), ms(9), ME, one.clone()), ms(9));
    assert_eq!(journal.append(ms(1), ms(2), ME, two.clone()), ms(9));
    assert_eq!(journal.decide(ms(8)), (Decisions::default(), Some(ms(9))));
    let decisions = Decisions {
        decided: vec![Decided::Stored(one), Decided::Stored(two)],
        told: vec![told(1, Fate::Appended { through: BatchId(2) })],
    };
    assert_eq!(journal.decide(ms(9)), (decisions, None));
    let log = [(0, "a"), (1, "b"), (2, "a")].map(|(at, group)| (Offset(at), record(group)));
    assert_eq!(journal.log(), log);
    assert_eq!(journal.read(Offset(1), 1), log[1..2]);
}

#[test]
fn what_was_sent_before_a_refusal_is_heard_of_is_passed_over() {
    let mut journal = acquired();
    let cause = RejectCause::Storage;
    journal.refuse(1, cause);
    journal.append(ms(0), ms(1), ME, batch(1, 1, 0, &["a"]));
    journal.append(ms(0), ms(1), ME, batch(2, 1, 1, &["b"]));
    let (epoch, from) = (Epoch(1), BatchId(1));
    let decisions = Decisions {
        decided: vec![Decided::Not { epoch, from, why: NotStored::Rejected(cause) }],
        told: vec![told(1, Fate::Rejected { from, cause })],
    };
    assert_eq!(journal.decide(ms(1)), (decisions, None));
    journal.append(ms(2), ms(1), ME, batch(3, 1, 2, &["c"]));
    let again = batch(1, 1, 0, &["a"]);
    journal.append(ms(3), ms(1), ME, again.clone());
    let decisions = Decisions {
        decided: vec![Decided::Stored(again)],
        told: vec![told(1, Fate::Appended { through: from })],
    };
    assert_eq!(journal.decide(ms(4)), (decisions, None));
}

#[test]
fn a_new_leader_takes_the_writing_from_the_old_one_and_an_older_term_does_not() {
    let mut journal = acquired();
    journal.append(ms(0), ms(5), ME, batch(1, 1, 0, &["a"]));
    let (epoch, by) = (Epoch(1), Epoch(2));
    let fenced = Decisions {
        decided: vec![Decided::Not { epoch, from: BatchId(1), why: NotStored::Fenced(by) }],
        told: vec![told(1, Fate::Fenced { by: Some(by) })],
    };
    assert_eq!(journal.acquire(3), Some((by, Offset(0), fenced)));
    assert_eq!(journal.acquire(2), None);
    journal.append(ms(6), ms(0), ME, batch(2, 1, 0, &["b"]));
    let (late, _) = journal.decide(ms(6));
    assert_eq!(late.told, [told(1, Fate::Fenced { by: Some(by) })]);
    assert_eq!((journal.is_of(epoch), journal.is_of(by)), (false, true));
    assert_eq!(journal.log(), []);
}

#[test]
fn an_append_of_unknown_outcome_is_stored_or_not_and_ends_its_writer() {
    for (stored, length) in [(true, 1), (false, 0)] {
        let mut journal = acquired();
        journal.forget_outcome(stored);
        journal.append(ms(0), ms(0), ME, batch(1, 1, 0, &["a"]));
        journal.append(ms(0), ms(0), ME, batch(2, 1, length, &["b"]));
        let (decisions, again) = journal.decide(ms(0));
        assert_eq!(decisions.told, [told(1, Fate::Fenced { by: None })]);
        assert_eq!((journal.len() as u64, again), (length, None));
    }
}

#[test]
fn a_stall_holds_appends_back_and_completes_them_together() {
    let mut journal = acquired();
    journal.stall(ms(50));
    journal.append(ms(0), ms(1), ME, batch(1, 1, 0, &["a"]));
    assert_eq!(journal.decide(ms(1)), (Decisions::default(), Some(ms(50))));
    journal.append(ms(2), ms(1), ME, batch(2, 1, 1, &["b"]));
    let (decisions, again) = journal.decide(ms(50));
    assert_eq!(decisions.told, [told(1, Fate::Appended { through: BatchId(2) })]);
    assert_eq!(again, None);
}

#[test]
fn a_loss_of_power_keeps_a_part_of_what_was_not_decided() {
    let mut journal = acquired();
    let all = [batch(1, 1, 0, &["a"]), batch(2, 1, 1, &["b"]), batch(3, 1, 2, &["c"])];
    for batch in all.clone() {
        journal.append(ms(0), ms(5), ME, batch);
    }
    let [first, ..] = all;
    let (epoch, from) = (Epoch(1), BatchId(2));
    let lost = Decided::Not { epoch, from, why: NotStored::Lost };
    assert_eq!(journal.power_lost(ME, 50), [Decided::Stored(first), lost]);
    assert_eq!(journal.decide(ms(9)), (Decisions::default(), None));
    assert_eq!(journal.acquire(1), Some((Epoch(2), Offset(1), Decisions::default())));
}

#[test]
fn compaction_keeps_the_last_of_each_key_below_the_cut_and_all_above() {
    let mut journal = acquired();
    journal.append(ms(0), ms(0), ME, batch(1, 1, 0, &["a", "b", "a", "a"]));
    journal.decide(ms(0));
    let at = |offsets: &[(u64, &str)]| -> Vec<(Offset, Record)> {
        offsets.iter().map(|(at, group)| (Offset(*at), record(group))).collect()
    };
    assert_eq!(journal.compact(75, false), at(&[(1, "b"), (2, "a"), (3, "a")]));
    assert_eq!(journal.compact(70, true), at(&[(3, "a")]));
    assert_eq!(journal.acquire(1).map(|(_, next, _)| next), Some(Offset(4)));
}
