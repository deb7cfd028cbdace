//! The programs in the README, compiled.
#![doc = include_str!("../../README.md")]
