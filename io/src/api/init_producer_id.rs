//! InitProducerId: ids for idempotent producers, from durable blocks that each thread takes.

use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::catalog::{Operation, Outcome};
use crate::core_thread::Thread;

/// Answers a request.
///
/// Transactions are not served yet, so nobody is authorized for a transactional id. Id and epoch of
/// a producer that is not transactional mean nothing, but they come together (KIP-360).
pub(super) async fn answer(
    thread: &Rc<Thread>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    if let Some(id) = &request.transactional_id {
        return refusal(match id.is_empty() {
            true => ResponseError::InvalidRequest,
            false => ResponseError::TransactionalIdAuthorizationFailed,
        });
    }
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return refusal(ResponseError::InvalidRequest);
    }
    let taken = thread.homes().borrow_mut().take_producer_id();
    if let Some(id) = taken {
        return InitProducerIdResponse::default().with_producer_id(ProducerId(id));
    }
    match thread.change_catalog(Operation::ProducerIds).await {
        Ok(Outcome::ProducerIds(mut ids)) => {
            let id = ids.next().unwrap_or(-1);
            thread.homes().borrow_mut().add_producer_ids(ids);
            InitProducerIdResponse::default().with_producer_id(ProducerId(id))
        }
        Ok(_) | Err(_) => refusal(ResponseError::CoordinatorNotAvailable),
    }
}

fn refusal(error: ResponseError) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}
