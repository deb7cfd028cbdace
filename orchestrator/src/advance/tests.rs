//! `advance`, seen from outside: scripts of events and what must follow from each.
//!
//! [`Run`] keeps beside the live instance what a ledger would keep of it, from nothing but the
//! transitions; after every event the instance that is loaded from that must be the live one.

mod children;
mod hooks;
mod loops;
mod maps;
mod plain;
mod reference;
mod retry;
mod routes;
mod run;
mod sections;
mod signals;
mod size;
mod states;
mod steering;
mod values;
mod walk;

use super::*;
use run::{ALL, Run, check, check_limited, new_instance};
