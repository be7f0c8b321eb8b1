//! What every catalog has to do, as a test that any implementation can be run through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use uuid::Uuid;

use super::{
    Boot, Catalog, Completion, Configs, Delta, NODE_ID, Operation, Outcome, PRODUCER_ID_BLOCK,
    Refusal, Resource, Topic, Topics, random_id,
};
use crate::disk::Wake;

/// A catalog that is open, and the copy of its topics that a thread would hold.
struct Opened {
    catalog: Box<dyn Catalog>,
    woken: Receiver<()>,
    boot: Boot,
    view: Topics,
    token: u64,
}

impl Opened {
    fn new(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) -> Self {
        let (wake, woken) = mpsc::channel();
        let (catalog, boot) = open(Arc::new(move || {
            // One that comes after the test has looked for the last time is nobody's.
            let _ = wake.send(());
        }));
        let view = boot.topics.clone();
        Self { catalog, woken, boot, view, token: 0 }
    }

    fn submit(&mut self, operation: Operation) {
        self.token += 1;
        self.catalog.submit(self.token, operation);
    }

    /// The outcomes of the last `count` operations, whose completions must come in their order.
    fn outcomes(&mut self, count: u64) -> Vec<Outcome> {
        let mut completions = Vec::new();
        self.catalog.poll(&mut completions);
        while (completions.len() as u64) < count {
            self.woken.recv().expect("the store keeps the wake");
            self.catalog.poll(&mut completions);
        }
        let tokens: Vec<_> = completions.iter().map(|completion| completion.token).collect();
        assert_eq!(tokens, (self.token - count + 1..=self.token).collect::<Vec<_>>());
        let outcomes: Vec<_> =
            completions.into_iter().map(|Completion { outcome, .. }| outcome).collect();
        for outcome in &outcomes {
            if let Outcome::Changed(delta) = outcome {
                self.view.apply(delta);
            }
        }
        outcomes
    }

    fn run(&mut self, operation: Operation) -> Outcome {
        self.submit(operation);
        self.outcomes(1).remove(0)
    }
}

/// A topic of three partitions, with an id made of `id`.
fn topic(name: &str, id: u8) -> Topic {
    let id = random_id(&mut |bytes| bytes.fill(id));
    let configs = BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]);
    Topic { name: name.into(), id, partitions: 3, configs, internal: false }
}

fn names(topics: &Topics) -> Vec<String> {
    topics.iter().map(|topic| topic.name.to_string()).collect()
}

/// Runs the contract. Each call of `open` opens the same catalog again, after the one before has
/// been dropped; it must be new when this begins.
pub fn contract(mut open: impl FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let cluster = begins_empty(&mut open);
    creates_and_deletes(&mut open);
    refuses_what_cannot_be(&mut open);
    alters(&mut open);
    configures(&mut open);
    gives_no_producer_id_twice(&mut open);
    knows_a_clean_stop(&mut open);
    assert_eq!(Opened::new(&mut open).boot.identity.cluster_id, cluster);
}

fn begins_empty(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) -> String {
    let opened = Opened::new(open);
    let Boot { identity, topics, configs, leader_epoch, clean } = &opened.boot;
    assert_eq!(identity.node_id, NODE_ID);
    assert_eq!(identity.cluster_id.len(), 22);
    assert_eq!((topics, *leader_epoch, *clean), (&Topics::default(), 0, true));
    assert_eq!(configs, &Configs::new());
    opened.boot.identity.cluster_id.clone()
}

fn creates_and_deletes(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let (orders, again) = (topic("orders", 1), topic("orders", 2));
    let mut opened = Opened::new(open);
    opened.submit(Operation::Create(orders.clone()));
    opened.submit(Operation::Create(topic("payments", 3)));
    opened.submit(Operation::Delete { id: orders.id });
    opened.submit(Operation::Create(again.clone()));
    let (orders, payments) = (Arc::new(orders), Arc::new(topic("payments", 3)));
    let again = Arc::new(again);
    let changed = |number, before: Option<&Arc<Topic>>, after: Option<&Arc<Topic>>| {
        Outcome::Changed(Delta { number, before: before.cloned(), after: after.cloned() })
    };
    assert_eq!(
        opened.outcomes(4),
        [
            changed(1, None, Some(&orders)),
            changed(2, None, Some(&payments)),
            changed(3, Some(&orders), None),
            changed(4, None, Some(&again)),
        ]
    );
    let view: Vec<_> = opened.view.iter().cloned().collect();
    assert_eq!(view, [again.clone(), payments.clone()]);
    assert_eq!(opened.view.by_id(orders.id), None);
    drop(opened);
    let opened = Opened::new(open);
    assert_eq!(opened.view.iter().cloned().collect::<Vec<_>>(), [again, payments]);
    assert_eq!(opened.view.number(), 0);
}

