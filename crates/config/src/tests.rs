//! In:     files, broken and whole.
//! Out:    what a person reads about them; the plan they make.
//! Actors: the file system: the cases, and the document that is compared.
//! Never:  is a message changed without anybody looking at it: `UPDATE_CASES=1` writes what is said now.

#![allow(clippy::disallowed_methods)] // Cases and documents are files.

use super::declare::{Key, Kind};
use super::model::Model;
use super::{Remark, Wanted, effective, inspect, routes, schema, summary};
use hallway_core::filling::HEADER_VARIABLES;
use hallway_core::plan::Plan;
use hallway_core::record::VARIABLES;
use std::fs;
use std::path::{Path, PathBuf};

const BROKEN: &str = "cases/broken.txt";

/// The directory of the file on a machine that is made of data.
const DIR: &str = "/model/etc";
const MAIN: &str = "/model/etc/hallway.toml";

/// A machine with this file.
fn machine(text: &str) -> Model {
    let mut machine = Model::default().with(MAIN, text);
    machine.variables.insert("HOME".into(), "/home/user".into());
    machine
}

fn load(machine: &Model) -> Result<(Plan, String), String> {
    super::load(Path::new(MAIN), machine, Wanted::Everything)
}

fn plan_of(machine: &Model) -> Plan {
    load(machine).unwrap_or_else(|said| panic!("{said}")).0
}

/// What is said of a file, with the names of the machine taken out.
fn said(text: &str) -> String {
    let mut machine = machine(text);
    machine.directories.extend([Path::new(DIR).join("assets"), PathBuf::from("/usr/bin")]);
    let said = load(&machine).err().unwrap_or_else(|| "valid\n".into());
    // The edge says more of it.
    let said = said.replace(NO_HASH.0, NO_HASH.1);
    said.replace(&format!("{DIR}/"), "").replace(DIR, "DIR")
}

const NO_HASH: (&str, &str) = (
    "this is no hash\n",
    "this is no hash; 'htpasswd -nB NAME' (apache2-utils) makes one (bcrypt; Argon2, apr1 and {SHA} are taken, too)\n",
);

#[test]
fn each_broken_file_is_answered_with_its_line_and_the_mend() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(BROKEN);
    let cases = fs::read_to_string(&path).unwrap();
    let mut seen = String::new();
    for case in cases.split("### ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, _) = rest.split_once(">>>\n").unwrap_or((rest, ""));
        seen += &format!("### {name}\n{text}>>>\n{}", said(text));
    }
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(path, &seen).unwrap();
    }
    assert!(seen.matches("### ").count() >= 30);
    assert!(!seen.contains("\nvalid\n"), "each of them is broken");
    for (line, (now, before)) in seen.lines().zip(cases.lines()).enumerate() {
        assert_eq!(now, before, "{BROKEN}, line {}", line + 1);
    }
    assert_eq!(seen.lines().count(), cases.lines().count());
}

/// What stands in the documents below the words that are written by hand.
const REFERENCE: &str = "../../docs/CONFIGURATION.md";

/// Every key as a table of Markdown.
fn reference() -> String {
    let mut text = String::new();
    put_table(&mut text, "", super::tables::FILE);
    text += "\n## Variables of the access log\n\nThose of nginx have its names. `$http_NAME` is the header NAME, its dashes \
             as underscores. What is not there is `-`.\n\n| variable | what it is |\n|---|---|\n";
    for (name, about) in VARIABLES {
        text += &format!("| `${name}` | {about} |\n");
    }
    text += "\n## Variables of request_headers\n\nA value that comes to nothing is not sent. `$http_NAME` is a header as far as it goes on, `$cookie_NAME` a cookie; \
             `$$` is a dollar. What `file:` names is taken as it stands.\n\n| variable | what it is |\n|---|---|\n";
    for (name, about) in HEADER_VARIABLES {
        text += &format!("| `${name}` | {about} |\n");
    }
    text
}

