use quorate_core::{Batch, BatchId};
use quorate_io::journal::Outcome;
use quorate_io::journal::contract::{Client, Model, contract};

use super::*;
use crate::plan::Latency;
use crate::recorder::Recorder;
use crate::turmoil::stage::tick;

const HERE: NodeIndex = NodeIndex(0);
const SHARD: ShardId = ShardId(0);

fn writer(number: u64) -> Writer {
    Writer { node: HERE, number }
}

/// Journals in which nothing takes time.
fn journals() -> Journals {
    let instant = Latency::fixed(Duration::ZERO);
    let knobs = Knobs { journal: instant, load: instant, ..Knobs::default() };
    Journals::new(1, 32, &knobs, Stage::new(Recorder::new(Vec::new()), tick(1)))
}

/// A store that decides and tells at once what is asked.
struct Prompt(Arc<dyn JournalStore>, Journals);

struct PromptHandle(Box<dyn Journal>, Journals);

impl JournalStore for Prompt {
    fn handle(&self, wake: Wake) -> Box<dyn Journal> {
        Box::new(PromptHandle(self.0.handle(wake), self.1.clone()))
    }
}

impl Journal for PromptHandle {
    fn acquire(&mut self, shards: &[ShardId]) {
        self.0.acquire(shards);
        self.1.tick(Duration::ZERO);
    }

    fn replay(&mut self, shard: ShardId, epoch: Epoch) {
        self.0.replay(shard, epoch);
        self.1.tick(Duration::ZERO);
    }

    fn append(&mut self, appends: Vec<Append>) {
        self.0.append(appends);
        self.1.tick(Duration::ZERO);
    }

    fn poll(&mut self, out: &mut Vec<Completion>) {
        self.0.poll(out);
    }
}

fn prompt(journals: &Journals) -> Prompt {
    Prompt(journals.store(writer(1)), journals.clone())
}

#[test]
fn while_nothing_goes_wrong_it_keeps_the_contract() {
    contract(|| {
        let journals = journals();
        move || -> Box<dyn JournalStore> { Box::new(prompt(&journals)) }
    });
}

/// A shard that was acquired, and a batch for it.
fn acquired(journals: &Journals) -> (Client, Batch) {
    let mut client = Client::new(&prompt(journals));
    let model = Model::new(&mut client, SHARD.0);
    let (epoch, base) = (model.epoch, model.next);
    let key = quorate_core::RecordKey::Group("orders".into());
    let records = vec![Record { key, value: None }];
    (client, Batch { id: BatchId(1), epoch, base, records })
}

fn append(client: &mut Client, batch: &Batch) -> Vec<Outcome> {
    client.append(vec![Append { shard: SHARD, batches: vec![batch.clone()] }])
}

#[test]
fn what_is_refused_is_not_stored_and_what_comes_after_is() {
    let journals = journals();
    let (mut client, batch) = acquired(&journals);
    journals.refuse(SHARD, 1, RejectCause::Storage);
    let refused = Outcome::Rejected { stored: None, from: BatchId(1), cause: RejectCause::Storage };
    assert_eq!(append(&mut client, &batch), [refused]);
    assert_eq!(journals.logs()[&SHARD], []);
    assert_eq!(append(&mut client, &batch), [Outcome::Appended { through: BatchId(1) }]);
    assert_eq!(journals.logs()[&SHARD].len(), 1);
}

#[test]
fn an_unknown_outcome_is_stored_or_not() {
    for stored in [false, true] {
        let journals = journals();
        let (mut client, batch) = acquired(&journals);
        journals.forget_outcome(SHARD, stored);
        assert_eq!(append(&mut client, &batch), [Outcome::Unknown]);
        assert_eq!(journals.logs()[&SHARD].len(), usize::from(stored));
    }
}

#[test]
fn who_does_not_lead_does_not_get_a_shard() {
    let journals = journals();
    journals.lead(SHARD, NodeIndex(1));
    let mut client = Client::new(&prompt(&journals));
    client.journal().acquire(&[SHARD]);
    assert_eq!(client.completions(1), [Completion::Unavailable { shard: SHARD }]);
}

#[test]
fn a_load_fails_once() {
    let journals = journals();
    let mut client = Client::new(&prompt(&journals));
    let (epoch, _) = client.acquire(SHARD);
    journals.fail_load(SHARD);
    client.journal().replay(SHARD, epoch);
    assert_eq!(client.completions(1), [Completion::Unavailable { shard: SHARD }]);
    let (epoch, _) = client.acquire(SHARD);
    assert!(client.replay(SHARD, epoch).is_empty());
}

#[test]
fn a_stall_keeps_all_back_and_a_power_loss_loses_the_rest_of_it() {
    for (kept, left) in [(0, 0), (50, 1), (100, 2)] {
        let journals = journals();
        let (mut client, batch) = acquired(&journals);
        let next = Batch { id: BatchId(2), base: Offset(batch.base.0 + 1), ..batch.clone() };
        journals.stall(SHARD, Duration::from_secs(1));
        client.journal().append(vec![Append { shard: SHARD, batches: vec![batch, next] }]);
        journals.tick(Duration::from_millis(990));
        assert_eq!(journals.logs()[&SHARD], []);
        journals.power_lost(writer(1), kept);
        assert_eq!(journals.logs()[&SHARD].len(), left, "{kept} %");
        journals.tick(Duration::from_secs(2));
        assert_eq!(client.completions(0), []);
    }
}
