//! One event as query parameters.

use crate::{
    batch::Intake,
    rejection::{Code, Rejection},
};

/// Takes the event of `query` into `intake`.
pub(super) fn parse(_query: &[u8], _intake: &mut Intake<'_>) -> Result<(), Rejection> {
    Err(Rejection::new(Code::EmptyBatch, "the query holds no event: send type and user_id"))
}
