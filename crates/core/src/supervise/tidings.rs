//! In:     -
//! Out:    what the operator has to know of a decision, beside what is done.
//! Actors: none.
//! Never:  is a child ended by force that still had something to do, and nobody told.

/// News for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tidings {
    /// This worker has not ended within its graceful timeout, and is ended.
    Overstays(u32),
    /// This worker has not loaded its app in time, and is ended.
    LoadsTooLong(u32),
    /// This worker was busy when the last edge died, has not come to the new one in time, and is ended.
    Missing(u32),
    /// The edge was not ready in time, and is ended.
    EdgeStartsTooLong,
    /// The edge has not ended in time, and is ended.
    EdgeOverstays,
    /// No worker of this app takes requests, and none could be started; the next try comes then.
    AppIsDown {
        /// The app.
        app: usize,
        /// When.
        next_try_ms: u64,
    },
    /// A worker of this app takes requests again.
    AppIsUp {
        /// The app.
        app: usize,
    },
    /// Workers of this app were to be replaced, and the replacement could not be started.
    NotReplaced {
        /// The app.
        app: usize,
        /// What that is as an exit code: 4 where the app could not be loaded, else 3.
        code: i32,
    },
}
