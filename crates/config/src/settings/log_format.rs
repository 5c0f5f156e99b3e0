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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_variables_that_are_there() {
        let form = "$remote_addr \"$request\" $http_x_key";
        assert_eq!(log_format(form), Ok(LogFormat::Own(form.into())));
        assert!(log_format("plain").unwrap_err().starts_with("write 'combined', 'json' or a line"));
        assert!(log_format("$remote_adr").unwrap_err().ends_with("did you mean '$remote_addr'?"));
        assert!(log_format("$").is_err());
    }
}
