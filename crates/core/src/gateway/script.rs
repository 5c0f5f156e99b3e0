//! In:     a path, where scripts are, what somebody who can look finds there.
//! Out:    the script that the path names, and what stands behind it.
//! Actors: none; who looks is another's.
//! Never:  is something run that is no script, because a path goes on behind it as if it were a directory.

use crate::plan::Script;
use crate::route::percent_decode;
use std::borrow::Cow;

/// Scripts of one path that are looked for.
const LOOKS_MAX: u32 = 8;

/// What stands where a script might be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// A file.
    Script,
    /// Nothing that can be seen from here: there may be one all the same, where the server sees other files.
    Nothing,
    /// Nothing, and on the way to it stands a file: PHP would take that for the script.
    BelowFile,
}

/// A script that is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// Its path below the root, beginning with a slash.
    pub name: Vec<u8>,
    /// What stands behind it.
    pub info: Vec<u8>,
}

impl Named {
    /// What stands behind it as a path of its own, where nobody could read it as another one.
    pub(super) fn plain_info(&self) -> Option<&[u8]> {
        let is_plain = self.info.split(|byte| *byte == b'/').all(is_plain);
        (is_plain && !self.info.is_empty()).then_some(&self.info)
    }
}

/// The script that a path names: the first one on its way that `look` finds. Where nothing can be seen it is the first
/// one that is spelled like a script. A path without one has that of its directory, or that which has all the others.
pub fn name_script(script: &Script, path: &[u8], mut look: impl FnMut(&[u8]) -> Seen) -> Option<Named> {
    let (mut at, mut looks, mut spelled, mut is_below_file, mut is_clean) = (0, 0, None, false, true);
    for segment in path.split_inclusive(|byte| *byte == b'/') {
        at += segment.len();
        let raw = segment.strip_suffix(b"/").unwrap_or(segment);
        let decoded = percent_decode(raw);
        // Whoever opens files by it would read it otherwise than whoever matched it.
        is_clean = is_plain(&decoded);
        if !is_clean || is_below_file || looks == LOOKS_MAX {
            break;
        }
        if is_script(&decoded) {
            looks += 1;
            let end = at - (segment.len() - raw.len());
            let [name, info] = [&path[..end], &path[end..]].map(|part| percent_decode(part).into_owned());
            match look(&name) {
                Seen::Script => return Some(Named { name, info }),
                Seen::Nothing => spelled = spelled.or(Some(Named { name, info })),
                Seen::BelowFile => is_below_file = true,
            }
        }
    }
    let named = |name: Cow<'_, [u8]>| Named { name: name.into_owned(), info: Vec::new() };
    let is_directory = path.ends_with(b"/") && is_clean && !is_below_file && spelled.is_none();
    // The one script that has all stands at the root anyway.
    if is_directory && (script.only.is_none() || path.len() > 1) {
        let index = [&percent_decode(path)[..], script.index.as_bytes()].concat();
        match look(&index) {
            Seen::Script => return Some(named(index.into())),
            Seen::Nothing => spelled = Some(named(index.into())).filter(|_| script.only.is_none()),
            Seen::BelowFile => {}
        }
    }
    let spelled = spelled.filter(|_| !is_below_file);
    let Some(only) = &script.only else { return spelled };
    // As after nginx's try_files: what was asked for is in REQUEST_URI.
    let only = named([b"/", only.trim_start_matches('/').as_bytes()].concat().into());
    match spelled {
        // Where that one can be seen, so could the other.
        Some(spelled) if look(&only.name) != Seen::Script => Some(spelled),
        _ => Some(only),
    }
}

fn is_script(segment: &[u8]) -> bool {
    segment.len() >= 4 && segment[segment.len() - 4..].eq_ignore_ascii_case(b".php")
}

