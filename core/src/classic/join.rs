//! JoinGroup once the group is found (spec classic 6.3 to 6.6).

use std::time::Duration;

use super::{AwaitingJoin, ClassicGroup, Member, State};
use crate::effect::Dropped;
use crate::env::Cx;
use crate::error::ErrorCode;
use crate::group::Group;
use crate::id::{MemberId, Token};
use crate::note::{ArmedFor, Cause, Note, NoteKind};
use crate::record::encode::LONGEST_TEXT;
use crate::request::{JoinGroup, Origin, Protocol};
use crate::response;
use crate::timers::TimerKey;

/// How long a new member may be silent while its first JoinGroup is parked; not configurable.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_millis(300_000);

/// A JoinGroup under way.
pub(super) struct Joining {
    pub(super) token: Token,
    pub(super) origin: Origin,
    pub(super) request: JoinGroup,
}

impl Group {
    /// Serves a JoinGroup in the order of spec classic 6.3 to 6.5.
    pub(crate) fn join(
        &mut self,
        cx: &mut Cx<'_>,
        token: Token,
        origin: Origin,
        mut request: JoinGroup,
    ) {
        request.protocols = distinct(request.protocols);
        if !self.live.accepts(&request.member_id, cx.env.config.max_group_size) {
            self.live.forget(cx, &request.member_id);
            cx.join_refused(token, ErrorCode::GroupMaxSizeReached, MemberId::default());
            return;
        }
        if !self.live.supports(&request.protocol_type, &request.protocols) {
            cx.join_refused(token, ErrorCode::InconsistentGroupProtocol, request.member_id);
            return;
        }
        let joining = Joining { token, origin, request };
        if joining.request.member_id.is_empty() {
            self.join_as_new(cx, joining);
        } else {
            self.join_as_known(cx, joining);
        }
    }

    fn join_as_new(&mut self, cx: &mut Cx<'_>, joining: Joining) {
        let Some(id) = new_member_id(cx, &joining) else {
            cx.join_refused(joining.token, ErrorCode::UnknownServerError, MemberId::default());
            return;
        };
        let instance = joining.request.instance_id.as_ref();
        if let Some(old) = instance.and_then(|i| self.live.static_members.get(i)).cloned() {
            self.replace_static(cx, joining, old, id);
        } else if instance.is_none() && joining.request.may_be_handed_an_id {
            let timeout = joining.request.session_timeout.duration();
            let key = TimerKey::Session(cx.id.clone(), id.clone());
            let timer = self.live.pending_join.entry(id.clone()).or_default();
            cx.arm_for(ArmedFor::HandedOut, timer, timeout, key);
            cx.join_refused(joining.token, ErrorCode::MemberIdRequired, id);
        } else {
            self.add_member(cx, joining, id);
        }
    }

    fn join_as_known(&mut self, cx: &mut Cx<'_>, joining: Joining) {
        let id = joining.request.member_id.detached();
        if self.live.pending_join.contains_key(&id) {
            if joining.request.instance_id.is_some() {
                // To Kafka it is a fault, and a fault's answer names no member.
                let nobody = MemberId::default();
                cx.join_refused(joining.token, ErrorCode::UnknownServerError, nobody);
            } else {
                self.add_member(cx, joining, id);
            }
            return;
        }
        if let Err(error) = self.live.validate(&id, joining.request.instance_id.as_ref()) {
            cx.join_refused(joining.token, error, id);
            return;
        }
        let same =
            self.live.members.get(&id).is_some_and(|m| m.protocols == joining.request.protocols);
        match self.live.state {
            State::PreparingRebalance => {
                self.live.update(cx, joining, &id);
                self.try_complete(cx);
            }
            State::CompletingRebalance if same => {
                let answer = self.live.joined(&id);
                cx.join_reply(joining.token, answer);
            }
            State::Stable if same && !self.live.is_leader(&id) => {
                let answer = self.live.joined(&id);
                cx.join_reply(joining.token, answer);
            }
            State::CompletingRebalance | State::Stable => {
                let reason = joining.request.reason.as_ref().map(crate::id::Text::detached);
                let cause = if same {
                    Cause::LeaderRejoined { member: id.clone(), reason }
                } else {
                    Cause::ProtocolsChanged { member: id.clone(), reason }
                };
                self.live.update(cx, joining, &id);
                self.start_rebalance(cx, cause);
            }
            State::Empty => cx.join_refused(joining.token, ErrorCode::UnknownMemberId, id),
        }
    }

