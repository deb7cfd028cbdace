//! The tie between a Rust type and a task type.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A payload type that names its task type and the output of its handler.
///
/// ```
/// # use paceline_types::Task;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Resize { image: String, width: u32 }
///
/// impl Task for Resize {
///     const TYPE: &'static str = "image.resize";
///     type Output = String;
/// }
/// ```
pub trait Task: Serialize + DeserializeOwned + Send + 'static {
    /// The task type: letters, digits and punctuation, see [`crate::TaskType`].
    const TYPE: &'static str;
    /// What the handler returns, stored as JSON.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}
