//! What is told to an operator: one line for each transition of a group, none for a request.
//!
//! Decided here: what the lines say, and that advice which a client would cause again and again is
//! given once for each client id.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use quorate_core::{Cause, MemberId, Note, NoteKind, NoteKinds, ShardId, Text};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::turn::Fault;

/// The notes that the log is made from.
pub const LOGGED: NoteKinds = NoteKinds::NONE
    .with(NoteKind::Transition)
    .with(NoteKind::Member)
    .with(NoteKind::ServerAssigned)
    .with(NoteKind::SweepPutOff);

/// Client ids that a thread remembers to have advised. Those after them are not advised.
const ADVISED: usize = 1000;

/// What a process writes its log with: lines without the path of the code that they come from.
pub fn subscriber<W>(filter: EnvFilter, colours: bool, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_target(false)
        .with_writer(to)
        .finish()
}

/// Whom a thread has advised: hashes of client ids, which can be long.
#[derive(Debug, Default)]
pub struct Advised {
    clients: BTreeSet<u64>,
}

impl Advised {
    /// Whether this client is to be advised now.
    fn is_first(&mut self, client_id: &Text) -> bool {
        let client = FixedState::default().hash_one(client_id.as_bytes());
        self.clients.len() < ADVISED && self.clients.insert(client)
    }
}

/// Letters of a client's word that are written to the log.
const SHOWN: usize = 120;

/// What a client chose, as it may stand in a line of the log: without letters that end the line or
/// cannot be seen, and no longer than [`SHOWN`].
struct Said<'a>(&'a Text);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut letters = self.0.as_str().chars();
        for letter in letters.by_ref().take(SHOWN) {
            match letter {
                letter if letter.is_control() => write!(f, "{}", letter.escape_debug())?,
                letter => f.write_char(letter)?,
            }
        }
        if letters.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

impl std::fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Writes a note to the log.
pub fn note(shard: ShardId, note: &Note, advised: &mut Advised) {
    match note {
        Note::Transition { group, from, to, generation, members, cause } => {
            let (from, to) = (from.unwrap_or("none"), to.unwrap_or("none"));
            let (group, why) = (Said(&group.0), Why(cause));
            tracing::info!(
                "group {group}: {from} -> {to}, generation {generation}, {members} members: {why}"
            );
        }
        Note::Member { group, cause } => {
            tracing::info!("group {}: {}", Said(&group.0), Why(cause));
        }
        Note::ServerAssigned { group, leader, client_id } if advised.is_first(client_id) => {
            let (group, leader, client_id) = (Said(&group.0), Said(&leader.0), Said(client_id));
            tracing::warn!(
                "group {group}: leader {leader} (client {client_id}) sent no assignment; the \
                 partitions are dealt round robin. Set group.classic.server.assignor=none for what \
                 Kafka does. This is said once for each client id"
            );
        }
        Note::ServerAssigned { group, leader, .. } => {
            let (group, leader) = (Said(&group.0), Said(&leader.0));
            tracing::debug!(
                "group {group}: leader {leader} sent no assignment; the partitions are dealt"
            );
        }
        Note::Elected { group, generation, leader } => {
            let (group, leader) = (Said(&group.0), Said(&leader.0));
            tracing::debug!("group {group}: {leader} leads generation {generation}");
        }
        Note::OffsetsRemoved { group, count } => {
            let group = Said(&group.0);
            tracing::debug!("group {group}: {count} offsets expired or were cleaned up");
        }
        Note::SweepPutOff { ahead_ms } => tracing::warn!(
            "shard {shard}: no offset expires yet, for the wall clock jumped ahead by {ahead_ms} ms"
        ),
        // Traces show it; a log would be all of it.
        Note::Timer { .. } => {}
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
                Some(reason) => write!(f, " ({})", Said(reason)),
                None => Ok(()),
            };
        match self.0 {
            Cause::Created => f.write_str("it came into being"),
            Cause::MemberJoined { member, reason } => {
                write!(f, "{} joined", Said(&member.0)).and_then(|()| because(f, reason))
            }
            Cause::StaticReplaced { instance, old, new } => {
                let (instance, new, old) = (Said(&instance.0), Said(&new.0), Said(&old.0));
                write!(f, "static member {instance} came back as {new}, it was {old}")
            }
            Cause::LeaderRejoined { member, reason } => {
                write!(f, "the leader {} joined again", Said(&member.0))
                    .and_then(|()| because(f, reason))
            }
            Cause::ProtocolsChanged { member, reason } => {
                write!(f, "{} changed its protocols", Said(&member.0))
                    .and_then(|()| because(f, reason))
            }
            Cause::MemberLeft { member, reason } => {
                write!(f, "{} left", Said(&member.0)).and_then(|()| because(f, reason))
            }
            Cause::SessionExpired { member } => {
                write!(f, "{} was silent for its session timeout", Said(&member.0))
            }
            Cause::GroupFull { member } => {
                let member = Said(&member.0);
                write!(f, "{member} joined again and was too many for group.max.size")
            }
            Cause::SyncTimeout { members } => {
                write!(f, "no SyncGroup came from {:?}", said(members))
            }
            Cause::AllJoined => f.write_str("all members have joined"),
            Cause::NobodyLeft => f.write_str("nobody is left"),
            Cause::JoinTimeout { dropped } if dropped.is_empty() => {
                f.write_str("the time to join is over")
            }
            Cause::JoinTimeout { dropped } => {
                write!(f, "the time to join is over; {:?} did not", said(dropped))
            }
            Cause::Assigned => f.write_str("the assignment is stored"),
            Cause::AppendFailed => f.write_str("the assignment could not be stored"),
            Cause::OverSize => f.write_str("it was loaded with more members than group.max.size"),
            Cause::Removed => f.write_str("it was deleted, or empty and without offsets"),
        }
    }
}

