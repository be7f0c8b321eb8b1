//! Counterexamples as lines to read: members by the order in which they appear.

use quorate_core::{Effect, ErrorCode, Note, Record, RecordKey, RecordValue, Response};

use super::alias::asker;
use super::client::{Ask, error};
use super::model::{ADMIN, Action, State};

/// The short names of member ids.
#[derive(Debug, Default)]
pub struct Names {
    ids: Vec<String>,
}

impl Names {
    /// What happens.
    pub fn line(&mut self, action: Action, state: &State) -> String {
        match action {
            Action::Ask(number, ask) => {
                let client = &state.clients[usize::from(number)];
                let id = client.member.as_ref().map_or("-", |id| id.as_str());
                let (id, generation) = (self.shorten(id), client.generation);
                let ask = match ask {
                    Ask::Join => format!("Join  m={id}"),
                    Ask::Sync => format!("Sync  m={id}  gen {generation}"),
                    Ask::Heartbeat => format!("Heartbeat  m={id}  gen {generation}"),
                    Ask::Commit(offset) => format!("Commit {offset}  m={id}  gen {generation}"),
                };
                format!("c{number}  ->  {ask}")
            }
            Action::Restart(number) => format!("c{number}  xx  restarts"),
            Action::Delete => "ad  ->  DeleteGroups".into(),
            Action::Store => "s0  <<  the oldest batch is stored".into(),
            Action::Refuse(from) => format!("s0  !!  batch {} and later are refused", from + 1),
            Action::Pass => "      time passes until something is due".into(),
            Action::Fire => "s0  !t  what is due runs".into(),
            Action::Crash(stored) => {
                format!("s0  xx  dies and loads again; of what was in flight {stored} are stored")
            }
            Action::Lie => "s0  xx  the journal says that it has stored the oldest batch".into(),
        }
    }

    /// What came of it.
    pub fn effect(&mut self, effect: &Effect) -> String {
        match effect {
            Effect::Reply { token, body } => {
                let who = asker(*token);
                let who = if who == ADMIN { "ad".into() } else { format!("c{who}") };
                format!("{who}  <-  {}", self.reply(body))
            }
            Effect::Dropped { token, why } => format!("c{}  ~>  {why:?}", asker(*token)),
            Effect::Append(batch) => {
                let records: Vec<String> = batch.records.iter().map(|r| self.record(r)).collect();
                format!("s0  >>  b{}@{}  {}", batch.id, batch.base, records.join(", "))
            }
            Effect::Note(Note::Transition { from, to, generation, .. }) => {
                let (from, to) = (from.unwrap_or("none"), to.unwrap_or("none"));
                format!("s0  ::  {from} -> {to}  gen {generation}")
            }
            Effect::Note(note) => format!("s0  ::  {note:?}"),
        }
    }

    fn reply(&mut self, body: &Response) -> String {
        let error = match error(body) {
            ErrorCode::None => "ok".to_owned(),
            error => format!("{error:?}"),
        };
        match body {
            Response::JoinGroup(join) if join.error == ErrorCode::None => {
                let (id, leader) = (join.member_id.as_str(), join.leader.as_str());
                let (id, leader) = (self.shorten(id), self.shorten(leader));
                format!("Join  ok  m={id}  gen {}  leader {leader}", join.generation)
            }
            Response::JoinGroup(join) => {
                format!("Join  {error}  m={}", self.shorten(join.member_id.as_str()))
            }
            Response::SyncGroup(sync) => format!("Sync  {error}  {:?}", sync.assignment),
            Response::Heartbeat(_) => format!("Heartbeat  {error}"),
            Response::OffsetCommit(_) => format!("Commit  {error}"),
            Response::DeleteGroups(_) => format!("DeleteGroups  {error}"),
            other => format!("{other:?}"),
        }
    }

    fn record(&mut self, record: &Record) -> String {
        match (&record.key, &record.value) {
            (RecordKey::Group(_), Some(RecordValue::Group(row))) => {
                let members = row.members.iter().map(|m| self.shorten(m.member_id.as_str()));
                let members: Vec<String> = members.collect();
                format!("Group gen {} {{{}}}", row.generation, members.join(" "))
            }
            (RecordKey::Offset { .. }, Some(RecordValue::Offset(row))) => {
                format!("Offset {}", row.offset)
            }
            (RecordKey::Group(_), _) => "Group gone".into(),
            (RecordKey::Offset { .. }, _) => "Offset gone".into(),
        }
    }

    /// Text with every member id in short.
    pub fn shorten(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(found) = find_id(rest) {
            let (before, after) = rest.split_at(found);
            let (id, after) = after.split_at(39);
            let known = self.ids.iter().position(|known| known == id);
            let place = known.unwrap_or_else(|| {
                self.ids.push(id.to_owned());
                self.ids.len() - 1
            });
            out.push_str(&format!("{before}m{}", place + 1));
            rest = after;
        }
        out + rest
    }
}

/// Where the next `c0-<uuid>` begins.
fn find_id(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_id = |at: &usize| {
        let id = &bytes[*at..*at + 39];
        id[0] == b'c'
            && id[1].is_ascii_digit()
            && [2, 11, 16, 21, 26].iter().all(|i| id[*i] == b'-')
    };
    (0..(bytes.len() + 1).saturating_sub(39)).find(is_id)
}
