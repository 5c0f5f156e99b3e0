//! In:     -
//! Out:    the words in which a configuration file is declared: keys, and what may stand under each.
//! Actors: none.
//! Never:  is there a second declaration: checks, help and the JSON Schema all come from these.

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// What may stand under it.
    pub(crate) kind: Kind,
    /// What it is for, in one sentence.
    pub(crate) about: &'static str,
    /// What counts where it is not written; empty where nothing does.
    pub(crate) default: &'static str,
}

impl Key {
    /// What it is for, and what counts without it.
    pub(crate) fn told(&self) -> String {
        match self.default {
            "" => self.about.into(),
            default => format!("{} (default {default}).", self.about.trim_end_matches('.')),
        }
    }
}

/// What may stand under a key.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Any string.
    Text,
    /// A string; or `file:PATH`, and it is what stands in that file.
    Secret,
    /// A path, relative to the file it is written in.
    Path,
    /// `500ms`, `30s`, `5m`, `2h`; or a whole number of seconds.
    Duration,
    /// `64KiB`, `10MiB`; or a whole number of bytes.
    Size,
    /// `20/s`, `100/m`, `5/h`.
    Rate,
    /// `20%`.
    Percent,
    /// A whole number between these.
    Whole(i64, i64),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `host:port`, `[::]:port`, `unix:PATH` or `fd://N`.
    Address,
    /// An address or a network, or `private`.
    Network,
    /// The path of a route: `/a/{name}/*`.
    Pattern,
    /// `combined`, `json`, or a line with variables.
    LogForm,
    /// A method of HTTP, in capitals.
    Method,
    /// The name of a header field.
    FieldName,
    /// Several of a kind in a list; one may stand without its brackets.
    OneOrMore(&'static Kind),
    /// Several of a kind in a list.
    List(&'static Kind),
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table with names of the user's own, and this under each; the word says what they name.
    Named(&'static str, &'static Kind),
    /// The first of these that fits the value.
    Either(&'static [Kind]),
    /// Something that a later version will do.
    Later,
}

impl Kind {
    /// What is to be written, for messages.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Kind::Text | Kind::Secret => "a string".into(),
            Kind::Path => "a path as a string".into(),
            Kind::Duration => "a time, as in \"500ms\", \"30s\", \"5m\" or \"2h\"".into(),
            Kind::Size => "a size, as in \"64KiB\" or \"10MiB\"".into(),
            Kind::Rate => "a rate, as in \"20/s\" or \"100/m\"".into(),
            Kind::Percent => "a share, as in \"20%\"".into(),
            Kind::Whole(least, i64::MAX) => format!("a whole number from {least}"),
            Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Switch => "true or false".into(),
            Kind::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Kind::Address => "an address, as in \"127.0.0.1:8000\", \"[::]:80\", \"unix:/run/web.sock\"".into(),
            Kind::Network => "a network, as in \"10.0.0.0/8\", \"192.0.2.7\" or \"private\"".into(),
            Kind::Pattern => "a path, as in \"/static/*\" or \"/users/{id}\"".into(),
            Kind::LogForm => "\"combined\", \"json\" or a line as in \"$remote_addr $request $status\"".into(),
            Kind::Method => "a method, as in \"GET\"".into(),
            Kind::FieldName => "the name of a header".into(),
            Kind::OneOrMore(kind) => format!("{}, or a list of such", kind.wanted()),
            Kind::List(kind) => format!("a list: [{}, …]", kind.wanted()),
            Kind::Table(keys) => {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                format!("a table: {{ {} = …, … }}", names.first().unwrap_or(&"key"))
            }
            Kind::Named(word, _) => format!("a table by {word}"),
            Kind::Either(kinds) => kinds.iter().map(Kind::wanted).collect::<Vec<_>>().join(", or "),
            Kind::Later => "nothing yet".into(),
        }
    }
}