/// Whether a segment is one name to everybody.
fn is_plain(segment: &[u8]) -> bool {
    let is_odd = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'/' | b'\\');
    !segment.iter().any(is_odd) && !matches!(segment, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(front: bool, files: &[&str], path: &str) -> Option<String> {
        let only = front.then(|| "index.php".to_owned());
        let script = Script { root: "/srv".into(), index: "index.php".into(), only };
        let look = |name: &[u8]| {
            let name = std::str::from_utf8(name).unwrap();
            let is_on_the_way = |file: &&str| name.strip_prefix(*file).is_some_and(|rest| rest.starts_with('/'));
            match files {
                files if files.contains(&name) => Seen::Script,
                files if files.iter().any(is_on_the_way) => Seen::BelowFile,
                _ => Seen::Nothing,
            }
        };
        let named = name_script(&script, path.as_bytes(), look)?;
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        Some(format!("{} {}", text(&named.name), text(&named.info)).trim_end().to_owned())
    }

    /// `files` as they can be seen from here.
    fn check(front: bool, files: &[&str], rows: &[(&str, Option<&str>)]) {
        for (path, expected) in rows {
            assert_eq!(named(front, files, path).as_deref(), *expected, "{path}, front {front}, of {files:?}");
        }
    }

    #[test]
    fn what_stands_behind_a_script_is_its_own_affair() {
        let files = ["/index.php", "/a.php", "/a b.php", "/sub/index.php", "/evil.jpg"];
        for path in ["/a%2Fb", "/a%5Cb", "/%2e%2e/x", "/a%0Ab", "/..%2F..%2Fetc", "/x.php", "/%C3%A9"] {
            let seen = named(false, &files, &format!("/a.php{path}")).unwrap();
            assert!(seen.starts_with("/a.php /"), "{seen}");
            let seen = named(true, &files, &format!("/rooms{path}")).unwrap();
            assert_eq!(seen, "/index.php", "{path}");
        }
        check(
            false,
            &files,
            &[
                ("/a.php/b%2Fc/%2E%2E", Some("/a.php /b/c/..")),
                ("/a%20b.php/x%20y", Some("/a b.php /x y")),
                ("/", Some("/index.php")),
                ("/sub/", Some("/sub/index.php")),
            ],
        );
    }

    #[test]
    fn only_what_is_a_script_is_run() {
        let files = ["/index.php", "/a.php", "/evil.jpg", "/up/evil.png", "/dir.php/real.php"];
        let rows = [
            ("/evil.jpg/x.php", None),
            ("/evil.jpg/x.php/y.php", None),
            ("/evil.jpg/", None),
            ("/up/evil.png/a/b/c.php", None),
            ("/evil.jpg", None),
            ("/a.php/x.php", Some("/a.php /x.php")),
            ("/dir.php/real.php/x", Some("/dir.php/real.php /x")),
            ("/nothing.php", Some("/nothing.php")),
            ("/evil.jpg%2Fx.php", None),
            ("/up%5Ca.php", None),
            ("/a%0A.php", None),
        ];
        check(false, &files, &rows);
        // Where one script has all others, it has those, too: it knows what is none of its own.
        for (path, expected) in rows {
            let front = if path == "/nothing.php" { Some("/index.php") } else { expected.or(Some("/index.php")) };
            check(true, &files, &[(path, front)]);
        }
    }

    #[test]
    fn where_nothing_can_be_seen_the_spelling_counts() {
        let rows = [
            ("/a.php/x", Some("/a.php /x")),
            ("/a/b.PHP/x%20y", Some("/a/b.PHP /x y")),
            ("/.php", Some("/.php")),
            ("/a.php/b.php/c", Some("/a.php /b.php/c")),
        ];
        check(false, &[], &rows);
        check(true, &[], &rows);
        check(false, &[], &[("/", Some("/index.php")), ("/a/", Some("/a/index.php")), ("/a", None)]);
        check(true, &[], &[("/", Some("/index.php")), ("/a/", Some("/index.php")), ("/a", Some("/index.php"))]);
        check(true, &["/wp-admin/index.php"], &[("/wp-admin/", Some("/wp-admin/index.php"))]);
        let long = "/x.php".repeat(LOOKS_MAX as usize * 2);
        assert!(named(false, &[], &long).unwrap().starts_with("/x.php /x.php"));
    }
}
