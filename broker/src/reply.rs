//! What a handler gives back: an answer at once, one that waits for an event, or none.

use std::fmt;

use futures::future::BoxFuture;
use riverrun_core::{log::FileSpan, protocol::ResponseBody};

/// The outcome of [`Broker::handle`](crate::Broker::handle).
///
/// Whatever the request changes has happened when `handle` returns, in the order of the calls, but for topics that are
/// made or deleted: that takes the disk its time, and is done once the reply has come. [`Reply::Later`] only waits: for
/// durability, for records to arrive, for a group to assemble. So replies may be awaited one after the other
/// while their requests proceed together, and dropping one abandons the answer only.
#[non_exhaustive]
pub enum Reply {
    /// The answer.
    Now(ResponseBody),
    /// The answer comes when the event it waits for has come, or its time is up.
    Later(BoxFuture<'static, ResponseBody>),
    /// An answer whose records are still in their files; only for connections that can send those.
    #[doc(hidden)]
    Stored(Box<Stored>),
    /// The same, when what it waits for has come.
    #[doc(hidden)]
    StoredLater(BoxFuture<'static, Stored>),
    /// The request wants no answer (acks=0).
    Never,
    /// The request wants no answer and has failed: the only way to say so is to close the connection.
    Close,
}

impl Reply {
    /// An answer that is there already.
    pub(crate) fn now(response: impl Into<ResponseBody>) -> Self {
        Self::Now(response.into())
    }

    /// An answer that a future gives.
    pub(crate) fn later<R: Into<ResponseBody>>(response: impl Future<Output = R> + Send + 'static) -> Self {
        Self::Later(Box::pin(async move { response.await.into() }))
    }

    /// A fetch's answer that a future gives.
    pub(crate) fn stored_later(response: impl Future<Output = Stored> + Send + 'static) -> Self {
        Self::StoredLater(Box::pin(response))
    }
}

/// An answer some of whose byte fields are in files.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stored {
    pub(crate) body: ResponseBody,
    /// For each byte field of the body in its order: where its content is, if not in the body.
    pub(crate) files: Vec<Option<FileSpan>>,
}

impl Stored {
    /// An answer that is all there.
    pub(crate) fn in_memory(body: ResponseBody) -> Self {
        Self { body, files: Vec::new() }
    }

    fn has_files(&self) -> bool {
        self.files.iter().any(Option::is_some)
    }
}

impl From<Stored> for Reply {
    fn from(stored: Stored) -> Self {
        if stored.has_files() { Self::Stored(Box::new(stored)) } else { Self::Now(stored.body) }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(response) => f.debug_tuple("Now").field(response).finish(),
            Self::Stored(stored) => f.debug_tuple("Stored").field(stored).finish(),
            Self::StoredLater(_) => f.write_str("StoredLater"),
            Self::Later(_) => f.write_str("Later"),
            Self::Never => f.write_str("Never"),
            Self::Close => f.write_str("Close"),
        }
    }
}
