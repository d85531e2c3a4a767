//! Segment's HTTP tracking API (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>).

use super::Call;
use crate::{
    batch::Intake,
    rejection::{Code, Rejection},
};

/// Takes the events of `body` into `intake`, in their order.
pub(super) fn parse(_call: Call, _body: &[u8], _intake: &mut Intake<'_>) -> Result<(), Rejection> {
    Err(Rejection::new(Code::EmptyBatch, "the body holds no event: send `batch`"))
}
