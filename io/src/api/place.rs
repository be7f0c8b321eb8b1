//! Where the partitions of a request are, and how what is asked of them gets there.
//!
//! Decided here: a request is split by home, all homes work at once, and each does its part in the
//! order of the request.

use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::catalog::{Topic, Topics};
use crate::core_thread::{Stopped, Thread};
use crate::log::PartitionKey;

/// The place of a partition in a request and its answer: of its topic, and in the topic.
pub(super) type At = (usize, usize);

/// The topic of a request, by id where its version has ids.
pub(super) fn topic<'a>(
    topics: &'a Topics,
    by_id: bool,
    name: &str,
    id: Uuid,
) -> Result<&'a Topic, ResponseError> {
    if by_id {
        topics.by_id(id).map(|topic| &**topic).ok_or(ResponseError::UnknownTopicId)
    } else {
        let topic = topics.by_name(name).map(|topic| &**topic);
        topic.ok_or(ResponseError::UnknownTopicOrPartition)
    }
}

/// A partition of a topic.
pub(super) fn partition(topic: &Topic, index: i32) -> Result<PartitionKey, ResponseError> {
    if (0..topic.partitions).contains(&index) {
        Ok(PartitionKey { topic_id: topic.id, index })
    } else {
        Err(ResponseError::UnknownTopicOrPartition)
    }
}

/// Whether the leader epoch that a client knows is the one there is; it may not know any.
pub(super) fn check_leader_epoch(known: i32, epoch: i32) -> Result<(), ResponseError> {
    match known {
        -1 => Ok(()),
        known if known < epoch => Err(ResponseError::FencedLeaderEpoch),
        known if known > epoch => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// Has every home work on what is asked of it, and gives all results, in no order.
pub(super) async fn each_home<P, R, F, Fut>(
    thread: &Rc<Thread>,
    mut by_home: BTreeMap<usize, Vec<P>>,
    work: F,
) -> Result<Vec<R>, Stopped>
where
    P: Send + 'static,
    R: Send + 'static,
    F: Fn(Rc<Thread>, Vec<P>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Vec<R>> + 'static,
{
    if by_home.len() <= 1 {
        let Some((core, parts)) = by_home.pop_first() else { return Ok(Vec::new()) };
        return thread.on(core, move |home| work(home, parts)).await;
    }
    let begun = by_home.into_iter().map(|(core, parts)| {
        let (thread, work) = (Rc::clone(thread), work.clone());
        tokio::task::spawn_local(
            async move { thread.on(core, move |home| work(home, parts)).await },
        )
    });
    let begun: Vec<_> = begun.collect();
    let mut results = Vec::new();
    for home in begun {
        // A home that panics is as good as one that has stopped.
        results.append(&mut home.await.map_err(|_| Stopped)??);
    }
    Ok(results)
}