fn put_table(text: &mut String, name: &str, keys: &'static [Key]) {
    let built: Vec<&Key> = keys.iter().filter(|key| !matches!(key.kind, Kind::Later)).collect();
    if !name.is_empty() {
        *text += &format!("\n### {name}\n\n| key | what stands there | what it is for |\n|---|---|---|\n");
        for key in &built {
            let wanted = key.kind.wanted().replace('|', "\\|");
            *text += &format!("| `{}` | {wanted} | {} |\n", key.name, key.told());
        }
        let later: Vec<String> =
            keys.iter().filter(|key| matches!(key.kind, Kind::Later)).map(|key| format!("`{}`", key.name)).collect();
        if !later.is_empty() {
            *text += &format!("\nTo come: {}.\n", later.join(", "));
        }
    }
    for key in built {
        let inner = if name.is_empty() { key.name.into() } else { format!("{name}.{}", key.name) };
        match &key.kind {
            Kind::Named(word, kind) => put_inner(text, &format!("{}.<{word}>", key.name), kind),
            kind => put_inner(text, &inner, kind),
        }
    }
}

/// The tables that may stand there, however they are wrapped.
fn put_inner(text: &mut String, name: &str, kind: &Kind) {
    match kind {
        Kind::Table(keys) => put_table(text, name, keys),
        Kind::List(kind) | Kind::OneOrMore(kind) | Kind::Named(_, kind) => put_inner(text, name, kind),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| put_inner(text, name, kind)),
        _ => {}
    }
}

#[test]
fn the_documents_name_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE);
    let document = fs::read_to_string(&path).unwrap();
    let (by_hand, written) = document.split_once("## Every key\n").unwrap();
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(path, format!("{by_hand}## Every key\n{}", reference())).unwrap();
    } else {
        assert_eq!(written, reference(), "UPDATE_CASES=1 writes {REFERENCE} anew");
    }
}

const WHOLE: &str = r#"
[server]
http = "127.0.0.1:0"
threads = 1
body_max = "1MiB"

[log]
access = "off"

[app.web]
wsgi = "shop.wsgi:application"
workers = 2
queue = { size = 10, max_wait = "2s" }
env = { A = "1", B = "${HOME}/x" }

[site."Example.COM"]
aliases = ["*.example.com"]
routes = [
  { path = "/*", app = "web", cache_control = "no-cache" },
  { path = "/api/{version}/*", app = "web", strip = true, method = ["GET", "POST"], body_max = 1000 },
  { path = "/old/{id}", redirect = "/new/{id}", status = 301 },
  { path = "/health", respond = { body = "ok" }, client = ["private"] },
  { path = "/src/*", files = "." },
]

[site."*"]
routes = [{ path = "/*", redirect = "https://example.com{path}", status = 308 }]
"#;

#[test]
fn a_whole_file_is_a_plan() {
    let plan = plan_of(&machine(WHOLE));
    assert_eq!(summary(&plan), "2 sites, 6 routes, 1 app");
    assert_eq!(plan.sites[0].hosts, ["example.com", "*.example.com"]);
    let app = &plan.apps[0];
    assert_eq!((app.workers, app.queue_size, app.queue_max_wait_ms), (2, 10, 2000));
    assert_eq!(app.env, [("A".into(), "1".into()), ("B".into(), "/home/user/x".into())]);
    assert_eq!((&*app.chdir, plan.limits.body_bytes_max), (Path::new(DIR), 1 << 20));
    let shown = routes(&plan);
    let paths: Vec<&str> = shown.lines().filter_map(|line| line.trim().split("  ").next()).collect();
    let expected =
        ["example.com, *.example.com", "/api/{version}/*", "/health", "/old/{id}", "/src/*", "/*", "*", "/*"];
    assert_eq!(paths, expected, "{shown}");
}