    /// Spec classic 6.6.
    fn add_member(&mut self, cx: &mut Cx<'_>, joining: Joining, id: MemberId) {
        let Joining { token, origin, request } = joining;
        let live = &mut self.live;
        let reason = request.reason.as_ref().map(crate::id::Text::detached);
        let cause = Cause::MemberJoined { member: id.clone(), reason };
        if live.state == State::PreparingRebalance && live.previous == State::Empty {
            live.new_member_added = true;
        }
        if let Some(timer) = live.take_pending_join(&id) {
            cx.env.timers.discard(&timer);
        }
        if live.members.is_empty() {
            live.protocol_type = Some(request.protocol_type.detached());
        }
        live.leader.get_or_insert_with(|| id.clone());
        let instance_id = request.instance_id.as_ref().map(crate::id::InstanceId::detached);
        if let Some(instance) = &instance_id {
            live.static_members.insert(instance.clone(), id.clone());
        }
        cx.env.parked.park(token);
        let mut member = Member {
            id: id.clone(),
            instance_id,
            client_id: origin.client_id.detached(),
            client_host: origin.client_host.detached(),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: detached(&request.protocols),
            assignment: bytes::Bytes::new(),
            is_new: true,
            join: Some(AwaitingJoin { token }),
            sync: None,
            session: crate::timers::Timer::default(),
        };
        let key = TimerKey::Session(cx.id.clone(), id);
        cx.arm(&mut member.session, NEW_MEMBER_JOIN_TIMEOUT, key);
        live.count_protocols(&member.protocols);
        live.awaiting_join += 1;
        live.members.push(member);
        if live.state == State::PreparingRebalance {
            cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
            self.try_complete(cx);
        } else {
            self.start_rebalance(cx, cause);
        }
    }
}

impl ClassicGroup {
    /// Spec classic 6.3: whether the size limit admits this join.
    fn accepts(&self, id: &MemberId, max: usize) -> bool {
        let member = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|m| m.join.is_some()) || self.awaiting_join < max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < max
            }
        }
    }

    /// A join over the size limit takes its id out of the group, without looking at what follows
    /// from that.
    fn forget(&mut self, cx: &mut Cx<'_>, id: &MemberId) {
        if let Some(timer) = self.take_pending_join(id) {
            cx.env.timers.discard(&timer);
        }
        if self.members.contains(id) {
            let cause = Cause::GroupFull { member: id.clone() };
            cx.note(NoteKind::Member, |group| Note::Member { group: group.clone(), cause });
        }
        self.remove(cx, id);
    }

    /// Takes protocols and timeouts over from a request and parks it in place of an older one.
    pub(super) fn update(&mut self, cx: &mut Cx<'_>, joining: Joining, id: &MemberId) {
        let Joining { token, request, .. } = joining;
        let Some(member) = self.members.get_mut(id) else { return };
        cx.env.parked.park(token);
        let older = member.join.replace(AwaitingJoin { token });
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        let protocols = detached(&request.protocols);
        let before = std::mem::replace(&mut member.protocols, protocols.clone());
        self.uncount_protocols(&before);
        self.count_protocols(&protocols);
        match older {
            Some(older) => cx.env.dropped(cx.out, older.token, Dropped::Replaced),
            None => self.awaiting_join += 1,
        }
    }

    /// The answer to a join that is served at once, or whose phase completed (spec classic 6.10).
    pub(super) fn joined(&self, id: &MemberId) -> response::JoinGroup {
        let is_led_by_it = self.is_leader(id) && self.state == State::CompletingRebalance;
        response::JoinGroup {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: id.clone(),
            members: if is_led_by_it { self.joined_members() } else { Vec::new() },
        }
    }

    /// All members with their metadata for the chosen protocol, in the order of joining.
    pub(super) fn joined_members(&self) -> Vec<response::JoinedMember> {
        let metadata = |member: &Member| member.metadata(self.protocol.as_ref()?);
        let entry = |member: &Member| response::JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: metadata(member).unwrap_or_default(),
        };
        self.members.iter().map(entry).collect()
    }
}

/// `<prefix>-<uuid>`: the prefix is the instance id, else the client id (spec classic 6.4, 3).
/// `None` where the id would be longer than a record can hold.
fn new_member_id(cx: &mut Cx<'_>, joining: &Joining) -> Option<MemberId> {
    let client_id = &joining.origin.client_id;
    let prefix = joining.request.instance_id.as_ref().map_or(client_id, |instance| &instance.0);
    let id = format!("{prefix}-{}", cx.env.random.uuid());
    (id.len() <= LONGEST_TEXT).then(|| MemberId::from(id))
}

/// A protocol that is named twice counts once, with its first metadata (design deviation 8).
fn distinct(mut protocols: Vec<Protocol>) -> Vec<Protocol> {
    let mut kept: Vec<Protocol> = Vec::with_capacity(protocols.len());
    for protocol in protocols.drain(..) {
        if kept.iter().all(|known| known.name != protocol.name) {
            kept.push(protocol);
        }
    }
    kept
}

fn detached(protocols: &[Protocol]) -> Vec<Protocol> {
    let copy = |protocol: &Protocol| Protocol {
        name: protocol.name.detached(),
        metadata: bytes::Bytes::copy_from_slice(&protocol.metadata),
    };
    protocols.iter().map(copy).collect()
}
