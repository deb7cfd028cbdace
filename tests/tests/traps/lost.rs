//! What is lost, poisoned or said by a leader that is none any more.
