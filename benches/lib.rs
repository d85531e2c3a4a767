//! What the stages cost, beside the least they could cost.
