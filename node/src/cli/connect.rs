//! From the global options to a client, and from its errors to failures.

use std::time::Duration;

use paceline_client::{
    CancelByUniqueError, Client, ConnectError, EditError, GetLimitError, ListError, PauseError,
    RequeueError, ResumeError, RetryError, SetLimitError, SteerError, StoreError, SubmitError,
    WaitError, WorkflowSubmitError,
};

use super::failure::{Failure, Kind};
use super::options::Globals;

/// How long a command tries again before it says that Redis is not there: a person waits.
const RETRY_FOR: Duration = Duration::from_secs(5);

/// Connects as the options say.
pub(crate) async fn connect(globals: &Globals) -> Result<Client, Failure> {
    let client = Client::builder()
        .url(&globals.redis)
        .namespace(&globals.namespace)
        .retry_for(RETRY_FOR);
    Ok(client.connect().await?)
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        let kind = match error {
            ConnectError::Url(_) | ConnectError::Namespace(_) => Kind::Usage,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::redis(error)
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Failure {
        let kind = match error {
            ListError::Cursor(_) => Kind::Usage,
            ListError::Store(_) => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Failure {
        let kind = match error {
            SubmitError::Invalid(_)
            | SubmitError::TooLarge { .. }
            | SubmitError::KeysApart(_)
            | SubmitError::InThePast { .. } => Kind::Usage,
            SubmitError::Duplicate { .. } => Kind::Conflict,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}

impl From<RetryError> for Failure {
    fn from(error: RetryError) -> Failure {
        let kind = match error {
            RetryError::Unknown { .. } => Kind::NotFound,
            RetryError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<ResumeError> for Failure {
    fn from(error: ResumeError) -> Failure {
        let kind = match error {
            ResumeError::Unknown { .. } => Kind::NotFound,
            ResumeError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<SetLimitError> for Failure {
    fn from(error: SetLimitError) -> Failure {
        match error {
            SetLimitError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<GetLimitError> for Failure {
    fn from(error: GetLimitError) -> Failure {
        match error {
            GetLimitError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<SteerError> for Failure {
    fn from(error: SteerError) -> Failure {
        match error {
            SteerError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<PauseError> for Failure {
    fn from(error: PauseError) -> Failure {
        let kind = match error {
            PauseError::Unknown { .. } => Kind::NotFound,
            PauseError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<RequeueError> for Failure {
    fn from(error: RequeueError) -> Failure {
        let kind = match error {
            RequeueError::Unknown { .. } => Kind::NotFound,
            RequeueError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Failure {
        let kind = match error {
            EditError::Unknown { .. } => Kind::NotFound,
            EditError::TooLarge { .. } => Kind::Usage,
            EditError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<CancelByUniqueError> for Failure {
    fn from(error: CancelByUniqueError) -> Failure {
        match error {
            CancelByUniqueError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<WorkflowSubmitError> for Failure {
    fn from(error: WorkflowSubmitError) -> Failure {
        match error {
            WorkflowSubmitError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Failure {
        let kind = match error {
            WaitError::Unknown { .. } => Kind::NotFound,
            WaitError::Store(_) | WaitError::Stopped => Kind::Redis,
            _ => Kind::Outcome,
        };
        Failure::new(kind, error)
    }
}
