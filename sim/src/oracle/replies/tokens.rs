//! What becomes of requests: resolved once, answered in kind, and after a fence only refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use litemap::LiteMap;
use quorate_core::response::{FetchedGroup, FetchedOffset};
use quorate_core::{Effect, ErrorCode, Input, Request, Response};

use super::book::{Observer, Step};
use super::words::{answered_api, api, codes, is_only};
use super::{P1, P2, P4, P7};
use crate::event::{Call, Ended, Event, Place, What};
use crate::oracle::Found;
use crate::plan::ClientId;

/// P7.
pub struct NoPanic;

impl Observer for NoPanic {
    fn event(&mut self, event: &Event, found: &mut Found) {
        if let What::Ended { place, why: Ended::Panicked(message) } = &event.what {
            found.violated(P7, || format!("{place:?}: {message}"));
        }
    }
}

/// P1.
pub struct OnceEach;

impl Observer for OnceEach {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        let mut resolved = BTreeSet::new();
        for effect in step.effects {
            let (Effect::Reply { token, .. } | Effect::Dropped { token, .. }) = effect else {
                continue;
            };
            let twice = !resolved.insert(*token)
                || !step.of.asked.contains_key(token) && step.of.resolved.contains(token);
            found.check(!twice, P1, || {
                format!("{:?}: request {token} is resolved again: {effect:?}", step.place)
            });
        }
        let open = step.of.asked.keys().filter(|token| !resolved.contains(*token)).count();
        let (parked, nobodys) = (step.context.shard.parked(), step.of.abandoned.len());
        found.check((open..=open + nobodys).contains(&parked), P1, || {
            let left: Vec<_> = step.of.asked.keys().filter(|t| !resolved.contains(*t)).collect();
            format!(
                "{:?}: {open} requests are open ({left:?}), but the shard has {parked} parked",
                step.place
            )
        });
    }
}

/// P2, at shards and at clients.
#[derive(Default)]
pub struct Shapes {
    calls: LiteMap<(ClientId, Call), Arc<Request>>,
}

impl Observer for Shapes {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        for (_, token, body) in step.replies() {
            let Some(asked) = step.of.asked.get(&token) else {
                found.check(step.of.resolved.contains(&token), P2, || {
                    format!("{:?}: nobody asked as {token}: {body:?}", step.place)
                });
                continue;
            };
            judge(&asked.request, body, found);
        }
    }

    fn event(&mut self, event: &Event, found: &mut Found) {
        match &event.what {
            What::Sent { client, call, request, .. } => {
                self.calls.insert((*client, *call), request.clone());
            }
            What::Heard { client, call, response } => match self.calls.get(&(*client, *call)) {
                Some(request) => judge(request, response, found),
                None => found.violated(P2, || {
                    format!("{client:?} did not ask {call:?}, and hears {response:?}")
                }),
            },
            _ => {}
        }
    }
}

fn judge(request: &Request, response: &Response, found: &mut Found) {
    found.check(api(request) == answered_api(response), P2, || {
        format!("{} is answered as {}: {response:?}", api(request), answered_api(response))
    });
    found.check(!error_carries(response), P2, || format!("an error carries more: {response:?}"));
}

fn error_carries(response: &Response) -> bool {
    let fails = |error: ErrorCode| error != ErrorCode::None;
    let offset = |of: &FetchedOffset| fails(of.error) && (of.offset, of.leader_epoch) != (-1, -1);
    let group = |of: &FetchedGroup| {
        let all = of.topics.iter().flat_map(|topic| &topic.partitions);
        let holds = |of: &FetchedOffset| (of.offset, of.leader_epoch) != (-1, -1);
        all.clone().any(offset) || fails(of.error) && all.clone().any(holds)
    };
    match response {
        Response::JoinGroup(r) => fails(r.error) && !r.members.is_empty(),
        Response::SyncGroup(r) => fails(r.error) && !r.assignment.is_empty(),
        Response::LeaveGroup(r) => fails(r.error) && !r.members.is_empty(),
        Response::OffsetFetch(r) => r.groups.iter().any(group),
        Response::OffsetDelete(r) => fails(r.error) && !r.topics.is_empty(),
        Response::ListGroups(r) => fails(r.error) && !r.groups.is_empty(),
        Response::DescribeGroups(r) => {
            r.groups.iter().any(|group| fails(group.error) && !group.members.is_empty())
        }
        Response::FindCoordinator(_)
        | Response::Heartbeat(_)
        | Response::OffsetCommit(_)
        | Response::DeleteGroups(_) => false,
    }
}

/// P4.
#[derive(Default)]
pub struct NothingAfterAFence {
    fenced: BTreeSet<Place>,
}

impl Observer for NothingAfterAFence {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        if matches!(step.input, Some(Input::Fenced { .. })) {
            self.fenced.insert(step.place);
        }
        if !self.fenced.contains(&step.place) {
            return;
        }
        for batch in step.appends() {
            found.violated(P4, || format!("{:?} is fenced and appends {batch:?}", step.place));
        }
        let mut answered = BTreeSet::new();
        for (_, token, body) in step.replies() {
            answered.insert(token);
            found.check(is_only(body, ErrorCode::NotCoordinator), P4, || {
                let codes = codes(body);
                format!("{:?} is fenced and answers {token} with {codes:?}: {body:?}", step.place)
            });
        }
        for (token, asked) in &step.of.asked {
            found.check(answered.contains(token), P4, || {
                let api = api(&asked.request);
                format!("{:?} is fenced, and {api} {token} still waits", step.place)
            });
        }
    }

    fn event(&mut self, event: &Event, _: &mut Found) {
        if let What::Ended { place, .. } = &event.what {
            self.fenced.remove(place);
        }
    }
}