/// The ids of members, of which there may be many.
fn said(members: &[MemberId]) -> Vec<Said<'_>> {
    members.iter().take(MEMBERS_SHOWN).map(|member| Said(&member.0)).collect()
}

/// Members that one line of the log names.
const MEMBERS_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use quorate_core::{GroupId, MemberId};

    use super::*;
    use crate::disk::locked;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            locked(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written to the log without its times.
    fn logged(work: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = subscriber(EnvFilter::new("info"), false, move || to.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = locked(&lines.0).clone();
        let text = String::from_utf8(bytes).expect("text");
        let without_time = |line: &str| line.split_once(' ').expect("a time").1.to_owned();
        text.lines().map(without_time).collect()
    }

    fn server_assigned(client_id: &str) -> Note {
        let (group, leader) = (GroupId::from("orders"), MemberId::from("m1"));
        Note::ServerAssigned { group, leader, client_id: Text::from(client_id) }
    }

    #[test]
    fn a_client_whose_leader_sends_no_assignment_is_named_once() {
        let lines = logged(|| {
            let advised = &mut Advised::default();
            for client_id in ["a", "b", "a", "b", "b"] {
                note(ShardId(3), &server_assigned(client_id), advised);
            }
        });
        let line = |client: &str| {
            format!(
                " WARN group orders: leader m1 (client {client}) sent no assignment; the \
                 partitions are dealt round robin. Set group.classic.server.assignor=none for \
                 what Kafka does. This is said once for each client id"
            )
        };
        assert_eq!(lines, [line("a"), line("b")]);
    }

    #[test]
    fn whoever_makes_up_client_ids_does_not_fill_memory_or_the_log() {
        let mut advised = Advised::default();
        let first = |n: &usize| advised.is_first(&Text::from(format!("client-{n}")));
        assert_eq!((0..2 * ADVISED).filter(first).count(), ADVISED);
        assert_eq!(advised.clients.len(), ADVISED);
    }

    #[test]
    fn what_clients_choose_breaks_no_line_and_fills_no_log() {
        let group = GroupId::from(format!("a\n INFO b\0{}", "g".repeat(30_000)).as_str());
        let cause = Cause::MemberLeft { member: "m\r".into(), reason: Some("\x1b[2J".into()) };
        let lines = logged(|| {
            note(ShardId(0), &Note::Member { group, cause }, &mut Advised::default());
        });
        let shown = format!("a\\n INFO b\\0{}...", "g".repeat(SHOWN - 10));
        assert_eq!(lines, [format!(" INFO group {shown}: m\\r left (\\u{{1b}}[2J)")]);
    }

    #[test]
    fn a_fault_is_one_line() {
        let lines = logged(|| fault(ShardId(3), &Fault::Panicked { message: "no".to_owned() }));
        assert_eq!(lines, ["ERROR shard 3 of the coordinator panicked: no; it is loaded again"]);
    }
}
