//! In:     -
//! Out:    who may come in by name and password; what is to be hashed to find out.
//! Actors: none.
//! Never:  is less hashed for a name that nobody has than for one that somebody has.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Names and passwords (RFC 7617).
#[derive(Clone, Deserialize, Serialize)]
pub struct BasicAuth {
    /// What browsers show.
    pub realm: String,
    /// Names, and what their passwords hash to.
    pub users: Vec<(String, String)>,
    /// A file with more of them.
    pub file: Option<PathBuf>,
    /// Those in it.
    pub of_file: Vec<(String, String)>,
    /// Made by who looks names up, which is the edge alone: the master changes `of_file` and asks for nobody.
    #[serde(skip)]
    index: OnceLock<Index>,
}

/// Where everybody stands among all.
#[derive(Clone, Default)]
struct Index {
    names: HashMap<String, usize>,
    /// The first hash of each kind.
    kinds: Vec<usize>,
}

/// What a password has to be compared with.
#[derive(Debug, Eq, PartialEq)]
pub struct Checks<'a> {
    /// What it hashes to where it is right; nothing for a name that nobody has.
    pub own: Option<&'a str>,
    /// What it is compared with where it is wrong, without a meaning: one hash of every other kind. So every name takes
    /// the same time, whatever kinds there are.
    pub others: Vec<&'a str>,
}

impl BasicAuth {
    /// Those who may come in.
    pub fn new(
        realm: String,
        users: Vec<(String, String)>,
        file: Option<PathBuf>,
        of_file: Vec<(String, String)>,
    ) -> BasicAuth {
        BasicAuth { realm, users, file, of_file, index: OnceLock::new() }
    }

    /// All names, and what their passwords hash to.
    fn all(&self) -> impl Iterator<Item = &(String, String)> {
        self.users.iter().chain(&self.of_file)
    }

    fn hash(&self, at: usize) -> Option<&str> {
        let user = self.users.get(at).or_else(|| self.of_file.get(at.checked_sub(self.users.len())?))?;
        Some(&user.1)
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index::default();
            let mut seen: Vec<String> = Vec::new();
            for (at, (name, hash)) in self.all().enumerate() {
                // Of several with one name the first one counts.
                index.names.entry(name.clone()).or_insert(at);
                let kind = kind(hash);
                if !seen.contains(&kind) {
                    seen.push(kind);
                    index.kinds.push(at);
                }
            }
            index
        })
    }

    /// What the password of a name hashes to.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.index().names.get(name).and_then(|at| self.hash(*at))
    }

    /// What has to be hashed for a name, which may be nobody's.
    pub fn checks(&self, name: &str) -> Checks<'_> {
        let own = self.find(name);
        let own_kind = own.map(kind);
        let kinds = self.index().kinds.iter().filter_map(|at| self.hash(*at));
        Checks { own, others: kinds.filter(|hash| own_kind.as_ref() != Some(&kind(hash))).collect() }
    }
}

/// What the cost of a hash depends on: its scheme, and the parameters of that.
fn kind(hash: &str) -> String {
    let parts: Vec<&str> = hash.split('$').collect();
    match parts[..] {
        // $2y$12$…: the letter does not matter.
        ["", scheme, cost, ..] if scheme.starts_with('2') => format!("2 {cost}"),
        // $argon2id$v=19$m=…,t=…,p=…$SALT$HASH
        ["", scheme, .., _, _] if scheme.starts_with("argon2") => parts[..parts.len() - 2].join("$"),
        // $apr1$SALT$HASH and $1$SALT$HASH are one scheme.
        ["", "apr1" | "1", ..] => "md5".into(),
        // {SHA} and {SSHA}
        _ => "sha".into(),
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.all().map(|(name, _)| name).collect();
        form.debug_struct("BasicAuth").field("realm", &self.realm).field("users", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: [(&str, &str); 8] = [
        ("bcrypt5", "$2y$05$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG"),
        ("bcrypt5b", "$2b$05$abcdefghijklmnopqrstuuZ0P0P0P0P0P0P0P0P0P0P0P0P0P0P0P"),
        ("bcrypt12", "$2y$12$SlVdZUAc0HMRj5qEmLes.ul1wYmmkpKMebaWA0qun6qIbAvR7choG"),
        ("apr1", "$apr1$xxxxxxxx$/mULyOsdWlXlIt5U99q7h1"),
        ("md5", "$1$ab$dslkcXxVH.x8LwW1W/oAB/"),
        ("sha", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        ("argon", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"),
        ("argon_low", "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"),
    ];

    fn kinds(checks: &Checks<'_>) -> Vec<String> {
        let mut kinds: Vec<String> = checks.own.iter().chain(&checks.others).map(|hash| kind(hash)).collect();
        kinds.sort();
        kinds
    }

    #[test]
    fn every_name_costs_the_same() {
        let users = |from: &[(&str, &str)]| from.iter().map(|(name, hash)| ((*name).into(), (*hash).into())).collect();
        let auth = BasicAuth::new("r".into(), users(&HASHES[..3]), None, users(&HASHES[3..]));
        let nobody = auth.checks("nobody");
        assert_eq!((nobody.own, nobody.others.len()), (None, 6));
        for (name, hash) in HASHES {
            let checks = auth.checks(name);
            assert_eq!((checks.own, kinds(&checks)), (Some(hash), kinds(&nobody)), "{name}");
        }
        let alone = BasicAuth::new("r".into(), users(&HASHES[2..3]), None, Vec::new());
        assert_eq!((alone.checks("nobody").others.len(), alone.checks("bcrypt12").others.len()), (1, 0));
        let none = BasicAuth::new("r".into(), Vec::new(), None, Vec::new());
        assert_eq!(none.checks("nobody"), Checks { own: None, others: Vec::new() });
    }

    #[test]
    fn of_several_with_one_name_the_first_counts() {
        let users = vec![("a".into(), "{SHA}1".into()), ("a".into(), "{SHA}2".into())];
        let auth = BasicAuth::new("r".into(), users, None, vec![("a".into(), "{SHA}3".into())]);
        assert_eq!(auth.find("a"), Some("{SHA}1"));
    }
}
