//! Whether an event about an item can be true of the batch as it stands.

use paceline_types::batch::{ItemState, ONETIME_PLACE};

use super::step::Step;
use crate::batch::transition::{BatchImpossible, BatchRefusal};
use crate::transition::Late;

impl Step<'_> {
    /// Whether this start of an item, or of the onetime task, can end now.
    pub(super) fn judge(&self, place: u32, iteration: u32) -> Result<(), BatchRefusal> {
        let impossible = |why| Err(BatchRefusal::Impossible(why));
        let (current, open) = if place == ONETIME_PLACE {
            match &self.batch.header().onetime {
                None => return impossible(BatchImpossible::NeverStarted { place }),
                Some(onetime) => (onetime.iteration, onetime.is_open()),
            }
        } else {
            match self.batch.record(place) {
                None => return impossible(BatchImpossible::UnknownItem { place }),
                Some(record) if record.state == ItemState::Waiting => {
                    return impossible(BatchImpossible::NeverStarted { place });
                }
                Some(record) => (u32::from(record.iteration), record.state.is_open()),
            }
        };
        if iteration > current {
            return impossible(BatchImpossible::FutureIteration {
                place,
                current,
                iteration,
            });
        }
        if iteration < current {
            return Err(BatchRefusal::Late(Late::Superseded { current }));
        }
        if !open {
            return Err(BatchRefusal::Late(Late::TaskEnded));
        }
        Ok(())
    }
}