fn refuses_what_cannot_be(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let mut opened = Opened::new(open);
    let before = opened.view.clone();
    let refused = |refusal| Outcome::Refused(refusal);
    assert_eq!(
        opened.run(Operation::Create(topic("orders", 9))),
        refused(Refusal::NameTaken { name: "orders".into() })
    );
    let id = topic("payments", 3).id;
    assert_eq!(opened.run(Operation::Create(topic("other", 3))), refused(Refusal::IdTaken { id }));
    let id = Uuid::from_u128(77);
    let unknown = refused(Refusal::UnknownTopic { id });
    assert_eq!(opened.run(Operation::Delete { id }), unknown);
    assert_eq!(opened.run(Operation::SetPartitions { id, partitions: 5 }), unknown);
    let (of, changes) = (Resource::Topic(id), BTreeMap::new());
    assert_eq!(opened.run(Operation::ChangeConfigs { of, changes }), unknown);
    assert_eq!(opened.view, before);

    opened.submit(Operation::Create(topic("a.b", 10)));
    opened.submit(Operation::Create(topic("a_b", 11)));
    let collides = Refusal::NameCollides { name: "a_b".into(), with: "a.b".into() };
    assert_eq!(opened.outcomes(2)[1], refused(collides));
    opened.submit(Operation::Delete { id: topic("a.b", 10).id });
    opened.submit(Operation::Create(topic("a_b", 12)));
    opened.outcomes(2);
    assert_eq!(names(&opened.view), ["a_b", "orders", "payments"]);
}

fn alters(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let mut opened = Opened::new(open);
    let id = topic("payments", 3).id;
    opened.run(Operation::SetPartitions { id, partitions: 5 });
    let fewer = Refusal::NotMorePartitions { current: 5, asked: 5 };
    let again = opened.run(Operation::SetPartitions { id, partitions: 5 });
    assert_eq!(again, Outcome::Refused(fewer));
    opened.run(change(Resource::Topic(id), &[("retention.ms", None), ("a", Some("1"))]));
    opened.run(change(Resource::Topic(id), &[("a", None), ("cleanup.policy", Some("compact"))]));
    let configs = configs(&[("cleanup.policy", "compact")]);
    let altered = Topic { partitions: 5, configs, ..topic("payments", 3) };
    assert_eq!(opened.view.by_name("payments"), Some(&Arc::new(altered.clone())));
    drop(opened);
    let opened = Opened::new(open);
    assert_eq!(opened.view.by_name("payments"), Some(&Arc::new(altered.clone())));
    assert_eq!(opened.view.by_id(id), Some(&Arc::new(altered)));
}

fn configs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn change(of: Resource, changes: &[(&str, Option<&str>)]) -> Operation {
    let changes = changes.iter();
    let changes = changes.map(|(name, value)| (name.to_string(), value.map(str::to_owned)));
    Operation::ChangeConfigs { of, changes: changes.collect() }
}

fn configures(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let mut opened = Opened::new(open);
    let group = Resource::Group("readers".into());
    let done = opened.run(change(group.clone(), &[("a", Some("1")), ("b", Some("2"))]));
    let both = configs(&[("a", "1"), ("b", "2")]);
    assert_eq!(done, Outcome::Configured { of: group.clone(), configs: both });
    let done = opened.run(change(group.clone(), &[("b", None), ("c", Some("3"))]));
    let left = configs(&[("a", "1"), ("c", "3")]);
    assert_eq!(done, Outcome::Configured { of: group.clone(), configs: left.clone() });
    opened.run(change(Resource::Broker(1), &[("x", Some("0"))]));
    opened.run(change(Resource::Brokers, &[("x", Some("1"))]));
    opened.run(change(Resource::Broker(1), &[("x", None)]));
    drop(opened);
    let opened = Opened::new(open);
    let all = [(group, left), (Resource::Brokers, configs(&[("x", "1")]))];
    assert_eq!(opened.boot.configs, Configs::from(all));
}

fn gives_no_producer_id_twice(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let mut next = 0;
    for _ in 0..2 {
        let mut opened = Opened::new(open);
        opened.submit(Operation::ProducerIds);
        opened.submit(Operation::ProducerIds);
        for outcome in opened.outcomes(2) {
            let Outcome::ProducerIds(ids) = outcome else { panic!("no ids but {outcome:?}") };
            assert!(ids.start >= next && ids.end - ids.start == PRODUCER_ID_BLOCK, "{ids:?}");
            next = ids.end;
        }
    }
}

fn knows_a_clean_stop(open: &mut dyn FnMut(Wake) -> (Box<dyn Catalog>, Boot)) {
    let mut opened = Opened::new(open);
    assert!(!opened.boot.clean, "the one before was not stopped");
    assert_eq!(opened.run(Operation::CleanStop), Outcome::Stopped);
    drop(opened);
    let opened = Opened::new(open);
    assert!(opened.boot.clean);
    drop(opened);
    assert!(!Opened::new(open).boot.clean);
}
