//! Answers of several shards that become one answer.

use std::collections::BTreeMap;

use slab::Slab;

use crate::error::ErrorCode;
use crate::id::TopicName;
use crate::response::{
    DeleteGroups, DescribeGroups, ListGroups, OffsetCommit, OffsetDelete, OffsetFetch, Response,
    TopicErrors,
};

/// Names a gather of one router; not used again while late answers could still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatherId {
    slot: usize,
    serial: u64,
}

/// The gathers under way. A serial number tells a late answer from one to a newer gather.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathers {
    open: Slab<Gather>,
    serial: u64,
}

/// The codes of partitions, one entry a topic: what the router refused comes first, then what the
/// shard answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged {
    topics: Vec<TopicErrors>,
    places: BTreeMap<TopicName, usize>,
}

impl Merged {
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn into_topics(self) -> Vec<TopicErrors> {
        self.topics
    }

    pub(super) fn add(
        &mut self,
        topic: &TopicName,
        partitions: impl IntoIterator<Item = (i32, ErrorCode)>,
    ) {
        let place = *self.places.entry(topic.clone()).or_insert(self.topics.len());
        if place == self.topics.len() {
            self.topics.push(TopicErrors { name: topic.clone(), partitions: Vec::new() });
        }
        self.topics[place].partitions.extend(partitions);
    }
}

/// What is waited for, and how the parts go together.
#[derive(Debug, Clone)]
pub(super) struct Gather {
    serial: u64,
    kind: Kind,
    answers: Vec<Option<Response>>,
    missing: usize,
}

/// For each item of the request: the part that has it, and its place in that part.
pub(super) type Order = Vec<(usize, usize)>;

#[derive(Debug, Clone)]
enum Kind {
    Commit(Merged),
    DeleteOffsets(Merged),
    Fetch(Order),
    List,
    Describe(Order),
    DeleteGroups(Order),
}

impl Gathers {
    pub(super) fn insert(&mut self, mut gather: Gather) -> GatherId {
        self.serial += 1;
        gather.serial = self.serial;
        GatherId { serial: self.serial, slot: self.open.insert(gather) }
    }

    pub(super) fn remove(&mut self, id: GatherId) -> Option<Gather> {
        match self.open.get(id.slot) {
            Some(gather) if gather.serial == id.serial => Some(self.open.remove(id.slot)),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, id: GatherId, part: usize, answer: Response) -> Option<Response> {
        let gather = self.open.get_mut(id.slot).filter(|gather| gather.serial == id.serial)?;
        let place = gather.answers.get_mut(part)?;
        if place.is_some() {
            return None;
        }
        *place = Some(answer);
        gather.missing -= 1;
        if gather.missing > 0 {
            return None;
        }
        let mut gather = self.remove(id)?;
        let answers = std::mem::take(&mut gather.answers).into_iter().flatten().collect();
        Some(gather.finish(answers))
    }
}

impl Gather {
    fn new(kind: Kind) -> Gather {
        Gather { serial: 0, kind, answers: vec![None], missing: 1 }
    }

    pub(super) fn commit(refused: Merged) -> Gather {
        Gather::new(Kind::Commit(refused))
    }

    pub(super) fn delete_offsets(refused: Merged) -> Gather {
        Gather::new(Kind::DeleteOffsets(refused))
    }

    pub(super) fn fetch(order: Order) -> Gather {
        Gather::new(Kind::Fetch(order))
    }

    pub(super) fn list() -> Gather {
        Gather::new(Kind::List)
    }

    pub(super) fn describe(order: Order) -> Gather {
        Gather::new(Kind::Describe(order))
    }

    pub(super) fn delete_groups(order: Order) -> Gather {
        Gather::new(Kind::DeleteGroups(order))
    }

    pub(super) fn of(mut self, parts: usize) -> Gather {
        self.answers = vec![None; parts];
        self.missing = parts;
        self
    }

    pub(super) fn finish(self, answers: Vec<Response>) -> Response {
        match self.kind {
            Kind::Commit(refused) => commit(refused, answers),
            Kind::DeleteOffsets(refused) => delete_offsets(refused, answers),
            Kind::Fetch(order) => {
                let parts = parts(answers, |answer| match answer {
                    Response::OffsetFetch(fetch) => fetch.groups,
                    _ => Vec::new(),
                });
                Response::OffsetFetch(OffsetFetch { groups: in_order(parts, &order) })
            }
            Kind::List => list(answers),
            Kind::Describe(order) => {
                let parts = parts(answers, |answer| match answer {
                    Response::DescribeGroups(describe) => describe.groups,
                    _ => Vec::new(),
                });
                Response::DescribeGroups(DescribeGroups { groups: in_order(parts, &order) })
            }
            Kind::DeleteGroups(order) => {
                let parts = parts(answers, |answer| match answer {
                    Response::DeleteGroups(delete) => delete.results,
                    _ => Vec::new(),
                });
                Response::DeleteGroups(DeleteGroups { results: in_order(parts, &order) })
            }
        }
    }
}

fn parts<T>(answers: Vec<Response>, items: impl Fn(Response) -> Vec<T>) -> Vec<Vec<Option<T>>> {
    answers.into_iter().map(|answer| items(answer).into_iter().map(Some).collect()).collect()
}

fn in_order<T>(mut parts: Vec<Vec<Option<T>>>, order: &Order) -> Vec<T> {
    let place = |&(part, place): &(usize, usize)| parts.get_mut(part)?.get_mut(place)?.take();
    order.iter().filter_map(place).collect()
}

fn commit(mut refused: Merged, answers: Vec<Response>) -> Response {
    let answered = answers.into_iter().flat_map(|answer| match answer {
        Response::OffsetCommit(commit) => commit.topics,
        _ => Vec::new(),
    });
    answered.for_each(|topic| refused.add(&topic.name, topic.partitions));
    Response::OffsetCommit(OffsetCommit { topics: refused.into_topics() })
}

/// An error of the group wipes the errors of the topics (spec classic 14).
fn delete_offsets(mut refused: Merged, answers: Vec<Response>) -> Response {
    match answers.into_iter().next() {
        Some(Response::OffsetDelete(answer)) if answer.error == ErrorCode::None => {
            answer.topics.into_iter().for_each(|topic| refused.add(&topic.name, topic.partitions));
            let topics = refused.into_topics();
            Response::OffsetDelete(OffsetDelete { error: ErrorCode::None, topics })
        }
        Some(answer) => answer,
        None => {
            let topics = refused.into_topics();
            Response::OffsetDelete(OffsetDelete { error: ErrorCode::None, topics })
        }
    }
}

/// One loading shard fails the whole answer; shards that are elsewhere are left out
/// (spec classic 17.1).
fn list(answers: Vec<Response>) -> Response {
    let mut groups = Vec::new();
    for answer in answers {
        let Response::ListGroups(list) = answer else { continue };
        match list.error {
            ErrorCode::None => groups.extend(list.groups),
            ErrorCode::NotCoordinator => {}
            error => return Response::ListGroups(ListGroups { error, groups: Vec::new() }),
        }
    }
    Response::ListGroups(ListGroups { error: ErrorCode::None, groups })
}
