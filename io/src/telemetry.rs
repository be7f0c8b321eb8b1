//! What is told to an operator: one line for each transition of a group, none for a request.

use quorate_core::{Cause, Note, NoteKind, NoteKinds, ShardId};

use crate::turn::Fault;

/// The notes that the log is made from.
pub const LOGGED: NoteKinds = NoteKinds::NONE
    .with(NoteKind::Transition)
    .with(NoteKind::Member)
    .with(NoteKind::ServerAssigned)
    .with(NoteKind::SweepPutOff);

/// Writes a note to the log.
pub fn note(shard: ShardId, note: &Note) {
    match note {
        Note::Transition { group, from, to, generation, members, cause } => {
            let (from, to) = (from.unwrap_or("none"), to.unwrap_or("none"));
            let why = Why(cause);
            tracing::info!(
                "group {group}: {from} -> {to}, generation {generation}, {members} members: {why}"
            );
        }
        Note::Member { group, cause } => tracing::info!("group {group}: {}", Why(cause)),
        Note::ServerAssigned { group, leader, client_id } => tracing::warn!(
            "group {group}: leader {leader} (client {client_id}) sent no assignment; the \
             partitions are dealt round robin. Set group.classic.server.assignor=none for what \
             Kafka does"
        ),
        Note::Elected { group, generation, leader } => {
            tracing::debug!("group {group}: {leader} leads generation {generation}");
        }
        Note::OffsetsRemoved { group, count } => {
            tracing::debug!("group {group}: {count} offsets expired or were cleaned up");
        }
        Note::SweepPutOff { ahead_ms } => tracing::warn!(
            "shard {shard}: no offset expires yet, for the wall clock jumped ahead by {ahead_ms} ms"
        ),
    }
}

/// Writes to the log what went wrong with a shard.
pub fn fault(shard: ShardId, fault: &Fault) {
    tracing::error!("shard {shard} of the coordinator {fault}");
}

/// A cause, in words.
struct Why<'a>(&'a Cause);

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let because =
            |f: &mut std::fmt::Formatter<'_>, reason: &Option<quorate_core::Text>| match reason {
                Some(reason) => write!(f, " ({reason})"),
                None => Ok(()),
            };
        match self.0 {
            Cause::Created => f.write_str("it came into being"),
            Cause::MemberJoined { member, reason } => {
                write!(f, "{member} joined").and_then(|()| because(f, reason))
            }
            Cause::StaticReplaced { instance, old, new } => {
                write!(f, "static member {instance} came back as {new}, it was {old}")
            }
            Cause::LeaderRejoined { member, reason } => {
                write!(f, "the leader {member} joined again").and_then(|()| because(f, reason))
            }
            Cause::ProtocolsChanged { member, reason } => {
                write!(f, "{member} changed its protocols").and_then(|()| because(f, reason))
            }
            Cause::MemberLeft { member, reason } => {
                write!(f, "{member} left").and_then(|()| because(f, reason))
            }
            Cause::SessionExpired { member } => {
                write!(f, "{member} was silent for its session timeout")
            }
            Cause::SyncTimeout { members } => write!(f, "no SyncGroup came from {members:?}"),
            Cause::AllJoined => f.write_str("all members have joined"),
            Cause::NobodyLeft => f.write_str("nobody is left"),
            Cause::JoinTimeout { dropped } if dropped.is_empty() => {
                f.write_str("the time to join is over")
            }
            Cause::JoinTimeout { dropped } => {
                write!(f, "the time to join is over; {dropped:?} did not")
            }
            Cause::Assigned => f.write_str("the assignment is stored"),
            Cause::AppendFailed => f.write_str("the assignment could not be stored"),
            Cause::OverSize => f.write_str("it was loaded with more members than group.max.size"),
            Cause::Removed => f.write_str("it was deleted, or empty and without offsets"),
        }
    }
}