const TOLD: &str = r#"
[app.web]
wsgi = "shop.wsgi"
[pool.api]
servers = ["http://10.0.0.1"]
[site."::1"]
aliases = ["[2001:DB8:0::1]"]
limit = { rate = "600/m" }
routes = [
  { path = "/old/{year}/{id}", redirect = "/orders/{id}-{year}" },
  { path = "/admin/*", app = "web", allow = "private", basic_auth = { users = { alice = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC" }, realm = "staff" } },
  { path = "/login", app = "web", limit = [{ rate = "5/m", burst = 3 }, { connections = 2 }, { concurrency = 9 }], timeout = "5s" },
  { path = "/u/{name}/*", pool = "api", rewrite = "/users/{name}/*", deny = ["10.0.0.0/8"], body_max = "1MiB" },
  { path = "/both/{id}", compose = { user = "/api/user/{id}" } },
]
"#;

#[test]
fn routes_are_told_with_names_and_who_may_come_in() {
    let plan = plan_of(&machine(TOLD));
    assert_eq!(plan.apps[0].callable, "shop.wsgi:application");
    assert_eq!(plan.sites[0].hosts, ["[::1]", "[2001:db8::1]"]);
    let shown = routes(&plan);
    let expected = [
        "/old/{year}/{id}  redirect 302 /orders/{id}-{year}; limit 10/s, 600 at once, by client",
        "/admin/*          app web; allow private; basic_auth 'staff'; limit 10/s, 600 at once, by client",
        "/login            app web; limit 10/s, 600 at once, by client; limit 5/m, 3 at once, by client; limit 2 at a time by \
         client; limit 9 at a time for all together; timeout 5 s",
        "/u/{name}/*       pool api (1 server); asked for /users/{name}/*; deny 10.0.0.0/8; limit 10/s, 600 at once, by \
         client; body_max 1 MiB",
        "/both/{id}        compose user = /api/user/{id}; limit 10/s, 600 at once, by client",
    ];
    for line in expected {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn files_of_conf_d_are_one_with_it() {
    let site = |name: &str| format!("[site.\"{name}\"]\nroutes = [{{ path = \"/*\", respond = {{}} }}]\n");
    let two = machine(&site("a.example")).with(&format!("{DIR}/conf.d/b.toml"), &site("b.example"));
    assert_eq!(summary(&plan_of(&two)), "2 sites, 2 routes, 0 apps");
    let three = two.with(&format!("{DIR}/conf.d/c.toml"), "[site.\"a.example\"]\nroutes = []\n");
    let said = load(&three).unwrap_err();
    assert!(said.contains("'routes' is written in two files") && said.contains("conf.d/c.toml:2:1"), "{said}");
}

#[test]
fn the_schema_names_every_key() {
    let schema = schema();
    let site = &schema["properties"]["site"]["additionalProperties"]["properties"];
    assert_eq!(site["routes"]["items"]["properties"]["path"]["pattern"], "^/");
    assert_eq!(schema["properties"]["server"]["additionalProperties"], false);
    assert!(site["routes"]["items"]["properties"]["jobs"].is_null(), "what is not built yet is not offered");
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = r#"
[app.web]
wsgi = "shop.wsgi:application"
env = { KEY = "s3cret-1" }
[pool.api]
servers = ["http://10.0.0.1"]
sticky = { secret = "s3cret-2" }
request_headers = { set = { X-Api-Key = "s3cret-3" } }
[site."*"]
basic_auth = { users = { alice = "s3cret-4" } }
routes = [{ path = "/*", pool = "api", basic_auth = { users = { bob = "s3cret-5" } }, request_headers = { set = { X-Key = "s3cret-6" } } }]
"#;
    let plan = plan_of(&machine("[site.\"*\"]\nroutes = [{ path = \"/\", respond = {} }]\n"));
    let shown = effective(Path::new(MAIN), &machine(text), &plan);
    assert!(shown.contains("X-Api-Key = …") && shown.contains("secret = …") && !shown.contains("s3cret"), "{shown}");
    // Neither where something is wrong with them.
    let said = said(text);
    assert!(said.contains("this is no hash") && !said.contains("s3cret"), "{said}");
}

#[test]
fn paths_are_of_any_letters() {
    for path in ["/ä€", "/€€.php", "/日本/*", "/größe/{id}"] {
        let text = format!("[site.\"*\"]\nroutes = [{{ path = \"{path}\", respond = {{}}, allow = \"private\" }}]\n");
        assert_eq!(plan_of(&machine(&text)).sites[0].routes[0].path, path);
    }
}

/// Every text of the cases.
fn cases() -> Vec<String> {
    let cases = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(BROKEN)).unwrap();
    let text = |case: &str| Some(case.split_once('\n')?.1.split(">>>\n").next()?.to_owned());
    cases.split("### ").skip(1).filter_map(text).collect()
}

#[test]
fn every_remark_is_about_a_line_of_the_file() {
    let mut cases = cases();
    cases.extend(["", "\u{feff}x", "a", "ä = \"€", "= \n= \n", "[site]\r\n", "[", "x = [\n\n\n"].map(str::to_owned));
    for text in cases {
        let (plan, remarks) = inspect(Path::new(MAIN), &machine(&text));
        assert!(plan.is_none() && !remarks.is_empty(), "{text}");
        for Remark { position, text: said, .. } in remarks {
            let position = position.unwrap_or_else(|| panic!("{said}"));
            let line = text.split('\n').nth(position.line - 1).unwrap_or_else(|| panic!("{position:?}: {said}"));
            assert!((1..=line.chars().count() + 1).contains(&position.column), "{position:?}: {said}");
        }
    }
}

/// What is hard to write: quotes, controls, dollars, letters of all kinds.
const ODD: &str = r#"
[log]
access = { path = "stdout", format = "$request \"$http_x\" \\ € ${NOT}" }
[site."*"]
aliases = ["käse.example"]
headers = { set = { X-Odd = "\"'\\ $${HOME} ${HOME} \u00e4" } }
routes = [
  { path = "/*", respond = { body = "a\r\n\t\u0000\u007f\u0085\u200b€ $$${HOME} $${", type = "text/plain" } },
  { path = "/größe/{id}", redirect = "/%C3%A4/{id}", header = { "x-a" = true } },
]
"#;

/// What is not there for one app keeps nothing from being served, and is shown as it is written.
const UNSET: &str = r#"
[app.web]
wsgi = "${NO_SUCH_VARIABLE}:app"
queue = { size = 3 }
[site."*"]
routes = [{ path = "/*", app = "web" }]
"#;

#[test]
fn what_is_shown_is_read_again() {
    let files = [WHOLE.replace("{ A = \"1\", B = \"${HOME}/x\" }", "{}"), ODD.replace(" ${NOT}", "")];
    for text in files.into_iter().chain([UNSET.to_owned()]) {
        let machine = machine(&text);
        let (plan, _) = super::load(Path::new(MAIN), &machine, Wanted::WhatCanBeServed).unwrap();
        let shown = effective(Path::new(MAIN), &machine, &plan);
        assert!(!shown.contains('…'), "{shown}");
        let machine = machine.with(MAIN, &shown);
        let (again, _) = super::load(Path::new(MAIN), &machine, Wanted::WhatCanBeServed).unwrap();
        let told = |plan: &Plan| serde_json::to_value(plan).unwrap();
        assert_eq!(told(&plan), told(&again), "{shown}");
    }
}

#[test]
fn much_that_is_wrong_is_told_in_little() {
    let many = |one: &dyn Fn(usize) -> String, between: &str| {
        let routes: Vec<String> = (0..600).map(one).collect();
        format!("[pool.api]\nservers = [\"http://a\"]\n[site.\"*\"]\nroutes = [{}]\n", routes.join(between))
    };
    // A file that a program wrote, on one line.
    let bad = |at: usize| format!("{{ path = \"/{at}\", respond = {{}}, allow = \"nobody\" }}");
    let said = load(&machine(&many(&bad, ", "))).unwrap_err();
    assert!(said.ends_with("600 problems\n") && said.len() < 600 * 1_500, "{}", said.len());
    // All alike: each two of them would be one more.
    let same = |_: usize| "{ path = \"/\", respond = {} }".to_owned();
    let said = load(&machine(&many(&same, ",\n"))).unwrap_err();
    assert!(said.ends_with("100 problems\n"), "{}", said.lines().last().unwrap());
    // Many names that are not there beside many that are.
    let pools: String = (0..600).map(|at| format!("[pool.p{at}]\nservers = [\"http://a\"]\n")).collect();
    let unknown = |at: usize| format!("{{ path = \"/{at}\", pool = \"another-{at}\" }}");
    let said = load(&machine(&(pools + &many(&unknown, ",\n").replace("[pool.api]", "[pool.z]")))).unwrap_err();
    assert!(said.contains("p48, p49, and 551 more\n") && said.len() < 600 * 600, "{}", said.len());
}
