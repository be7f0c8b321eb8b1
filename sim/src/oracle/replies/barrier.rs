//! P3: what is answered is durable (design 5 and 6, spec classic 3.2).

use quorate_core::{ErrorCode, Input, Request, Response};

use super::P3;
use super::book::{Asked, Flight, Observer, Step};
use super::words::{api, codes, groups, is_only, succeeds};
use crate::oracle::Found;

/// P3.
pub struct Barrier;

impl Observer for Barrier {
    fn step(&mut self, step: &Step<'_>, found: &mut Found) {
        for (place, token, body) in step.replies() {
            let Some(asked) = step.of.asked.get(&token) else { continue };
            if is_exempt(asked, body, step.input) {
                continue;
            }
            let overtaken =
                step.of.flights.iter().find(|flight| overtakes(step, place, asked, flight.serial));
            if let Some(flight) = overtaken {
                found.violated(P3, || {
                    format!(
                        "{:?}: {} {token} is answered {:?} while {:?} is in flight: {body:?}",
                        step.place,
                        api(&asked.request),
                        codes(body),
                        flight.batch
                    )
                });
            }
        }
    }
}

/// Whether a batch that is still in flight should have been waited for.
fn overtakes(step: &Step<'_>, reply: usize, asked: &Asked, serial: u64) -> bool {
    if asked.barrier.contains(&serial) {
        return true;
    }
    let Some(flight) = step.of.flights.iter().find(|flight| flight.serial == serial) else {
        return false;
    };
    let named = groups(&asked.request);
    match &asked.request {
        Request::SyncGroup(sync) => {
            let assigns =
                |flight: &Flight| flight.is_assignment && flight.groups.contains(&sync.group_id);
            // The first of a generation's assignments that is stored counts: as in Kafka those of a
            // leader that synced again wait for nothing.
            let before = step.context.before.get(&sync.group_id);
            let is_stored = before.is_some_and(|before| before.state == "Stable")
                || step.stored.iter().any(assigns);
            assigns(flight) && !is_stored
        }
        // It was decided in this step, after those batches of its group that the step wrote before.
        Request::Heartbeat(_)
        | Request::LeaveGroup(_)
        | Request::OffsetCommit(_)
        | Request::OffsetDelete(_)
            if asked.is_deferred =>
        {
            let is_earlier = step.effects[..reply].iter().any(|effect| match effect {
                quorate_core::Effect::Append(batch) => batch.id == flight.batch.id,
                _ => false,
            });
            is_earlier && named.iter().any(|group| flight.groups.contains(*group))
        }
        _ => false,
    }
}

/// Errors of the write deadline, of a refusal and of the end of an incarnation wait for nothing;
/// nor do joins and syncs that fail, and deletions of which none is carried out.
fn is_exempt(asked: &Asked, body: &Response, input: Option<&Input>) -> bool {
    if succeeds(body) {
        return false;
    }
    let is_late = is_only(body, ErrorCode::CoordinatorNotAvailable);
    let is_elsewhere = is_only(body, ErrorCode::NotCoordinator);
    let is_refused = matches!(input, Some(Input::Rejected { .. }));
    let decides_alone = matches!(
        asked.request,
        Request::JoinGroup(_) | Request::SyncGroup(_) | Request::DeleteGroups(_)
    );
    is_late || is_elsewhere || is_refused || decides_alone
}
