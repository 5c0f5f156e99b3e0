//! In:     the form of a line of the access log, as it is written.
//! Out:    the same for the plan.
//! Actors: none.
//! Never:  is a variable taken that no line can have.

use crate::near::nearest;
use hallway_core::plan::LogFormat;
use hallway_core::record::{StyleFault, VARIABLES, read_style};

/// A form with variables; the error is the mend.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, String> {
    if !text.contains('$') {
        return Err(
            "write 'combined', 'json' or a line with variables, as in '$remote_addr \"$request\" $status'".into()
        );
    }
    let explain = |fault: StyleFault| {
        let near = match &fault {
            StyleFault::Unknown(name) => nearest(name, VARIABLES.iter().map(|(name, _)| *name)),
            StyleFault::Malformed(_) => None,
        };
        near.map_or_else(|| fault.to_string(), |near| format!("{fault}; did you mean '${near}'?"))
    };
    read_style(text).map(|_| LogFormat::Own(text.into())).map_err(explain)
}
