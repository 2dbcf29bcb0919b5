//! Sizes that loops are cut by: leaves, blocks, lanes, tiles, and from where on another way pays.
//!
//! No result depends on them but in its last digits, and each is a place where a loop may end one
//! element early or late. So every such constant is declared by `tuned!`, which does two things
//! for tests. They can ask for [all sizes](crate::sizes), and try every op at lengths that surround each
//! of them. And with the hidden feature `tiny-kernels` all constants are as small as they can be,
//! so that ordinary samples of three or four elements cross every boundary.

pub(crate) mod damage;

/// Declares constants of type `usize`, each with the value that it has under `tiny-kernels`.
macro_rules! tuned {
    ($($(#[$doc:meta])* $visibility:vis const $name:ident = $value:expr, tiny $tiny:expr;)+) => {
        $(
            $(#[$doc])*
            $visibility const $name: usize =
                if cfg!(feature = "tiny-kernels") { $tiny } else { $value };
        )+
        /// The tuned sizes of this file.
        pub(crate) const SIZES: &[$crate::tuned::Size] =
            &[$((concat!(module_path!(), "::", stringify!($name)), $name)),+];
    };
}

/// A constant: its path and its value.
pub(crate) type Size = (&'static str, usize);
