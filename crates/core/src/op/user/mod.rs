//! What users do to derivatives: rules of their own, cotangents on their way, an end; and functions
//! without any.

pub(super) mod cotangent;
pub(super) mod custom;
pub(super) mod opaque;
pub(super) mod stop_gradient;
