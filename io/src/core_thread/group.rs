//! The way of a group's request: checked, sent to its shard, waited for.

use std::rc::Rc;
use std::task::{Context, Poll};

use quorate_core::router::GatherId;
use quorate_core::{GroupId, Input, Now, Origin, Request, Response, Routed, ShardId, Token};

use super::Thread;
use crate::message::Message;
use crate::open::Outcome;

impl Thread {
    /// Asks the coordinator what was read at `now`.
    pub fn group(self: &Rc<Self>, now: Now, origin: Origin, request: Request) -> Asked {
        let routed = self.router.borrow_mut().request(request);
        let asked = match routed {
            Routed::Done(answer) => return Asked::Answered(Some(answer)),
            Routed::Shard(shard, body) => {
                let token = self.open.borrow_mut().request(shard);
                self.ask(now, shard, token, origin, body);
                Waiting { thread: Rc::clone(self), token, gather: None }
            }
            Routed::Gather(gather, parts) => {
                let token = self.open.borrow_mut().gathering();
                let mut tokens = Vec::with_capacity(parts.len());
                for (part, (shard, body)) in parts.into_iter().enumerate() {
                    let part = self.open.borrow_mut().part(shard, token, gather, part);
                    tokens.push(part);
                    self.ask(now, shard, part, origin.clone(), body);
                }
                let gather = Some(Box::new((gather, tokens)));
                Waiting { thread: Rc::clone(self), token, gather }
            }
        };
        Asked::Waiting(asked)
    }

    /// The thread whose shard a request is for, if it is for one group.
    #[must_use]
    pub fn core_of_request(&self, request: &Request) -> Option<usize> {
        let group = one_group(request)?;
        Some(self.core_of_shard(self.router.borrow().locate(&group.0)))
    }

    fn ask(&self, now: Now, shard: ShardId, token: Token, origin: Origin, body: Request) {
        let core = self.core_of_shard(shard);
        if core != self.index {
            return self.send(core, Message::Request { shard, token, origin, body });
        }
        let input = Input::Request { token, origin, body };
        let out = &mut *self.out.borrow_mut();
        if self.turn.borrow_mut().at_once(now, shard, input, out) {
            self.bell.ring();
        }
        for (token, outcome) in out.outcomes.drain(..) {
            self.complete(token, outcome);
        }
    }

    fn abandon(&self, token: Token) {
        let Some(shard) = self.open.borrow_mut().abandon(token) else { return };
        let core = self.core_of_shard(shard);
        if core == self.index {
            self.turn.borrow_mut().push(shard, Input::Abandoned { token });
            self.bell.ring();
        } else {
            self.send(core, Message::Abandoned { shard, token });
        }
    }

    /// Takes an outcome to the connection that waits for it.
    pub(super) fn complete(&self, token: Token, outcome: Outcome) {
        let core = crate::open::core_of(token);
        if core == self.index {
            self.open.borrow_mut().complete(token, outcome, &mut self.router.borrow_mut());
        } else {
            self.send(core, Message::Outcome { token, outcome });
        }
    }

    /// Tells this thread's connections that a shard is gone.
    pub(super) fn lose(&self, shard: ShardId) {
        self.open.borrow_mut().lose(shard, &mut self.router.borrow_mut());
    }
}

/// A request that the coordinator was asked. Dropping it abandons the request.
///
/// It is small, for each connection whose request is parked has one.
pub enum Asked {
    /// It was answered at once; none once that was taken.
    Answered(Option<Response>),
    /// It is waited for.
    Waiting(Waiting),
}

impl Asked {
    /// What becomes of it. Not to be asked again once that was told.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            Asked::Answered(answer) => {
                Poll::Ready(Outcome::Reply(answer.take().expect("it is asked once")))
            }
            Asked::Waiting(waiting) => waiting.thread.open.borrow_mut().poll(waiting.token, cx),
        }
    }
}

/// A request that is waited for. Its end, whichever, closes the token.
pub struct Waiting {
    thread: Rc<Thread>,
    token: Token,
    gather: Option<Box<(GatherId, Vec<Token>)>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.thread.abandon(self.token);
        if let Some(gather) = self.gather.take() {
            let (gather, parts) = *gather;
            parts.into_iter().for_each(|part| self.thread.abandon(part));
            self.thread.router.borrow_mut().forget(gather);
        }
    }
}

/// The group of a request that is for one: its connection belongs on that group's thread.
fn one_group(request: &Request) -> Option<&GroupId> {
    match request {
        Request::JoinGroup(join) => Some(&join.group_id),
        Request::SyncGroup(sync) => Some(&sync.group_id),
        Request::Heartbeat(beat) => Some(&beat.group_id),
        Request::LeaveGroup(leave) => Some(&leave.group_id),
        Request::OffsetCommit(commit) => Some(&commit.group_id),
        Request::OffsetFetch(fetch) if fetch.groups.len() == 1 => Some(&fetch.groups[0].group_id),
        Request::FindCoordinator(_)
        | Request::OffsetFetch(_)
        | Request::OffsetDelete(_)
        | Request::ListGroups(_)
        | Request::DescribeGroups(_)
        | Request::DeleteGroups(_) => None,
    }
}
