//! What users do to derivatives: rules of their own, cotangents on their way, an end.

pub(super) mod cotangent;
pub(super) mod custom;
pub(super) mod stop_gradient;
