//! In:     the text of a file of variables, as shells, Docker, systemd and the dotenv libraries write them.
//! Out:    names and values; or which line is none.
//! Actors: none.
//! Never:  is anything in a value expanded: a password may have a dollar sign.

/// Reads all lines; of those with the same name the last one counts.
///
/// # Errors
/// The number of a line, from 1, and the mend.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables: Vec<(String, String)> = Vec::new();
    let (mut rest, mut number) = (text, 0);
    while !rest.is_empty() {
        number += 1;
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        let line = exported.unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            // `export A` behind `A=1`.
            if exported.is_some() && variables.iter().any(|(name, _)| name == line) {
                continue;
            }
            return Err((number, "write NAME=VALUE"));
        };
        let name = name.trim_end();
        if name.is_empty() || name.contains(|sign: char| sign.is_whitespace() || sign == '"' || sign == '\'') {
            return Err((number, "write NAME=VALUE"));
        }
        let value = value.trim_start();
        let value = match value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            None => unquoted(value),
            Some(quote) => {
                // The value may go on over lines: it is read from where it began.
                let begins = value.as_ptr() as usize - text.as_ptr() as usize;
                let (value, ends) = quoted(&text[begins + 1..], quote).ok_or((number, "the quote has no end"))?;
                let behind = &text[begins + 1 + ends..];
                let (left, after) = behind.split_once('\n').unwrap_or((behind, ""));
                let left = left.trim();
                if !left.is_empty() && !left.starts_with('#') {
                    return Err((number, "there is more behind the quote; put all of the value into quotes"));
                }
                number += text[begins..begins + 1 + ends].matches('\n').count();
                rest = after;
                value
            }
        };
        if value.contains('\0') {
            return Err((number, "a variable cannot have a zero byte"));
        }
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// Up to a comment: a `#` behind a blank, as shells have it.
fn unquoted(value: &str) -> String {
    let is_comment = |at: &(usize, char)| at.1 == '#' && (at.0 == 0 || value[..at.0].ends_with([' ', '\t']));
    let end = value.char_indices().find(is_comment).map_or(value.len(), |(at, _)| at);
    value[..end].trim_end().to_owned()
}

/// What stands up to the next quote of this kind, and where it ends, quote included. Between single quotes everything is
/// as it stands.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let (mut value, mut signs) = (String::new(), text.char_indices());
    while let Some((at, sign)) = signs.next() {
        match sign {
            _ if sign == quote => return Some((value, at + 1)),
            '\\' if quote == '"' => match signs.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '\n' => {}
                own @ ('"' | '\\' | '$' | '`' | '\'') => value.push(own),
                other => value.extend(['\\', other]),
            },
            _ => value.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_shells_and_dotenv_do() {
        let text = "\u{feff}A=1\r\n# a comment\n\n  export D=4\nexport\tE = 5 # five\nF='x # y' # z\nG=\"a\\nb \\\"c\\\" \\$d \\w\"\n\
                    H=\nI= # nothing\nJ=pass#word\nK=a b  c  \nL='it is \\n'\nM=\"two\nlines\"\nN=$D ${D}\nA=2\nexport A\n\
                    O=x=y==\nexported=6\nP=\"\"\nQ=it's\nR=\"a \\\nb\"";
        let expected = [
            ("D", "4"),
            ("E", "5"),
            ("F", "x # y"),
            ("G", "a\nb \"c\" $d \\w"),
            ("H", ""),
            ("I", ""),
            ("J", "pass#word"),
            ("K", "a b  c"),
            ("L", "it is \\n"),
            ("M", "two\nlines"),
            ("N", "$D ${D}"),
            ("A", "2"),
            ("O", "x=y=="),
            ("exported", "6"),
            ("P", ""),
            ("Q", "it's"),
            ("R", "a b"),
        ];
        let read = read(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_none_is_named_by_its_line() {
        for (text, line) in [
            ("A=1\nset -a", 2),
            ("A=\"1\n2\"\nB='x", 3),
            ("A=\"1\n2\"\nB", 3),
            ("export A", 1),
            ("=1", 1),
            ("A B=1", 1),
            ("A=\"x\"y", 1),
        ] {
            assert_eq!(read(text).unwrap_err().0, line, "{text}");
        }
    }
}
